"""Row-wise results on Dask collections, as lazy Dask collections of the same partitions.

Nothing is computed here, and nothing is known of mixtures: a function of a block of rows comes from the caller.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import dask.array as da
import numpy as np
from numpy.typing import NDArray

from gmmdask.errors import InvalidInputError

RowFunction = Callable[[NDArray[Any]], NDArray[Any]]
"""Takes rows, feature-major (n_features, n_rows), and returns one value or one row of values for each."""


def map_rows(collection: Any, function: RowFunction, *, columns: Sequence[int] | None, dtype: Any) -> Any:
    """Apply a function to the rows of a Dask array or DataFrame.

    Parameters
    ----------
    collection : dask.array.Array or dask.dataframe.DataFrame of shape (n_rows, n_features)
    function : callable
        Pure and picklable.
    columns : sequence of int, optional
        Columns of the result; None for one value per row.
    dtype : dtype
        Of the result.

    Returns
    -------
    dask.array.Array, dask.dataframe.Series or dask.dataframe.DataFrame
        Of the same partitions; a frame's index is kept.
    """
    if not isinstance(collection, da.Array):
        return _map_frame(collection, function, columns, dtype)
    array: Any = collection
    whole = array.rechunk({1: -1}) if array.numblocks[1] > 1 else array
    if columns is None:
        return whole.map_blocks(_block, function, drop_axis=1, dtype=dtype, meta=np.empty(0, dtype))
    chunks = (whole.chunks[0], (len(columns),))
    return whole.map_blocks(_block, function, chunks=chunks, dtype=dtype, meta=np.empty((0, 0), dtype))


def _map_frame(frame: Any, function: RowFunction, columns: Sequence[int] | None, dtype: Any) -> Any:
    import pandas as pd

    index = frame._meta.index
    if columns is None:
        return frame.map_partitions(_series, function, dtype, meta=pd.Series(np.empty(0, dtype), index=index))
    meta = pd.DataFrame(np.empty((0, len(columns)), dtype), columns=list(columns), index=index)
    return frame.map_partitions(_frame, function, list(columns), dtype, meta=meta)


def _block(values: Any, function: RowFunction) -> NDArray[Any]:
    rows = np.asarray(values)
    if rows.dtype not in (np.float32, np.float64):
        rows = rows.astype(np.float64)
    feature_major = np.ascontiguousarray(rows.T)
    if not np.isfinite(feature_major).all():
        found = "NaN" if np.isnan(feature_major).any() else "infinity"
        raise InvalidInputError(f"Input X contains {found}. Drop or impute such rows before scoring.")
    return function(feature_major)


def _series(part: Any, function: RowFunction, dtype: Any) -> Any:
    import pandas as pd

    return pd.Series(_block(_matrix(part), function).astype(dtype, copy=False), index=part.index)


def _frame(part: Any, function: RowFunction, columns: list[int], dtype: Any) -> Any:
    import pandas as pd

    return pd.DataFrame(_block(_matrix(part), function).astype(dtype, copy=False), columns=columns, index=part.index)


def _matrix(part: Any) -> NDArray[Any]:
    single = all(str(dtype) in ("float16", "float32") for dtype in part.dtypes)
    matrix: NDArray[Any] = part.to_numpy(dtype=np.float32 if single else np.float64, na_value=np.nan)
    return matrix
