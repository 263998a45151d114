"""What is found in each column of a sample: missing cells, repeated values, tails, keys. Judges nothing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow.compute as pc

from gmmdask.inspection.sample import Sample
from gmmdask.lake.schema import kind_of
from gmmdask.preparation.column_facts import N_TOP, NumberFacts, measure_numbers


@dataclass(frozen=True, kw_only=True)
class ColumnFacts:
    """What the rows of a sample tell of one column.

    Parameters
    ----------
    name, type : str
        The type as Arrow writes it, or "folder" for a partition key.
    kind : {"number", "text", "time", "null", "key", "unreadable"}
        A key is part of the path.
    n_rows, missing, infinite : int
        Rows looked at, and cells without a value and with an infinite one.
    distinct : int
        Different values.
    top : tuple of (str, int)
        The most frequent values with their rows, at most 20.
    numbers : NumberFacts, optional
        More about a column of numbers.
    identifies : {"event", "snapshot", None}
        Whether no value repeats at all, or only between dates.
    trouble : str
        Why the column is unreadable.
    """

    name: str
    type: str
    kind: str
    n_rows: int
    missing: int = 0
    infinite: int = 0
    distinct: int = 0
    top: tuple[tuple[str, int], ...] = ()
    numbers: NumberFacts | None = None
    identifies: str | None = None
    trouble: str = ""

    @property
    def present(self) -> int:
        """Rows that have a value."""
        return self.n_rows - self.missing

    @property
    def missing_share(self) -> float:
        """Share of the rows without a value."""
        return self.missing / self.n_rows

    @property
    def is_integer(self) -> bool:
        """Whether the column is stored as whole numbers."""
        return self.kind == "number" and self.type.startswith(("int", "uint", "decimal"))


def inspect_columns(sample: Sample) -> list[ColumnFacts]:
    """Return what was found in every column, in the order of the files, then the partition keys."""
    keys = sample.lake.partition_keys
    types = {column.name: column.type for column in sample.lake.schema if column.name not in keys}
    found = [_facts(sample, name, str(data_type), kind_of(data_type)) for name, data_type in types.items()]
    return found + [_facts(sample, name, "folder", "key") for name in keys]


def _facts(sample: Sample, name: str, data_type: str, kind: str) -> ColumnFacts:
    common: dict[str, Any] = {"name": name, "type": data_type, "n_rows": sample.n_rows}
    if name in sample.unreadable:
        return ColumnFacts(**common, kind="unreadable", trouble=sample.unreadable[name])
    identity = _identity(sample, name)
    if name in sample.numbers:
        return ColumnFacts(**common, **_numbers(measure_numbers(sample.numbers[name])), kind=kind, identifies=identity)
    if name in sample.texts:
        return ColumnFacts(**common, **_words(sample.texts[name]), kind=kind, identifies=identity)
    return ColumnFacts(**common, kind=kind, missing=sample.n_rows if kind == "null" else 0)


def _numbers(facts: NumberFacts) -> dict[str, Any]:
    return {
        "missing": facts.missing,
        "infinite": facts.infinite,
        "distinct": facts.distinct,
        "top": tuple((f"{value:.12g}", rows) for value, rows in facts.top),
        "numbers": facts,
    }


def _words(column: Any) -> dict[str, Any]:
    counted = [(entry["values"], entry["counts"]) for entry in column.value_counts().to_pylist()]
    present = sorted(((value, n) for value, n in counted if value is not None), key=lambda entry: (-entry[1], entry[0]))
    return {"missing": column.null_count, "distinct": len(present), "top": tuple(present[:N_TOP])}


def _identity(sample: Sample, name: str) -> str | None:
    """Return in what scope every value is there once; None where cells are missing or a date repeats one."""
    column = sample.texts.get(name)
    if column is None or column.null_count:
        return None
    if pc.count_distinct(column).as_py() == len(column):
        return "event"
    codes = column.combine_chunks().dictionary_encode().indices.to_numpy(zero_copy_only=False).astype(np.int64)
    pairs = codes * (int(sample.dates.max()) + 1) + sample.dates
    return "snapshot" if len(np.unique(pairs)) == len(pairs) else None
