"""What a night leaves behind of its features: exact counts on fixed bins, which add in any order.

They are counts of rows as they came, whatever their weights: a held-out or unscorable row has drifted as well.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from gmmdask.errors import InconsistentStatisticsError, SchemaError
from gmmdask.monitoring.binning import count_values
from gmmdask.monitoring.bins import FeatureBins
from gmmdask.preparation.codes import texts_of
from gmmdask.source import Leaf

Integers = NDArray[np.int64]


@dataclass(frozen=True, kw_only=True, eq=False)
class NightFeatures:
    """Counts of some rows.

    Parameters
    ----------
    bins : str
        Fingerprint of the bins.
    n_rows : int
    counts : ndarray of shape (n_features, n_bins), int64
        Values by bin; a feature with fewer bins leaves the last ones empty. Infinite values are in the outermost.
    missing : ndarray of shape (n_features,), int64
        Values that are NaN.
    categories : mapping of str to ndarray of int64, default empty
        For every category column its rows by value, in the order of `FeatureBins.category_names`.
    """

    bins: str
    n_rows: int
    counts: Integers
    missing: Integers
    categories: Mapping[str, Integers] = field(default_factory=dict)

    @classmethod
    def empty(cls, bins: FeatureBins) -> Self:
        """Return the counts of no rows at all."""
        return cls(
            bins=bins.fingerprint,
            n_rows=0,
            counts=np.zeros((len(bins.features), bins.n_bins), dtype=np.int64),
            missing=np.zeros(len(bins.features), dtype=np.int64),
            categories={name: np.zeros(len(bins.category_names(name)), dtype=np.int64) for name in bins.categories},
        )

    def combine(self, other: NightFeatures) -> NightFeatures:
        """Return the counts of the rows of both; commutative and associative to the bit.

        Raises
        ------
        InconsistentStatisticsError
            They were counted on other bins.
        """
        return self._with(other, 1)

    def without(self, other: NightFeatures) -> NightFeatures:
        """Return the counts of these rows but for some of them."""
        return self._with(other, -1)

    def _with(self, other: NightFeatures, sign: int) -> NightFeatures:
        if self.bins != other.bins:
            raise InconsistentStatisticsError(
                f"Counts on bins {self.bins} and {other.bins} do not add; count both on those of the same profile."
            )
        return NightFeatures(
            bins=self.bins,
            n_rows=self.n_rows + sign * other.n_rows,
            counts=self.counts + sign * other.counts,
            missing=self.missing + sign * other.missing,
            categories={name: counts + sign * other.categories[name] for name, counts in self.categories.items()},
        )

    def to_parts(self) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
        """Return arrays and JSON-able facts from which `from_parts` makes equal counts."""
        columns = list(self.categories)
        arrays = {f"category{place}": self.categories[name] for place, name in enumerate(columns)}
        facts = {"bins": self.bins, "n_rows": self.n_rows, "columns": columns}
        return {"counts": self.counts, "missing": self.missing, **arrays}, facts

    @classmethod
    def from_parts(cls, arrays: Mapping[str, NDArray[Any]], facts: Mapping[str, Any]) -> Self:
        """Make counts from stored parts."""
        return cls(
            bins=str(facts["bins"]),
            n_rows=int(facts["n_rows"]),
            counts=np.asarray(arrays["counts"], dtype=np.int64),
            missing=np.asarray(arrays["missing"], dtype=np.int64),
            categories={name: arrays[f"category{place}"] for place, name in enumerate(facts["columns"])},
        )


def count_leaf(leaf: Leaf, bins: FeatureBins) -> NightFeatures:
    """Count the rows of one leaf; a summary that every engine can make, by date too."""
    return count_rows(leaf.values, bins, leaf.carried)


def count_rows(values: NDArray[Any], bins: FeatureBins, carried: Mapping[str, Any] | None = None) -> NightFeatures:
    """Count rows.

    Parameters
    ----------
    values : ndarray of shape (n_features, n_rows), float64 or float32
        Raw values in the order of the bins' features; NaN where missing.
    bins : FeatureBins
    carried : mapping of str to pyarrow.Array, optional
        Holds the category columns; others are passed over.

    Raises
    ------
    SchemaError
        These are not the features or columns that the bins were learned from.
    """
    if values.ndim != 2 or len(values) != len(bins.features):
        raise SchemaError(
            f"values of shape {values.shape} do not fit the {len(bins.features)} features {list(bins.features)}"
        )
    absent = sorted(set(bins.categories) - set(carried or {}))
    if absent:
        raise SchemaError(f"the columns {absent} are not carried, and the reference profile counts them")
    counts = np.zeros((len(bins.features), bins.n_bins), dtype=np.int64)
    rows = zip(values, bins.edges, bins.grids, counts, strict=True)
    missing = [count_values(row, edges, *grid, own) for row, edges, grid, own in rows]
    return NightFeatures(
        bins=bins.fingerprint,
        n_rows=values.shape[1],
        counts=counts,
        missing=np.array(missing, dtype=np.int64),
        categories={
            name: _category_counts(texts_of((carried or {})[name], name), bins.categories[name])
            for name in bins.categories
        },
    )


def _category_counts(column: Any, names: tuple[str, ...]) -> Integers:
    places = {name: place for place, name in enumerate(names)}
    counts = np.zeros(len(names) + 2, dtype=np.int64)
    for found in column.value_counts().to_pylist():
        value = found["values"]
        counts[-1 if value is None else places.get(value, -2)] += found["counts"]
    return counts
