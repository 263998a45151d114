"""Read the leaves of one Parquet file: one row group at a time, only the columns needed, on the calling thread.

Knows Arrow and leaves; knows nothing of where files lie or of the order of partitions.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import IO, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from gmmdask.errors import UnreadablePartitionError
from gmmdask.lake.decoding import decode_into, encode_into
from gmmdask.lake.finite import require_weights
from gmmdask.lake.location import unreadable
from gmmdask.lake.manifest import footer_of
from gmmdask.lake.schema import is_single, require_fitting, require_numeric, require_same, require_same_category
from gmmdask.source import Leaf, leaf_spans


@dataclass(frozen=True, kw_only=True, slots=True)
class Columns:
    """Which columns of a file become what.

    Parameters
    ----------
    features : tuple of str
        Rows of `Leaf.values`, in this order.
    weight : str, optional
        Column of row weights.
    carried : tuple of str
        Columns of the file that travel as Arrow arrays.
    schema : pyarrow.Schema
        Types that the lake knows for them.
    coded : tuple of str, default ()
        Features that are categories, decoded as their codes.
    """

    features: tuple[str, ...]
    weight: str | None
    carried: tuple[str, ...]
    schema: pa.Schema
    coded: tuple[str, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """Every column to read, once."""
        weight = () if self.weight is None else (self.weight,)
        return tuple(dict.fromkeys((*self.features, *weight, *self.carried)))

    def check(self, schema: pa.Schema, partition: str) -> None:
        """Raise SchemaError unless a file of this schema can be read."""
        require_same(schema, self.schema, self.names, partition)
        place = f" in partition {partition!r}"
        for name in self.features:
            require_fitting(schema, name, place, is_category=name in self.coded)
        for name in self.coded:
            require_same_category(schema, self.schema, name, partition)
        if self.weight is not None:
            require_numeric(schema, self.weight, place)

    def is_single(self, schema: pa.Schema) -> bool:
        """Return whether the features of a file of this schema are decoded to float32."""
        return not self.coded and all(is_single(schema.field(name).type) for name in self.features)


@dataclass(frozen=True, kw_only=True, slots=True)
class LeafRange:
    """The leaves `first` to `stop` of one partition, and what is known of its rows."""

    position: int
    name: str
    first: int = 0
    stop: int | None = None
    group_rows: tuple[int, ...] | None = None


def read_leaves(
    opened: AbstractContextManager[IO[bytes]], leaves: LeafRange, columns: Columns, constants: Mapping[str, str]
) -> Iterator[Leaf]:
    """Yield leaves of a Parquet file.

    Parameters
    ----------
    opened : context manager of a binary file
        Entered when the first leaf is asked for and left after the last.
    leaves : LeafRange
        Which leaves.
    columns : Columns
        Which columns.
    constants : mapping of str to str
        Carried partition values, which are in the path and not in the file.

    Raises
    ------
    UnreadablePartitionError
        The file is damaged or is not the one whose footer was read.
    SchemaError
        A column is missing or of another kind than in the lake.
    InvalidInputError
        A weight is negative, missing or infinite.
    """
    with opened as file:
        with unreadable(leaves.name):
            parquet = pq.ParquetFile(file, pre_buffer=True, page_checksum_verification=True)
            footer = footer_of(parquet.metadata)
        _require_rows(leaves, footer.group_rows)
        columns.check(footer.schema, leaves.name)
        dtype = np.dtype(np.float32 if columns.is_single(footer.schema) else np.float64)
        for index, start, table in _leaf_tables(parquet, leaves, columns.names, footer.group_rows):
            yield _leaf(table, columns, constants, (leaves.position, index, start), dtype, leaves.name)


def _leaf_tables(
    parquet: pq.ParquetFile, leaves: LeafRange, names: Sequence[str], group_rows: tuple[int, ...]
) -> Iterator[tuple[int, int, pa.Table]]:
    offsets = np.concatenate([[0], np.cumsum(group_rows, dtype=np.int64)])
    spans = leaf_spans(group_rows)
    current, table = -1, None
    for index in range(leaves.first, len(spans) if leaves.stop is None else min(leaves.stop, len(spans))):
        group, start, stop = spans[index]
        with unreadable(leaves.name):
            if group != current or table is None:
                table = None  # the last row group is released before the next is decoded
                table = parquet.read_row_group(group, columns=list(names), use_threads=False)
                current = group
            _require_decoded(table, group, group_rows[group], leaves.name)
        yield index, int(offsets[group]) + start, table.slice(start, stop - start)


def _leaf(
    table: pa.Table,
    columns: Columns,
    constants: Mapping[str, str],
    place: tuple[int, int, int],
    dtype: np.dtype[Any],
    name: str,
) -> Leaf:
    position, index, start = place
    values = np.empty((len(columns.features), table.num_rows), dtype=dtype)
    with unreadable(name):
        for row, feature in zip(values, columns.features, strict=True):
            (encode_into if feature in columns.coded else decode_into)(row, table.column(feature))
        carried = {column: _joined(table.column(column)) for column in columns.carried}
        weights = _weights(table, columns.weight)
    carried |= {key: pa.repeat(value, table.num_rows) for key, value in constants.items()}
    if weights is not None:
        require_weights(weights, f"column {columns.weight!r} of partition {name!r}", start)
    return Leaf(partition=position, index=index, start=start, values=values, weights=weights, carried=carried)


def _weights(table: pa.Table, column: str | None) -> NDArray[np.float64] | None:
    if column is None:
        return None
    weights = np.empty(table.num_rows)
    decode_into(weights, table.column(column))
    return weights


def _joined(column: pa.ChunkedArray[Any]) -> Any:
    return column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()


def _require_rows(leaves: LeafRange, group_rows: tuple[int, ...]) -> None:
    if leaves.group_rows is not None and leaves.group_rows != group_rows:
        raise UnreadablePartitionError(
            f"partition {leaves.name!r} has row groups of {list(group_rows)} rows and had {list(leaves.group_rows)} "
            "when the lake was opened; open the lake again"
        )


def _require_decoded(table: pa.Table, group: int, rows: int, name: str) -> None:
    if table.num_rows != rows:
        raise UnreadablePartitionError(
            f"partition {name!r}: row group {group} holds {table.num_rows} rows and its footer says {rows}; "
            "restore the file"
        )
