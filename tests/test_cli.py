"""The command as a user types it: what it prints, where, and with which exit code."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import duckdb
import pytest
from typer.testing import CliRunner

import gmmdask
from gmmdask.cli import app
from gmmdask.errors import SettingsError
from tests.nightly.lakes import birds, day, files_below, write_day, write_settings, write_world

ROOT = Path(__file__).parents[1]
HEAVY = {"dask", "distributed", "duckdb", "numba", "numpy", "pandas", "pydantic", "pyarrow", "scipy", "sklearn"}


def plain(text: str) -> str:
    return " ".join(re.sub(r"\x1b\[[0-9;]*m", "", text).split())


@pytest.fixture
def command():
    runner = CliRunner()

    def run(*arguments: object):
        return runner.invoke(app, [str(argument) for argument in arguments])

    return run


@pytest.fixture
def world(tmp_path) -> Path:
    write_world(tmp_path, days=2)
    return tmp_path / "birds.toml"


def test_a_night_prints_what_it_did_and_where_to_look(command, world):
    done = command("nightly", world)
    told = plain(done.stdout)
    assert done.exit_code == 0
    for expected in (
        "birds, 2024-01-01 to 2024-01-02 (2 dates)",
        "300, of which 284 have a segment; 16 missing",
        "Winner",
    ):
        assert expected in told
    assert "warehouse.duckdb" in told
    assert "pass 0: 1 of 1" in done.stderr  # progress is for whoever watches, not for whoever reads the result


def test_the_query_that_is_printed_runs(command, world):
    """The example is Python within a shell's quotes."""
    told = command("nightly", world).stdout
    (line,) = [line.strip() for line in told.splitlines() if "import duckdb" in line]
    shown = subprocess.run(line, shell=True, capture_output=True, text=True, check=True)
    assert "segment_id" in shown.stdout


def test_a_second_run_says_that_nothing_is_to_be_done(command, world):
    command("nightly", world)
    again = command("nightly", world)
    assert again.exit_code == 0
    assert "Nothing to do: 2024-01-02 of birds is published" in plain(again.stdout)


def test_a_date_without_a_partition_is_nothing_to_do(command, world):
    done = command("nightly", world, "--date", "2023-12-24")
    assert done.exit_code == 0
    assert "no partition of 2023-12-24; its dates go from 2024-01-01 to 2024-01-02" in plain(done.stdout)
    assert files_below(world.parent) == []


def test_a_date_chooses_the_night(command, world):
    done = command("nightly", world, "--date", "2024-01-01")
    assert "birds, 2024-01-01 Run" in plain(done.stdout)


def test_an_error_is_one_sentence_without_a_traceback(command, tmp_path):
    path = write_settings(tmp_path, {"n_components": "n_compnents"})
    done = command("nightly", path)
    assert done.exit_code == 1
    assert done.stderr.strip() == f"gmmdask: {path}: unknown key grid.n_compnents; did you mean grid.n_components?"


def test_verbose_shows_the_traceback(command, tmp_path):
    done = command("nightly", write_settings(tmp_path, {"n_components": "n_compnents"}), "--verbose")
    assert isinstance(done.exception, SettingsError)
    assert done.exit_code == 1


def test_a_missing_column_ends_with_exit_code_1_and_nothing_written(command, world):
    for number in range(2):
        write_day(world.parent, number, birds(number).drop_columns(["weight"]))
    done = command("nightly", world)
    assert done.exit_code == 1
    assert "'weight'" in done.stderr
    assert files_below(world.parent) == []


@pytest.mark.parametrize("arguments", [("nightly",), ("nightly", "x.toml", "--date", "tomorrow"), ("nightli",)])
def test_wrong_usage_ends_with_exit_code_2(command, arguments):
    assert command(*arguments).exit_code == 2


@pytest.mark.parametrize(("read_only", "code"), [(True, 3), (False, 1)])
def test_a_warehouse_held_open_leaves_the_run_staged_or_not_begun_and_the_next_run_publishes(
    command, world, read_only, code
):
    """A reader stops the publication alone; a writer keeps the night from being planned."""
    command("nightly", world)
    write_day(world.parent, 2)
    warehouse = str(world.parent / "house/warehouse.duckdb")
    program = (
        f"import duckdb; c = duckdb.connect({warehouse!r}, read_only={read_only}); print('held', flush=True); input()"
    )
    holder = subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    with holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        held = command("nightly", world)
        holder.communicate("\n")
    assert held.exit_code == code
    assert any("manifest.json" in path for path in files_below(world.parent)) == (code == 3)
    assert f"process {holder.pid}" in held.stderr
    assert command("nightly", world).exit_code == 0
    with duckdb.connect(warehouse, read_only=True) as connection:
        ((rows,),) = connection.execute("SELECT count(*) FROM assignments WHERE dt = ?", [day(2)]).fetchall()
    assert rows == 150


def test_help_tells_the_commands_and_the_exit_codes(command):
    assert "nightly" in command("--help").stdout
    told = plain(command("nightly", "--help").stdout)
    assert "3 computed but not published" in told
    assert "YYYY-MM-DD" in told


