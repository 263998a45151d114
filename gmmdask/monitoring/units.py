"""Whether one feature was rescaled or shifted upstream: metres for feet, minutes for seconds, another zero.

Looks at means and covariances of whole nights, never at segments: rows whose feature came in another unit fall into
the wrong segments, and sums by segment then describe the mistake instead of the change.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from gmmdask.errors import EmptyDataError
from gmmdask.mixture.parameters import MixtureParameters
from gmmdask.mixture.statistics import SufficientStatistics
from gmmdask.mixture.structures import DIAGONAL, FULL, SPHERICAL, TIED, FloatArray
from gmmdask.monitoring.nights import Champion

Integers = NDArray[np.int64]


@dataclass(frozen=True, kw_only=True, slots=True)
class AffineChange:
    """A feature x that seems to arrive as scale·x + offset.

    Parameters
    ----------
    feature : int
        Position among the prepared features.
    scale, offset : float
        In prepared units; a pure change of unit is an offset as well where the recipe centres.
    shift : float
        How far the feature's mean moved, in standard deviations of the champion.
    divergence : float
        Nats per row between the nights and the champion, each taken as one Gaussian.
    share : float
        How much of it is gone when the change is undone, 0 to 1.
    """

    feature: int
    scale: float
    offset: float
    shift: float
    divergence: float
    share: float

    def told(self, feature: str) -> str:
        """Return the change in words, of a feature of this name."""
        return (
            f"{feature} looks rescaled or shifted upstream: x → {self.scale:.4g}·x {self.offset:+.3g} in prepared units "
            f"explains {self.share:.0%} of what changed"
        )


@dataclass(frozen=True, kw_only=True, eq=False)
class _Gaussian:
    """Mean and covariance of whole nights, as far as the structure's sums know the covariance."""

    mean: FloatArray
    covariance: FloatArray

    @cached_property
    def precision(self) -> FloatArray:
        """Inverse of the covariance."""
        return np.asarray(np.linalg.inv(self.covariance), dtype=np.float64)

    @cached_property
    def log_determinant(self) -> float:
        """Of the covariance."""
        return float(np.linalg.slogdet(self.covariance)[1])

    def divergence(self, other: _Gaussian) -> float:
        """Return the Kullback-Leibler divergence of this from the other, in nats (Kullback 1959, chapter 9)."""
        step = self.mean - other.mean
        apart = float(np.sum(other.precision * self.covariance) + step @ other.precision @ step)
        return 0.5 * (apart - len(step) + other.log_determinant - self.log_determinant)


def find_affine_change(statistics: SufficientStatistics, champion: Champion) -> AffineChange | None:
    """Return the change of a single feature that, undone, brings the nights closest to the champion.

    With y = (x − offset)/scale in one feature j, the divergence KL(N(mean, C) ‖ N(mean₀, C₀)) has a single minimum in
    closed form: 1/scale = (b + √(b² + 4a))/2a with P = C₀⁻¹, a = P_jj·C_jj and b = −Σ_{i≠j} P_ji·C_ij.

    Returns
    -------
    AffineChange or None
        None where nothing moved, or the night's covariance has no inverse: a feature stands still.

    Raises
    ------
    EmptyDataError
        The nights hold no row of positive weight.
    """
    if statistics.mass <= 0:
        raise EmptyDataError("these nights hold no row of positive weight, so no feature can be compared")
    known = _expected(champion.parameters)
    found = _observed(statistics, champion, known)
    # what the champion's training added to every variance, the nights get too: a constant feature stays positive
    floor = champion.reg_covar * np.eye(len(known.mean))
    known, found = (_Gaussian(mean=g.mean, covariance=g.covariance + floor) for g in (known, found))
    if np.linalg.eigvalsh(found.covariance)[0] <= 0:
        return None
    before = found.divergence(known)
    if before <= 0:
        return None
    changes = [_undone(found, known, feature, before, champion) for feature in range(len(known.mean))]
    return max(changes, key=lambda change: change.share)


