"""The rows that are looked at: the first ones of a few files spread over the dates of a lake. Judges nothing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from gmmdask.errors import EmptyDataError, InvalidInputError, SchemaError
from gmmdask.lake import Lake, open_lake
from gmmdask.lake.manifest import LakeFile, explain_undated, read_footers
from gmmdask.lake.schema import kind_of, require_same
from gmmdask.source import Leaf
from gmmdask.storage import shown

MAX_FILES = 32
MAX_ROWS = 200_000

READABLE = ("number", "text", "time", "null")


@dataclass(frozen=True, kw_only=True, eq=False)
class Sample:
    """Rows of a lake, column by column.

    Parameters
    ----------
    lake : Lake
        All of it.
    files : tuple of LakeFile
        Those that were read.
    dates : ndarray of shape (n_rows,), int64
        Position in `lake.dates` of every row's date.
    numbers : mapping of str to ndarray of shape (n_rows,), float64
        Numeric columns, NaN where missing.
    texts : mapping of str to arrow array
        Columns of text, and those of whole numbers, as text.
    unreadable : mapping of str to str
        Columns that cannot be used at all, and why.
    """

    lake: Lake
    files: tuple[LakeFile, ...]
    dates: NDArray[np.int64]
    numbers: Mapping[str, NDArray[np.float64]]
    texts: Mapping[str, Any]
    unreadable: Mapping[str, str]

    @property
    def n_rows(self) -> int:
        """Number of rows that were read."""
        return len(self.dates)


def read_sample(uri: str, *, max_files: int = MAX_FILES, max_rows: int = MAX_ROWS) -> Sample:
    """Read some rows of a lake that is partitioned by date.

    Parameters
    ----------
    uri : str
        A folder or bucket of Parquet.
    max_files, max_rows : int
        Files are spread evenly over the dates; each gives its first rows.

    Raises
    ------
    InvalidInputError
        The address holds credentials, or a file has no date in its path.
    StorageError, EmptyDataError, SchemaError
        There is nothing, it cannot be reached, or it has no numeric column.
    UnreadablePartitionError
        A file is damaged; names it.
    """
    if shown(uri) != uri:
        raise InvalidInputError(
            f"the address of {shown(uri)} holds credentials, which must not stand in a settings file; give them in the "
            "environment (AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_PROFILE) instead"
        )
    lake = open_lake(uri)
    _require_dates(lake, uri)
    files = _spread(lake.files, max_files)
    unreadable = _unreadable(lake, files)
    narrowed = _readable(replace(lake, files=files), unreadable)
    leaves = list(_leaves(narrowed, max(1, max_rows // len(files))))
    if not sum(leaf.n_rows for leaf in leaves):
        raise EmptyDataError(f"the {len(files)} files of {uri!r} that were looked at hold no row")
    position = {date: number for number, date in enumerate(lake.dates)}
    return Sample(
        lake=lake,
        files=files,
        dates=np.concatenate([np.full(leaf.n_rows, position[files[leaf.partition].date]) for leaf in leaves]),
        numbers={
            name: np.concatenate([leaf.values[number] for leaf in leaves]).astype(np.float64)
            for number, name in enumerate(narrowed.features)
        },
        texts={name: pa.chunked_array([_text(leaf.carried[name]) for leaf in leaves]) for name in narrowed.carried},
        unreadable=unreadable,
    )


def _require_dates(lake: Lake, uri: str) -> None:
    if undated := explain_undated(lake.files):
        raise InvalidInputError(
            f"{uri!r} is not partitioned by date: {undated}. A night is one date, so write the rows of each date below a folder "
            "such as dt=2013-01-31/ (or year=2013/month=1/day=31/)"
        )


def _spread(files: Sequence[LakeFile], limit: int) -> tuple[LakeFile, ...]:
    if len(files) <= limit:
        return tuple(files)
    return tuple(files[round(number * (len(files) - 1) / max(limit - 1, 1))] for number in range(limit))


def _unreadable(lake: Lake, files: Sequence[LakeFile]) -> dict[str, str]:
    """Return the columns that no night could read, with the reason."""
    footers = read_footers(lake.location, files)
    found: dict[str, str] = {}
    for column in lake.schema:
        if not column.name:
            found[column.name] = "a column without a name: settings cannot name it, so write it with one"
            continue
        if kind_of(column.type) not in READABLE:
            found[column.name] = f"{column.type}: neither a number nor text"
        for file, footer in zip(files, footers, strict=True):
            try:
                require_same(footer.schema, lake.schema, [column.name], file.path)
            except SchemaError:
                found[column.name] = f"missing, there twice or of another type in {file.path}"
                break
    return found


def _readable(lake: Lake, unreadable: Mapping[str, str]) -> Lake:
    used = [column for column in lake.schema if column.name not in {*unreadable, *lake.partition_keys}]
    texts = [column.name for column in used if kind_of(column.type) == "text" or _is_whole(column.type)]
    features = tuple(name for name in lake.features if name not in unreadable)
    return replace(lake, features=features).carry(*texts, *lake.partition_keys)


def _is_whole(data_type: pa.DataType) -> bool:
    if pa.types.is_dictionary(data_type):
        return _is_whole(data_type.value_type)
    return pa.types.is_integer(data_type) or (pa.types.is_decimal(data_type) and data_type.scale == 0)


def _leaves(lake: Lake, rows: int) -> Iterator[Leaf]:
    """Yield the first rows of every file."""
    for partition in range(len(lake.files)):
        wanted = rows
        for leaf in lake.read(partition):
            kept = min(wanted, leaf.n_rows)
            carried = {name: column.slice(0, kept) for name, column in leaf.carried.items()}
            yield replace(leaf, values=leaf.values[:, :kept], carried=carried)
            wanted -= kept
            if not wanted:
                break


def _text(column: Any) -> Any:
    return column.cast(pa.string())
