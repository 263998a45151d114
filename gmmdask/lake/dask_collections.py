"""A Dask array or DataFrame as a source: one partition per block of rows.

A partition holds the part of the collection's graph that makes it, and `read` runs that part in the calling thread. So
a partition can be read on a worker, by the engine's own task, without submitting tasks from tasks. Where the graph
needs results that a cluster keeps (a persisted collection, futures), only their keys travel; they are gathered when the
partition is read. On a worker that happens through `worker_client`, which gives the thread back while it waits: results
that are still being computed, or are computed again after a lost worker, find a thread to run on.

What every partition needs (a shuffle, a sort) is computed again for each of them: persist such a collection first.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import dask.array as da
import numpy as np
from dask._task_spec import DataNode
from dask.base import is_dask_collection as is_collection
from dask.local import get_sync
from numpy.typing import NDArray

from gmmdask.errors import (
    GmmdaskError,
    InvalidInputError,
    SchemaError,
    UnknownNameError,
    UnreadablePartitionError,
)
from gmmdask.lake.dask_graphs import Block, blocks_of, client_of, gather, known_rows, weights_beside
from gmmdask.lake.fingerprint import digest
from gmmdask.lake.finite import require_weights
from gmmdask.lake.schema import nearest
from gmmdask.source import Leaf, Partition, leaf_spans


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class DaskCollectionSource:
    """Blocks of rows of a Dask collection as a source. Made by `source_of`.

    Parameters
    ----------
    features : tuple of str
        Names of the columns.
    dtype : dtype
        float32 if every column is, else float64.
    blocks : tuple of Block
        The partitions.
    weight_column : str, optional
        Column of row weights in the blocks of a DataFrame.
    """

    features: tuple[str, ...]
    dtype: np.dtype[Any]
    blocks: tuple[Block, ...]
    weight_column: str | None = None
    # The collections keep results on the cluster alive, and the client reaches them from any thread of this process. A
    # copy on a worker needs neither.
    _origin: tuple[Any, ...] = field(default=())
    _client: Any = field(default=None)

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_origin": (), "_client": None}

    def __repr__(self) -> str:
        return f"DaskCollectionSource({len(self.blocks)} partitions, features={list(self.features)})"

    @cached_property
    def partitions(self) -> tuple[Partition, ...]:
        """One partition per block of rows; their rows are known where the collection knows them."""
        width = self.dtype.itemsize * len(self.features)
        return tuple(
            Partition(
                name=str(number),
                fingerprint=digest(str(block.values), str(block.weights)),
                group_rows=None if block.rows is None else (block.rows,),
                nbytes=None if block.rows is None else block.rows * width,
            )
            for number, block in enumerate(self.blocks)
        )

    @cached_property
    def fingerprint(self) -> str:
        """Changes with the names that Dask gives to the blocks, which follow from how they are made."""
        parts = [partition.fingerprint for partition in self.partitions]
        return digest("dask", *self.features, f"weight={self.weight_column}", self.dtype.str, *parts)

    def read(self, partition: int, first: int = 0, stop: int | None = None) -> Iterator[Leaf]:
        """Yield the leaves `first` to `stop` (exclusive; None: to the last) of a partition, in order.

        Raises
        ------
        UnreadablePartitionError
            Making the block failed, or it has another number of rows than the collection said.
        SchemaError
            The block has other columns than the collection said.
        InvalidInputError
            A weight is negative, missing or infinite.
        ClusterError
            The block needs results that a cluster keeps, and there is no connection to one.
        """
        values, weights = self._compute(partition)
        spans = leaf_spans([values.shape[1]])
        for index in range(first, len(spans) if stop is None else min(stop, len(spans))):
            _, start, end = spans[index]
            yield Leaf(
                partition=partition,
                index=index,
                start=start,
                values=np.ascontiguousarray(values[:, start:end]),
                weights=None if weights is None else weights[start:end],
            )

    def _compute(self, partition: int) -> tuple[NDArray[Any], NDArray[np.float64] | None]:
        block = self.blocks[partition]
        with _naming(partition):
            given = {key: DataNode(key, value) for key, value in gather(block.external, self._client).items()}
            keys: list[Any] = [block.values] if block.weights is None else [block.values, block.weights]
            computed, *rest = get_sync({**block.graph, **given}, keys)
            values = self._values(computed, partition)
            weights = self._weights(computed, rest)
        _require_shape(values, weights, block.rows, partition)
        if weights is not None:
            require_weights(weights, f"partition {partition} of the Dask collection")
        return values, weights

    def _values(self, computed: Any, partition: int) -> NDArray[Any]:
        if not hasattr(computed, "columns"):
            matrix = np.asarray(computed, dtype=self.dtype)
            if matrix.ndim != 2 or matrix.shape[1] != len(self.features):
                raise SchemaError(
                    f"partition {partition} has shape {matrix.shape}; {len(self.features)} columns were announced"
                )
            return matrix.T
        missing = [name for name in self.features if name not in computed.columns]
        if missing:
            raise SchemaError(f"partition {partition} lacks {missing}{nearest(missing[0], list(computed.columns))}")
        values = np.empty((len(self.features), len(computed)), dtype=self.dtype)
        for row, name in zip(values, self.features, strict=True):
            row[:] = _column(computed[name], self.dtype)
        return values

    def _weights(self, computed: Any, rest: Sequence[Any]) -> NDArray[np.float64] | None:
        if self.weight_column is not None:
            return _column(computed[self.weight_column], np.dtype(np.float64))
        return _column(rest[0], np.dtype(np.float64)) if rest else None


def is_dask_collection(data: object) -> bool:
    """Return whether data is a Dask array or DataFrame."""
    return isinstance(data, da.Array) or _is_frame(data)


def source_of(collection: Any, *, features: Sequence[str] | None = None, weights: Any = None) -> DaskCollectionSource:
    """Make a source of a Dask array or DataFrame.

    Parameters
    ----------
    collection : dask.array.Array of shape (n_rows, n_features), or dask.dataframe.DataFrame
        An array with several blocks of columns is rechunked to one.
    features : sequence of str, optional
        Columns of a DataFrame, by default all numeric ones; names for those of an array, by default x0, x1, ...
    weights : str, Dask array or Series, or array-like, optional
        Name of a column, or one weight per row in the same partitions. A plain array needs known chunk sizes.

    Raises
    ------
    InvalidInputError
        It is no such collection, or the weights do not fit it.
    UnknownNameError
        There is no such column.
    SchemaError
        A column is not numeric.
    """
    if _is_frame(collection):
        return _source_of_frame(collection, features, weights)
    if isinstance(collection, da.Array):
        return _source_of_array(collection, features, weights)
    raise InvalidInputError(f"{type(collection).__name__} is neither a Dask array nor a Dask DataFrame")


def _source_of_array(array: Any, features: Sequence[str] | None, weights: Any) -> DaskCollectionSource:
    if array.ndim != 2 or np.isnan(array.shape[1]):
        raise InvalidInputError(f"the array has shape {array.shape}; give (rows, a known number of features)")
    if array.dtype.kind not in "fiub":
        raise SchemaError(f"the array holds {array.dtype}, and numbers are needed; encode or leave out other columns")
    names = tuple(features) if features is not None else tuple(f"x{number}" for number in range(array.shape[1]))
    if len(names) != array.shape[1] or len(set(names)) != len(names):
        raise InvalidInputError(f"{array.shape[1]} columns need as many different names, not {list(names)}")
    whole = array.rechunk({1: -1}) if array.numblocks[1] > 1 else array
    rows = known_rows(whole)
    beside = None if weights is None else weights_beside(weights, whole.numblocks[0], rows)
    blocks = blocks_of(whole, beside, rows)
    return DaskCollectionSource(
        features=names,
        dtype=np.dtype(np.float32 if array.dtype in (np.float16, np.float32) else np.float64),
        blocks=blocks,
        _origin=(whole, beside),
        _client=client_of(blocks, (whole, beside)),
    )


def _source_of_frame(frame: Any, features: Sequence[str] | None, weights: Any) -> DaskCollectionSource:
    column = weights if isinstance(weights, str) else None
    names = _choose_columns(frame, features, column)
    chosen = frame[[*names, *([] if column is None else [column])]]
    rows: list[int | None] = [None] * chosen.npartitions
    beside = None if weights is None or column is not None else weights_beside(weights, chosen.npartitions, rows)
    single = all(str(frame.dtypes[name]) in ("float16", "float32") for name in names)
    blocks = blocks_of(chosen.optimize(), beside, rows)
    return DaskCollectionSource(
        features=names,
        dtype=np.dtype(np.float32 if single else np.float64),
        blocks=blocks,
        weight_column=column,
        _origin=(frame, beside),
        _client=client_of(blocks, (frame, beside)),
    )


def _choose_columns(frame: Any, features: Sequence[str] | None, weight: str | None) -> tuple[str, ...]:
    columns = [str(name) for name in frame.columns]
    numeric = [name for name, dtype in zip(columns, frame.dtypes, strict=True) if _is_number(dtype)]
    names = tuple(features) if features is not None else tuple(name for name in numeric if name != weight)
    for name in (*names, *([] if weight is None else [weight])):
        if name not in columns:
            raise UnknownNameError(f"no column {name!r}{nearest(name, columns)}")
        if name not in numeric:
            raise SchemaError(
                f"column {name!r} is {frame.dtypes[name]}, and numbers are needed; encode it or leave it out"
            )
    if not names or len(set(names)) != len(names) or weight in names:
        raise InvalidInputError(f"features {list(names)} must be different columns, at least one, without the weight")
    return names


def _column(values: Any, dtype: np.dtype[Any]) -> NDArray[Any]:
    if hasattr(values, "to_numpy"):
        column: NDArray[Any] = values.to_numpy(dtype=dtype, na_value=np.nan)
        return column
    return np.asarray(values, dtype=dtype)


def _is_number(dtype: Any) -> bool:
    # pandas' nullable and Arrow types have a kind too; a decimal or a text has "O".
    return getattr(dtype, "kind", "O") in "fiub"


def _is_frame(data: object) -> bool:
    # Asked by its attributes: importing dask.dataframe brings pandas, which an array does not need. Asked of the type,
    # because a delayed object claims to have every attribute.
    return is_collection(data) and hasattr(type(data), "columns") and hasattr(data, "dtypes")


@contextmanager
def _naming(partition: int) -> Iterator[None]:
    try:
        yield
    except GmmdaskError:
        raise
    except Exception as error:
        raise UnreadablePartitionError(
            f"partition {partition} of the Dask collection cannot be computed ({type(error).__name__}: {error})"
        ) from error


def _require_shape(values: NDArray[Any], weights: NDArray[np.float64] | None, rows: int | None, partition: int) -> None:
    found = values.shape[1]
    if rows is not None and found != rows:
        raise UnreadablePartitionError(
            f"partition {partition} of the Dask collection has {found} rows and its chunks say {rows}; "
            "call compute_chunk_sizes() on the array"
        )
    if weights is not None and weights.shape != (found,):
        raise InvalidInputError(
            f"partition {partition} has {found} rows and weights of shape {weights.shape}; give one weight per row"
        )
