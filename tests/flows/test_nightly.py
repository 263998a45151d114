"""The flow does what the plain functions do, one task per step."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from gmmdask.errors import UnknownNameError
from gmmdask.nightly import run_night
from gmmdask.settings import load_settings
from tests.nightly.lakes import files_below, write_settings, write_world
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
