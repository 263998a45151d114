"""How a recipe is learned: from moments over all training rows, and from a sample of them where order statistics are needed.

Takes what pass 0 found as plain values; reading the rows happens elsewhere.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gmmdask.errors import EmptyDataError, InvalidInputError
from gmmdask.preparation.codes import category_codes
from gmmdask.preparation.columns import CategoryColumn, Column, FillRule, NumericColumn
from gmmdask.preparation.evidence import CategoryPolicy, Evidence, Moments, NumericPolicy, Policy, Scale
from gmmdask.preparation.recipe import Recipe

Floats = NDArray[np.float64]
MOST_CATEGORIES = 200
"""A column with more categories than this is an id or free text, not a few kinds of row."""

IQR_OF_NORMAL = 1.349
"""Interquartile range of a Gaussian in standard deviations."""

SMALLEST_BULK = 1e-12
"""Of the standard deviation: a spread of the middle half that is smaller is rounding, and dividing by it may overflow."""


def learn_recipe(
    evidence: Evidence, policies: Mapping[str, Policy] | None = None, *, drop_constant: bool = False
) -> Recipe:
    """Make a recipe for the training rows.

    Parameters
    ----------
    evidence : Evidence
    policies : mapping of str to NumericPolicy or CategoryPolicy, optional
        By column; a column without one is a number that is standardised and whose missing cells drop their rows.
    drop_constant : bool, default False
        Leave constant columns out instead of refusing them.

    Raises
    ------
    EmptyDataError
        A column has no value at all.
    InvalidInputError
        A column is constant, its moments are not finite, or it has too many categories.
    """
    moments = evidence.moments
    _require_moments(moments)
    asked = policies or {}
    columns = tuple(
        _column(number, asked.get(name, NumericPolicy()), evidence) for number, name in enumerate(moments.features)
    )
    fixed = {c.name: c.centre if isinstance(c, NumericColumn) else c.categories[0] for c in columns if c.constant}
    if fixed and not drop_constant:
        raise InvalidInputError(f"columns without variation: {fixed}; leave them out or set drop_constant")
    return Recipe(columns=columns)


def weighted_quantile(values: Floats, weights: Floats, quantile: float) -> float:
    """Return a quantile of weighted values; a whole weight counts as that many equal rows.

    The inverse of the distribution function, averaged where it is not unique (Hyndman & Fan 1996, definition 2): for
    weights of one the median is that of `numpy.median`.

    Parameters
    ----------
    values, weights : ndarray of shape (n_rows,)
        At least one row; positive weights.
    quantile : float
        Above 0 and below 1.
    """
    order = np.argsort(values, kind="stable")
    ordered, reached = values[order], np.cumsum(weights[order])
    target = quantile * reached[-1]
    at = min(int(np.searchsorted(reached, target)), len(ordered) - 1)
    after = min(at + 1, len(ordered) - 1) if reached[at] == target else at
    return float(ordered[at] + (ordered[after] - ordered[at]) / 2)


@dataclass(frozen=True, kw_only=True, slots=True)
class _Extent:
    """Where the values of one column lie."""

    mean: float
    variance: float
    minimum: float
    maximum: float

    @property
    def is_constant(self) -> bool:
        # A variance that rounds to nothing cannot scale anything, even where minimum and maximum differ in a last bit.
        return self.minimum == self.maximum or not self.variance > np.finfo(np.float64).tiny

    def with_fill(self, fill: float, present: float, missing: float) -> _Extent:
        """Return the extent of the values and of a fill, with their total weights (Chan, Golub & LeVeque 1979)."""
        share, step = missing / (present + missing), fill - self.mean
        return _Extent(
            mean=self.mean + step * share,
            variance=self.variance * (1 - share) + step**2 * share * (1 - share),
            minimum=min(self.minimum, fill),
            maximum=max(self.maximum, fill),
        )


def _column(number: int, policy: Policy, evidence: Evidence) -> Column:
    if isinstance(policy, CategoryPolicy):
        return _category_column(number, policy, evidence)
    name = evidence.moments.features[number]
    fill, rule = _fill(number, policy, evidence)
    extent = _extent(number, fill, evidence.moments)
    if extent.is_constant:
        return NumericColumn(name=name, fill=fill, fill_rule=rule, centre=extent.minimum, constant=True)
    middle, spread = 0.0, 1.0
    if policy.transform == "arcsinh":
        values, weights = _sampled(number, evidence)
        filled = values if fill is None else np.where(np.isnan(values), fill, values)
        middle, spread = _bulk(filled, weights, extent)
        extent = _curved(filled, weights, extent, middle, spread)
    centre, scale = _centre_and_scale(policy.scale, extent)
    return NumericColumn(
        name=name,
        fill=fill,
        fill_rule=rule,
        transform=policy.transform,
        middle=middle,
        spread=spread,
        centre=centre,
        scale=scale,
    )


def _category_column(number: int, policy: CategoryPolicy, evidence: Evidence) -> CategoryColumn:
    name = evidence.moments.features[number]
    found = evidence.categories[name]
    fill = _most_frequent_category(number, evidence) if policy.fill_by_mode else policy.fill
    # A fill that no training row needs would be an indicator without variation.
    names = {category for category in found if category is not None}
    names |= {fill} if fill is not None and None in found else set()
    if len(names) > MOST_CATEGORIES:
        raise InvalidInputError(
            f"column {name!r} has {len(names)} categories or more, and at most {MOST_CATEGORIES} can be clustered one-hot: "
            "put it under describe, or write rare categories as one"
        )
    return CategoryColumn(name=name, categories=tuple(sorted(names)), fill=fill, unseen=policy.unseen)


def _fill(number: int, policy: NumericPolicy, evidence: Evidence) -> tuple[float | None, FillRule]:
    if not isinstance(policy.missing, str):
        return float(policy.missing), "constant"
    if policy.missing == "drop":
        return None, "drop"
    if policy.missing == "mean":
        return float(evidence.moments.mean[number]), "mean"
    values, weights = _present(number, evidence)
    if policy.missing == "median":
        return weighted_quantile(values, weights, 0.5), "median"
    return _mode(values, weights), "mode"


def _mode(values: Floats, weights: Floats) -> float:
    """Return the value of largest total weight; of equal ones, the smallest."""
    distinct, which = np.unique(values, return_inverse=True)
    return float(distinct[np.bincount(which, weights).argmax()])


def _most_frequent_category(number: int, evidence: Evidence) -> str:
    """Return the category of largest total weight; of equal ones, the first by name."""
    names = sorted(c for c in evidence.categories[evidence.moments.features[number]] if c is not None)
    codes, weights = _present(number, evidence)
    return names[int(np.argmax([weights[codes == code].sum() for code in category_codes(names)]))]


def _extent(number: int, fill: float | None, moments: Moments) -> _Extent:
    extent = _Extent(
        mean=float(moments.mean[number]),
        variance=float(moments.variance[number]),
        minimum=float(moments.minimum[number]),
        maximum=float(moments.maximum[number]),
    )
    missing = 0.0 if moments.missing is None else float(moments.missing[number])
    if fill is None or missing == 0:
        return extent
    try:
        filled = extent.with_fill(fill, float(moments.count[number]), missing)
    except OverflowError:
        filled = None
    if filled is None or not np.isfinite([filled.mean, filled.variance]).all():
        raise InvalidInputError(
            f"column {moments.features[number]!r} has missing cells to be filled by {fill:g}, and the square of its distance "
            f"from the mean {extent.mean:g} overflows; choose a fill near the values, or drop these rows"
        )
    return filled


def _bulk(values: Floats, weights: Floats, extent: _Extent) -> tuple[float, float]:
    """Return the median, and the standard deviation that a Gaussian of this interquartile range would have.

    Where the middle half of the rows has next to no spread, it is the standard deviation of all.
    """
    low, middle, high = (weighted_quantile(values, weights, at) for at in (0.25, 0.5, 0.75))
    spread, deviation = (high - low) / IQR_OF_NORMAL, float(np.sqrt(extent.variance))
    return middle, spread if spread > SMALLEST_BULK * deviation else deviation


def _curved(values: Floats, weights: Floats, extent: _Extent, middle: float, spread: float) -> _Extent:
    """Return the extent after arcsinh: moments from the sample, ends from those of all rows."""
    bent = np.arcsinh((values - middle) / spread)
    low, high = (float(np.arcsinh((end - middle) / spread)) for end in (extent.minimum, extent.maximum))
    mean = float(bent @ weights / weights.sum())
    variance = float((bent - mean) ** 2 @ weights / weights.sum())
    # A sample of equal values says nothing of the spread; half of the range bounds it (Popoviciu 1935).
    return _Extent(mean=mean, variance=variance if variance > 0 else ((high - low) / 2) ** 2, minimum=low, maximum=high)


def _centre_and_scale(scale: Scale, extent: _Extent) -> tuple[float, float]:
    if scale == "standard":
        return extent.mean, float(np.sqrt(extent.variance))
    return (extent.minimum, extent.maximum - extent.minimum) if scale == "minmax" else (0.0, 1.0)


def _sampled(number: int, evidence: Evidence) -> tuple[Floats, Floats]:
    if evidence.sample is None or not len(evidence.sample.weights):
        name = evidence.moments.features[number]
        raise EmptyDataError(f"no sample of rows to learn the fill or the transform of column {name!r} from")
    return evidence.sample.values[number], evidence.sample.weights


def _present(number: int, evidence: Evidence) -> tuple[Floats, Floats]:
    values, weights = _sampled(number, evidence)
    present = ~np.isnan(values)
    if not present.any():
        raise EmptyDataError(
            f"column {evidence.moments.features[number]!r} has a value in none of the {len(values)} rows of the sample; "
            "leave it out, or fill it with a constant"
        )
    return values[present], weights[present]


def _require_moments(moments: Moments) -> None:
    for number, name in enumerate(moments.features):
        if not moments.count[number] > 0:
            raise EmptyDataError(f"column {name!r} has no value in any row; leave it out")
    for number, name in enumerate(moments.features):
        ends = [float(moments.minimum[number]), float(moments.maximum[number])]
        if not np.isfinite(ends).all():
            raise InvalidInputError(
                f"column {name!r} has values from {ends[0]:g} to {ends[1]:g}; write infinite values as missing"
            )
        if not np.isfinite([moments.mean[number], moments.variance[number]]).all():
            raise InvalidInputError(
                f"column {name!r} has values from {ends[0]:g} to {ends[1]:g}, and the squares of such values overflow; "
                "write them in another unit, or those that stand for nothing as missing"
            )
