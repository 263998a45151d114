"""Moments of features over rows: sums that combine, kept as means and squared deviations so that no digits are lost."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]

_OVERFLOWING = np.errstate(over="ignore", invalid="ignore")
"""Moments that overflow are refused where they are used, with the name of the column; until then they are not finite."""


@dataclass(frozen=True, kw_only=True, eq=False)
class FeatureMoments:
    """Weighted mean and squared deviations of each feature over usable rows of positive weight.

    A row is usable if it has a finite value in every feature, but for those that will be filled: they may be missing.

    Parameters
    ----------
    n_rows : int
        Usable rows, whatever their weights.
    mass, squared_mass : float
        Σ w and Σ w² over them.
    present : ndarray of shape (n_features,)
        Σ w over those of them that have a value in the feature.
    mean, deviations : ndarray of shape (n_features,)
        Σ w·x / Σ w and Σ w·(x − mean)² over these.
    """

    n_rows: int
    mass: float
    squared_mass: float
    present: FloatArray
    mean: FloatArray
    deviations: FloatArray

    @classmethod
    @_OVERFLOWING
    def of(cls, values: FloatArray, weights: FloatArray, *, has_holes: bool = False) -> FeatureMoments:
        """Return the moments of usable rows, shape (n_features, n_rows); with holes, NaN where a value is missing."""
        mass = float(weights.sum())
        if has_holes and values.shape[1]:
            present, mean, deviations = _with_holes(values, weights)
        else:
            centre = values[:, :1] if values.shape[1] else np.zeros((len(values), 1))
            shifted = (values - centre) * (weights > 0)
            offset = shifted @ weights / mass if mass > 0 else np.zeros(len(values))
            deviations = ((shifted - offset[:, None]) ** 2) @ weights
            present, mean = np.full(len(values), mass), centre[:, 0] + offset
        return cls(
            n_rows=values.shape[1],
            mass=mass,
            squared_mass=float(weights @ weights),
            present=present,
            mean=mean,
            deviations=deviations,
        )

    @_OVERFLOWING
    def combine(self, other: FeatureMoments) -> FeatureMoments:
        """Return the moments of both (Chan, Golub & LeVeque 1979, equation 2.1)."""
        present = self.present + other.present
        share = _over(other.present, present)
        both = (self.present > 0) & (other.present > 0)
        step = other.mean - self.mean
        moved = np.where(both, self.mean + step * share, np.where(other.present > 0, other.mean, self.mean))
        between = np.where(both, step**2 * _over(self.present * other.present, present), 0.0)
        return FeatureMoments(
            n_rows=self.n_rows + other.n_rows,
            mass=self.mass + other.mass,
            squared_mass=self.squared_mass + other.squared_mass,
            present=present,
            mean=moved,
            deviations=self.deviations + other.deviations + between,
        )

    def scaled(self, centre: FloatArray, scale: FloatArray, used: list[int]) -> FeatureMoments:
        """Return the moments of (x − centre)/scale for the features `used`."""
        mean, deviations = (self.mean[used] - centre) / scale, self.deviations[used] / scale**2
        return replace(self, present=self.present[used], mean=mean, deviations=deviations)

    @property
    def variance(self) -> FloatArray:
        """Weighted variances (dividing by the weight present), in squared units of the features."""
        return _over(self.deviations, self.present)


def _over(parts: FloatArray, wholes: FloatArray) -> FloatArray:
    """Return parts / wholes, and 0 where the whole is 0."""
    return np.divide(parts, wholes, out=np.zeros_like(wholes), where=wholes > 0)


def _with_holes(values: FloatArray, weights: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return weight, mean and squared deviations of each feature over the cells that are there."""
    is_present = ~np.isnan(values) & (weights > 0)
    first = values[np.arange(len(values)), is_present.argmax(axis=1)]
    centre = np.where(is_present.any(axis=1), first, 0.0)
    shifted = np.where(is_present, values - centre[:, None], 0.0)
    present = is_present @ weights
    offset = _over(shifted @ weights, present)
    deviations = np.where(is_present, (shifted - offset[:, None]) ** 2, 0.0) @ weights
    return present, centre + offset, deviations