def moved_all_rows(change: AffineChange, edges: FloatArray, before: Integers, after: Integers) -> bool:
    """Return whether the counts of a feature agree that all of its rows moved by a change, and not some of them far.

    A new cluster far out has the mean and variance of a rescaled feature, and not its distribution. The distribution
    function before, moved along, must come within a third of the distance that there was, and within what chance does
    to so many rows: 1.36/√n, the 5 % point of Kolmogorov's D (Smirnov 1948).

    Parameters
    ----------
    change : AffineChange
    edges : ndarray of shape (n_edges,)
        Bounds of the bins in prepared units, ascending.
    before, after : ndarray of shape (n_edges + 1,), int64
        Values by bin, in training and in the night.
    """
    known, found = (np.cumsum(counts)[:-1] / max(int(counts.sum()), 1) for counts in (before, after))
    moved = np.interp((edges - change.offset) / change.scale, edges, known, left=0.0, right=1.0)
    chance = 1.36 / np.sqrt(max(int(after.sum()), 1))
    return bool(np.abs(found - moved).max() <= np.abs(found - known).max() / 3 + chance)


def _undone(found: _Gaussian, known: _Gaussian, j: int, before: float, champion: Champion) -> AffineChange:
    precision = known.precision
    others = np.arange(len(known.mean)) != j
    inverse = 1.0
    if champion.parameters.structure != SPHERICAL:
        own = precision[j, j] * found.covariance[j, j]
        cross = -float(precision[j, others] @ found.covariance[others, j])
        inverse = float((cross + np.sqrt(cross**2 + 4 * own)) / (2 * own))
    steps = (found.mean - known.mean)[others]
    mean, covariance = found.mean.copy(), found.covariance.copy()
    mean[j] = known.mean[j] - precision[j, others] @ steps / precision[j, j]
    covariance[j] *= inverse
    covariance[:, j] *= inverse
    after = _Gaussian(mean=mean, covariance=covariance).divergence(known)
    return AffineChange(
        feature=j,
        scale=1 / inverse,
        offset=float(found.mean[j] - mean[j] / inverse),
        shift=float((found.mean[j] - known.mean[j]) / np.sqrt(known.covariance[j, j])),
        divergence=before,
        share=1 - after / before,
    )


def _expected(parameters: MixtureParameters) -> _Gaussian:
    mean = parameters.weights @ parameters.means
    steps = parameters.means - mean
    covariance = (
        np.einsum("k,kij->ij", parameters.weights, parameters.matrices) + (parameters.weights * steps.T) @ steps
    )
    diagonal = parameters.structure in (DIAGONAL, SPHERICAL)
    return _Gaussian(mean=mean, covariance=np.diag(np.diag(covariance)) if diagonal else covariance)


def _observed(statistics: SufficientStatistics, champion: Champion, known: _Gaussian) -> _Gaussian:
    """Return the nights' mean and covariance; spherical sums hold no variance by feature, so the champion's stand in."""
    moments, mass, structure = champion.moments(statistics), statistics.mass, champion.parameters.structure
    centre = known.mean
    apart = moments.references - centre
    mean = (moments.first.sum(axis=0) + moments.counts @ apart) / mass
    if structure == SPHERICAL:
        return _Gaussian(mean=centre + mean, covariance=known.covariance)
    if structure in (FULL, TIED):
        crossed = np.einsum("ki,kj->ij", moments.first, apart)
        about = moments.second if structure == TIED else moments.second.sum(axis=0)
        total = about + crossed + crossed.T + (moments.counts * apart.T) @ apart
    else:
        total = np.diag((moments.second + 2 * moments.first * apart + moments.counts[:, None] * apart**2).sum(axis=0))
    spread = total / mass - (np.diag(mean**2) if structure == DIAGONAL else np.outer(mean, mean))
    return _Gaussian(mean=centre + mean, covariance=spread)
