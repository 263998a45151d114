"""A disk that fills up at any stage of a night: one error that says where, the old tables as they were, and a next run that completes.

No file may grow beyond a limit, which is chosen so that another file meets it first each time.
"""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from gmmdask.nightly import plan_night, run_night, score_night, train_model
from gmmdask.nightly.engines import open_engine
from gmmdask.settings import Settings
from tests.nightly.lakes import birds, write_day, write_world
from tests.nightly.test_kills import same_as
from tests.nightly.test_night import contents, copied, no_engine
from tests.nightly.victims import on_a_full_disk

FILES = {
    "rows": "assignments-*.parquet",
    "bundle": "registry/birds/*/arrays.npz",
    "tables": "table-runs.parquet",
    "journal": "house/*.wal",
}
"""What a night writes, in the order of writing and of size."""


@pytest.fixture(scope="module")
def before(tmp_path_factory) -> Path:
    """A world whose next night trains."""
    root = tmp_path_factory.mktemp("before")
    run_night(write_world(root, days=2, changes={"[1, 2, 3]": "[1, 2]\nmax_passes = 2"}))
    write_day(root, 2, birds(2, 40))
    return root


@pytest.fixture(scope="module")
def undisturbed(before, tmp_path_factory) -> tuple[Path, dict[str, int]]:
    """The same after that night, and the size of the largest file of every kind."""
    root = tmp_path_factory.mktemp("undisturbed")
    settings = copied(before, root)
    sizes = dict.fromkeys(FILES, 0)

    def look(_: str) -> None:
        for kind, pattern in FILES.items():
            sizes[kind] = max([sizes[kind], *(path.stat().st_size for path in root.rglob(pattern))])

    run_night(settings, refit=True, at=look)
    assert sorted(sizes, key=sizes.__getitem__) == list(FILES)
    return root, sizes


def between(sizes: dict[str, int], kind: str) -> int:
    """Return a limit that a file of this kind is the first to meet: sizes of some vary with the clock."""
    number = list(FILES).index(kind)
    smaller = list(sizes.values())[number - 1] if number else 0
    return (smaller + sizes[kind]) // 2


def said_by(settings: Settings, limit: int, *options: str) -> str:
    """Run the night where no file grows beyond the limit and return the only line of its error."""
    code, said = on_a_full_disk(Path(settings.source.uri).parent / "birds.toml", limit, *options)
    assert code == 1
    errors = [line for line in said.splitlines() if "gmmdask: " in line]
    assert said.splitlines()[-1:] == errors
    return errors[0]


SAID = [
    (
        "rows",
        r"Partition 'dt=2024-01-03/part.parquet' .*/assignments-000000.parquet cannot be written: File too large; make room",
    ),
    ("bundle", r"the bundle cannot be written: .*registry/birds/\w+ cannot be written: File too large"),
    ("tables", r"staging: .*/table-runs.parquet cannot be written: File too large; make room"),
    ("journal", r"warehouse .*warehouse.duckdb: .*File too large.*nothing was written"),
]


@pytest.mark.parametrize(("kind", "told"), SAID, ids=[kind for kind, _ in SAID])
def test_a_disk_that_is_full_for_one_file_is_told_and_the_next_run_completes(before, undisturbed, tmp_path, kind, told):
    root, sizes = undisturbed
    settings = copied(before, tmp_path)
    old = contents(settings)
    said = said_by(settings, between(sizes, kind), "--refit")
    assert re.search(told, said), said
    assert contents(settings) == old
    night = run_night(settings, refit=True, engines=no_engine if kind == "journal" else open_engine)
    assert night.release is not None
    assert same_as(root, settings)


def test_a_full_disk_after_the_commit_costs_nothing(before, undisturbed, tmp_path):
    """The journal holds the run; DuckDB moves it into its file when there is room."""
    root, sizes = undisturbed
    settings = copied(before, tmp_path)
    assert on_a_full_disk(tmp_path / "birds.toml", 2 * sizes["journal"], "--refit")[0] == 0
    assert contents(settings) == contents(copied(root, tmp_path / "other"))
    assert run_night(settings, refit=True, engines=no_engine).plan.state == "published"


def test_a_disk_without_room_for_a_first_warehouse_keeps_what_was_computed(tmp_path):
    settings = write_world(tmp_path / "world", days=1, changes={"[1, 2, 3]": "[1, 2]\nmax_passes = 2"})
    plan = plan_night(settings)
    with open_engine(settings.cluster) as engine:
        score_night(plan, settings, train_model(plan, settings, engine), engine)
    shutil.copytree(tmp_path / "world", tmp_path / "undisturbed")
    said = said_by(settings, 4096)
    assert re.search(r"the warehouse .*warehouse\.duckdb.*File too large", said), said
    run_night(settings, engines=no_engine)
    undisturbed = copied(tmp_path / "undisturbed", tmp_path / "other")
    run_night(undisturbed, engines=no_engine)
    assert contents(settings) == contents(undisturbed)
