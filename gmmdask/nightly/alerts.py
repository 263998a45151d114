"""What of a published run wants attention, and telling it once: to the log, a command, a webhook.

Alerts are read from the warehouse, after publication, so that a night which was killed in between loses none: the next
call finds runs of the last days whose alerts were not delivered. What was delivered is noted beside the staged runs, one
small file a run, way out by way out. A way out that failed is tried again by the next calls, the others are not; one that does
not answer is tried for no other run of the same call. A call that dies between telling and noting tells twice.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date, datetime, timedelta
from functools import partial
from typing import Any

from gmmdask.errors import GmmdaskError
from gmmdask.nightly.delivery import Channel, Message, Unreachable, log_lines, post_webhook, run_command
from gmmdask.nightly.plan import utc_now, warehouse_of
from gmmdask.settings import Settings
from gmmdask.storage import created, has_folders, open_storage, reaching

Row = Mapping[str, Any]

LOOKED_BACK = 10
RECENT = timedelta(days=3)
"""Runs whose alerts may still be delivered: the last published, as far as they are no older than this."""

PATIENCE = 30.0
"""Seconds that telling waits for the warehouse at most."""

RUNS = """SELECT r.run_id, r.segmentation, r.dt, r.status, r.verdict, r.reason, r.model_id, r.challenger_id, r.report_uri,
    r.rows_total, r.rows_ok
    FROM publications AS p JOIN runs AS r ON r.run_id = p.run_id
    WHERE p.segmentation = $segmentation AND p.published_at >= $since AND r.kind IN ('night', 'repeat')
    GROUP BY ALL ORDER BY max(p.publication_id) DESC LIMIT $most"""

DRIFT = """SELECT run_id, scope, statistic, segment_id, part, feature, category, value, unit, threshold, is_alarm, verdict, reason
    FROM drift WHERE run_id = ANY($run_ids) AND (is_alarm OR verdict IS NOT NULL)
    ORDER BY run_id, scope, statistic, feature, segment_id, part, category"""

REMEDIES = {
    "gain": "look at the report; if the change stays, the window of nights will call for a retraining",
    "null_rate": "find out why cells of this column went missing; no retraining mends that",
    "category_rate": "see whether the values of this column were changed or renamed upstream",
    "row_count": "see whether all files of the date have arrived; a rewritten date is labelled again by the next night",
    "unit_change": "see whether the unit of this column was changed upstream, and write it to the lake as it was; nights in "
    "another unit count into no window and call for no retraining. If the new unit is to stay, set [training] train_since "
    "to its first date and train by --refit",
}
REMEDY_OF_A_VERDICT = "see the verdict"
REMEDY_OF_ANOTHER_UNIT = "see what is said of the change of unit; a night in another unit calls for no retraining"
DISTANCES = ("wasserstein", "psi", "ks")
"""Statistics that measure one thing, how far a feature lies from where it was; the first of them is told."""

OTHER_REMEDY = "compare this column in the report with what it was in training"
BY_HAND = "gmmdask nightly SETTINGS --refit"

_log = logging.getLogger("gmmdask.alerts")


@dataclass(frozen=True, kw_only=True, slots=True)
class Alert:
    """Something that wants attention.

    Parameters
    ----------
    what, where : str
        What was measured or decided, and of what: a column, a segment, the model.
    value, threshold : float, optional
        In `unit`; None where there is no number.
    reason, remedy : str
        Why, and what to do.
    """

    what: str
    where: str
    reason: str
    remedy: str
    value: float | None = None
    threshold: float | None = None
    unit: str = ""

    @property
    def line(self) -> str:
        """The alert in one line."""
        number = "" if self.value is None else f" {self.value:.4g} {self.unit}".rstrip()
        limit = "" if self.value is None or self.threshold is None else f" (threshold {self.threshold:.4g})"
        told = f"{self.what} of {self.where}{number}{limit}: {self.reason.rstrip('.')}. To do: {self.remedy}."
        return " ".join(told.split())


NO_LABELS = Alert(
    what="labels",
    where="the run",
    reason="no row of the night has a segment",
    remedy="see the report for what is missing",
)
NO_ROWS = Alert(
    what="rows",
    where="the run",
    reason="the night brought no row",
    remedy="see whether the files of the date have arrived; a date that fills later is labelled by the next night",
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Delivery:
    """What became of the alerts of a run.

    Parameters
    ----------
    run_id : str
    dt : datetime.date
    alerts : tuple of Alert
    channels : tuple of str
        The ways out that took them now.
    troubles : tuple of str
        Why others did not, in a sentence each.
    """

    run_id: str
    dt: date
    alerts: tuple[Alert, ...]
    channels: tuple[str, ...] = ()
    troubles: tuple[str, ...] = ()


def alerts_of(run: Row, drift: Iterable[Row]) -> tuple[Alert, ...]:
    """Return what wants attention in a run; often nothing.

    Parameters
    ----------
    run : mapping
        Its row in `runs`.
    drift : iterable of mappings
        Its rows in `drift`.
    """
    rows = list(drift)
    alarms = [row for row in rows if row["is_alarm"]]
    is_in_another_unit = any(row["statistic"] == "unit_change" for row in alarms)
    is_called_for = run["verdict"] not in (None, "keep")
    remedies = dict(REMEDIES)
    if is_in_another_unit or is_called_for:
        remedies["gain"] = REMEDY_OF_ANOTHER_UNIT if is_in_another_unit else REMEDY_OF_A_VERDICT
    found = [_alarm(row, remedies) for row in _by_cause(alarms) if not (is_called_for and row["verdict"] is not None)]
    if is_called_for:
        found.insert(0, _verdict(run, next((row for row in rows if row["verdict"] is not None), None)))
    if not run["rows_ok"]:
        found.insert(0, NO_LABELS if run["rows_total"] else NO_ROWS)
    if not found and run["status"] == "alert":
        found.append(
            Alert(what="the outcome", where="the run", reason=run["reason"] or "", remedy="look at the report")
        )
    return tuple(found)


def deliver_alerts(
    settings: Settings,
    more: Mapping[str, Channel] | None = None,
    *,
    now: Callable[[], datetime] = utc_now,
) -> tuple[Delivery, ...]:
    """Tell what recent runs found, each once, the oldest first. Never raises: a failure costs no night, and is logged.

    Parameters
    ----------
    settings : Settings
    more : mapping of str to callable, optional
        Ways out beside the log and those of `[alerts]`, by name.
    now : callable
        Where the time comes from.

    Returns
    -------
    tuple of Delivery
        One a run of which something was delivered or tried.
    """
    try:
        return tuple(_deliveries(settings, {**_channels(settings), **(more or {})}, now() - RECENT))
    except GmmdaskError as error:
        _log.warning("no alert was looked for: %s", error)
        return ()


def _channels(settings: Settings) -> dict[str, Channel]:
    alerts = settings.alerts
    channels: dict[str, Channel] = {"log": log_lines}
    address = alerts.webhook.get_secret_value() if alerts.webhook is not None else ""
    if alerts.command is not None:
        channels["command"] = partial(run_command, command=alerts.command, timeout=alerts.timeout, secret=address)
    if address:
        channels["webhook"] = partial(post_webhook, address=address, timeout=alerts.timeout)
    return channels


def _deliveries(settings: Settings, channels: Mapping[str, Channel], since: datetime) -> Iterator[Delivery]:
    receipts = _Receipts.of(settings)
    closed: dict[str, Unreachable] = {}
    for run, alerts in _alerted(settings, since):
        taken = receipts.read(run["run_id"])
        open_channels = {name: channel for name, channel in channels.items() if name not in taken}
        if not open_channels:
            continue
        told = message_of(run, alerts)
        troubles = {name: closed.get(name) or channel(told) for name, channel in open_channels.items()}
        closed |= {name: trouble for name, trouble in troubles.items() if isinstance(trouble, Unreachable)}
        delivered = tuple(name for name, trouble in troubles.items() if not trouble)
        failed = tuple(trouble for trouble in troubles.values() if trouble)
        for trouble in failed:
            _log.warning("alerts of run %s were not delivered: %s; the next night tries again", run["run_id"], trouble)
        if delivered:
            receipts.write(run["run_id"], [*taken, *delivered])
        yield Delivery(run_id=run["run_id"], dt=run["dt"], alerts=alerts, channels=delivered, troubles=failed)


def _alerted(settings: Settings, since: datetime) -> list[tuple[Row, tuple[Alert, ...]]]:
    """Return the recent runs that want attention with their alerts, the oldest first."""
    warehouse = warehouse_of(settings, min(PATIENCE, settings.warehouse.publish_timeout))
    values = {"segmentation": settings.segmentation.name, "since": since, "most": LOOKED_BACK}
    runs = warehouse.query(RUNS, values).to_pylist()
    drift: dict[str, list[Row]] = {}
    for row in warehouse.query(DRIFT, {"run_ids": [run["run_id"] for run in runs]}).to_pylist():
        drift.setdefault(row["run_id"], []).append(row)
    found = [(run, alerts_of(run, drift.get(run["run_id"], []))) for run in reversed(runs)]
    return [(run, alerts) for run, alerts in found if alerts]


def message_of(run: Row, alerts: Sequence[Alert]) -> Message:
    """Return what is delivered: the run, its alerts, and the same in words under the key that chat services show."""
    place = f"{run['segmentation']}, {run['dt']}, run {run['run_id']}"
    lines = [f"{place}: {alert.line}" for alert in alerts]
    return {
        "text": "\n".join(lines),
        "lines": lines,
        "segmentation": run["segmentation"],
        "dt": run["dt"].isoformat(),
        "run_id": run["run_id"],
        "verdict": run["verdict"],
        "report": run["report_uri"],
        "alerts": [asdict(alert) for alert in alerts],
    }


def _by_cause(alarms: Sequence[Row]) -> list[Row]:
    """Return alarms without those that tell of one feature's move again; a change of its unit tells of it, too."""
    moved: dict[str, str] = {row["feature"]: row["statistic"] for row in alarms if row["statistic"] == "unit_change"}
    for statistic in DISTANCES:
        for row in alarms:
            if row["statistic"] == statistic:
                moved.setdefault(row["feature"], statistic)
    return [row for row in alarms if row["statistic"] not in DISTANCES or moved[row["feature"]] == row["statistic"]]


