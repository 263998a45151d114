"""A pass that keeps dates apart adds up to the bytes of one that does not."""

from __future__ import annotations

import pytest
from distributed import Client

from gmmdask.engine import LocalEngine
from gmmdask.engine.dask import DaskEngine
from gmmdask.engine.dates import by_date
from gmmdask.engine.witness import SOURCES, MemorySource, expected, witness


@pytest.mark.parametrize("source", SOURCES.values(), ids=SOURCES)
@pytest.mark.parametrize("rows_per_task", [1, 5, 1000])
def test_dates_add_up_to_the_bytes_of_the_whole(source: MemorySource, rows_per_task: int) -> None:
    """Bits."""
    engine = LocalEngine(2, rows_per_task=rows_per_task)
    result = engine.map_reduce(source, *by_date(source, witness, (3.0,)), name="dates")
    assert result.total(source) == expected(source, witness, 3.0)


def test_each_date_has_the_bytes_of_a_source_of_its_own() -> None:
    """Bits; the witness of the only date of a source differs in nothing but the partitions' numbers."""
    source = SOURCES["three dates"]
    result = LocalEngine().map_reduce(source, *by_date(source, witness), name="dates")
    first = MemorySource(partitions=source.partitions[:3], leaf_rows=source.leaf_rows[:3])
    assert result.summaries["2013-01-01"] == expected(first, witness)


def test_dates_are_the_same_on_dask(processes: Client) -> None:
    """Bits."""
    source = SOURCES["empty partitions"]
    pass_by_date = by_date(source, witness)
    serial = LocalEngine().map_reduce(source, *pass_by_date, name="dates")
    assert DaskEngine(processes, rows_per_task=2).map_reduce(source, *pass_by_date, name="dates") == serial
