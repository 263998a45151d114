"""The one thing that training and scoring know of data: ordered partitions of ordered leaves.

A *source* is a small, picklable description of data that lives elsewhere. Its partitions are ordered by date and
relative path; a partition is made of row groups, a row group of leaves of at most `LEAF_ROWS` rows. Leaves are the
units that are read, summarised and combined; they are numbered within their partition from zero.

Adapters live in `gmmdask.lake`; nothing here reads anything.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

LEAF_ROWS = 262_144
"""The largest number of rows in a leaf. Part of what determines the bits of every sum."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Partition:
    """What is known of a partition without reading its rows.

    Parameters
    ----------
    name : str
        Unique within the source and stable between runs: the relative path, or a number.
    fingerprint : str
        Changes whenever the content may have changed (etag, else size and modification time).
    date : str, default ""
        ISO date of the partition; partitions of one date are combined with each other first.
    group_rows : tuple of int, optional
        Rows of every row group; None where only reading can tell.
    nbytes : int, optional
        Estimated size of the decoded features in bytes.
    """

    name: str
    fingerprint: str
    date: str = ""
    group_rows: tuple[int, ...] | None = None
    nbytes: int | None = None

    @property
    def rows(self) -> int | None:
        """Number of rows, if known."""
        return None if self.group_rows is None else sum(self.group_rows)

    @property
    def n_leaves(self) -> int | None:
        """Number of leaves, if known."""
        return None if self.group_rows is None else sum(-(-rows // LEAF_ROWS) for rows in self.group_rows)


@dataclass(frozen=True, kw_only=True, slots=True)
class Leaf:
    """Rows of one leaf.

    Parameters
    ----------
    partition : int
        Position of the partition in the source.
    index : int
        Number of the leaf within its partition.
    start : int
        Number of its first row within the partition (before any row was dropped).
    values : ndarray of shape (n_features, n_rows), float64 or float32
        Feature-major, C-contiguous; NaN where a value is missing.
    weights : ndarray of shape (n_rows,), float64, optional
        Row weights; None means one each.
    carried : mapping of str to arrow array
        Columns that travel beside the features: ids and described columns.
    """

    partition: int
    index: int
    start: int
    values: NDArray[Any]
    weights: NDArray[np.float64] | None = None
    carried: Mapping[str, Any] = field(default_factory=dict)

    @property
    def n_rows(self) -> int:
        """Number of rows in this leaf."""
        return int(self.values.shape[1])


class Source(Protocol):
    """Ordered partitions that can be read leaf by leaf, on any machine that holds a copy of this object."""

    @property
    def features(self) -> tuple[str, ...]:
        """Names of the features, in the order of the rows of `Leaf.values`."""
        ...

    @property
    def partitions(self) -> Sequence[Partition]:
        """The partitions, in the order in which they are combined."""
        ...

    @property
    def fingerprint(self) -> str:
        """Changes whenever the content or the shape of the data may have changed."""
        ...

    def read(self, partition: int, first: int = 0, stop: int | None = None) -> Iterator[Leaf]:
        """Yield the leaves `first` to `stop` (exclusive; None: to the last) of a partition, in order.

        Raises
        ------
        UnreadablePartitionError
            The partition is corrupt or gone; names it.
        SchemaError
            A column is missing or of another type than in the other partitions.
        """
        ...


def leaf_spans(group_rows: Sequence[int]) -> list[tuple[int, int, int]]:
    """Return (row group, first row, last row + 1) within the row group for every leaf of a partition.

    Examples
    --------
    >>> leaf_spans([3, 0, 262_145])
    [(0, 0, 3), (2, 0, 262144), (2, 262144, 262145)]
    """
    return [
        (group, start, min(start + LEAF_ROWS, rows))
        for group, rows in enumerate(group_rows)
        for start in range(0, rows, LEAF_ROWS)
    ]
