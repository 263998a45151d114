"""Models, drift and tidying from the terminal: what is printed, with which exit code, and that tables fit."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from typer.testing import CliRunner

from gmmdask.cli import app
from gmmdask.nightly import name_segment, run_night
from gmmdask.nightly.champions import list_models
from gmmdask.nightly.judged import JudgedNight
from gmmdask.settings import Settings, load_settings
from tests.nightly.lakes import birds, day, write_day, write_settings, write_world
from tests.nightly.test_night import copied, rows
from tests.nightly.test_watch import TRAINED, WINDOW, changes, heavier

LATEST = TRAINED + WINDOW - 1


def plain(text: str) -> str:
    return " ".join(text.split())


@pytest.fixture
def command():
    runner = CliRunner(env={"COLUMNS": "80", "GMMDASK_WAREHOUSE__PUBLISH_TIMEOUT": "0"})

    def run(*arguments: object):
        return runner.invoke(app, [str(argument) for argument in arguments])

    return run


@pytest.fixture(scope="module")
def grown(tmp_path_factory) -> Path:
    """A champion, and another one that a drift made."""
    root = tmp_path_factory.mktemp("grown")
    settings = write_world(root, days=TRAINED, changes=changes())
    run_night(settings)
    for number in range(TRAINED, LATEST + 1):
        write_day(root, number, heavier(number))
        run_night(settings)
    return root


@pytest.fixture
def world(grown, tmp_path) -> tuple[Path, Settings]:
    copied(grown, tmp_path)
    path = write_settings(tmp_path, changes())
    return path, load_settings(path)


def ids(settings: Settings) -> tuple[str, str]:
    """Return the champion and the one before it."""
    champion, former = (known.model_id for known in list_models(settings))
    return champion, former


def fits(text: str) -> bool:
    return max(map(len, text.splitlines())) <= 80 and "\x1b" not in text


def test_models_are_listed_with_what_they_are(command, world):
    path, settings = world
    champion, former = ids(settings)
    done = command("models", "list", path)
    told = plain(done.stdout)
    assert done.exit_code == 0
    assert f"{champion} champion {day(LATEST)} 1 {day(LATEST)}" in told
    assert f"{former} former champion {day(TRAINED - 1)} {LATEST} {day(TRAINED - 1)}" in told
    assert fits(done.stdout)


def test_a_model_is_shown_with_origin_recipe_segments_and_watch(command, world):
    path, settings = world
    name_segment(settings, 1, "Heavy [birds]")
    done = command("models", "show", path)
    told = plain(done.stdout)
    assert done.exit_code == 0
    for expected in (
        f"Model {ids(settings)[0]}: champion since the night of {day(LATEST)}",
        f"Trained on {day(TRAINED)} to {day(LATEST)}",
        "2 diag components",
        "weight row dropped none",
        "1 Heavy [birds]",
        f"windows of {WINDOW} nights",
    ):
        assert expected in told
    assert fits(done.stdout)


def test_a_model_of_many_features_is_shown_in_several_tables_that_fit(tmp_path, command):
    names = [f"measurement_of_something_{number}" for number in range(6)]
    quoted = ", ".join(f'"{name}"' for name in names)
    table = birds(0)
    for name in names:
        table = table.append_column(name, table["speed"])
    write_day(tmp_path, 0, table)
    features = {'["speed", "weight"]': f'[{quoted}, "weight", "speed"]', "[1, 2, 3]": "[2]"}
    path = write_settings(tmp_path, features)
    run_night(load_settings(path))
    done = command("models", "show", path)
    assert done.exit_code == 0
    assert all(plain(done.stdout).count(name) >= 2 for name in names), "in the recipe, and over its centres"
    assert fits(done.stdout)


def test_two_models_are_compared_the_previous_one_with_the_champion(command, world):
    path, settings = world
    champion, former = ids(settings)
    done = command("models", "diff", path)
    told = plain(done.stdout)
    assert (done.exit_code, told.startswith(f"From model {former} to {champion}:")) == (0, True)
    assert re.search(r"segment 2: weight .* moved most in weight, 19\.\d+ to 31\.\d", told)
    assert fits(done.stdout)
    assert f"From model {champion} to {former}:" in command("models", "diff", path, champion[:8], "previous").stdout


def test_a_promotion_tells_what_is_in_force_and_that_labels_stay(command, world):
    path, settings = world
    champion, former = ids(settings)
    before = rows(settings, "current_assignments")
    done = command("models", "promote", path, former[:6])
    assert done.exit_code == 0
    assert done.stdout.splitlines() == [
        f"In force for birds: model {former}, from the night after {day(LATEST)} on.",
        f"Labels stay as they are; those of other models are on 1 of {LATEST + 1} dates. To change them:",
        f"  gmmdask rescore {path} --from {day(LATEST)} --to {day(LATEST)}",
    ]
    assert rows(settings, "current_assignments") == before
    assert command("models", "promote", path, former).stdout.startswith(f"Nothing to do: model {former} is the")
    again = command("models", "rollback", path)
    assert (again.exit_code, f"In force for birds: model {champion}," in again.stdout) == (0, True)


def test_the_command_that_a_promotion_names_labels_by_the_champion(command, world):
    path, settings = world
    _, former = ids(settings)
    (line,) = [one for one in command("models", "rollback", path).stdout.splitlines() if "rescore" in one]
    done = command(*line.split()[1:])
    assert done.exit_code == 0
    assert {row["model_id"] for row in rows(settings, "current_assignments")} == {former}
    assert "All labels are its own." in command("models", "promote", path, "champion").stdout


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (("show", "zz"), 1, "there is no model 'zz' in 'birds'; known are"),
        (("promote", "zz"), 1, "there is no model 'zz' in 'birds'"),
        (("promote",), 2, "Missing argument 'MODEL'"),
    ],
)
def test_a_model_that_is_not_there_is_told(command, grown, arguments, code, told):
    done = command("models", arguments[0], grown / "birds.toml", *arguments[1:])
    assert done.exit_code == code
    assert told in plain(done.stderr)


def test_models_whose_files_are_damaged_are_listed_and_told_in_one_sentence(command, world, tmp_path):
    path, settings = world
    champion, former = ids(settings)
    folder = tmp_path / "registry" / "birds"
    (folder / champion / "bundle.json").write_text('{"format": 2, "fingerprint": "0", "versions": 5}')
    (folder / former / "arrays.npz").unlink()
    listed = command("models", "list", path)
    assert (listed.exit_code, champion in listed.stdout, former in listed.stdout) == (0, True, True)
    done = command("models", "diff", path, former, former)
    assert done.exit_code == 1
    assert "arrays.npz is missing; restore it or train again" in plain(done.stderr)
    assert "has format 2" in plain(command("models", "show", path).stderr)


@pytest.mark.parametrize("arguments", [("trend", "-o"), ("report", "-o"), ("export",)], ids=lambda given: given[0])
@pytest.mark.parametrize("place", ["/", "folder"])
def test_a_folder_where_a_file_should_be_written_is_told_in_one_sentence(
    command, grown, tmp_path, monkeypatch, arguments, place
):
    monkeypatch.chdir(tmp_path)
    Path("folder").mkdir()
    done = command(arguments[0], grown / "birds.toml", *arguments[1:], place)
    assert done.exit_code == 1
    assert re.search(
        r" cannot be written: \S+ cannot be used: '\S+' is a folder; name a file in it$", plain(done.stderr)
    )
    assert ".part" not in done.stderr


def test_before_the_first_night_there_is_nothing_to_show(command, tmp_path):
    path = write_settings(tmp_path)
    write_world(tmp_path, days=1)
    listed = command("models", "list", path)
    assert (listed.exit_code, "no model yet" in listed.stdout) == (0, True)
    assert command("models", "rollback", path).exit_code == 1
    assert command("models", "show", path).exit_code == 1
    assert command("drift", path).exit_code == 1
    assert command("tidy", path).stdout == "Removed 0 rows of superseded labels and 0 abandoned attempts.\n"
    run_night(load_settings(path))
    early = command("drift", path)
    assert (early.exit_code, "No night of birds was judged yet" in early.stdout) == (0, True)


def test_the_last_judged_nights_are_told_with_what_became_of_them(command, world):
    path, settings = world
    done = command("drift", path, "--nights", 2)
    told = plain(done.stdout)
    assert done.exit_code == 0
    assert re.search(rf"{day(LATEST - 1)} keep the night \(gain\), .*weight .*{day(LATEST)} refit: promoted \d", told)
    assert str(day(LATEST - 2)) not in told
    (run,) = [row for row in rows(settings, "runs") if row["dt"] == day(LATEST)]
    assert plain(run["reason"]) in told.replace(f"{day(LATEST)} ", "")
    assert fits(done.stdout)


def test_of_many_alarms_the_first_are_told():
    names = [None, *"abcdef"]
    alarms = tuple(
        {"scope": "night", "feature": name, "statistic": "null_rate", "part": None, "category": None} for name in names
    )
    night = JudgedNight(dt=day(0), verdict="keep", outcome="", reason="", gain=None, ordinary=None, alarms=alarms)
    assert night.told_alarms == "the night (null rate), a (null rate), b (null rate), c (null rate), 3 more"


def test_an_alarm_of_the_last_nights_is_told_by_its_part():
    common = {"scope": "recent", "feature": None, "statistic": "gain", "category": None}
    alarms = tuple({**common, "part": part} for part in ("covariance", "mean"))
    night = JudgedNight(dt=day(0), verdict="keep", outcome="", reason="", gain=None, ordinary=None, alarms=alarms)
    assert night.told_alarms == "the last nights (covariance, mean)"


def test_tidying_tells_what_went(command, world):
    path, _ = world
    command("models", "rollback", path)
    command("rescore", path, "--from", day(LATEST), "--to", day(LATEST))
    assert command("tidy", path).stdout.startswith("Removed 150 rows of superseded labels and 0 ")


@contextmanager
def held(settings: Settings, *, read_only: bool) -> Iterator[None]:
    """Another process has the warehouse open."""
    connect = f"duckdb.connect({settings.warehouse.uri!r}, read_only={read_only})"
    program = f"import duckdb; c = {connect}; print('held', flush=True); input()"
    holder = subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    with holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        yield
        holder.communicate("\n")


def test_what_is_asked_for_while_an_earlier_run_waits_is_an_error_and_not_lost(command, world, tmp_path):
    """Exit code 3 would promise that the next night publishes it; what is itself among what waits has it."""
    path, settings = world
    champion, former = ids(settings)
    write_day(tmp_path, LATEST + 1, heavier(LATEST + 1))
    with held(settings, read_only=True):
        assert command("nightly", path).exit_code == 3
        assert command("nightly", path).exit_code == 3, "the same night, which waits"
        write_day(tmp_path, LATEST + 2, heavier(LATEST + 2))
        asked = (
            ("nightly", path),
            ("models", "rollback", path),
            ("models", "promote", path, former),
            ("rescore", path, "--from", day(LATEST), "--to", day(LATEST)),
        )
        done = [command(*words) for words in asked]
    assert [one.exit_code for one in done] == [1] * len(asked)
    for one in done:
        assert "an earlier run still waits to be published, so nothing was done of what is asked for now" in one.stderr
    assert command("models", "rollback", path).exit_code == 0
    assert rows(settings, "champion")[0]["champion_id"] == former != champion
    assert day(LATEST + 1) in {row["dt"] for row in rows(settings, "current_assignments")}


def test_a_promotion_that_waits_itself_is_published_by_the_next_night(command, world):
    path, settings = world
    _, former = ids(settings)
    with held(settings, read_only=True):
        codes = [command("models", "rollback", path).exit_code for _ in range(2)]
        other = command("models", "promote", path, former).exit_code
    assert (codes, other) == ([3, 3], 1)
    assert command("nightly", path).exit_code == 0
    assert rows(settings, "champion")[0]["champion_id"] == former


def test_a_warehouse_that_others_write_to_is_an_error_and_nothing_waits(command, world):
    """Exit code 3 would promise that the next night publishes it."""
    path, settings = world
    with held(settings, read_only=False):
        asked = [("models", "list"), ("models", "show"), ("models", "rollback"), ("drift",), ("tidy",)]
        codes = {words: command(*words, path).exit_code for words in asked}
    assert set(codes.values()) == {1}, codes


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("models",), ("list", "show", "diff", "promote", "rollback")),
        (("models", "promote"), ("The beginning of its id, or champion, or previous.", "gmmdask rescore")),
        (("models", "show"), ("The beginning of its id, or champion, or previous.",)),
        (("drift",), ("--nights", "keep, warm-start and refit")),
        (("tidy",), ("no reader sees any more",)),
    ],
)
def test_help_is_enough_to_get_going(command, words, expected):
    done = command(*words, "--help")
    assert done.exit_code == 0
    told = plain(done.stdout.replace("│", " "))
    assert [one for one in expected if one not in told] == []
