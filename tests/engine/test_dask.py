"""What only the Dask engine promises: nothing left behind, machines of one kind, clear failures of the cluster."""

from __future__ import annotations

import gc
import re
import socket
import time
from collections.abc import Callable, Iterator

import pytest
from distributed import Client, Scheduler
from distributed.protocol import dumps

from gmmdask.engine import LocalEngine, fingerprint
from gmmdask.engine.dask import DaskEngine, connect
from gmmdask.engine.witness import SOURCES, MemorySource, Witness, expected, witness
from gmmdask.errors import ClusterError
from gmmdask.source import Leaf
from tests.engine.conftest import tasks_left
from tests.engine.faults import READS, SUMMARIES, CountingSource, always_dying, interrupting_witness

ClientOf = Callable[[int, int], Client]
NothingLeft = Callable[[Client], None]
MANY = MemorySource.of([[2, 2]] * 60)


@pytest.fixture
def odd_worker(processes: Client) -> Iterator[Callable[[], str]]:
    """Give a switch that makes one worker compute with other bits, until the end of the test."""

    def switch() -> str:
        address = min(processes.nthreads())
        processes.run(_change_probe, workers=[address])
        return address

    yield switch
    processes.run(_restore_probe)


def _change_probe() -> None:
    fingerprint._probe = lambda: "another probe"
    fingerprint.numeric_fingerprint.cache_clear()


def _restore_probe() -> None:
    from importlib import reload

    reload(fingerprint)


def test_a_mixed_cluster_is_refused(processes: Client, odd_worker: Callable[[], str]) -> None:
    address = odd_worker()
    with pytest.raises(ClusterError, match=rf"1 of 2 workers.*{address}: probe another probe.*allow_mixed_cpus=True"):
        DaskEngine(processes)


def test_a_mixed_cluster_is_accepted_on_request(processes: Client, odd_worker: Callable[[], str]) -> None:
    odd_worker()
    result = DaskEngine(processes, rows_per_task=4, allow_mixed_cpus=True).map_reduce(MANY, witness, name="mixed")
    assert result == expected(MANY, witness)


def test_a_worker_that_changes_later_is_refused_by_its_first_task(
    processes: Client, odd_worker: Callable[[], str], nothing_left: NothingLeft
) -> None:
    engine = DaskEngine(processes, rows_per_task=4)
    odd_worker()
    with pytest.raises(ClusterError, match=r"numeric fingerprint .*the run began with"):
        engine.map_reduce(MANY, witness, name="late")
    nothing_left(processes)


def test_held_partitions_are_read_once(client_of: ClientOf, nothing_left: NothingLeft) -> None:
    READS.clear()
    client = client_of(2, 2)
    source = CountingSource(partitions=MANY.partitions, leaf_rows=MANY.leaf_rows)
    with DaskEngine(client, rows_per_task=8).hold(source) as data:
        assert data.in_memory
        for _ in range(3):
            assert data.map_reduce(witness, name="held") == expected(MANY, witness)
    assert set(READS.values()) == {1}
    nothing_left(client)


def test_data_that_do_not_fit_are_read_on_every_pass(client_of: ClientOf) -> None:
    READS.clear()
    source = CountingSource(partitions=MANY.partitions, leaf_rows=MANY.leaf_rows)
    with DaskEngine(client_of(2, 2), rows_per_task=8, memory_limit=1000).hold(source) as data:
        assert not data.in_memory
        for _ in range(2):
            data.map_reduce(witness, name="streamed")
    assert set(READS.values()) == {2}


def test_a_pass_gives_back_all_but_the_held_data(client_of: ClientOf, nothing_left: NothingLeft) -> None:
    client = client_of(2, 2)
    with DaskEngine(client, rows_per_task=8).hold(MANY) as data:
        data.map_reduce(witness, name="one")
        expected = {"share", "read"}
        left = tasks_left(client, lambda keys: {key.split("-")[1] for key in keys} == expected)
        assert {key.split("-")[1] for key in left} == expected
    nothing_left(client)


def test_keys_tell_what_run_pass_and_node_they_are(client_of: ClientOf) -> None:
    client = client_of(2, 2)
    keys: list[str] = []
    submit = client.submit

    def noting(*arguments: object, key: str, pure: bool) -> object:
        keys.append(key)
        return submit(*arguments, key=key, pure=pure)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(client, "submit", noting)
        with DaskEngine(client, rows_per_task=130, fan_in=2).hold(MANY) as data:
            data.map_reduce(witness, name="fit-3")
    run = r"[0-9a-f]{8}"
    patterns = [
        rf"gmmdask-share-{run}-data-source",
        rf"gmmdask-share-{run}-fit-3-arguments",
        rf"gmmdask-read-{run}-data-0:32",
        rf"gmmdask-summarize-{run}-fit-3-0:32",
        rf"gmmdask-read-{run}-data-32:60",
        rf"gmmdask-summarize-{run}-fit-3-32:60",
        rf"gmmdask-combine-{run}-fit-3-0:32-32:60",
    ]
    assert len(keys) == len(patterns)
    for pattern, key in zip(patterns, keys, strict=True):
        assert re.fullmatch(pattern, key), key


