"""`open_lake` and `Lake`: a folder of Parquet files, on any filesystem, as a source.

How files are listed, checked and decoded is next door: location, manifest, schema, parquet.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from os import PathLike, fspath
from typing import Any

import pyarrow as pa

from gmmdask.errors import EmptyDataError, UnknownNameError
from gmmdask.lake.conditions import Condition, matches
from gmmdask.lake.fingerprint import digest
from gmmdask.lake.location import Location
from gmmdask.lake.manifest import Footer, LakeFile, list_manifest, read_footer, read_footers
from gmmdask.lake.parquet import Columns, LeafRange, read_leaves
from gmmdask.lake.schema import choose_features, kind_of, merge_schemas, nearest, require_names, require_numeric
from gmmdask.source import Leaf, Partition


def open_lake(  # noqa: PLR0913  (the public face: one keyword for each thing a lake can be told)
    uri: str | PathLike[str],
    *,
    features: Sequence[str] | None = None,
    id_column: str | None = None,
    weight_column: str | None = None,
    date_key: str | None = None,
    categories: Sequence[str] = (),
    storage_options: Mapping[str, Any] | None = None,
) -> Lake:
    """Open a folder of Parquet files.

    One file is one partition. Partition values are read from paths such as `dt=2013-01-01/part-0.parquet`; a flat
    folder is fine too. Opening lists the files and reads one footer; the others are read when they are needed.

    Parameters
    ----------
    uri : str or path
        A local folder, `file://`, `s3://`, or any other address that fsspec knows.
    features : sequence of str, optional
        Columns to use: numeric ones, and those named in `categories`. By default all such columns of the first file that
        are not the id, the weight or a partition key.
    id_column : str, optional
        Column that identifies a row. It is not a feature; `lake.carry(id_column)` reads it.
    weight_column : str, optional
        Column of row weights, finite and at least zero; a row of weight zero counts as absent.
    date_key : str, optional
        The partition key that holds the date, as YYYY-MM-DD. By default the first key that holds nothing but dates, or
        `year`, `month` and `day` together.
    categories : sequence of str, default ()
        Features of text, integers or booleans that are read as codes: `gmmdask.preparation.category_code` of the value as
        text. Only a recipe that knows the categories can make something of them.
    storage_options : mapping, optional
        Given to the filesystem. Credentials belong in the environment or the usual files instead.

    Returns
    -------
    Lake

    Raises
    ------
    StorageError
        There is no such folder or bucket, or it cannot be reached.
    EmptyDataError
        It holds no Parquet file.
    UnknownNameError
        A column does not exist.
    SchemaError
        A feature or the weight is not numeric, or categories are neither text, integers nor booleans.
    """
    location = Location(uri=fspath(uri), storage_options=dict(storage_options or {})).resolve()
    files = list_manifest(location, date_key)
    if not files:
        raise EmptyDataError(f"the lake {location.shown!r} holds no Parquet file; check the address")
    schema = _reference_schema(location, files)
    keys = {key for file in files for key in file.partition_values}
    single = [(name, role) for name, role in ((id_column, "id"), (weight_column, "weight")) if name is not None]
    for name, role in single:
        require_names(schema, [name], f"the {role}")
    if weight_column is not None:
        require_numeric(schema, weight_column, " (the weight)")
    chosen = choose_features(schema, features, keys | {name for name, _ in single}, categories)
    return Lake(
        location=location,
        files=files,
        schema=schema,
        features=chosen,
        id_column=id_column,
        weight_column=weight_column,
        coded=tuple(name for name in chosen if name in categories),
    )


@dataclass(frozen=True, kw_only=True, repr=False)
class Lake:
    """Partitioned Parquet files as a source. Made by `open_lake`; small, immutable, and picklable.

    The order of partitions is date, then relative path. Nulls are read as NaN; integers, booleans and decimals as
    float64; a file whose features all are float32 stays float32.

    Parameters
    ----------
    location : Location
        Where the files are. Holds the storage options, which are pickled with it but never printed.
    files : tuple of LakeFile
        The partitions.
    schema : pyarrow.Schema
        Types of all columns, against which every file is checked.
    features : tuple of str
        Columns that become the rows of `Leaf.values`.
    id_column, weight_column : str, optional
        See `open_lake`.
    carried : tuple of str
        Columns or partition keys that travel as Arrow arrays in `Leaf.carried`.
    coded : tuple of str
        Features that are categories: their rows of `Leaf.values` hold codes, always as float64.
    """

    location: Location
    files: tuple[LakeFile, ...]
    schema: pa.Schema = field(hash=False)
    features: tuple[str, ...]
    id_column: str | None = None
    weight_column: str | None = None
    carried: tuple[str, ...] = ()
    coded: tuple[str, ...] = ()

    def __repr__(self) -> str:
        return f"Lake({self.location.shown!r}, {len(self.files)} partitions, features={list(self.features)})"

    @property
    def dates(self) -> tuple[str, ...]:
        """ISO dates of the partitions, each once, in order."""
        return tuple(dict.fromkeys(file.date for file in self.files))

    @property
    def partition_keys(self) -> tuple[str, ...]:
        """Names of the partition keys in the paths, outermost first."""
        return tuple(dict.fromkeys(key for file in self.files for key in file.partition_values))

    @cached_property
    def fingerprint(self) -> str:
        """Changes with the files, the features and the weight column; not with the place or the carried columns."""
        files = [f"{file.path} {file.fingerprint}" for file in self.files]
        coded = [f"coded={name}" for name in self.coded]
        return digest("lake", *self.features, *coded, f"weight={self.weight_column}", *files)

    @cached_property
    def partitions(self) -> tuple[Partition, ...]:
        """The partitions, with the rows of their row groups.

        Raises
        ------
        UnreadablePartitionError
            A file is damaged or gone.
        SchemaError
            A file lacks a column, or has it with another type.
        """
        return tuple(self._partition(file, footer) for file, footer in zip(self.files, self._footers, strict=True))

    def read(self, partition: int, first: int = 0, stop: int | None = None) -> Iterator[Leaf]:
        """Yield the leaves `first` to `stop` (exclusive; None: to the last) of a partition, in order.

        Raises
        ------
        UnreadablePartitionError
            The file is damaged, gone, or changed since the lake was opened.
        SchemaError
            A column is missing or of another type than in the other partitions.
        InvalidInputError
            A weight is negative, missing or infinite.
        """
        file = self.files[partition]
        known = self.__dict__.get("_footers")
        rows = None if known is None else known[partition].group_rows
        leaves = LeafRange(position=partition, name=file.path, first=first, stop=stop, group_rows=rows)
        constants = {key: file.partition_values[key] for key in self.carried if key in file.partition_values}
        opened = self.location.open_file(file.path, file.fingerprint)
        return read_leaves(opened, leaves, self._columns(constants), constants)

    def where(self, predicate: Callable[[Mapping[str, str]], bool] | None = None, /, **conditions: Condition) -> Lake:
        """Narrow the lake to the partitions whose values meet all conditions.

        Parameters
        ----------
        predicate : callable, optional
            Takes the partition values of a file, returns whether to keep it.
        **conditions
            By partition key: a value; a pair (lowest, highest), both included, None for open; a list or set of values;
            or a callable that takes the value as text. Dates and numbers compare as such.

        Returns
        -------
        Lake

        Raises
        ------
        UnknownNameError
            There is no such partition key.
        EmptyDataError
            No partition is left.

        Examples
        --------
        >>> winter = lake.where(dt=("2013-01-01", "2013-03-31"))  # doctest: +SKIP
        """
        for key in conditions:
            if key not in self.partition_keys:
                raise UnknownNameError(f"no partition key {key!r}{nearest(key, self.partition_keys)}")
        kept = [number for number, file in enumerate(self.files) if _keeps(file, predicate, conditions)]
        if not kept:
            shown = ", ".join(f"{key}={condition!r}" for key, condition in conditions.items()) or "the predicate"
            raise EmptyDataError(
                f"no partition of {self.location.shown!r} meets {shown}; it has {len(self.files)}, from "
                f"{self.files[0].path!r} to {self.files[-1].path!r}"
            )
        narrowed = replace(self, files=tuple(self.files[number] for number in kept))
        if "_footers" in self.__dict__:  # what was read once is not read again
            narrowed.__dict__["_footers"] = tuple(self._footers[number] for number in kept)
        return narrowed

    def carry(self, *names: str) -> Lake:
        """Return the lake that also reads these columns or partition keys as Arrow arrays.

        Raises
        ------
        UnknownNameError
            There is no such column or partition key.
        """
        require_names(merge_schemas([self.schema, _text_schema(self.partition_keys)]), names, "a carried column")
        widened = replace(self, carried=tuple(dict.fromkeys((*self.carried, *names))))
        if "_footers" in self.__dict__:
            widened.__dict__["_footers"] = self._footers
        return widened

    @cached_property
    def _footers(self) -> tuple[Footer, ...]:
        return read_footers(self.location, self.files)

    def _columns(self, constants: Mapping[str, str]) -> Columns:
        carried = tuple(name for name in self.carried if name not in constants)
        return Columns(
            features=self.features, weight=self.weight_column, carried=carried, schema=self.schema, coded=self.coded
        )

    def _partition(self, file: LakeFile, footer: Footer) -> Partition:
        columns = self._columns(file.partition_values)
        columns.check(footer.schema, file.path)
        itemsize = 4 if columns.is_single(footer.schema) else 8
        return Partition(
            name=file.path,
            fingerprint=file.fingerprint,
            date=file.date,
            group_rows=footer.group_rows,
            nbytes=sum(footer.group_rows) * itemsize * len(self.features),
        )


def _reference_schema(location: Location, files: Sequence[LakeFile]) -> pa.Schema:
    first = read_footer(location, files[0]).schema
    if all(kind_of(column.type) != "null" for column in first):
        return first
    # A column without a single value has no type yet: some other file must tell.
    return merge_schemas([first, *(footer.schema for footer in read_footers(location, files[1:]))])


def _keeps(
    file: LakeFile,
    predicate: Callable[[Mapping[str, str]], bool] | None,
    conditions: Mapping[str, Condition],
) -> bool:
    values = file.partition_values
    if any(key not in values or not matches(values[key], condition) for key, condition in conditions.items()):
        return False
    return predicate is None or bool(predicate(values))


def _text_schema(names: Sequence[str]) -> pa.Schema:
    return pa.schema([(name, pa.string()) for name in names])
