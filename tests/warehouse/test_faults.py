"""Accidents in the middle of a publication: readers see all of a run or none, and publishing again ends as if nothing was.

Every case ends with the same oracle: the rows of every table and view equal those of the undisturbed run.
"""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from gmmdask.warehouse import Staging, open_staging
from gmmdask.warehouse.duckdb_file import DuckDBFile
from tests.warehouse.examples import DAY, NOON, contents, publication, small_tables, stage

NEXT = DAY + timedelta(days=1)
SMALL = [f"table {name}" for name in small_tables("r", 1)]
POINTS = ["checked", "opened", "created", *SMALL, "table assignments", "table publications", "committed", "closed"]
VISIBLE_FROM = POINTS.index("committed")


def _file(path: Path) -> DuckDBFile:
    return DuckDBFile(path=str(path), now=lambda: NOON)


def _nights(folder: Path, rows: int = 3) -> tuple[Staging, DuckDBFile]:
    """Publish one night and stage the next, which also labels the first one's date again."""
    staging, warehouse = open_staging(str(folder)), _file(folder / "before.duckdb")
    warehouse.publish(stage(staging, [publication(DAY, run_id="run-1")], {DAY: ["a", "b"]}).load())
    again = [publication(NEXT, run_id="run-2"), publication(DAY, "rescore", run_id="run-2")]
    stage(staging, again, {dt: [f"id {number}" for number in range(rows)] for dt in (DAY, NEXT)}, segment_id=1)
    return staging, warehouse


def _suffer(root: Path, accidents: Sequence[tuple[str | int, Path]]) -> list[int]:
    task = {"root": str(root), "run": "run-2", "accidents": [(point, str(path)) for point, path in accidents]}
    command = [sys.executable, "-m", "tests.warehouse.accidents"]
    done = subprocess.run(
        command, input=json.dumps(task), capture_output=True, text=True, check=True, cwd=Path(__file__).parents[2]
    )
    codes: list[int] = json.loads(done.stdout)
    return codes


def _undisturbed(folder: Path, staging: Staging, before: DuckDBFile) -> dict[str, list[dict[str, Any]]]:
    shutil.copy(before.path, folder / "undisturbed.duckdb")
    warehouse = _file(folder / "undisturbed.duckdb")
    attempt = staging.complete("run-2")
    assert attempt is not None
    assert warehouse.publish(attempt.load())
    return contents(warehouse)


@pytest.fixture(scope="module")
def killed(tmp_path_factory):
    """Publications killed at every point, into a warehouse with a night in it and into one that is not there yet."""
    folder = tmp_path_factory.mktemp("killed")
    staging, before = _nights(folder)
    accidents = []
    for number, point in enumerate(POINTS):
        shutil.copy(before.path, folder / f"later-{number}.duckdb")
        accidents.append((point, folder / f"later-{number}.duckdb"))
    accidents += [(point, folder / f"first-{point}.duckdb") for point in ("created", "table publications", "committed")]
    codes = dict(zip([path.stem for _, path in accidents], _suffer(folder, accidents), strict=True))
    seen = {"before": contents(before), "after": _undisturbed(folder, staging, before)}
    return folder, staging.complete("run-2").load(), seen, codes


@pytest.mark.parametrize("point", POINTS)
def test_killed_at_any_point_a_run_is_seen_whole_or_not_at_all_and_published_by_the_next_call(killed, point):
    folder, release, seen, codes = killed
    number = POINTS.index(point)
    assert codes[f"later-{number}"] == -signal.SIGKILL
    warehouse = _file(folder / f"later-{number}.duckdb")
    assert contents(warehouse) == seen["after" if number >= VISIBLE_FROM else "before"]
    assert warehouse.publish(release) == (number < VISIBLE_FROM)
    assert contents(warehouse) == seen["after"]
    # What DuckDB had committed to its journal alone stays there until somebody writes.
    leftovers = {path.suffix for path in folder.glob(f"later-{number}.duckdb.*")}
    assert leftovers <= ({".wal"} if point == "committed" else set())


@pytest.mark.parametrize("point", ["created", "table publications", "committed"])
def test_killed_in_the_very_first_publication_the_next_call_makes_it_good(killed, point):
    folder, release, _, codes = killed
    assert codes[f"first-{point}"] == -signal.SIGKILL
    warehouse = _file(folder / f"first-{point}.duckdb")
    assert warehouse.champion_before("flights", NEXT + timedelta(days=1)) == ("m1" if point == "committed" else None)
    assert warehouse.publish(release) == (point != "committed")
    assert len(contents(warehouse)["current_assignments"]) == 6


def test_the_points_are_those_that_a_publication_passes(tmp_path):
    staging, warehouse = _nights(tmp_path)
    passed: list[str] = []
    warehouse.publish(staging.complete("run-2").load(), at=passed.append)
    assert passed == POINTS


def test_an_error_between_statements_leaves_the_tables_untouched(tmp_path):
    staging, warehouse = _nights(tmp_path)
    before = contents(warehouse)

    def fail(point: str) -> None:
        if point == "table publications":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        warehouse.publish(staging.complete("run-2").load(), at=fail)
    assert contents(warehouse) == before
    assert warehouse.publish(staging.complete("run-2").load())


def test_a_full_disk_is_told_and_leaves_the_old_state(tmp_path):
    staging, warehouse = _nights(tmp_path, rows=4_000)
    before = contents(warehouse)
    assert _suffer(tmp_path, [(65_536, Path(warehouse.path))]) == [3]
    assert "nothing was written" in Path(warehouse.path).with_suffix(".message").read_text()
    assert contents(warehouse) == before
    assert warehouse.publish(staging.complete("run-2").load())


def test_a_disk_that_fills_up_after_the_commit_loses_nothing(tmp_path):
    """The run fits into DuckDB's journal but the file cannot grow when the journal is folded into it."""
    staging, warehouse = _nights(tmp_path)
    after = _undisturbed(tmp_path, staging, warehouse)
    path = Path(warehouse.path)
    assert _suffer(tmp_path, [(path.stat().st_size, path)]) == [0]
    assert contents(warehouse) == after
    assert not warehouse.publish(staging.complete("run-2").load())


READER = """
import sys, duckdb
for line in sys.stdin:
    try:
        with duckdb.connect(sys.argv[1], read_only=True) as connection:
            seen = connection.sql("SELECT run_id, count(*) FROM current_assignments GROUP BY 1 ORDER BY 1").fetchall()
            champion = connection.sql("SELECT count(*) FROM publications").fetchall()
        print(seen, champion, flush=True)
    except duckdb.IOException:
        print("busy", flush=True)
"""


def test_a_reader_in_another_process_sees_all_of_a_run_or_none(tmp_path):
    """The reader looks at every point of the publication, in lockstep with it."""
    staging, warehouse = _nights(tmp_path)
    seen: dict[str, str] = {}
    command = [sys.executable, "-c", READER, warehouse.path]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as reader:
        assert reader.stdin is not None
        assert reader.stdout is not None

        def look(point: str) -> None:
            reader.stdin.write("look\n")
            reader.stdin.flush()
            seen[point] = reader.stdout.readline().strip()

        warehouse.publish(staging.complete("run-2").load(), at=look)
        reader.communicate()
    none, whole = "[('run-1', 2)] [(1,)]", "[('run-2', 6)] [(3,)]"
    assert seen == {point: {"checked": none, "closed": whole}.get(point, "busy") for point in POINTS}