def test_a_pass_sends_the_scheduler_its_arguments_once_and_little_for_each_task(client_of: ClientOf) -> None:
    """A megabyte of arguments; under 5 kB a task, so that ten thousand partitions take less than 50 MB."""
    client = client_of(2, 2)
    sent: list[int] = []
    send = client._send_to_scheduler

    def noting(message: object) -> None:
        sent.append(sum(len(frame) for frame in dumps(message)))
        send(message)

    with pytest.MonkeyPatch.context() as patch, DaskEngine(client, rows_per_task=4).hold(MANY) as data:
        data.map_reduce(witness, name="first")
        patch.setattr(client, "_send_to_scheduler", noting)
        data.map_reduce(_burdened, (bytes(1_000_000),), name="second")
    assert 1_000_000 < sum(sent) < 1_000_000 + 5_000 * len(MANY.partitions)


def _burdened(leaf: Leaf, burden: bytes) -> Witness:
    assert len(burden) == 1_000_000
    return witness(leaf)


def test_an_interrupt_leaves_nothing_behind(client_of: ClientOf, nothing_left: NothingLeft) -> None:
    SUMMARIES.clear()
    client = client_of(1, 1)
    with pytest.raises(KeyboardInterrupt):
        DaskEngine(client, rows_per_task=4).map_reduce(MANY, interrupting_witness, name="interrupted")
    nothing_left(client)


def test_an_error_of_the_caller_passes_through_untouched(client_of: ClientOf, nothing_left: NothingLeft) -> None:
    """A TimeoutError of the loop around the passes is not the cluster's."""
    client = client_of(1, 1)
    with pytest.raises(TimeoutError, match="mine"), DaskEngine(client).hold(MANY):
        raise TimeoutError("mine")
    nothing_left(client)


def test_a_task_that_kills_its_workers_is_a_cluster_error(mortal_processes: Client, nothing_left: NothingLeft) -> None:
    mortal_processes.run_on_scheduler(_allow_no_failure)
    with pytest.raises(ClusterError, match=r"A task of deadly was tried on 1 workers.*lack of memory"):
        DaskEngine(mortal_processes).map_reduce(SOURCES["one row"], always_dying, name="deadly")
    nothing_left(mortal_processes)


def _allow_no_failure(dask_scheduler: Scheduler) -> None:
    dask_scheduler.allowed_failures = 0


def test_an_address_where_nothing_listens_is_a_cluster_error() -> None:
    with pytest.raises(ClusterError, match=r"No Dask scheduler answered at 'tcp://127.0.0.1:9' within 0.2 s"):
        connect("tcp://127.0.0.1:9", timeout=0.2)


def test_an_address_that_refuses_is_told_at_once_and_a_host_that_is_unknown_too() -> None:
    """Long before the time is over."""
    for address in ("tcp://127.0.0.1:9", "tcp://no-such-host.invalid:8786"):
        began = time.monotonic()
        with pytest.raises(ClusterError, match=re.escape(address)):
            connect(address, timeout=60)
        assert time.monotonic() - began < 30


def test_an_address_where_something_else_answers_leaves_one_error_and_no_complaint() -> None:
    """Anything that were raised while the failed client is thrown away would fail this test."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"tcp://127.0.0.1:{server.getsockname()[1]}"
        with pytest.raises(ClusterError, match=f"No Dask scheduler answered at '{address}' within 0.3 s"):
            connect(address, timeout=0.3)
    gc.collect()


def test_the_address_of_a_worker_is_a_cluster_error(processes: Client) -> None:
    with pytest.raises(ClusterError, match=r"No Dask scheduler answered .*a worker listens there"):
        connect(min(processes.nthreads()), timeout=2)
    gc.collect()


def test_a_nonsense_address_is_a_cluster_error() -> None:
    with pytest.raises(ClusterError, match="No Dask scheduler answered at 'nonsense://x'"):
        connect("nonsense://x", timeout=0.2)


def test_a_cluster_is_reached_by_its_address(processes: Client) -> None:
    client = connect(processes.scheduler.address)
    try:
        assert DaskEngine(client).map_reduce(MANY, witness, name="address") == expected(MANY, witness)
    finally:
        client.close()


def test_workers_use_one_native_thread(processes: Client) -> None:
    processes.run(_allow_native_threads)
    assert DaskEngine(processes, rows_per_task=4).map(MANY, _native_threads, name="threads") == [1] * 60


def _allow_native_threads() -> None:
    from threadpoolctl import threadpool_limits

    threadpool_limits(limits=2)


def _native_threads(partition: int, leaves: Iterator[Leaf]) -> int:
    from threadpoolctl import threadpool_info

    return max(library["num_threads"] for library in threadpool_info())


def test_dask_and_serial_map_agree(processes: Client) -> None:
    source = SOURCES["empty partitions"]
    assert DaskEngine(processes).map(source, _rows, name="rows") == LocalEngine().map(source, _rows, name="rows")


def _rows(partition: int, leaves: Iterator[Leaf]) -> int:
    return sum(leaf.n_rows for leaf in leaves)
