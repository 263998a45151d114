"""What a night tells a Prefect server, and that an announced verdict becomes a training there."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from datetime import date
from typing import Any

import pyarrow as pa
import pytest

from gmmdask.warehouse import Publication
from gmmdask.warehouse.release import Release, conform_tables
from tests.flows.test_nightly import pytestmark as _marks
from tests.nightly.lakes import write_settings, write_world
from tests.warehouse.examples import run_row

pytestmark = _marks

SECONDS = 60


def released(name: str, run_id: str, dt: date, mode: str = "announce", **changes: Any) -> Release:
    publication = Publication(segmentation=name, kind="night", dt=dt, model_id="m1", run_id=run_id, champion_id="m1")
    gain = {
        "dt": dt,
        "scope": "window",
        "window_start": dt,
        "rows": 100,
        "statistic": "gain",
        "unit": "nats per row",
        "value": 0.0041,
        "threshold": 0.0019,
        "is_alarm": False,
        "verdict": changes.get("verdict"),
    }
    settings = json.dumps({"drift": {"action": mode}})
    runs = [{**run_row(run_id, 10), "dt": dt, "settings": settings, **changes}]
    tables = conform_tables(publication, {"runs": runs, "drift": [gain]})
    return Release(publications=(publication,), tables=tables)


@pytest.fixture
def server(prefect_server):
    from prefect import get_client

    with get_client(sync_client=True) as client:
        yield client


def apply(folder, name: str) -> None:
    from infra import prefect as infra_prefect

    assert infra_prefect.main([str(write_settings(folder, {'name = "birds"': f'name = "{name}"'}))]) == 0


def trainings(client, name: str) -> list:
    from prefect.client.schemas.filters import DeploymentFilter, DeploymentFilterName, FlowFilter, FlowFilterName
    from prefect.client.schemas.sorting import FlowRunSort

    return client.read_flow_runs(
        flow_filter=FlowFilter(name=FlowFilterName(any_=["gmmdask-train"])),
        deployment_filter=DeploymentFilter(name=DeploymentFilterName(any_=[name])),
        sort=FlowRunSort.EXPECTED_START_TIME_ASC,
        limit=50,
    )


def events_of(client, name: str) -> list:
    from prefect.events.filters import EventFilter, EventResourceFilter

    wanted = EventFilter(resource=EventResourceFilter(id=[f"gmmdask.segmentation.{name}"]))
    return client.read_events(filter=wanted, limit=50).events


def awaited(find, *arguments) -> list:
    """Ask the server until it has something to tell; every question takes its time, so none is waited for."""
    deadline = time.monotonic() + SECONDS
    while time.monotonic() < deadline:
        if found := find(*arguments):
            return found
    raise AssertionError(f"nothing came within {SECONDS} s")


def test_an_announced_verdict_starts_one_training_up_to_its_date_and_nothing_else_does(server, tmp_path):
    """The others are told first, so that they would have come first; one that acts had no sound candidate."""
    from flows.events import tell_verdict

    apply(tmp_path, "wrens")
    kept = released("wrens", "r1", date(2024, 1, 1), verdict="keep")
    acted = released("wrens", "r2", date(2024, 1, 2), mode="act", verdict="refit", challenger_id=None)
    elsewhere = released("other", "r3", date(2024, 1, 3), verdict="refit")
    announced = released("wrens", "r4", date(2024, 1, 4), verdict="warm-start", reason="segment 3 moved")
    assert all(tell_verdict(release) for release in (kept, acted, elsewhere, announced))
    (run,) = awaited(trainings, server, "wrens")
    assert run.parameters == {"dt": "2024-01-04", "settings_file": str(tmp_path / "birds.toml")}


def test_an_event_has_the_verdict_in_its_name_and_the_numbers_in_its_payload(server):
    from flows.events import tell_verdict

    tell_verdict(released("robins", "r1", date(2024, 1, 4), verdict="refit", reason="much moved", champion_score=-3.5))
    (event,) = awaited(events_of, server, "robins")
    assert event.event == "gmmdask.verdict.refit"
    assert event.resource["prefect.resource.name"] == "robins"
    assert event.resource["gmmdask.action"] == event.payload["gmmdask.action"] == "announce"
    expected = {"dt": "2024-01-04", "verdict": "refit", "reason": "much moved", "run_id": "r1", "champion_score": -3.5}
    assert expected.items() <= event.payload.items()
    assert event.payload["gain"] == {"value": 0.0041, "reference": None, "threshold": 0.0019, "rows": 100}


def test_a_run_without_a_verdict_tells_nothing(prefect_server):
    from flows.events import tell_verdict

    assert not tell_verdict(released("larks", "r1", date(2024, 1, 4)))


def test_applied_again_there_is_one_automation_and_one_that_was_disabled_stays_so(server, tmp_path):
    apply(tmp_path, "finches")
    (first,) = server.read_automations_by_name("gmmdask: train finches")
    server.pause_automation(first.id)
    apply(tmp_path, "finches")
    (second,) = server.read_automations_by_name("gmmdask: train finches")
    assert (second.id, second.enabled) == (first.id, False)
    assert second.actions[0].deployment_id == first.actions[0].deployment_id
    assert second.trigger.expect == {"gmmdask.verdict.warm-start", "gmmdask.verdict.refit"}


def test_the_flow_tells_its_verdict_and_its_alerts(server, tmp_path, monkeypatch):
    """A night whose run was given a verdict and an alert on its way to the warehouse; a second call tells nothing."""
    from flows import nightly as flow
    from flows import steps
    from gmmdask.nightly import alerts

    write_world(tmp_path, days=1)
    path = write_settings(tmp_path, {'name = "birds"': 'name = "owls"'})
    real = steps.nightly.publish_night

    def judged(*arguments, **options):
        night = real(*arguments, **options)
        return night if night.release is None else replace(night, release=with_verdict(night.release))

    monkeypatch.setattr(steps.nightly, "publish_night", judged)
    alert = alerts.Alert(what="null rate", where="weight", reason="cells are missing", remedy="look", value=0.5)
    monkeypatch.setattr(alerts, "alerts_of", lambda run, drift: (alert,))
    night = flow.run(str(path), "2024-01-01")
    flow.run(str(path))
    found = awaited(lambda: [one for one in [events_of(server, "owls")] if len(one) >= 2])[0]
    assert sorted(event.event for event in found) == ["gmmdask.alert", "gmmdask.verdict.refit"]
    told = next(event for event in found if event.event == "gmmdask.alert")
    assert (told.payload["where"], told.payload["run_id"]) == ("weight", night.plan.run_id)


def with_verdict(release: Release) -> Release:
    runs = release.tables["runs"]
    changed = runs.set_column(runs.schema.get_field_index("verdict"), "verdict", pa.array(["refit"]))
    return replace(release, tables={**release.tables, "runs": changed})
