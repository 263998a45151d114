"""Every engine passes the shipped suite, whatever its width and however the work is cut."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from distributed import Client

from gmmdask.engine import Engine, LocalEngine
from gmmdask.engine.conformance import CHECKS, check_engine
from gmmdask.engine.dask import DaskEngine
from gmmdask.engine.witness import SOURCES, Witness, expected, witness

each_check = pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
each_cluster = pytest.mark.parametrize(
    ("workers", "threads", "rows_per_task"),
    [(1, 1, 5), (1, 2, None), (2, 1, 1), (2, 2, 3), (4, 1, 2), (4, 2, 7)],
)


@each_check
@pytest.mark.parametrize("rows_per_task", [None, 1, 5])
@pytest.mark.parametrize("threads", [1, 2])
def test_local_engines_conform(check: Callable[[Engine], None], threads: int, rows_per_task: int | None) -> None:
    check(LocalEngine(threads, rows_per_task=rows_per_task))


@each_check
@each_cluster
def test_dask_conforms(
    check: Callable[[Engine], None],
    workers: int,
    threads: int,
    rows_per_task: int | None,
    client_of: Callable[[int, int], Client],
    nothing_left: Callable[[Client], None],
) -> None:
    client = client_of(workers, threads)
    check(DaskEngine(client, rows_per_task=rows_per_task, fan_in=3))
    nothing_left(client)


@each_check
def test_dask_conforms_between_processes(
    check: Callable[[Engine], None], processes: Client, nothing_left: Callable[[Client], None]
) -> None:
    check(DaskEngine(processes, rows_per_task=6))
    nothing_left(processes)


@pytest.mark.parametrize("rows_per_task", [1, 4, 16, 64, 1000])
def test_every_cut_gives_the_serial_bytes_on_dask(rows_per_task: int, processes: Client) -> None:
    """Bits."""
    serial = LocalEngine().map_reduce(SOURCES["many small"], witness, name="serial")
    spread = DaskEngine(processes, rows_per_task=rows_per_task).map_reduce(SOURCES["many small"], witness, name="cut")
    assert spread.to_bytes() == serial.to_bytes()


class _Careless(LocalEngine):
    """An engine that adds in the order of arrival, backwards."""

    def map_reduce(self, source, summarize, arguments=(), *, name):  # type: ignore[no-untyped-def]
        result = super().map_reduce(source, summarize, arguments, name=name)
        return Witness(shape=result.shape, rows=result.rows, total=result.total * (1 + 2e-16), scale=result.scale)


def test_the_suite_notices_a_wrong_last_bit() -> None:
    with pytest.raises(AssertionError, match="instead of"):
        check_engine(_Careless())


def test_the_order_of_additions_shows_in_the_bits_of_the_oracle() -> None:
    source = SOURCES["many small"]
    whole = expected(source, witness)
    leaves = [witness(leaf).total for position in range(len(source.leaf_rows)) for leaf in source.read(position)]
    assert whole is not None
    assert whole.total != sum(leaves[1:], start=leaves[0])
    assert whole.total == pytest.approx(sum(leaves), rel=1e-12)
