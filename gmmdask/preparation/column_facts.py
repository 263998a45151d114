"""What is found in columns of numbers: repeated values, tails, columns that follow from others. Judges nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import solve_triangular

Floats = NDArray[np.float64]

N_TOP = 20


@dataclass(frozen=True, kw_only=True)
class NumberFacts:
    """What a sample tells of one column of numbers.

    Parameters
    ----------
    n_rows, missing, infinite : int
        Rows looked at, and cells without a value and with an infinite one.
    distinct : int
        Different finite values.
    top : tuple of (float, int)
        The most frequent values with their rows, at most 20; of equally frequent ones the smallest first.
    is_whole : bool
        Every value is a whole number.
    tail : float
        Distance of the farthest value from the median, in interquartile ranges; 0 where these have no width.
    """

    n_rows: int
    missing: int
    infinite: int
    distinct: int
    top: tuple[tuple[float, int], ...]
    is_whole: bool
    tail: float

    @property
    def present(self) -> int:
        """Rows that have a value."""
        return self.n_rows - self.missing


def measure_numbers(values: NDArray[Any], extremes: tuple[float, float] | None = None) -> NumberFacts:
    """Return what is found in a column.

    Parameters
    ----------
    values : ndarray of shape (n_rows,)
        NaN where missing.
    extremes : (float, float), optional
        Smallest and largest value where more rows are known than these.
    """
    finite = values[np.isfinite(values)].astype(np.float64, copy=False)
    distinct, counts = np.unique(finite, return_counts=True)
    order = np.argsort(-counts, kind="stable")[:N_TOP]
    return NumberFacts(
        n_rows=len(values),
        missing=int(np.isnan(values).sum()),
        infinite=int(np.isinf(values).sum()),
        distinct=len(distinct),
        top=tuple((float(distinct[i]), int(counts[i])) for i in order),
        is_whole=bool((distinct == np.floor(distinct)).all()),
        tail=_tail(finite, extremes),
    )


def _tail(values: Floats, extremes: tuple[float, float] | None) -> float:
    if not len(values):
        return 0.0
    low, middle, high = np.quantile(values, [0.25, 0.5, 0.75])
    ends = np.array(extremes if extremes is not None else (values.min(), values.max()))
    return float(np.abs(ends - middle).max() / (high - low)) if high > low else 0.0


def dependent_columns(
    numbers: Mapping[str, NDArray[Any]], names: Sequence[str], least_share: float
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
    gram = _correlations(numbers, names)
    factor = np.zeros_like(gram)  # Cholesky's, of the columns that are kept
    kept: list[int] = []
    found: dict[str, tuple[str, ...]] = {}
    for number in range(len(gram)):
        size = len(kept)
        triangle = factor[:size, :size]
        row = solve_triangular(triangle, gram[kept, number], lower=True) if kept else np.empty(0)
        own = gram[number, number] - row @ row
        if own < least_share:
            parts = solve_triangular(triangle, row, lower=True, trans="T") if kept else row
            sources = (names[i] for i, part in zip(kept, parts, strict=True) if abs(part) > 1e-3)
            found[names[number]] = tuple(sources)
        else:
            factor[size, :size], factor[size, size] = row, np.sqrt(own)
            kept.append(number)
    return found


def _correlations(numbers: Mapping[str, NDArray[Any]], names: Sequence[str]) -> Floats:
    """Return the correlations of columns over the rows that have a value in all, or nothing where these are too few."""
    if not names:
        return np.empty((0, 0))
    rows = np.array([numbers[name] for name in names], dtype=np.float64)
    rows = rows[:, np.isfinite(rows).all(axis=0)]
    if rows.shape[1] <= len(names):
        return np.empty((0, 0))
    rows -= rows.mean(axis=1, keepdims=True)
    deviation = rows.std(axis=1, keepdims=True)
    rows /= np.where(deviation > 0, deviation, 1.0)
    return np.asarray(rows @ rows.T / rows.shape[1])
