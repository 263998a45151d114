"""What is known of a lake's files without reading their rows: names, dates, partition values, footers.

A partition is one Parquet file. Nothing here decodes a column.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import date as calendar_date
from pathlib import PurePosixPath
from urllib.parse import unquote

import pyarrow as pa
import pyarrow.parquet as pq

from gmmdask.errors import InvalidInputError, UnknownNameError
from gmmdask.lake.location import Location

FOOTER_THREADS = 16
"""Footers are read by this many threads: over a network they wait, they do not compute."""

_ISO_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")


@dataclass(frozen=True, kw_only=True, slots=True)
class LakeFile:
    """One Parquet file: relative path, fingerprint, and the partition values in its path.

    Parameters
    ----------
    path : str
        Relative to the lake's root, with forward slashes.
    fingerprint : str
        Etag, else size and modification time.
    keys : tuple of (str, str)
        Partition keys and values, outermost first.
    date : str
        ISO date, or empty.
    """

    path: str
    fingerprint: str
    keys: tuple[tuple[str, str], ...] = ()
    date: str = ""

    @property
    def partition_values(self) -> dict[str, str]:
        """Partition values by key."""
        return dict(self.keys)


@dataclass(frozen=True, kw_only=True, slots=True)
class Footer:
    """What a Parquet footer tells: the schema and the rows of every row group."""

    schema: pa.Schema
    group_rows: tuple[int, ...]


def list_manifest(location: Location, date_key: str | None = None) -> tuple[LakeFile, ...]:
    """List the Parquet files of a location, ordered by date and relative path.

    Parameters
    ----------
    location : Location
        Where to look.
    date_key : str, optional
        The partition key that holds the date. By default the first key whose values all are ISO dates, or the keys
        `year`, `month` and `day` together.

    Raises
    ------
    StorageError
        The location cannot be reached.
    UnknownNameError
        No path has the key `date_key`.
    InvalidInputError
        A value of `date_key` is not an ISO date.
    """
    listed = [(path, fingerprint, parse_keys(path)) for path, fingerprint in location.list_files().items()]
    dates = _dates([dict(keys) for _, _, keys in listed], date_key)
    files = (
        LakeFile(path=path, fingerprint=fingerprint, keys=keys, date=date)
        for (path, fingerprint, keys), date in zip(listed, dates, strict=True)
    )
    return tuple(sorted(files, key=lambda file: (file.date, file.path)))


def parse_keys(path: str) -> tuple[tuple[str, str], ...]:
    """Return the Hive partition keys and values in a path.

    Examples
    --------
    >>> parse_keys("dt=2013-01-01/origin=New%20York/part-0.parquet")
    (('dt', '2013-01-01'), ('origin', 'New York'))
    """
    folders = PurePosixPath(path).parent.parts
    pairs = (folder.partition("=") for folder in folders)
    return tuple((unquote(key), unquote(value)) for key, sign, value in pairs if sign and key)


def explain_undated(files: Sequence[LakeFile]) -> str:
    """Return which files have no date, and the first folder whose value is none where others have one; or nothing.

    Examples
    --------
    >>> paths = ["dt=2013-02-28/p.parquet", "dt=2013-02-30/p.parquet"]
    >>> explain_undated([LakeFile(path=path, fingerprint="", keys=parse_keys(path)) for path in paths])
    "1 of 2 files is in a folder without a valid date, the first is 'dt=2013-02-30'; correct its name or remove it"
    """
    if all(file.date for file in files):
        return ""
    values = [file.partition_values for file in files]
    dated = [
        [_is_date(keys.get(key, "")) for keys in values] for key in dict.fromkeys(k for keys in values for k in keys)
    ]
    most = max([*dated, [bool(_composed_date(keys)) for keys in values]], key=sum)
    wrong = [file.path for file, is_dated in zip(files, most, strict=True) if not is_dated]
    if len(wrong) == len(files):
        return f"{len(files)} of {len(files)} files have no date in their path, the first is {wrong[0]!r}"
    folder = str(PurePosixPath(wrong[0]).parent)
    return (
        f"{len(wrong)} of {len(files)} files {'is' if len(wrong) == 1 else 'are'} in a folder without a valid date, the first "
        f"is {wrong[0] if folder == '.' else folder!r}; correct its name or remove it"
    )


def read_footers(location: Location, files: Sequence[LakeFile]) -> tuple[Footer, ...]:
    """Read the footers of all files concurrently; equal schemas share one object.

    Raises
    ------
    UnreadablePartitionError
        A file is not Parquet, is damaged, or is gone; names it.
    """
    if len(files) == 1:
        return (read_footer(location, files[0]),)
    with ThreadPoolExecutor(max_workers=max(1, min(FOOTER_THREADS, len(files)))) as pool:
        footers = list(pool.map(lambda file: read_footer(location, file), files))
    return tuple(_share_schemas(footers))


def read_footer(location: Location, file: LakeFile) -> Footer:
    """Read one footer.

    Raises
    ------
    UnreadablePartitionError
        The file is not Parquet, is damaged, or is gone; names it.
    """
    with location.open_file(file.path) as opened:
        return footer_of(pq.read_metadata(opened))


def footer_of(metadata: pq.FileMetaData) -> Footer:
    """Return what a lake needs of Parquet metadata."""
    rows = tuple(metadata.row_group(group).num_rows for group in range(metadata.num_row_groups))
    return Footer(schema=metadata.schema.to_arrow_schema().remove_metadata(), group_rows=rows)


def _share_schemas(footers: Iterable[Footer]) -> list[Footer]:
    # One object for equal schemas keeps the pickled lake small: a year of files usually has one schema.
    known: dict[str, pa.Schema] = {}
    return [
        Footer(schema=known.setdefault(str(footer.schema), footer.schema), group_rows=footer.group_rows)
        for footer in footers
    ]


def _dates(values: Sequence[dict[str, str]], date_key: str | None) -> list[str]:
    if date_key is not None:
        return [_required_date(keys, date_key) for keys in values]
    for key in dict.fromkeys(key for keys in values for key in keys):
        if all(_is_date(keys.get(key, "")) for keys in values):
            return [keys[key] for keys in values]
    composed = [_composed_date(keys) for keys in values]
    return composed if all(composed) else [""] * len(values)


def _required_date(keys: dict[str, str], date_key: str) -> str:
    if date_key not in keys:
        raise UnknownNameError(f"no partition key {date_key!r} in a path; this path has {sorted(keys)}")
    if not _is_date(keys[date_key]):
        raise InvalidInputError(f"partition key {date_key!r} has the value {keys[date_key]!r}; write YYYY-MM-DD")
    return keys[date_key]


def _composed_date(keys: dict[str, str]) -> str:
    try:
        return calendar_date(int(keys["year"]), int(keys["month"]), int(keys["day"])).isoformat()
    except (KeyError, ValueError):
        return ""


def _is_date(value: str) -> bool:
    if not _ISO_DATE.fullmatch(value):
        return False
    try:
        calendar_date.fromisoformat(value)
    except ValueError:
        return False
    return True