def _alarm(row: Row, remedies: Mapping[str, str]) -> Alert:
    segment = None if row["segment_id"] is None else f"segment {row['segment_id']}"
    where = [segment, row["part"], row["feature"], row["category"]]
    return Alert(
        what="drift" if row["statistic"] == "gain" else row["statistic"].replace("_", " "),
        where=", ".join(str(part) for part in where if part) or "all rows",
        value=row["value"],
        threshold=row["threshold"],
        unit=row["unit"],
        reason=row["reason"] or "it is beyond its threshold",
        remedy=remedies.get(row["statistic"], OTHER_REMEDY),
    )


def _verdict(run: Row, decided: Row | None) -> Alert:
    number = decided or {"value": None, "threshold": None, "unit": ""}
    return Alert(
        what=f"the verdict {run['verdict']}",
        where="the model",
        value=number["value"],
        threshold=number["threshold"],
        unit=number["unit"],
        reason=run["reason"] or "the data moved",
        remedy=_after(run),
    )


def _after(run: Row) -> str:
    if run["challenger_id"] is None:
        return f"nothing was trained; retrain by {BY_HAND}"
    if run["challenger_id"] == run["model_id"]:
        return "nothing; the new model won and is in force"
    return f"the champion was kept; look at the report, and if the change stays, {BY_HAND}"


