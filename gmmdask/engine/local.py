"""The engine that works in this process: one after the other, or over a few threads.

Kernels and decoders release the interpreter's lock, so threads are enough. The serial engine is the case of width one
and the specification of the others. Nothing here knows of other processes.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from threading import Event
from typing import Any, TypeVar

from gmmdask.engine.memory import fits_in_memory, machine_bytes
from gmmdask.engine.pools import one_thread, single_threaded_workers
from gmmdask.engine.port import R, S
from gmmdask.engine.tasks import (
    DecodedSpan,
    Job,
    failures_at,
    not_empty,
    read_span,
    summarize_decoded,
    summarize_span,
    visit_partitions,
)
from gmmdask.engine.tree import Span, TaskSize, Tree, combine_optional, partition_runs, plan
from gmmdask.errors import GmmdaskError, InvalidInputError
from gmmdask.source import Source

TASKS_PER_THREAD = 4

T = TypeVar("T")


class LocalEngine:
    """Run passes in this process.

    Parameters
    ----------
    threads : int, default 1
        Number of tasks at a time; one means no thread pool at all.
    rows_per_task : int, optional
        The most rows in one task. Changes how the work is spread, never the result.
    memory_limit : int, optional
        Bytes of memory to reckon with when deciding whether data stay in memory; the machine's by default.
    """

    def __init__(self, threads: int = 1, *, rows_per_task: int | None = None, memory_limit: int | None = None) -> None:
        if threads < 1:
            raise InvalidInputError(f"A local engine needs at least one thread; threads={threads} was given.")
        self.threads = threads
        self.rows_per_task = rows_per_task
        self.memory_limit = machine_bytes() if memory_limit is None else memory_limit

    def __repr__(self) -> str:
        return f"LocalEngine(threads={self.threads})"

    def map_reduce(
        self, source: Source, summarize: Callable[..., S], arguments: tuple[Any, ...] = (), *, name: str
    ) -> S:
        """Summarise every leaf once and combine the summaries: see `Engine.map_reduce`."""
        with one_thread():
            return self._opened(source, in_memory=False).map_reduce(summarize, arguments, name=name)

    def map(self, source: Source, function: Callable[..., R], arguments: tuple[Any, ...] = (), *, name: str) -> list[R]:
        """Apply a function to every partition, in order: see `Engine.map`."""
        job = Job(name=name, function=function, arguments=arguments)
        runs = partition_runs(source.partitions, len(source.features), TaskSize(rows=0))
        with one_thread(), _in_order(partial(_visit, source), job, runs, self.threads) as visited:
            return [result for results in visited for result in results]

    @contextmanager
    def hold(self, source: Source) -> Iterator[_LocalData]:
        """Open a source for several passes: see `Engine.hold`."""
        in_memory = fits_in_memory(source, self.memory_limit, "this machine")
        with one_thread():
            data = self._opened(source, in_memory=in_memory)
            try:
                yield data
            finally:
                data.close()

    def _opened(self, source: Source, *, in_memory: bool) -> _LocalData:
        rows = sum(partition.rows or 0 for partition in source.partitions)
        share = max(1, -(-rows // (TASKS_PER_THREAD * self.threads)))
        tree = plan(source.partitions, len(source.features), TaskSize(rows=self.rows_per_task or share))
        return _LocalData(source, tree, self.threads, in_memory=in_memory)


class _LocalData:
    """A source, how it is cut, and the leaves decoded so far."""

    def __init__(self, source: Source, tree: Tree | None, threads: int, *, in_memory: bool) -> None:
        self.in_memory = in_memory
        self._source = source
        self._tree = tree
        self._threads = threads
        self._decoded: dict[Span, DecodedSpan] = {}

    def map_reduce(self, summarize: Callable[..., S], arguments: tuple[Any, ...] = (), *, name: str) -> S:
        job = Job(name=name, function=summarize, arguments=arguments)
        result: S | None = None
        if self._tree is not None:
            tasks = _in_order(self._summarize, job, _spans(self._tree), self._threads)
            with failures_at("Combining tasks", name), tasks as results:
                result = _combined(self._tree, results)
        return not_empty(result, self._source, name)

    def close(self) -> None:
        self._decoded.clear()

    def _summarize(self, job: Job, span: Span) -> Any:
        if not self.in_memory:
            return summarize_span(job, self._source, span)
        if span not in self._decoded:
            self._decoded[span] = read_span(self._source, span)
        return summarize_decoded(job, self._source, span, self._decoded[span])


def _visit(source: Source, job: Job, run: range) -> list[Any]:
    return visit_partitions(job, source, run)


def _unless_stopped(stopped: Event, function: Callable[..., T], *arguments: Any) -> T:
    if stopped.is_set():
        raise GmmdaskError("another task failed or the run was interrupted")
    return function(*arguments)


def _spans(tree: Tree) -> Iterator[Span]:
    if isinstance(tree, Span):
        yield tree
    else:
        for half in tree:
            yield from _spans(half)


def _combined(tree: Tree, results: Iterator[S | None]) -> S | None:
    """Combine results that arrive in the order of the nodes, holding no more than the tree is deep."""
    if isinstance(tree, Span):
        return next(results)
    left = _combined(tree[0], results)
    return combine_optional(left, _combined(tree[1], results))


@contextmanager
def _in_order(task: Callable[[Job, Any], T], job: Job, items: Iterable[Any], threads: int) -> Iterator[Iterator[T]]:
    """Give the results in the order of the items; leaving early lets nothing run on.

    A single thread computes when asked. Several compute at once, but never far ahead of the reader.
    """
    if threads == 1:
        yield map(partial(task, job), items)
        return
    stopped = Event()
    stoppable = replace(job, function=partial(_unless_stopped, stopped, job.function))
    pool = single_threaded_workers(threads)
    try:
        yield _windowed(pool, partial(task, stoppable), items, 2 * threads)
    finally:
        stopped.set()
        pool.shutdown(wait=True, cancel_futures=True)


def _windowed(pool: ThreadPoolExecutor, function: Callable[[Any], T], items: Iterable[Any], width: int) -> Iterator[T]:
    running: deque[Future[T]] = deque()
    for item in items:
        running.append(pool.submit(function, item))
        if len(running) > width:
            yield running.popleft().result()
    while running:
        yield running.popleft().result()
