"""A night that is killed, by a signal nobody can catch, and run again ends as if nothing was.

Each oracle is the undisturbed night's: rows of every table and view, and the files that are left, those of the registry
included. So no row is there twice, and nothing is left in staging.
"""

from __future__ import annotations

import shutil
import signal
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from gmmdask.nightly import run_night
from gmmdask.settings import Settings, load_settings
from tests.nightly.lakes import birds, day, files_below, write_day, write_settings, write_world
from tests.nightly.test_night import contents, copied
from tests.nightly.victims import Passing, Point, killed_at, pass_points

COMPUTED = ["begun", "partition staged", "scored", "ids checked"]
KEPT = ["model saved", "tables staged", "staged"]
BEFORE = ["checked", "opened", "created"]
TABLES = [
    f"table {name}"
    for name in (
        "segments",
        "segment_profiles",
        "outlying_rows",
        "successions",
        "grid",
        "drift",
        "runs",
        "lineage",
        "assignments",
        "publications",
    )
]
AFTER = ["committed", "closed", "published", "staging cleared"]
REPORTED = ["report drawn", "report written"]

UNWRITTEN = ["resumed", "planned", "surveyed", "fitted", "watch learned"]

REFIT = [
    *UNWRITTEN,
    *COMPUTED,
    "bundle arrays written",
    *KEPT,
    *BEFORE,
    *TABLES,
    *AFTER,
]
REPEAT = ["begun", "partition staged", *COMPUTED[1:], *KEPT, *BEFORE, *TABLES, *AFTER]
FIRST: list[Point] = [
    ("partition staged", 1),
    ("bundle arrays written", 1),
    ("staged", 1),
    ("created", 1),
    ("committed", 1),
]


def numbered(names: list[str]) -> list[Point]:
    return [(name, 1 + names[:number].count(name)) for number, name in enumerate(names)]


# A night that trains, and then labels two late dates in a run of its own.
POINTS = numbered([*REFIT, "overdue planned", *REPEAT])
# The small tables enter in one transaction, and publishing goes one way in both runs: some points stand for the others.
ONE_OF_MANY = {
    f"table {name}" for name in ("segment_profiles", "outlying_rows", "successions", "grid", "drift", "runs", "lineage")
}
TWICE = {"partition staged", "staged", "table publications", "committed", "staging cleared"}
SKIPPED = {*ONE_OF_MANY, *UNWRITTEN}
MATRIX = [(name, time) for name, time in POINTS if name not in SKIPPED and (time == 1 or name in TWICE)]


# With reports, whose drawing takes longer than such a night, the same night goes on for a while after each publication.
WITH_REPORTS = numbered([*REFIT, *REPORTED, "overdue planned", *REPEAT, *REPORTED])
AROUND_REPORTS: list[Point] = [
    ("committed", 1),
    ("staging cleared", 1),
    ("report drawn", 1),
    ("report written", 1),
    ("report drawn", 2),
]


def world_before(root: Path, changes: dict[str, str]) -> Path:
    """Make a world whose next night trains and finds two late dates."""
    grid = {"n_components = [1, 2, 3]": "n_components = [1, 2]\nmax_passes = 2"}
    settings = write_world(root, days=1, changes={**grid, **changes})
    write_day(root, 3)
    run_night(settings)
    for number in (1, 2, 4):
        write_day(root, number, birds(number, 60))
    return root


def world_after(before: Path, root: Path) -> tuple[Path, list[Point]]:
    """Make the same after that night, and return the points that it passed."""
    copied(before, root)
    passing = Passing()
    night = pass_points(root / "birds.toml", passing, refit=True)
    assert night.plan.overdue == (day(1), day(2))
    return root, passing.points


@pytest.fixture(scope="module")
def before(tmp_path_factory) -> Path:
    return world_before(tmp_path_factory.mktemp("before"), {})


@pytest.fixture(scope="module")
def undisturbed(before, tmp_path_factory) -> tuple[Path, list[Point]]:
    return world_after(before, tmp_path_factory.mktemp("undisturbed"))


@pytest.fixture(scope="module")
def before_reports(tmp_path_factory) -> Path:
    return world_before(tmp_path_factory.mktemp("before"), {'reports = "none"': 'reports = "all"'})


@pytest.fixture(scope="module")
def undisturbed_reports(before_reports, tmp_path_factory) -> tuple[Path, list[Point]]:
    return world_after(before_reports, tmp_path_factory.mktemp("undisturbed"))


