"""What a night tells Prefect: an event for its verdict, one for every alert. Names and payloads; decides nothing.

An automation sees the labels of an event's resource, not its payload, so what it is to go by stands in both.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any
from uuid import NAMESPACE_URL, UUID, uuid5

from prefect.events import emit_event
from prefect.exceptions import EventTooLarge

from gmmdask.nightly.delivery import Message
from gmmdask.warehouse import Release

VERDICT = "gmmdask.verdict."
ALERT = "gmmdask.alert"
ACTION_LABEL = "gmmdask.action"
LONGEST_REASON = 2_000

NUMBERS = ("champion_score", "challenger_score", "rows_total", "rows_ok")
IDS = ("run_id", "model_id", "challenger_id", "action", "report_uri")
GAIN = ("value", "reference", "threshold", "rows")


def resource_id(segmentation: str) -> str:
    """Return the name by which Prefect's events know a segmentation."""
    return f"gmmdask.segmentation.{segmentation}"


def action_of(run: Mapping[str, Any]) -> str:
    """Return what the settings that a run was computed with say of its verdict: `act` upon it, or only `announce` it.

    Examples
    --------
    >>> action_of({"settings": '{"drift": {"action": "announce"}}'})
    'announce'
    """
    return str(json.loads(run["settings"])["drift"]["action"])


def tell_verdict(release: Release) -> bool:
    """Emit the verdict of a published run, and return whether there was one to emit; the same run is the same event."""
    (run,) = release.tables["runs"].to_pylist()
    if run["verdict"] is None:
        return False
    drift = release.tables["drift"].to_pylist() if "drift" in release.tables else []
    decided = next((row for row in drift if row["verdict"] is not None), None)
    payload = {
        "dt": run["dt"].isoformat(),
        "verdict": run["verdict"],
        "reason": (run["reason"] or "")[:LONGEST_REASON],
        ACTION_LABEL: action_of(run),
        **{name: run[name] for name in (*IDS, *NUMBERS)},
        "gain": None if decided is None else {name: decided[name] for name in GAIN},
    }
    resource = {**_resource(release.segmentation), ACTION_LABEL: action_of(run)}
    return _emitted(f"{VERDICT}{run['verdict']}", resource, payload, run["run_id"])


def tell_alerts(message: Message) -> str:
    """Emit the alerts of a run: a way out as `gmmdask.nightly.delivery` has them."""
    common = {name: message[name] for name in ("dt", "run_id", "verdict", "report")}
    for number, alert in enumerate(message["alerts"]):
        payload = {**common, **alert, "reason": alert["reason"][:LONGEST_REASON]}
        if not _emitted(ALERT, _resource(message["segmentation"]), payload, f"{message['run_id']}/{number}"):
            return "Prefect took no event"
    return ""


def _resource(segmentation: str) -> dict[str, str]:
    return {"prefect.resource.id": resource_id(segmentation), "prefect.resource.name": segmentation}


def _emitted(event: str, resource: dict[str, str], payload: dict[str, Any], key: str) -> bool:
    known: UUID = uuid5(NAMESPACE_URL, f"gmmdask/{event}/{resource['prefect.resource.id']}/{key}")
    try:
        plain = json.loads(json.dumps(payload))
        return emit_event(event, resource=resource, payload=plain, id=known) is not None
    except EventTooLarge:
        return False
