"""What the segments look like: sums over rows that are added across leaves and partitions.

Counts, moments and extremes of the features in original units, and counts of the described columns, per segment. How
they become table rows is decided above.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import reduce
from typing import Any, cast

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from gmmdask.preparation.codes import texts_of
from gmmdask.scoring.assign import STATUS_NAMES, FloatArray, LeafScores, SegmentModel, is_anomaly

CERTAIN = 0.9
"""A row is certain of its segment from this probability on."""

CATEGORY_LIMIT = 1_000
MISSING_CATEGORY = "(missing)"
OTHER_CATEGORIES = "(other)"

CategoryCounts = Mapping[str, NDArray[np.int64]]


@dataclass(frozen=True, kw_only=True, eq=False)
class SegmentSums:
    """Sums over rows; a segment is named by its position.

    Parameters
    ----------
    features : tuple of str
        Columns whose moments are profiled: the numbers that the model uses.
    centres : ndarray of shape (n_segments, n_features)
        What the moments of each segment are about, in original units.
    statuses : ndarray of shape (4,), int64
        Rows by `RowStatus`.
    rows, certain, anomalies : ndarray of shape (n_segments,), int64
        Rows; of these with a probability of at least 0.9; and those flagged as anomalies.
    probability, log_density : ndarray of shape (n_segments,)
        Sums over rows; the second in nats, original units.
    present : ndarray of shape (n_segments, n_features), int64
        Rows that have a value: all but those in which it was filled.
    first, second : ndarray of shape (n_segments, n_features)
        Sums of x − centre and of its square over these.
    minimum, maximum : ndarray of shape (n_segments, n_features)
        Over these; ∞ and −∞ where a segment has none.
    categories : mapping of str to mapping of str to ndarray of shape (n_segments,)
        For every described column the rows by value; of more than 1,000 values, the rarer ones count as "(other)".
    """

    features: tuple[str, ...]
    centres: FloatArray
    statuses: NDArray[np.int64]
    rows: NDArray[np.int64]
    certain: NDArray[np.int64]
    anomalies: NDArray[np.int64]
    probability: FloatArray
    log_density: FloatArray
    present: NDArray[np.int64]
    first: FloatArray
    second: FloatArray
    minimum: FloatArray
    maximum: FloatArray
    categories: Mapping[str, CategoryCounts] = field(default_factory=dict)

    @classmethod
    def empty(cls, model: SegmentModel, describe: Iterable[str] = ()) -> SegmentSums:
        """Return the sums over no rows at all."""
        features = model.recipe.numeric_features
        shape = (model.n_segments, len(features))
        return cls(
            features=features,
            centres=model.centres[:, used_rows(model)],
            statuses=np.zeros(len(STATUS_NAMES), dtype=np.int64),
            rows=np.zeros(shape[0], dtype=np.int64),
            certain=np.zeros(shape[0], dtype=np.int64),
            anomalies=np.zeros(shape[0], dtype=np.int64),
            probability=np.zeros(shape[0]),
            log_density=np.zeros(shape[0]),
            present=np.zeros(shape, dtype=np.int64),
            first=np.zeros(shape),
            second=np.zeros(shape),
            minimum=np.full(shape, np.inf),
            maximum=np.full(shape, -np.inf),
            categories={name: {} for name in describe},
        )

    def combine(self, other: SegmentSums) -> SegmentSums:
        """Return the sums over the rows of both."""
        return SegmentSums(
            features=self.features,
            centres=self.centres,
            statuses=self.statuses + other.statuses,
            rows=self.rows + other.rows,
            certain=self.certain + other.certain,
            anomalies=self.anomalies + other.anomalies,
            probability=self.probability + other.probability,
            log_density=self.log_density + other.log_density,
            present=self.present + other.present,
            first=self.first + other.first,
            second=self.second + other.second,
            minimum=np.minimum(self.minimum, other.minimum),
            maximum=np.maximum(self.maximum, other.maximum),
            categories={
                name: _capped(_added(self.categories[name], other.categories[name])) for name in self.categories
            },
        )

    @property
    def n_scored(self) -> int:
        """Rows that have a segment."""
        return int(self.rows.sum())

    def mean(self) -> FloatArray:
        """Return means in original units, shape (n_segments, n_features); NaN for a segment without values."""
        with np.errstate(invalid="ignore"):
            return self.centres + self.first / self.present

    def standard_deviation(self) -> FloatArray:
        """Return standard deviations (dividing by the number of values), in original units; NaN without values."""
        with np.errstate(invalid="ignore"):
            shift = self.first / self.present
            return np.sqrt(np.maximum(self.second / self.present - shift**2, 0.0))

    def missing_share(self) -> FloatArray:
        """Return the share of each segment's rows without a value, by feature; NaN for a segment without rows."""
        with np.errstate(invalid="ignore"):
            return 1.0 - self.present / self.rows[:, None]

    def whole(self) -> SegmentSums:
        """Return the sums over all segments together, as a single one."""
        centre = self.centres.mean(axis=0)
        offsets = self.centres - centre
        second = self.second + 2 * offsets * self.first + self.present * offsets**2
        return SegmentSums(
            features=self.features,
            centres=centre[None],
            statuses=self.statuses,
            rows=self.rows.sum(keepdims=True),
            certain=self.certain.sum(keepdims=True),
            anomalies=self.anomalies.sum(keepdims=True),
            probability=self.probability.sum(keepdims=True),
            log_density=self.log_density.sum(keepdims=True),
            present=self.present.sum(axis=0, keepdims=True),
            first=(self.first + self.present * offsets).sum(axis=0, keepdims=True),
            second=second.sum(axis=0, keepdims=True),
            minimum=self.minimum.min(axis=0, keepdims=True),
            maximum=self.maximum.max(axis=0, keepdims=True),
            categories={
                name: {value: counts.sum(keepdims=True) for value, counts in values.items()}
                for name, values in self.categories.items()
            },
        )


