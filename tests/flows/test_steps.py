"""Training and scoring as flows of their own, steps that are repeated, and what Prefect's pages show."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from gmmdask.errors import ClusterError, InvalidInputError
from gmmdask.nightly import run_night
from gmmdask.settings import load_settings
from tests.flows.test_nightly import pytestmark as _marks
from tests.nightly.lakes import write_day, write_settings, write_world

pytestmark = _marks


@pytest.fixture
def steps(prefect_server, monkeypatch):
    from flows import steps

    for name in ("plan", "train", "score", "publish"):
        monkeypatch.setattr(getattr(steps, name), "retry_delay_seconds", 0)
    return steps


def failing_once(monkeypatch, module, name: str, error: Exception) -> list[str]:
    """Let a function fail the first time, after it did its work; return the record of its calls."""
    real, calls = getattr(module, name), []

    def flaky(*arguments, **options):
        calls.append(name)
        result = real(*arguments, **options)
        if len(calls) == 1:
            raise error
        return result

    monkeypatch.setattr(module, name, flaky)
    return calls


def test_a_step_that_failed_is_repeated_alone_and_what_is_staged_is_not_computed_again(steps, tmp_path, monkeypatch):
    from flows import nightly as flow

    write_world(tmp_path, days=1)
    trained = failing_once(monkeypatch, steps.nightly, "train_model", ClusterError("the workers went away"))
    scored = failing_once(monkeypatch, steps.nightly, "score_night", ClusterError("the scheduler went away"))
    assert flow.run(str(tmp_path / "birds.toml")).release is not None
    assert (len(trained), len(scored)) == (2, 1)


def test_what_no_repetition_mends_is_not_repeated(steps, tmp_path, monkeypatch):
    from flows import nightly as flow

    write_world(tmp_path, days=1)
    planned = failing_once(monkeypatch, steps.nightly, "plan_night", InvalidInputError("no such column"))
    with pytest.raises(InvalidInputError, match="no such column"):
        flow.run(str(tmp_path / "birds.toml"))
    assert len(planned) == 1


def test_scoring_labels_a_date_by_the_model_in_force_and_never_trains(steps, tmp_path):
    from flows import score

    settings = write_world(tmp_path, days=1)
    with pytest.raises(InvalidInputError, match="no model of 'birds' was in force"):
        score.run(str(tmp_path / "birds.toml"))
    champion = run_night(settings).release.publications[-1].model_id
    write_day(tmp_path, 1)
    published = score.run(str(tmp_path / "birds.toml")).release.publications
    assert [(one.dt.isoformat(), one.model_id) for one in published] == [("2024-01-02", champion)]


def test_the_pages_show_grid_and_segments_within_bounds(steps, tmp_path, monkeypatch):
    import json

    import httpx
    from prefect.settings import PREFECT_API_URL

    from flows import artifacts
    from flows import nightly as flow

    monkeypatch.setattr(artifacts, "MOST_ROWS", 2)
    write_world(tmp_path, days=1)
    path = write_settings(tmp_path, {'name = "birds"': 'name = "Birds_of.1"'})
    night = flow.run(str(path))
    wanted = {"artifacts": {"key": {"like_": "birds-of-1-%"}}, "limit": 10}
    found = httpx.post(f"{PREFECT_API_URL.value()}/artifacts/filter", json=wanted, timeout=30).json()
    shown = {artifact["key"].removeprefix("birds-of-1-"): artifact["data"] for artifact in found}
    assert set(shown) == {"grid", "segments", "night"}
    grid, segments = json.loads(shown["grid"]), json.loads(shown["segments"])
    assert [len(grid), len(segments)] == [2, 2]
    assert grid[0]["is_best"]
    assert {"segment_id", "share", "mean speed", "mean weight"} <= set(segments[0])
    assert f"`gmmdask report SETTINGS --run {night.plan.run_id}`" in shown["night"]
    assert load_settings(path).warehouse.uri in shown["night"]


def test_the_report_is_written_by_the_flow_and_linked_on_its_page(steps, tmp_path):
    from flows import artifacts
    from flows import nightly as flow

    write_world(tmp_path / "a world", days=1)
    path = write_settings(tmp_path / "a world", {'reports = "none"': 'reports = "all"'})
    night = flow.run(str(path))
    (report,) = night.reports
    assert Path(report.uri).is_file()
    (run,) = night.release.tables["runs"].to_pylist()
    told = artifacts.told(night, run, load_settings(path))
    assert f"- report: [2024-01-01-{night.plan.run_id}.html]({Path(report.uri).as_uri()})" in told
    assert "a%20world" in told
    lost = replace(night, reports=(replace(report, trouble="no room"),))
    assert f"`gmmdask report SETTINGS --run {night.plan.run_id}`" in artifacts.told(lost, run, load_settings(path))


def test_a_server_that_keeps_no_artifact_costs_no_night(steps, tmp_path, monkeypatch):
    import httpx

    from flows import nightly as flow

    write_world(tmp_path, days=1)
    trained = failing_once(monkeypatch, steps.nightly, "train_model", ClusterError("the workers went away"))
    shown = failing_once(monkeypatch, steps.artifacts, "show_grid", httpx.ConnectError("no answer"))
    assert flow.run(str(tmp_path / "birds.toml")).release is not None
    assert (len(trained), len(shown)) == (2, 1)
