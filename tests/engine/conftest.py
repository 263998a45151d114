"""Clusters shared by the tests of the engines: started once, on first use."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator

import dask
import pytest
from distributed import Client, LocalCluster, Scheduler

ClientOf = Callable[[int, int], Client]


@pytest.fixture(scope="session")
def client_of() -> Iterator[ClientOf]:
    """Give a client for so many workers of so many threads, all inside this process."""
    open_clients: dict[tuple[int, int], Client] = {}

    def get(workers: int, threads: int) -> Client:
        if (workers, threads) not in open_clients:
            open_clients[workers, threads] = _start(workers, threads, processes=False)
        return open_clients[workers, threads]

    yield get
    for client in open_clients.values():
        _stop(client)


@pytest.fixture(scope="session")
def processes() -> Iterator[Client]:
    """Give a client for two workers with a process each, that nobody may kill."""
    yield from _two_processes()


@pytest.fixture
def mortal_processes() -> Iterator[Client]:
    """Give a client for two workers of this test's own: how fast the dead are replaced is not our matter."""
    yield from _two_processes()


def _two_processes() -> Iterator[Client]:
    # A server that forks has the imports done: a worker is there in a moment.
    with dask.config.set({"distributed.worker.multiprocessing-method": "forkserver"}):
        client = _start(2, 1, processes=True)
        yield client
        _stop(client)


@pytest.fixture(scope="session")
def nothing_left() -> Callable[[Client], None]:
    """Give an assertion that no task of ours is known to the scheduler any more."""

    def check(client: Client) -> None:
        assert tasks_left(client, lambda keys: not keys) == []

    return check


def tasks_left(client: Client, is_settled: Callable[[list[str]], bool], patience: float = 20.0) -> list[str]:
    """Return our tasks that the scheduler knows, as soon as they are settled, or after so many seconds as they are.

    Every look is a round trip; a future that is given up from another thread is told to the scheduler when that runs.
    """
    deadline = time.monotonic() + patience
    while True:
        # Messages to the scheduler keep their order: once this came back, all that was said before is done.
        client.submit(int, pure=False).result()
        found: list[str] = client.run_on_scheduler(our_tasks)
        if is_settled(found) or time.monotonic() > deadline:
            return found


def our_tasks(dask_scheduler: Scheduler) -> list[str]:
    return [str(key) for key in dask_scheduler.tasks if str(key).startswith("gmmdask")]


def _start(workers: int, threads: int, *, processes: bool) -> Client:
    cluster = LocalCluster(
        n_workers=workers,
        threads_per_worker=threads,
        processes=processes,
        dashboard_address="127.0.0.1:0",
        silence_logs=logging.CRITICAL,
    )
    return Client(cluster, set_as_default=False)


def _stop(client: Client) -> None:
    cluster = client.cluster
    client.close()
    cluster.close()
