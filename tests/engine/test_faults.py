"""A worker killed at a named point changes no byte and leaves nothing behind."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from distributed import Client

from gmmdask.engine.dask import DaskEngine
from gmmdask.engine.port import HeldData
from gmmdask.engine.witness import MemorySource, Witness, expected, witness
from tests.engine.faults import DyingSource, dying_witness, touch_and_die_once, witness_that_dies_combining

ROWS = [[3, 1, 2], [2], [4, 4], [1, 5, 2, 2, 3], [6], [1, 1]]
WHOLE = MemorySource.of(ROWS, ["a", "a", "a", "b", "b", "c"])
Pass = Callable[[HeldData], Witness]


@pytest.fixture
def marker(tmp_path: Path) -> str:
    return str(tmp_path / "killed")


@pytest.fixture
def workers(mortal_processes: Client, nothing_left: Callable[[Client], None], marker: str) -> Iterator[Client]:
    """Give two workers; afterwards one must have been killed and nothing be left."""
    yield mortal_processes
    assert Path(marker).exists()
    nothing_left(mortal_processes)


def _named_point(point: str, marker: str) -> tuple[MemorySource, Pass]:
    """Return the source and the pass of a run that is killed at the point."""
    if point == "read":
        source = DyingSource(partitions=WHOLE.partitions, leaf_rows=WHOLE.leaf_rows, marker=marker)
        return source, lambda data: data.map_reduce(witness, name="pass")
    function = dying_witness if point == "summarize" else witness_that_dies_combining
    return WHOLE, lambda data: data.map_reduce(function, (marker,), name="pass")


@pytest.mark.parametrize(
    ("point", "held", "rows_per_task"),
    [
        ("read", True, 1),
        ("read", False, 1000),
        ("summarize", True, 1000),
        ("summarize", False, 1),
        ("combine", True, 1),
        ("combine", False, 1),
        ("combine", False, 1000),
    ],
)
def test_a_killed_worker_changes_no_byte(
    point: str, held: bool, rows_per_task: int, workers: Client, marker: str
) -> None:
    """Bits. With one row to a task, combining happens in tasks of its own; with many, inside the summarising task."""
    source, run = _named_point(point, marker)
    engine = DaskEngine(workers, rows_per_task=rows_per_task, fan_in=2, memory_limit=None if held else 1)
    whole = expected(WHOLE, witness)
    assert whole is not None
    with engine.hold(source) as data:
        assert data.in_memory is held
        for _ in range(2):
            assert run(data).to_bytes() == whole.to_bytes()


def test_a_killed_worker_leaves_whole_files_when_partitions_are_visited(
    workers: Client, marker: str, tmp_path: Path
) -> None:
    receipts = DaskEngine(workers, rows_per_task=1).map(
        WHOLE, touch_and_die_once, (str(tmp_path), marker), name="staging"
    )
    assert receipts == [f"{position}.txt" for position in range(len(ROWS))]
    assert [(tmp_path / receipt).read_text() for receipt in receipts] == [str(sum(rows)) for rows in ROWS]