@dataclass(frozen=True, kw_only=True, slots=True)
class _Receipts:
    """Which ways out took the alerts of which run: one small file a run, beside the staged runs."""

    filesystem: Any
    folder: str

    @classmethod
    def of(cls, settings: Settings) -> _Receipts:
        place = settings.warehouse.staging or ""
        filesystem, path = open_storage(place, settings.warehouse.storage_options)
        return cls(filesystem=filesystem, folder=f"{path.rstrip('/')}/alerts")

    def read(self, run_id: str) -> list[str]:
        path = self._path(run_id)
        try:
            with reaching(path, said_by="alerts: "):
                if not self.filesystem.exists(path):
                    return []
                delivered = json.loads(self.filesystem.cat_file(path))["delivered"]
        except (GmmdaskError, ValueError, KeyError, TypeError) as error:
            _log.warning("what was delivered of run %s cannot be read, and is delivered again: %s", run_id, error)
            return []
        return [str(name) for name in delivered]

    def write(self, run_id: str, delivered: Sequence[str]) -> None:
        path = self._path(run_id)
        try:
            with reaching(path, said_by="alerts: "):
                if has_folders(self.filesystem):
                    self.filesystem.makedirs(self.folder, exist_ok=True)
                with created(self.filesystem, path) as file:
                    file.write(json.dumps({"delivered": list(delivered)}).encode())
        except GmmdaskError as error:
            _log.warning("that alerts were delivered cannot be noted, and they will be again: %s", error)

    def _path(self, run_id: str) -> str:
        return f"{self.folder}/{run_id}.json"
