"""What only the local engine promises: threads, memory, interruption."""

from __future__ import annotations

import logging
import threading

import pytest
from threadpoolctl import threadpool_info

from gmmdask.engine import LocalEngine
from gmmdask.engine.witness import SOURCES, MemorySource, Witness, expected, witness
from gmmdask.errors import GmmdaskError, InvalidInputError
from gmmdask.source import Leaf
from tests.engine.faults import READS, SUMMARIES, CountingSource, WatchedSource, interrupting_witness

MANY = MemorySource.of([[2, 2]] * 100)


def our_threads() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("gmmdask")]


def _native_threads(leaf: Leaf) -> _Largest:
    return _Largest(max((library["num_threads"] for library in threadpool_info()), default=1))


class _Largest(int):
    def combine(self, other: _Largest, /) -> _Largest:
        return _Largest(max(self, other))


def test_held_leaves_are_read_once() -> None:
    READS.clear()
    source = CountingSource(partitions=MANY.partitions, leaf_rows=MANY.leaf_rows)
    with LocalEngine(2, rows_per_task=8).hold(source) as data:
        assert data.in_memory
        for _ in range(3):
            data.map_reduce(witness, name="held")
    assert set(READS.values()) == {1}


def test_data_that_do_not_fit_are_read_on_every_pass(caplog: pytest.LogCaptureFixture) -> None:
    READS.clear()
    source = CountingSource(partitions=MANY.partitions, leaf_rows=MANY.leaf_rows)
    with caplog.at_level(logging.INFO, "gmmdask.engine"), LocalEngine(memory_limit=6_400).hold(source) as data:
        assert not data.in_memory
        for _ in range(3):
            data.map_reduce(witness, name="streamed")
    assert set(READS.values()) == {3}
    assert "take 6.4 kB, and 3.2 kB of 6.4 kB on this machine may hold them" in caplog.text


def test_streaming_keeps_only_a_few_leaves_in_memory() -> None:
    source = WatchedSource(partitions=MANY.partitions, leaf_rows=MANY.leaf_rows)
    LocalEngine(2, rows_per_task=40).map_reduce(source, witness, name="watched")
    assert len(source.most) == 200
    assert max(source.most) <= 4


def test_an_interrupt_leaves_nothing_running() -> None:
    SUMMARIES.clear()
    with pytest.raises(KeyboardInterrupt):
        LocalEngine(2, rows_per_task=4).map_reduce(MANY, interrupting_witness, name="interrupted")
    assert our_threads() == []
    assert sum(SUMMARIES.values()) < 200


@pytest.mark.parametrize("threads", [1, 2])
def test_native_pools_have_one_thread_inside_and_their_own_number_after(threads: int) -> None:
    before = [library["num_threads"] for library in threadpool_info()]
    engine = LocalEngine(threads, rows_per_task=4)
    assert engine.map_reduce(MANY, _native_threads, name="streamed") == 1
    with engine.hold(MANY) as data:
        assert data.map_reduce(_native_threads, name="held") == 1
    assert [library["num_threads"] for library in threadpool_info()] == before


def test_no_threads_are_left_after_a_failure() -> None:
    def fails(leaf: Leaf) -> Witness:
        raise ValueError(leaf.partition)

    with pytest.raises(GmmdaskError, match=r"'part-00000' \(1 of 100\) during doomed: ValueError: 0"):
        LocalEngine(2, rows_per_task=4).map_reduce(MANY, fails, name="doomed")
    assert our_threads() == []


def test_a_failure_to_combine_names_the_partitions() -> None:
    with pytest.raises(GmmdaskError, match=r"Combining \w+.* during broken: AttributeError"):
        LocalEngine().map_reduce(SOURCES["one partition of seven leaves"], _no_summary, name="broken")


def _no_summary(leaf: Leaf) -> int:  # deliberately no Summary
    return leaf.n_rows


def test_less_than_one_thread_is_refused() -> None:
    with pytest.raises(InvalidInputError, match="threads=0"):
        LocalEngine(0)


def test_a_serial_pass_starts_no_thread() -> None:
    seen: list[int] = []

    def summarize(leaf: Leaf) -> Witness:
        seen.append(threading.get_ident())
        return witness(leaf)

    assert LocalEngine().map_reduce(MANY, summarize, name="serial") == expected(MANY, witness)
    assert set(seen) == {threading.get_ident()}
