"""The way of a newcomer: a folder of Parquet, `gmmdask init`, `gmmdask nightly`."""

from __future__ import annotations

import duckdb
import pytest
from typer.testing import CliRunner

from gmmdask.cli import app
from tests.inspection.lakes import write_day, write_shop


def run(*arguments: object):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def test_a_folder_of_ones_own_becomes_a_published_night(tmp_path):
    lake, settings, warehouse = write_shop(tmp_path, n=100), tmp_path / "settings.toml", tmp_path / "warehouse.duckdb"
    looked = run("init", lake, "-o", settings)
    assert looked.exit_code == 0, looked.stderr
    assert f"gmmdask nightly {settings}" in looked.stdout
    done = run("nightly", settings)
    assert done.exit_code == 0, done.stderr
    with duckdb.connect(str(warehouse), read_only=True) as connection:
        counted = connection.execute("SELECT count(*), count(segment_id) FROM current_assignments").fetchall()
    assert counted == [(300, 294)]


def test_an_existing_file_stops_the_look_and_stays(tmp_path):
    settings = tmp_path / "settings.toml"
    settings.write_text("mine")
    refused = run("init", tmp_path / "nowhere", "-o", settings)
    assert (refused.exit_code, settings.read_text()) == (1, "mine")
    assert "exists; name another file with -o, or replace it with --force" in refused.stderr


@pytest.mark.parametrize(
    ("written", "told"), [(None, "no folder or bucket"), ("notes.txt", "holds no Parquet file"), ("flat", "no date")]
)
def test_an_error_is_one_sentence_and_nothing_is_written(tmp_path, written, told):
    if written == "flat":
        write_day(tmp_path, 0, folder=".")
    elif written is not None:
        (tmp_path / "lake").mkdir()
        (tmp_path / "lake" / written).write_text("nothing to see")
    refused = run("init", tmp_path / "lake", "-o", tmp_path / "settings.toml")
    assert (refused.exit_code, (tmp_path / "settings.toml").exists()) == (1, False)
    assert refused.stderr.startswith("gmmdask: ")
    assert told in refused.stderr
