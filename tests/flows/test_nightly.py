"""The flow does what the plain functions do, one task per step."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from gmmdask.errors import UnknownNameError
from gmmdask.nightly import open_engine, plan_night, run_night, score_night, train_model
from gmmdask.settings import load_settings
from tests.nightly.lakes import files_below, write_day, write_settings, write_world
from tests.nightly.test_night import contents

pytestmark = [
    pytest.mark.usefixtures("prefect_server"),
    pytest.mark.timeout(300),  # the first test waits for the server
    pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning"),
]


@pytest.fixture
def flow(prefect_server):
    from flows import nightly

    return nightly


def test_the_flow_publishes_what_the_plain_functions_publish(flow, tmp_path):
    """Rows of every table and view."""
    plain = write_world(tmp_path / "plain", days=2)
    shutil.copytree(tmp_path / "plain", tmp_path / "flow")
    run_night(plain)
    night = flow.run(str(tmp_path / "flow" / "birds.toml"))
    assert night.plan.state == "due"
    assert contents(load_settings(tmp_path / "flow" / "birds.toml")) == contents(plain)


def test_a_published_night_is_left_alone(flow, tmp_path):
    settings = write_world(tmp_path, days=1)
    run_night(settings)
    before = (tmp_path / "house/warehouse.duckdb").read_bytes()
    assert flow.run(str(tmp_path / "birds.toml")).plan.state == "published"
    assert (tmp_path / "house/warehouse.duckdb").read_bytes() == before


def test_an_error_of_a_step_is_the_error_of_the_flow(flow, tmp_path):
    write_world(tmp_path, days=1)
    path = write_settings(tmp_path, {'"speed", "weight"': '"speed", "wings"'})
    with pytest.raises(UnknownNameError, match="wings"):
        flow.run(str(path))
    assert files_below(tmp_path) == []


def test_run_as_a_module_it_prints_the_night_and_keeps_the_exit_codes(flow, tmp_path, capsys):
    write_world(tmp_path, days=1)
    assert flow.main([str(tmp_path / "birds.toml")]) == 0
    assert "birds, 2024-01-01" in " ".join(capsys.readouterr().out.split())
    path = write_settings(tmp_path, {'"speed", "weight"': '"speed", "wings"'})
    assert flow.main([str(path)]) == 1
    assert "wings" in capsys.readouterr().err


def test_the_steps_can_be_called_without_prefect(tmp_path):
    from flows import nightly

    settings = write_world(tmp_path, days=1)
    plan = nightly.plan.fn(settings, None)
    assert plan.state == "due"
    assert Path(settings.source.uri).is_dir()


def test_a_late_date_is_labelled_after_the_night_and_what_was_staged_is_published_first(flow, tmp_path):
    """As `run_night` does; the second night ended before it was published."""
    settings = write_world(tmp_path, days=1)
    run_night(settings)
    write_day(tmp_path, 2)
    plan = plan_night(settings)
    with open_engine(settings.cluster) as engine:
        score_night(plan, settings, train_model(plan, settings, engine), engine)
    write_day(tmp_path, 1)
    write_day(tmp_path, 3)
    night = flow.run(str(tmp_path / "birds.toml"))
    assert [day.isoformat() for late in night.repeats for day in late.plan.dates] == ["2024-01-02"]
    assert [one.dt.isoformat() for release in night.resumed for one in release.publications] == ["2024-01-03"]
    assert [one.dt.isoformat() for one in night.release.publications] == ["2024-01-04"]
