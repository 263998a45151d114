"""What is found in each column of a sample: missing cells, repeated values, tails, keys. Judges nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow.compute as pc
from numpy.typing import NDArray

from gmmdask.inspection.sample import Sample
from gmmdask.lake.schema import kind_of

N_TOP = 20


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
    is_whole : bool
        Every value is a whole number.
    tail : float
        Distance of the farthest value from the median, in interquartile ranges; 0 for other columns than numbers.
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
    is_whole: bool = False
    tail: float = 0.0
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
        return ColumnFacts(**common, **_number(sample.numbers[name]), kind=kind, identifies=identity)
    if name in sample.texts:
        return ColumnFacts(**common, **_words(sample.texts[name]), kind=kind, identifies=identity)
    return ColumnFacts(**common, kind=kind, missing=sample.n_rows if kind == "null" else 0)


def _number(values: NDArray[np.float64]) -> dict[str, Any]:
    finite = values[np.isfinite(values)]
    distinct, counts = np.unique(finite, return_counts=True)
    order = np.argsort(-counts, kind="stable")[:N_TOP]
    return {
        "missing": int(np.isnan(values).sum()),
        "infinite": int(np.isinf(values).sum()),
        "distinct": len(distinct),
        "top": tuple((f"{distinct[i]:.12g}", int(counts[i])) for i in order),
        "is_whole": bool((distinct == np.floor(distinct)).all()),
        "tail": _tail(finite),
    }


def _tail(values: NDArray[np.float64]) -> float:
    if not len(values):
        return 0.0
    low, middle, high = np.quantile(values, [0.25, 0.5, 0.75])
    farthest = float(np.abs(values - middle).max())
    return farthest / float(high - low) if high > low else 0.0


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


def dependent_columns(
    numbers: Mapping[str, NDArray[np.float64]], names: Sequence[str], least_share: float
) -> dict[str, tuple[str, ...]]:
    """Return the columns that the ones before them explain, up to a share of their variance, and by which.

    Parameters
    ----------
    numbers : mapping of str to ndarray of shape (n_rows,)
        Columns that vary; rows with a missing cell are left out.
    names : sequence of str
        Those to look at, in the order in which they are kept.
    least_share : float
        Share of its variance that a column must have on its own.
    """
    if not names:
        return {}
    rows = np.array([numbers[name] for name in names])
    rows = rows[:, np.isfinite(rows).all(axis=0)]
    if rows.shape[1] <= len(names):
        return {}
    deviation = rows.std(axis=1, keepdims=True)
    standard = (rows - rows.mean(axis=1, keepdims=True)) / np.where(deviation > 0, deviation, 1.0)
    gram = standard @ standard.T / rows.shape[1]
    kept: list[int] = []
    found: dict[str, tuple[str, ...]] = {}
    for number, name in enumerate(names):
        towards = gram[kept, number]
        share = np.linalg.lstsq(gram[np.ix_(kept, kept)], towards, rcond=None)[0] if kept else np.empty(0)
        if gram[number, number] - share @ towards < least_share:
            found[name] = tuple(names[i] for i, part in zip(kept, share, strict=True) if abs(part) > 1e-3)
        else:
            kept.append(number)
    return found
