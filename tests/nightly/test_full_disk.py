"""A disk that fills up at any stage of a night: one error that says where, the old tables as they were, and a next run that completes.

No file may grow beyond a limit, which is chosen so that another file meets it first each time.
"""

from __future__ import annotations

import fnmatch
import re
import shutil
from dataclasses import dataclass
from pathlib import Path

import pytest

from gmmdask.nightly import plan_night, run_night, score_night, train_model
from gmmdask.nightly.engines import open_engine
from gmmdask.settings import Settings
from tests.nightly.lakes import birds, files_below, write_day, write_world
from tests.nightly.test_kills import same_as
from tests.nightly.test_night import contents, copied, no_engine
from tests.nightly.victims import on_a_full_disk

OPTIONS = {"keeps": (), "trains": ("--refit",)}


@dataclass(frozen=True)
class Undisturbed:
    """A world after a night, and the size of every file that the night made, in the order of making."""

    root: Path
    sizes: dict[str, int]

    def limit_for(self, pattern: str) -> int:
        """Return a limit that the file of this pattern is the first to meet: sizes of some vary a little with the clock."""
        names = list(self.sizes)
        (wanted,) = fnmatch.filter(names, pattern)
        earlier = max((self.sizes[name] for name in names[: names.index(wanted)]), default=0)
        assert 1.1 * earlier < self.sizes[wanted]
        return (earlier + self.sizes[wanted]) // 2


@pytest.fixture(scope="module")
def before(tmp_path_factory) -> Path:
    """A world with a champion and a date to come."""
    root = tmp_path_factory.mktemp("before")
    run_night(write_world(root, days=2, changes={"[1, 2, 3]": "[1, 2]\nmax_passes = 2"}))
    write_day(root, 2, birds(2, 40))
    return root


@pytest.fixture(scope="module")
def undisturbed(before, tmp_path_factory) -> dict[str, Undisturbed]:
    """The same after a night that keeps its champion, and after one that trains."""
    return {how: _undisturbed(before, tmp_path_factory.mktemp(how), "--refit" in OPTIONS[how]) for how in OPTIONS}


def _undisturbed(before: Path, root: Path, refit: bool) -> Undisturbed:
    settings = copied(before, root)
    known, sizes = set(files_below(root)), {}

    def look(_: str) -> None:
        for name in files_below(root):
            if name not in known:
                sizes[name] = max(sizes.get(name, 0), (root / name).stat().st_size)

    run_night(settings, refit=refit, at=look)
    return Undisturbed(root=root, sizes=sizes)


def said_by(settings: Settings, limit: int, *options: str) -> str:
    """Run the night where no file grows beyond the limit and return the only line of its error."""
    code, said = on_a_full_disk(Path(settings.source.uri).parent / "birds.toml", limit, *options)
    assert code == 1
    errors = [line for line in said.splitlines() if "gmmdask: " in line]
    assert said.splitlines()[-1:] == errors
    return errors[0]


CASES = {
    "rows": (
        "keeps",
        "*/assignments-000000.parquet",
        r"Partition 'dt=2024-01-03/part.parquet' .*/assignments-000000.parquet cannot be written: File too large; make room",
    ),
    "tables": (
        "keeps",
        "*/table-runs.parquet",
        r"staging: .*/table-runs.parquet cannot be written: File too large; make",
    ),
    "journal": ("keeps", "*.wal", r"warehouse .*warehouse.duckdb: .*File too large.*nothing was written; make room"),
    "bundle": (
        "trains",
        "registry/birds/*/arrays.npz",
        r"the bundle cannot be written: .*registry/birds/.*: File too large",
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_a_disk_that_is_full_for_one_file_is_told_and_the_next_run_completes(before, undisturbed, tmp_path, case):
    how, pattern, told = CASES[case]
    settings = copied(before, tmp_path)
    old = contents(settings)
    said = said_by(settings, undisturbed[how].limit_for(pattern), *OPTIONS[how])
    assert re.search(told, said), said
    assert contents(settings) == old
    night = run_night(settings, refit=how == "trains", engines=no_engine if case == "journal" else open_engine)
    assert night.release is not None
    assert same_as(undisturbed[how].root, settings)


def test_a_full_disk_after_the_commit_costs_nothing(before, undisturbed, tmp_path):
    """The journal holds the run; DuckDB moves it into its file when there is room."""
    settings = copied(before, tmp_path)
    assert on_a_full_disk(tmp_path / "birds.toml", 2 * max(undisturbed["keeps"].sizes.values()))[0] == 0
    assert contents(settings) == contents(copied(undisturbed["keeps"].root, tmp_path / "other"))
    assert run_night(settings, engines=no_engine).plan.state == "published"


def test_a_disk_without_room_for_a_first_warehouse_keeps_what_was_computed(tmp_path):
    settings = write_world(tmp_path / "world", days=1, changes={"[1, 2, 3]": "[1, 2]\nmax_passes = 2"})
    plan = plan_night(settings)
    with open_engine(settings.cluster) as engine:
        score_night(plan, settings, train_model(plan, settings, engine), engine)
    shutil.copytree(tmp_path / "world", tmp_path / "undisturbed")
    said = said_by(settings, 4096)
    assert re.search(r"the warehouse .*warehouse\.duckdb.*File too large.*; make room", said), said
    run_night(settings, engines=no_engine)
    undisturbed = copied(tmp_path / "undisturbed", tmp_path / "other")
    run_night(undisturbed, engines=no_engine)
    assert contents(settings) == contents(undisturbed)
