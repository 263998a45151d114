"""Made-up sources and a summary that tells how it was made: what engines are checked with.

The oracle `expected` is a plain recursion over lists that shares nothing with the engines. No check lives here.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from gmmdask.engine.port import S
from gmmdask.source import Leaf, Partition


@dataclass(frozen=True, kw_only=True, slots=True)
class MemorySource:
    """A source made up on the spot: every leaf is computed from its position.

    Parameters
    ----------
    partitions : tuple of Partition
        What the source says of its partitions.
    leaf_rows : tuple of tuple of int
        The rows of every leaf of every partition: what it really holds.
    """

    partitions: tuple[Partition, ...]
    leaf_rows: tuple[tuple[int, ...], ...]

    @classmethod
    def of(
        cls, leaf_rows: Sequence[Sequence[int]], dates: Sequence[str] | None = None, *, known: bool = True
    ) -> MemorySource:
        """Make a source from the rows of every leaf; with `known` false nothing is said of them beforehand."""
        dates = dates or [""] * len(leaf_rows)
        partitions = tuple(
            Partition(
                name=f"part-{position:05d}",
                fingerprint=str(sum(rows)),
                date=date,
                group_rows=tuple(rows) if known else None,
            )
            for position, (rows, date) in enumerate(zip(leaf_rows, dates, strict=True))
        )
        return cls(partitions=partitions, leaf_rows=tuple(tuple(rows) for rows in leaf_rows))

    @property
    def features(self) -> tuple[str, ...]:
        """Names of the two features."""
        return ("x", "y")

    @property
    def fingerprint(self) -> str:
        """Changes with the content."""
        return repr(self.leaf_rows)

    def read(self, partition: int, first: int = 0, stop: int | None = None) -> Iterator[Leaf]:
        """Yield the leaves: numbers of very different size, so that the order of additions shows in the bits."""
        rows = self.leaf_rows[partition]
        for index in range(first, len(rows) if stop is None else stop):
            start = sum(rows[:index])
            position = np.arange(start, start + rows[index], dtype=np.float64) + 1000 * partition + 1
            values = np.stack([np.sin(position) * 10.0 ** (position % 17 - 8), np.cos(position)])
            yield Leaf(partition=partition, index=index, start=start, values=values)


@dataclass(frozen=True, kw_only=True, slots=True)
class FailingSource(MemorySource):
    """A source whose partition `broken` cannot be read."""

    broken: int
    error: Exception

    def read(self, partition: int, first: int = 0, stop: int | None = None) -> Iterator[Leaf]:
        """Raise the error after the first leaf of the broken partition."""
        for leaf in MemorySource.read(self, partition, first, stop):
            yield leaf
            if partition == self.broken:
                raise self.error


@dataclass(frozen=True, kw_only=True, slots=True)
class RepeatingSource(MemorySource):
    """A source that yields the first leaf of the partition `broken` twice."""

    broken: int

    def read(self, partition: int, first: int = 0, stop: int | None = None) -> Iterator[Leaf]:
        """Yield the leaves, and one of them too often."""
        for leaf in MemorySource.read(self, partition, first, stop):
            yield leaf
            if (leaf.partition, leaf.index) == (self.broken, 0):
                yield leaf


@dataclass(frozen=True, kw_only=True, slots=True)
class Witness:
    """A summary that tells in which order it was made, in words and in the bits of a sum.

    Parameters
    ----------
    shape : str
        The tree, every leaf as partition.index.
    rows : int
        Number of rows.
    total : float
        Sum of all values, whose last bits depend on the order of the additions.
    scale : float
        The argument that was handed to every leaf.
    """

    shape: str
    rows: int
    total: float
    scale: float

    def combine(self, other: Witness, /) -> Witness:
        """Return the witness of both."""
        return Witness(
            shape=f"({self.shape} {other.shape})",
            rows=self.rows + other.rows,
            total=self.total + other.total,
            scale=self.scale,
        )

    def to_bytes(self) -> bytes:
        """Return all of it as bytes."""
        return self.shape.encode() + struct.pack("<qdd", self.rows, self.total, self.scale)


def witness(leaf: Leaf, scale: float = 1.0) -> Witness:
    """Summarise a leaf."""
    name = f"{leaf.partition}.{leaf.index}"
    return Witness(shape=name, rows=leaf.n_rows, total=scale * float(leaf.values.sum()), scale=scale)


def expected(source: MemorySource, summarize: Callable[..., S], *arguments: object) -> S | None:
    """Return what every engine must return: the tree as the specification tells it, level by level."""
    dates: dict[str, list[S | None]] = {}
    for position, partition in enumerate(source.partitions):
        leaves = [summarize(leaf, *arguments) for leaf in MemorySource.read(source, position)]
        dates.setdefault(partition.date, []).append(_level_by_level(leaves))
    return _level_by_level([_level_by_level(partitions) for partitions in dates.values()])


def _level_by_level(values: Sequence[S | None]) -> S | None:
    if len(values) < 2:
        return values[0] if values else None
    pairs = [values[start : start + 2] for start in range(0, len(values), 2)]
    return _level_by_level([_both(*pair) if len(pair) == 2 else pair[0] for pair in pairs])


def _both(left: S | None, right: S | None) -> S | None:
    if left is None:
        return right
    return left if right is None else left.combine(right)


SOURCES: dict[str, MemorySource] = {
    "one row": MemorySource.of([[1]]),
    "one partition of seven leaves": MemorySource.of([[3, 1, 4, 1, 5, 9, 2]]),
    "unequal partitions": MemorySource.of([[5], [1, 1, 1], [8, 8, 8, 8, 8], [2]]),
    "three dates": MemorySource.of([[5, 1]] * 11, ["2013-01-01"] * 3 + ["2013-01-02"] * 7 + ["2013-01-03"]),
    "empty partitions": MemorySource.of([[], [2], [], [], [3, 3, 3], []], ["a", "a", "b", "c", "c", "d"]),
    "unknown lengths": MemorySource.of([[4, 4, 4], [], [1], [2, 2]], ["a", "a", "b", "b"], known=False),
    "many small": MemorySource.of([[1 + position % 3] * (position % 4) for position in range(23)]),
}
"""Small sources, one for every kind of data that an engine must get right."""