def test_the_version_is_told(command):
    assert command("--version").stdout.strip() == f"gmmdask {gmmdask.__version__}"


def test_importing_the_command_loads_nothing_heavy():
    program = "import json, sys, gmmdask.cli; print(json.dumps(sorted(sys.modules)))"
    run = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert {module.partition(".")[0] for module in json.loads(run.stdout)} & HEAVY == set()


def test_the_next_night_is_the_date_after_the_last_one(command, world):
    """The first of all is the one that is named; after the last date nothing is to be done."""
    write_day(world.parent, 2)
    for told in ("birds, 2024-01-01 ", "birds, 2024-01-02 ", "birds, 2024-01-03 ", "Nothing to do: 2024-01-03 "):
        done = command("nightly", world, "--next", "--date", "2024-01-01")
        assert done.exit_code == 0
        assert told in plain(done.stdout)


def test_dates_are_rescored_by_the_present_champion(command, world):
    command("nightly", world)
    write_day(world.parent, 2)
    command("nightly", world, "--refit")
    done = command("rescore", world, "--from", "2024-01-01", "--to", "2024-01-02")
    assert (done.exit_code, "2024-01-01 to 2024-01-02 (2 dates)" in plain(done.stdout)) == (0, True)
    assert "Nothing to do" in plain(command("rescore", world, "--from", "2024-01-01", "--to", "2024-01-02").stdout)


def test_rescoring_what_was_never_published_or_backwards_is_refused(command, world):
    nothing = command("rescore", world, "--from", "2024-01-01", "--to", "2024-01-02")
    assert (nothing.exit_code, "no date of 'birds'" in plain(nothing.stderr)) == (1, True)
    assert command("rescore", world, "--from", "2024-01-02", "--to", "2024-01-01").exit_code == 2


def test_segments_are_listed_and_named(command, world):
    command("nightly", world)
    named = command("segments", "name", world, 1, " Heavy  birds ")
    assert (named.exit_code, named.stdout.strip()) == (0, "Segment 1 of birds is called 'Heavy birds' from now on.")
    assert "1 Heavy birds" in plain(command("segments", "list", world).stdout)
    assert command("segments", "name", world, 1, "--clear").exit_code == 0
    listed = command("segments", "list", world)
    assert (listed.exit_code, "Heavy" in listed.stdout) == (0, False)
    assert "brown" in listed.stdout


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        ((9, "x"), 1, "gmmdask: segmentation 'birds' has no segment 9; it has 1, 2"),
        ((1, " "), 1, "gmmdask: the name is empty"),
        ((1, "segment 2"), 1, "gmmdask: segment 2 of 'birds' is called 'Segment 2'"),
        ((1,), 2, "give a name, or --clear"),
        ((1, "x", "--clear"), 2, "give a name, or --clear"),
        (("one", "x"), 2, "unable to parse"),
    ],
)
def test_a_name_that_cannot_be_given_is_told(command, named_world, arguments, code, told):
    done = command("segments", "name", named_world, *arguments)
    assert done.exit_code == code
    assert told in plain(done.stderr)


@pytest.fixture(scope="module")
def named_world(tmp_path_factory) -> Path:
    """A world with a night in it; tests change nothing."""
    root = tmp_path_factory.mktemp("named")
    write_world(root, days=1)
    CliRunner().invoke(app, ["nightly", str(root / "birds.toml")])
    return root / "birds.toml"


def test_the_trend_is_one_file_that_is_named(command, world):
    """Nothing is written before a night was published."""
    path = world.parent / "trend.html"
    early = command("trend", world, "-o", path)
    assert (early.exit_code, path.exists()) == (1, False)
    command("nightly", world)
    done = command("trend", world, "-o", path)
    assert (done.exit_code, done.stdout.strip()) == (0, str(path))
    assert "birds: the trend" in path.read_text(encoding="utf-8")


def test_what_a_night_found_is_delivered_at_its_end_and_a_command_that_fails_costs_nothing(command, world, monkeypatch):
    """The night that was published is looked at once; a second call finds nothing new."""
    from gmmdask.nightly import alerts

    monkeypatch.setattr(
        alerts, "alerts_of", lambda run, drift: (alerts.Alert(what="w", where="x", reason="y", remedy="z"),)
    )
    monkeypatch.setenv("GMMDASK_ALERTS__COMMAND", json.dumps([sys.executable, "-c", "import sys; sys.exit('no mail')"]))
    path = world.parent / "got.json"
    assert command("nightly", world).exit_code == 0
    program = "import pathlib, sys; pathlib.Path(sys.argv[1]).write_text(sys.stdin.read())"
    monkeypatch.setenv("GMMDASK_ALERTS__COMMAND", json.dumps([sys.executable, "-c", program, str(path)]))
    assert command("nightly", world).exit_code == 0
    assert json.loads(path.read_text())["alerts"][0]["where"] == "x"
    path.unlink()
    assert command("nightly", world).exit_code == 0
    assert not path.exists()
