"""Arrow columns as NumPy numbers, missing as NaN; categories as the codes of their texts.

Arrow's own conversions import pandas and a second of generated functions into every worker that reads its first
column; the buffers are all that is needed.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from gmmdask.preparation.codes import category_codes

_NUMPY_TYPES = {
    **{f"{sign}int{bits}": np.dtype(f"{sign}int{bits}") for sign in ("", "u") for bits in (8, 16, 32, 64)},
    "halffloat": np.dtype(np.float16),
    "float": np.dtype(np.float32),
    "double": np.dtype(np.float64),
}


def decode_into(out: NDArray[Any], column: pa.ChunkedArray[Any]) -> None:
    """Write a numeric column into an array of floats of the same length; nulls become NaN.

    Integers beyond 2**53 round to the nearest float64. Decimals and dictionaries take the slow way, by a cast.
    """
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    if pa.types.is_decimal(column.type):
        column = column.cast(pa.float64())
    start = 0
    for chunk in column.chunks:
        _decode_chunk(out[start : start + len(chunk)], chunk)
        start += len(chunk)


def encode_into(out: NDArray[np.float64], column: pa.ChunkedArray[Any]) -> None:
    """Write the codes of a column of categories into an array of the same length; nulls become NaN.

    A category is known by the text that Arrow gives its value, so 7 is "7" and a boolean is "true" or "false"; only
    distinct values are hashed.
    """
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    start = 0
    for chunk in column.chunks:
        _encode_chunk(out[start : start + len(chunk)], chunk)
        start += len(chunk)


def _encode_chunk(out: NDArray[np.float64], chunk: Any) -> None:
    if pa.types.is_null(chunk.type):
        out[:] = np.nan
        return
    encoded = chunk.dictionary_encode()
    codes = category_codes(encoded.dictionary.cast(pa.large_string()).to_pylist())
    places = np.empty(len(chunk))
    _decode_chunk(places, encoded.indices)
    present = ~np.isnan(places)
    out[:] = np.nan
    out[present] = codes[places[present].astype(np.intp)]


def _decode_chunk(out: NDArray[Any], chunk: pa.Array[Any]) -> None:
    if pa.types.is_null(chunk.type):
        out[:] = np.nan
        return
    if not len(chunk):
        return
    buffers: list[Any] = list(chunk.buffers())
    validity, data = buffers
    if pa.types.is_boolean(chunk.type):
        out[:] = _bits(data, chunk)
    else:
        # A zero-row array may have no buffer; here there is at least one row.
        raw = np.frombuffer(data, dtype=_NUMPY_TYPES[str(chunk.type)], count=chunk.offset + len(chunk))
        out[:] = raw[chunk.offset :]
    if chunk.null_count:
        out[_bits(validity, chunk) == 0] = np.nan


def _bits(buffer: Any, chunk: pa.Array[Any]) -> NDArray[np.uint8]:
    packed = np.frombuffer(buffer, dtype=np.uint8)
    return np.unpackbits(packed, count=chunk.offset + len(chunk), bitorder="little")[chunk.offset :]
