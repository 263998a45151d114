"""The engine that works on a Dask cluster: the only module of this package that imports Dask.

Data and parameters enter by `submit`, never by `scatter`: what a lost worker held is computed again, to the same bits.
Tasks are the pure functions of `gmmdask.engine.tasks`; no worker keeps a state, and results are added in the tree's
order alone. Keys read gmmdask-{what}-{run}-{pass}-{node}: Dask groups tasks by the first two words, so reading,
summarising and combining have a bar of their own on the dashboard.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError
from contextlib import contextmanager
from typing import Any

from distributed import Client, Future, KilledWorker, Security, rpc
from distributed.comm.addressing import parse_address, parse_host_port
from distributed.comm.core import CommClosedError
from distributed.utils import LoopRunner
from threadpoolctl import threadpool_limits

from gmmdask.engine import tasks
from gmmdask.engine.fingerprint import NumericFingerprint, numeric_fingerprint
from gmmdask.engine.memory import fits_in_memory, machine_bytes
from gmmdask.engine.pools import one_thread
from gmmdask.engine.port import R, S
from gmmdask.engine.tasks import Job, not_empty
from gmmdask.engine.tree import Shape, Span, TaskSize, Tree, fold, partition_runs, plan
from gmmdask.errors import ClusterError, GmmdaskError
from gmmdask.source import Source

TASKS_PER_THREAD = 4
SMALLEST_TASK_ROWS = 200_000
LARGEST_TASK_ROWS = 4_000_000
"""A task costs Dask about 1.5 ms, and what it did is lost with its worker: both want seconds of work per task."""
LARGEST_HELD_BYTES = 256_000_000
FAN_IN = 16


def connect(address: str, timeout: float = 30.0) -> Client:
    """Connect to a Dask scheduler.

    Parameters
    ----------
    address : str
        Where the scheduler listens, for example "tcp://scheduler:8786".
    timeout : float, default 30
        Seconds to wait.

    Raises
    ------
    ClusterError
        Nothing answers there: at once where the host is unknown or nothing listens, else when the time is over.
    """
    try:
        _knock(address, timeout)
        return Client(address, timeout=timeout, set_as_default=False)  # type: ignore[no-untyped-call]
    except (OSError, ValueError) as error:
        raise ClusterError(
            f"No Dask scheduler answered at {address!r} within {timeout:g} s ({type(error).__name__}: {error}). Check"
            " the address, that the scheduler runs, and that it runs the same version of Dask."
        ) from error


def _knock(address: str, timeout: float) -> None:
    """Fail where no scheduler answers. A client would try a closed port until its time is over, and one who says nothing for ever."""
    scheme, location = parse_address(address)
    if scheme in ("tcp", "tls"):
        socket.create_connection(parse_host_port(location), timeout).close()
    LoopRunner().run_sync(_identify, address, timeout)  # type: ignore[no-untyped-call]


async def _identify(address: str, timeout: float) -> None:
    arguments = Security().get_connection_args("client")  # type: ignore[no-untyped-call]
    remote = rpc(address, connection_args=arguments, timeout=timeout)  # type: ignore[no-untyped-call]
    async with remote:
        identity = await asyncio.wait_for(remote.identity(), timeout)
    if identity["type"] != "Scheduler":
        raise ValueError(f"a {identity['type'].lower()} listens there")


def start_local(workers: int, threads: int) -> Client:
    """Start a cluster of processes on this machine and connect to it; it ends when the client is closed.

    Parameters
    ----------
    workers : int
        Processes.
    threads : int
        Threads of each.
    """
    return Client(  # type: ignore[no-untyped-call]
        n_workers=workers,
        threads_per_worker=threads,
        processes=True,
        dashboard_address="127.0.0.1:0",
        set_as_default=False,
        silence_logs=logging.ERROR,  # that a worker took seconds to end is no news
    )


class DaskEngine:
    """Run passes on a Dask cluster.

    Parameters
    ----------
    client : distributed.Client
        Connected to the cluster; stays open and is the caller's to close.
    rows_per_task : int, optional
        The most rows in one task. Changes how the work is spread, never the result.
    memory_limit : int, optional
        Bytes of memory to reckon with when deciding whether data stay in memory; that of all workers by default.
    fan_in : int, default 16
        The most results that one task combines. Changes how the work is spread, never the result.
    allow_mixed_cpus : bool, default False
        Accept machines with different numeric fingerprints, and with them results that differ in the last bits.
    timeout : float, default 60
        Seconds to wait for the first worker.

    Raises
    ------
    ClusterError
        No worker came in time, or the machines differ.
    """

    def __init__(
        self,
        client: Client,
        *,
        rows_per_task: int | None = None,
        memory_limit: int | None = None,
        fan_in: int = FAN_IN,
        allow_mixed_cpus: bool = False,
        timeout: float = 60.0,
    ) -> None:
        self.client = client
        self.rows_per_task = rows_per_task
        self.memory_limit = memory_limit
        self.fan_in = fan_in
        with _cluster_failures("looking at the workers"):
            client.wait_for_workers(1, timeout=timeout)
            fingerprints = client.run(numeric_fingerprint)
        if not allow_mixed_cpus:
            _require_same(fingerprints)
        self._fingerprint = None if allow_mixed_cpus else numeric_fingerprint().digest

    def __repr__(self) -> str:
        return f"DaskEngine({self.client!r})"

    def map_reduce(
        self, source: Source, summarize: Callable[..., S], arguments: tuple[Any, ...] = (), *, name: str
    ) -> S:
        """Summarise every leaf once and combine the summaries: see `Engine.map_reduce`."""
        with self._opened(source, in_memory=False) as data:
            return data.map_reduce(summarize, arguments, name=name)

    def map(self, source: Source, function: Callable[..., R], arguments: tuple[Any, ...] = (), *, name: str) -> list[R]:
        """Apply a function to every partition, in order: see `Engine.map`."""
        runs = partition_runs(source.partitions, len(source.features), self._task_size(source))
        with one_thread(), self._submissions(name) as submissions, _cluster_failures(name):
            shared = submissions.share("source", source)
            job = submissions.share("arguments", self._job(name, function, arguments))
            visits = [
                submissions.submit("map", f"{run.start}:{run.stop}", tasks.visit_partitions, job, shared, run)
                for run in runs
            ]
            visited: list[list[R]] = self.client.gather(visits)  # type: ignore[no-untyped-call]
            return [result for results in visited for result in results]

    @contextmanager
    def hold(self, source: Source) -> Iterator[_DaskData]:
        """Open a source for several passes: see `Engine.hold`."""
        with self._opened(source, in_memory=self._fits(source)) as data:
            yield data

    @contextmanager
    def _opened(self, source: Source, *, in_memory: bool) -> Iterator[_DaskData]:
        size = self._task_size(source, LARGEST_HELD_BYTES if in_memory else None)
        tree = plan(source.partitions, len(source.features), size)
        # The driver's own products, between the passes, must not depend on its number of threads either.
        with one_thread(), self._submissions("data") as submissions:
            yield _DaskData(self, source, tree, submissions, in_memory=in_memory)

    def _job(self, name: str, function: Callable[..., Any], arguments: tuple[Any, ...]) -> Job:
        return Job(name=name, function=function, arguments=arguments, fingerprint=self._fingerprint)

    def _task_size(self, source: Source, nbytes: int | None = None) -> TaskSize:
        if self.rows_per_task is not None:
            return TaskSize(rows=self.rows_per_task)
        with _cluster_failures("looking at the workers"):
            threads = max(1, sum(self.client.nthreads().values()))  # type: ignore[no-untyped-call]
        share = sum(partition.rows or 0 for partition in source.partitions) // (TASKS_PER_THREAD * threads)
        return TaskSize(rows=min(max(share, SMALLEST_TASK_ROWS), LARGEST_TASK_ROWS), nbytes=nbytes)

    def _fits(self, source: Source) -> bool:
        with _cluster_failures("looking at the workers"):
            workers = self.client.scheduler_info()["workers"].values()
        limits = [worker["memory_limit"] for worker in workers]
        # A worker without a limit has that of its machine, for which this one must stand.
        available = sum(limits) if all(limits) else machine_bytes()
        return fits_in_memory(source, self.memory_limit or available, f"{len(limits)} workers")

    @contextmanager
    def _submissions(self, name: str) -> Iterator[_Submissions]:
        submissions = _Submissions(self.client, name)
        try:
            yield submissions
        except BaseException:
            submissions.cancel()
            raise
        finally:
            submissions.release()


class _Submissions:
    """Futures that are given back together."""

    def __init__(self, client: Client, name: str) -> None:
        self._client = client
        self._name = f"{uuid.uuid4().hex[:8]}-{name}"
        self._futures: list[Future[Any]] = []

    def submit(self, what: str, node: str, function: Callable[..., Any], *arguments: Any) -> Future[Any]:
        key = f"gmmdask-{what}-{self._name}-{node}"
        future = self._client.submit(_single_threaded, function, *arguments, key=key, pure=False)
        self._futures.append(future)
        return future

    def share(self, what: str, value: Any) -> Future[Any]:
        """Send a value once, as a task that any worker can run again."""
        return self.submit("share", what, _identity, value)

    def cancel(self) -> None:
        if self._client.status == "running":
            self._client.cancel(self._futures)  # type: ignore[no-untyped-call]

    def release(self) -> None:
        for future in self._futures:
            future.release()  # type: ignore[no-untyped-call]
        self._futures.clear()


class _DaskData:
    """A source on the cluster, how it is cut and, if it is held, the futures of its decoded nodes."""

    def __init__(
        self, engine: DaskEngine, source: Source, tree: Tree | None, submissions: _Submissions, *, in_memory: bool
    ) -> None:
        self.in_memory = in_memory
        self._engine = engine
        self._source = source
        self._tree = tree
        self._shared = submissions.share("source", source)
        self._submissions = submissions
        self._decoded: dict[Span, Future[Any]] = {}

    def map_reduce(self, summarize: Callable[..., S], arguments: tuple[Any, ...] = (), *, name: str) -> S:
        result: S | None = None
        if self._tree is not None:
            with self._engine._submissions(name) as submissions, _cluster_failures(name):
                job = submissions.share("arguments", self._engine._job(name, summarize, arguments))
                result = self._submitted(self._tree, job, submissions).result()
        return not_empty(result, self._source, name)

    def _submitted(self, tree: Tree, job: Future[Any], submissions: _Submissions) -> Future[Any]:
        def summarize(span: Span) -> Future[Any]:
            if not self.in_memory:
                return submissions.submit("summarize", span.label, tasks.summarize_span, job, self._shared, span)
            decoded = self._read(span)
            return submissions.submit(
                "summarize", span.label, tasks.summarize_decoded, job, self._shared, span, decoded
            )

        def combine(label: str, shape: Shape, results: list[Future[Any]]) -> Future[Any]:
            return submissions.submit("combine", label, tasks.combine_results, job, shape, *results)

        return fold(tree, summarize, combine, fan_in=self._engine.fan_in)

    def _read(self, span: Span) -> Future[Any]:
        if span not in self._decoded:
            self._decoded[span] = self._submissions.submit("read", span.label, tasks.read_span, self._shared, span)
        return self._decoded[span]


def _single_threaded(function: Callable[..., Any], *arguments: Any) -> Any:
    # Never given back: a worker's limit belongs to all its threads, and one that ends must not lift it for the others.
    threadpool_limits(limits=1)
    return function(*arguments)


def _identity(value: Any) -> Any:
    return value


def _require_same(fingerprints: dict[str, NumericFingerprint]) -> None:
    own = numeric_fingerprint()
    others = {address: own.differences(found) for address, found in fingerprints.items() if found != own}
    if others:
        told = "; ".join(f"worker {address}: {difference}" for address, difference in list(others.items())[:5])
        raise ClusterError(
            f"{len(others)} of {len(fingerprints)} workers compute with other bits than this process ({told}). Use"
            " machines of one kind with the same installed versions, here too, or pass allow_mixed_cpus=True to give"
            " up reproducible bytes."
        )


@contextmanager
def _cluster_failures(name: str) -> Iterator[None]:
    """Say what a failure of the cluster means; errors from within a task come through as they are."""
    try:
        yield
    except GmmdaskError:
        raise
    except KilledWorker as error:
        raise ClusterError(
            f"A task of {name} was tried on {error.allowed_failures + 1} workers and each of them died, the last at"
            f" {error.last_worker.address}. Most often that is a lack of memory: give the workers more, or fewer"
            " threads each, or set a smaller rows_per_task. Their logs tell."
        ) from error
    except (CancelledError, asyncio.CancelledError, CommClosedError, TimeoutError, ImportError) as error:
        raise ClusterError(
            f"The cluster was lost or not usable during {name}: {type(error).__name__}: {error}. Check that scheduler"
            " and workers run and have this version of gmmdask installed, then start again."
        ) from error