def combine_sums(parts: Iterable[SegmentSums], empty: SegmentSums) -> SegmentSums:
    """Return the sums over the rows of all parts, added in their order."""
    return reduce(SegmentSums.combine, parts, empty)


def used_rows(model: SegmentModel) -> list[int]:
    """Return the positions among the raw features of the numbers that the model uses."""
    return [model.recipe.features.index(name) for name in model.recipe.numeric_features]


def profile_leaf(
    values: NDArray[Any], scores: LeafScores, model: SegmentModel, described: Mapping[str, Any]
) -> SegmentSums:
    """Sum the rows of one leaf.

    Parameters
    ----------
    values : ndarray of shape (n_features, n_rows)
        Raw values.
    scores : LeafScores
    model : SegmentModel
    described : mapping of str to pyarrow.Array
        The described columns, and those that are clustered as categories, one value a row.
    """
    k, features = model.n_segments, model.recipe.numeric_features
    component = scores.component
    anomalies = is_anomaly(scores, model)
    used = values if len(features) == len(values) else values[used_rows(model)]
    moments = _moments(used, scores, model.centres[:, used_rows(model)])
    scored = None if len(component) == len(scores.status) else pa.array(scores.scored)
    return SegmentSums(
        features=features,
        centres=model.centres[:, used_rows(model)],
        statuses=np.bincount(scores.status, minlength=len(STATUS_NAMES)),
        rows=np.bincount(component, minlength=k),
        certain=np.bincount(component[scores.probability >= CERTAIN], minlength=k),
        anomalies=np.zeros(k, dtype=np.int64) if anomalies is None else np.bincount(component[anomalies], minlength=k),
        probability=_sums(component, scores.probability, k),
        log_density=_sums(component, scores.log_density, k),
        **moments,
        categories={
            name: _capped(_counts(texts_of(column if scored is None else column.filter(scored), name), component, k))
            for name, column in described.items()
        },
    )


def _sums(component: NDArray[np.int64], values: FloatArray, k: int) -> FloatArray:
    return np.asarray(np.bincount(component, values, minlength=k), dtype=np.float64)


def _moments(values: NDArray[Any], scores: LeafScores, centres: FloatArray) -> dict[str, Any]:
    """Sum the values that are there segment by segment: sorted by segment, each is one contiguous piece."""
    present = np.zeros(centres.shape, dtype=np.int64)
    first, second = np.zeros_like(centres), np.zeros_like(centres)
    minimum, maximum = np.full_like(centres, np.inf), np.full_like(centres, -np.inf)
    order = np.argsort(scores.component.astype(np.int16), kind="stable")
    rows = order if len(order) == values.shape[1] else np.flatnonzero(scores.scored)[order]
    ordered = values.take(rows, axis=1).astype(np.float64, copy=False)
    stops = np.cumsum(np.bincount(scores.component, minlength=len(centres)))
    for k, (start, stop) in enumerate(zip([0, *stops[:-1]], stops, strict=True)):
        if start < stop:
            own = ordered[:, start:stop]
            minimum[k], maximum[k] = (
                np.fmin.reduce(own, axis=1, initial=np.inf),
                np.fmax.reduce(own, axis=1, initial=-np.inf),
            )
            own -= centres[k][:, None]
            present[k] = stop - start
            first[k], second[k] = own.sum(axis=1), np.einsum("ji,ji->j", own, own)
            if np.isnan(first[k]).any():
                present[k], first[k], second[k] = _without_holes(own)
    return {"present": present, "first": first, "second": second, "minimum": minimum, "maximum": maximum}


def _without_holes(own: FloatArray) -> tuple[NDArray[np.int64], FloatArray, FloatArray]:
    """Return number, sum and sum of squares of the values of each row that are not NaN; changes its argument."""
    holes = np.isnan(own)
    own[holes] = 0.0
    return np.count_nonzero(~holes, axis=1), own.sum(axis=1), np.einsum("ji,ji->j", own, own)


def _counts(column: Any, component: NDArray[np.int64], k: int) -> dict[str, NDArray[np.int64]]:
    encoded = column.fill_null(MISSING_CATEGORY).dictionary_encode()
    codes = cast("NDArray[np.int64]", encoded.indices.to_numpy(zero_copy_only=False)).astype(np.int64)
    names = encoded.dictionary.to_pylist()
    counts = np.bincount(codes * k + component, minlength=len(names) * k).reshape(-1, k)
    return dict(zip(names, counts, strict=True))


def _added(left: CategoryCounts, right: CategoryCounts) -> dict[str, NDArray[np.int64]]:
    both = dict(left)
    for value, counts in right.items():
        both[value] = both[value] + counts if value in both else counts
    return both


def _capped(counts: CategoryCounts) -> CategoryCounts:
    if len(counts) <= CATEGORY_LIMIT:
        return counts
    ranked = sorted(counts.items(), key=lambda item: (item[0] == OTHER_CATEGORIES, -int(item[1].sum()), item[0]))
    kept = dict(ranked[: CATEGORY_LIMIT - 1])
    kept[OTHER_CATEGORIES] = sum((rare for _, rare in ranked[CATEGORY_LIMIT - 1 :]), start=np.zeros_like(ranked[0][1]))
    return kept
