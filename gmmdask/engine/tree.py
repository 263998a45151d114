"""The tree in which summaries are combined, and how it is cut into tasks.

Leaves are combined to their partition, partitions to their date, dates to the whole; each level is a binary tree over
its own index: (0, 1), (2, 3), ... pairwise, level by level, an odd one passed up. A partition without leaves keeps its
place and adds nothing. That order is part of the result. Which part of it one task computes is not: a task takes one
node, chosen here from rows and bytes, and any choice gives the same bytes. Nothing here reads, summarises or schedules.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from gmmdask.engine.port import S
from gmmdask.errors import InvalidInputError
from gmmdask.source import Partition

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Span:
    """One node of the tree, as the leaves that it covers.

    Parameters
    ----------
    dates : tuple of (first, stop)
        For every date the range of its partitions.
    leaves : tuple of (first, stop), optional
        Range of leaves, where the node covers a part of a single partition.
    """

    dates: tuple[tuple[int, int], ...]
    leaves: tuple[int, int] | None = None

    @property
    def first(self) -> int:
        """Position of the first partition."""
        return self.dates[0][0]

    @property
    def stop(self) -> int:
        """Position after the last partition."""
        return self.dates[-1][1]

    @property
    def label(self) -> str:
        """Short name of the node for keys: the range of partitions, or partition and range of leaves."""
        if self.leaves is not None:
            return f"{self.first}.{self.leaves[0]}:{self.leaves[1]}"
        return f"{self.first}:{self.stop}"


Tree = Span | tuple["Tree", "Tree"]
"""A node that one task computes, or the two halves of a node that is put together from several tasks."""

Shape = int | tuple["Shape", "Shape"]
"""The order in which numbered summaries are combined: ((0, 1), 2)."""


@dataclass(frozen=True, kw_only=True, slots=True)
class TaskSize:
    """The most that one task should take on; a single leaf, or a partition of unknown length, may be more.

    Parameters
    ----------
    rows : int
        Number of rows.
    nbytes : int, optional
        Size of the decoded features in bytes; None where it does not matter.
    """

    rows: int
    nbytes: int | None = None


def combine_optional(left: S | None, right: S | None) -> S | None:
    """Combine two summaries, either of which may stand for no leaves."""
    if left is None or right is None:
        return right if left is None else left
    return left.combine(right)


def pairwise(summaries: Iterable[S | None]) -> S | None:
    """Combine a stream in the order of the pairwise tree, holding no more than log2 of its length.

    Works like a binary counter: two neighbours of one level become one of the next. None adds nothing but has a place.
    """
    waiting: list[tuple[int, S | None]] = []
    for summary in summaries:
        level = 0
        while waiting and waiting[-1][0] == level:
            summary = combine_optional(waiting.pop()[1], summary)
            level += 1
        waiting.append((level, summary))
    passed_up: S | None = None
    for _, summary in reversed(waiting):
        passed_up = combine_optional(summary, passed_up)
    return passed_up


def reduce_span(span: Span, summaries: Callable[[int], Iterable[S]]) -> S | None:
    """Combine one node; `summaries` gives those of the leaves of a partition, in order."""
    return pairwise(pairwise(pairwise(summaries(p)) for p in range(*date)) for date in span.dates)


def reduce_shape(shape: Shape, summaries: Sequence[S | None]) -> S | None:
    """Combine numbered summaries as their shape says."""
    if isinstance(shape, int):
        return summaries[shape]
    left, right = shape
    return combine_optional(reduce_shape(left, summaries), reduce_shape(right, summaries))


def root(partitions: Sequence[Partition]) -> Span | None:
    """Return the node that covers everything; None for a source without partitions.

    Raises
    ------
    InvalidInputError
        Partitions of one date do not stand together.
    """
    dates: dict[str, tuple[int, int]] = {}
    for date, members in groupby(enumerate(partitions), key=lambda member: member[1].date):
        positions = [position for position, _ in members]
        if date in dates:
            raise InvalidInputError(
                f"Partition {partitions[positions[0]].name!r} at position {positions[0]} has the date {date!r}, but"
                f" that date's partitions ended at position {dates[date][1] - 1}. Order a source's partitions by date."
            )
        dates[date] = (positions[0], positions[-1] + 1)
    return Span(tuple(dates.values())) if dates else None


def plan(partitions: Sequence[Partition], n_features: int, size: TaskSize) -> Tree | None:
    """Cut the tree into nodes of at most `size`, from the top down; None for a source without partitions.

    Takes time in proportion to the partitions and the tasks, not to the leaves.
    """
    whole = root(partitions)
    return None if whole is None else _cut(whole, _Costs.of(partitions, n_features, size))


def partition_runs(partitions: Sequence[Partition], n_features: int, size: TaskSize) -> list[range]:
    """Group neighbouring partitions into runs of about `size`, for work that needs partitions whole."""
    costs = _Costs.of(partitions, n_features, size)
    runs: list[range] = []
    for position in range(len(partitions)):
        longer = range(runs[-1].start, position + 1) if runs else None
        if longer is not None and costs.fits(Span(((longer.start, longer.stop),))):
            runs[-1] = longer
        else:
            runs.append(range(position, position + 1))
    return runs


def fold(tree: Tree, leaf: Callable[[Span], T], join: Callable[[str, Shape, list[T]], T], *, fan_in: int) -> T:
    """Turn the tree into tasks: `leaf` for a node, `join` to combine at most `fan_in` results in a given shape.

    Every result is made from left to right and before it is used. The label that `join` gets names what it covers.
    """
    return _fold(tree, leaf, join, max(2, fan_in)).joined(join).inputs[0]


@dataclass(frozen=True, slots=True)
class _Branch(Generic[T]):
    """Results that are still to be combined, the shape to do it in, and the first and last node covered."""

    shape: Shape
    inputs: list[T]
    first: Span
    last: Span

    def joined(self, join: Callable[[str, Shape, list[T]], T]) -> _Branch[T]:
        if len(self.inputs) == 1:
            return self
        result = join(f"{self.first.label}-{self.last.label}", self.shape, self.inputs)
        return _Branch(0, [result], self.first, self.last)

    def followed_by(self, other: _Branch[T]) -> _Branch[T]:
        shape = (self.shape, _shifted(other.shape, len(self.inputs)))
        return _Branch(shape, self.inputs + other.inputs, self.first, other.last)


def _fold(tree: Tree, leaf: Callable[[Span], T], join: Callable[[str, Shape, list[T]], T], fan_in: int) -> _Branch[T]:
    if isinstance(tree, Span):
        return _Branch(0, [leaf(tree)], tree, tree)
    left, right = (_fold(half, leaf, join, fan_in) for half in tree)
    while len(left.inputs) + len(right.inputs) > fan_in:
        if len(left.inputs) >= len(right.inputs):
            left = left.joined(join)
        else:
            right = right.joined(join)
    return left.followed_by(right)


def _shifted(shape: Shape, by: int) -> Shape:
    return shape + by if isinstance(shape, int) else (_shifted(shape[0], by), _shifted(shape[1], by))


@dataclass(frozen=True, slots=True)
class _Costs:
    """Running totals over the partitions, so that the cost of any range is a difference."""

    rows: NDArray[np.float64]
    nbytes: NDArray[np.float64]
    n_leaves: tuple[int | None, ...]
    size: TaskSize

    @classmethod
    def of(cls, partitions: Sequence[Partition], n_features: int, size: TaskSize) -> _Costs:
        row_bytes = 8 * max(1, n_features)
        rows = [_rows(partition, row_bytes, size.rows) for partition in partitions]
        nbytes = [
            row_bytes * n if partition.nbytes is None else partition.nbytes
            for partition, n in zip(partitions, rows, strict=True)
        ]
        n_leaves = tuple(partition.n_leaves for partition in partitions)
        return cls(np.cumsum([0.0, *rows]), np.cumsum([0.0, *nbytes]), n_leaves, size)

    def fits(self, span: Span) -> bool:
        share = 1.0
        if span.leaves is not None:
            share = (span.leaves[1] - span.leaves[0]) / (self.n_leaves[span.first] or 1)
        rows, nbytes = (share * (total[span.stop] - total[span.first]) for total in (self.rows, self.nbytes))
        return bool(rows <= self.size.rows and (self.size.nbytes is None or nbytes <= self.size.nbytes))

    def leaf_range(self, span: Span) -> tuple[int, int]:
        return span.leaves or (0, self.n_leaves[span.first] or 1)


def _rows(partition: Partition, row_bytes: int, unknown: int) -> float:
    if partition.rows is not None:
        return partition.rows
    return unknown if partition.nbytes is None else partition.nbytes / row_bytes


def _cut(span: Span, costs: _Costs) -> Tree:
    halves = None if costs.fits(span) else _halves(span, costs)
    return span if halves is None else (_cut(halves[0], costs), _cut(halves[1], costs))


def _halves(span: Span, costs: _Costs) -> tuple[Span, Span] | None:
    """Return the two children of a node, or None for a leaf and for a partition whose leaves are not known."""
    if len(span.dates) > 1:
        middle = _left_size(len(span.dates))
        return Span(span.dates[:middle]), Span(span.dates[middle:])
    if span.stop - span.first > 1:
        middle = span.first + _left_size(span.stop - span.first)
        return Span(((span.first, middle),)), Span(((middle, span.stop),))
    first, stop = costs.leaf_range(span)
    if stop - first < 2:
        return None
    middle = first + _left_size(stop - first)
    return Span(span.dates, (first, middle)), Span(span.dates, (middle, stop))


def _left_size(n: int) -> int:
    """Return how many of n > 1 neighbours the left child of the pairwise tree covers: the largest power of two < n."""
    return 1 << ((n - 1).bit_length() - 1)