def same_as(root: Path, settings: Settings) -> bool:
    assert contents(settings) == _contents_of(root)
    # What DuckDB committed and had no time to move into its file lies beside it until it is next written to.
    left = [path for path in files_below(Path(settings.registry.uri).parent) if not path.endswith(".duckdb.wal")]
    assert left == files_below(root)
    return True


@cache
def _contents_of(root: Path) -> dict[str, list[dict[str, Any]]]:
    """What readers see of a world that no test changes."""
    return contents(load_settings(root / "birds.toml"))


def test_the_points_are_all_that_a_night_passes(undisturbed):
    assert undisturbed[1] == POINTS
    assert len({name for name, _ in MATRIX}) >= 12


@pytest.mark.parametrize("point", MATRIX, ids=[f"{name} {time}" for name, time in MATRIX])
def test_a_night_killed_and_run_again_ends_as_if_nothing_was(before, undisturbed, tmp_path, point):
    settings = copied(before, tmp_path)
    assert killed_at(tmp_path / "birds.toml", point, refit=True) == -signal.SIGKILL
    run_night(settings, refit=True)
    assert same_as(undisturbed[0], settings)


def test_the_points_of_a_night_with_reports_are_all_that_it_passes(undisturbed_reports):
    assert undisturbed_reports[1] == WITH_REPORTS
    assert len([path for path in files_below(undisturbed_reports[0]) if path.endswith(".html")]) == 3


@pytest.mark.parametrize("point", AROUND_REPORTS, ids=[f"{name} {time}" for name, time in AROUND_REPORTS])
def test_a_night_killed_around_its_report_and_run_again_has_all_reports(
    before_reports, undisturbed_reports, tmp_path, point
):
    """Every report is there once, whole."""
    settings = copied(before_reports, tmp_path)
    assert killed_at(tmp_path / "birds.toml", point, refit=True) == -signal.SIGKILL
    run_night(settings, refit=True)
    assert same_as(undisturbed_reports[0], settings)
    pages = [path.read_text(encoding="utf-8") for path in (tmp_path / "house" / "reports").rglob("*.html")]
    assert all(page.rstrip().endswith("</html>") for page in pages)


def test_a_night_killed_before_it_writes_anything_leaves_every_byte_as_it_was(before, tmp_path):
    """Bytes, so that the next run is the undisturbed one."""
    copied(before, tmp_path)
    found = {path: (tmp_path / path).read_bytes() for path in files_below(tmp_path)}
    for name in UNWRITTEN:
        assert killed_at(tmp_path / "birds.toml", (name, 1), refit=True) == -signal.SIGKILL
        assert {path: (tmp_path / path).read_bytes() for path in files_below(tmp_path)} == found


@pytest.fixture(scope="module")
def first_night(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("first")
    run_night(write_world(root, days=2))
    return root


@pytest.mark.parametrize("point", FIRST, ids=[name for name, _ in FIRST])
def test_a_first_night_killed_and_run_again_ends_as_if_nothing_was(first_night, tmp_path, point):
    shutil.copytree(first_night / "lake", tmp_path / "lake")
    settings = load_settings(write_settings(tmp_path))
    assert killed_at(tmp_path / "birds.toml", point) == -signal.SIGKILL
    run_night(settings)
    assert same_as(first_night, settings)


def test_a_night_killed_twice_and_run_again_ends_as_if_nothing_was(before, undisturbed, tmp_path):
    settings = copied(before, tmp_path)
    for point in (("partition staged", 1), ("table assignments", 1)):
        assert killed_at(tmp_path / "birds.toml", point, refit=True) == -signal.SIGKILL
    run_night(settings, refit=True)
    assert same_as(undisturbed[0], settings)


def test_a_night_on_a_cluster_killed_and_run_again_ends_as_if_nothing_was(first_night, tmp_path):
    from distributed import LocalCluster

    shutil.copytree(first_night / "lake", tmp_path / "lake")
    with LocalCluster(
        n_workers=2,
        threads_per_worker=1,
        processes=False,
        protocol="tcp://",
        host="127.0.0.1",
        dashboard_address="127.0.0.1:0",
    ) as cluster:
        address = f'[cluster]\naddress = "{cluster.scheduler_address}"\n\n[registry]'
        path = write_settings(tmp_path, {"[registry]": address})
        assert killed_at(path, ("scored", 1)) == -signal.SIGKILL
        run_night(load_settings(path))
    assert same_as(first_night, load_settings(write_settings(tmp_path)))
