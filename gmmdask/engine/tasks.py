"""What one task does: read a node, summarise it, combine results, visit whole partitions.

Pure functions of their arguments, the same on every engine, so that a task that runs again gives the same bytes. Errors
are given the partition's name here and nowhere else. Nothing here knows a scheduler, a thread or a cluster.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from gmmdask.engine.fingerprint import require_fingerprint
from gmmdask.engine.port import S
from gmmdask.engine.tree import Shape, Span, reduce_shape, reduce_span
from gmmdask.errors import (
    EmptyDataError,
    GmmdaskError,
    InconsistentStatisticsError,
    MemoryLimitError,
    UnreadablePartitionError,
)
from gmmdask.source import Leaf, Source


@dataclass(frozen=True, kw_only=True, slots=True)
class Job:
    """What every task of a pass shares.

    Parameters
    ----------
    name : str
        Name of the pass.
    function : callable
        What is applied to every leaf, or to every partition.
    arguments : tuple
        Its further arguments.
    fingerprint : str, optional
        Numeric fingerprint that the machine must have; None where any will do.
    """

    name: str
    function: Callable[..., Any]
    arguments: tuple[Any, ...] = ()
    fingerprint: str | None = None


class DecodedSpan:
    """The decoded leaves of one node; reports its true size to whoever accounts for memory."""

    __slots__ = ("leaves", "nbytes")

    def __init__(self, leaves: dict[int, list[Leaf]]) -> None:
        self.leaves = leaves
        self.nbytes = sum(_leaf_bytes(leaf) for group in leaves.values() for leaf in group)

    def __sizeof__(self) -> int:
        return object.__sizeof__(self) + self.nbytes


def read_span(source: Source, span: Span) -> DecodedSpan:
    """Read and decode the leaves of a node, for all the passes to come."""
    name = "reading into memory"
    return DecodedSpan({p: list(read_leaves(source, p, span.leaves, name)) for p in range(span.first, span.stop)})


def summarize_span(job: Job, source: Source, span: Span) -> Any:
    """Read the leaves of a node one at a time, summarise each, and combine the summaries."""
    return _reduce(job, source, span, lambda p: read_leaves(source, p, span.leaves, job.name))


def summarize_decoded(job: Job, source: Source, span: Span, decoded: DecodedSpan) -> Any:
    """Summarise the leaves of a node that was read before, and combine the summaries."""
    return _reduce(job, source, span, lambda p: iter(decoded.leaves[p]))


def combine_results(job: Job, shape: Shape, *results: S | None) -> S | None:
    """Combine the results of other tasks in the given shape."""
    require_fingerprint(job.fingerprint)
    with failures_at(f"Combining {len(results)} results", job.name):
        return reduce_shape(shape, results)


def visit_partitions(job: Job, source: Source, run: range) -> list[Any]:
    """Apply the job's function to whole partitions, one after the other."""
    require_fingerprint(job.fingerprint)
    results = []
    for partition in run:
        with failures_at(place(source, partition), job.name):
            leaves = read_leaves(source, partition, None, job.name)
            results.append(job.function(partition, leaves, *job.arguments))
    return results


def read_leaves(source: Source, partition: int, leaves: tuple[int, int] | None, name: str) -> Iterator[Leaf]:
    """Yield the leaves of a partition, or a range of them, making sure that they are all there and in order.

    Raises
    ------
    UnreadablePartitionError
        Reading failed, or the leaves are not those that were announced; names the partition.
    """
    due, stop = leaves or (0, source.partitions[partition].n_leaves)
    with failures_at(place(source, partition), name, UnreadablePartitionError):
        for leaf in source.read(partition, due, None if leaves is None else stop):
            _require_due(leaf, partition, due)
            yield leaf
            due += 1
        if stop is not None and due != stop:
            raise UnreadablePartitionError(
                f"it ended after {due} leaves where {stop} were announced. It has changed since it was listed: open"
                " the source again"
            )


def not_empty(result: S | None, source: Source, name: str) -> S:
    """Return the result of a pass, or refuse a source that has none.

    Raises
    ------
    EmptyDataError
        No partition has a leaf.
    """
    if result is None:
        count = len(source.partitions)
        raise EmptyDataError(
            f"There is nothing to summarise during {name}: none of the {count} partitions has a row."
            " Check what writes these files, or point to data with rows."
        )
    return result


def place(source: Source, partition: int) -> str:
    """Return the partition's name and position for a message."""
    partitions = source.partitions
    return f"Partition {partitions[partition].name!r} ({partition + 1} of {len(partitions)})"


@contextmanager
def failures_at(where: str, name: str, otherwise: type[GmmdaskError] = GmmdaskError) -> Iterator[None]:
    """Say where a failure happened, once, at the innermost place that knows.

    An error of gmmdask's own keeps its class, a lack of memory is a MemoryLimitError, all else becomes `otherwise`.
    What crosses between machines is the message alone, so the place and the cause are written into it.
    """
    try:
        yield
    except GmmdaskError as error:
        mark = f" during {name}: "
        if mark not in str(error):
            error.args = (f"{where}{mark}{error}", *error.args[1:])
        raise
    except Exception as error:
        kind = MemoryLimitError if isinstance(error, MemoryError) else otherwise
        raise kind(f"{where} during {name}: {type(error).__name__}: {error}") from error


def _reduce(job: Job, source: Source, span: Span, leaves: Callable[[int], Iterator[Leaf]]) -> Any:
    require_fingerprint(job.fingerprint)
    with failures_at(f"Combining partitions {span.label}", job.name):
        return reduce_span(span, lambda p: _summaries(job, source, p, leaves(p)))


def _summaries(job: Job, source: Source, partition: int, leaves: Iterator[Leaf]) -> Iterator[Any]:
    for leaf in leaves:
        with failures_at(place(source, partition), job.name):
            summary = job.function(leaf, *job.arguments)
        yield summary


def _require_due(leaf: Leaf, partition: int, due: int) -> None:
    if (leaf.partition, leaf.index) != (partition, due):
        raise InconsistentStatisticsError(
            f"leaf {leaf.index} of partition {leaf.partition} came where leaf {due} of partition {partition} was due."
            " `Source.read` must yield the leaves in order, each once"
        )


def _leaf_bytes(leaf: Leaf) -> int:
    carried = sum(getattr(column, "nbytes", None) or sys.getsizeof(column) for column in leaf.carried.values())
    return leaf.values.nbytes + (0 if leaf.weights is None else leaf.weights.nbytes) + carried
