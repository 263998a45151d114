"""What one retraining step would surely gain on some nights, and what moved: which segment, and which part of it.

G = ⟨W′ − W, S⟩/N is EM's lower bound on the log-likelihood per row that one M-step on these nights would gain over the
baseline. It comes out of their sums; no row is read.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from gmmdask.errors import EmptyDataError
from gmmdask.mixture.criteria import sure_gain
from gmmdask.mixture.em import maximize
from gmmdask.mixture.parameters import MixtureParameters
from gmmdask.mixture.statistics import SufficientStatistics
from gmmdask.mixture.structures import TIED, FloatArray, Moments
from gmmdask.monitoring.nights import Champion

FEWEST_ROWS = 30
"""A component with fewer rows, or fewer than its features and two, says nothing about its shape."""

Part = Literal["weight", "mean", "covariance"]
PARTS: tuple[Part, ...] = ("weight", "mean", "covariance")


@dataclass(frozen=True, kw_only=True, eq=False)
class Gain:
    """G of some nights in nats per row, and what it is made of.

    The path from the baseline W to W′ = M(S) changes the weights first, then the means, then the covariances; each part
    is what its step adds to the expected log joint density, so the parts add up to G. A weight's part is
    π̂·log(π′/π) − (π′ − π) with π̂ the share of rows: the subtracted terms cancel in the sum, and every part is positive
    by itself (but for `reg_covar` and weights that are floored). Segments of tied covariances share one covariance
    part, split by their shares of rows.

    Parameters
    ----------
    total : float
    weight, mean, covariance : ndarray of shape (n_components,)
    kept : ndarray of shape (n_components,), bool
        Components with too few rows to say anything about their shape; it stays as in the baseline.
    mass : float
        Σ weight of the nights.
    """

    total: float
    weight: FloatArray
    mean: FloatArray
    covariance: FloatArray
    kept: NDArray[np.bool_]
    mass: float

    @property
    def parts(self) -> dict[Part, FloatArray]:
        """Parts by name, each of shape (n_components,)."""
        return {"weight": self.weight, "mean": self.mean, "covariance": self.covariance}

    @property
    def by_component(self) -> FloatArray:
        """What each component adds to G, shape (n_components,)."""
        return self.weight + self.mean + self.covariance

    @property
    def largest(self) -> tuple[int, Part]:
        """The component and the part that moved most."""
        name, values = max(self.parts.items(), key=lambda item: float(item[1].max()))
        return int(values.argmax()), name


def measure_gain(
    statistics: SufficientStatistics, champion: Champion, baseline: MixtureParameters | None = None
) -> Gain:
    """Return what one M-step on these sums gains.

    Parameters
    ----------
    statistics : SufficientStatistics
        One pass of the champion's stack, or a sum of such.
    champion : Champion
        Whose responsibilities the sums hold.
    baseline : MixtureParameters, optional
        What the gain is over; by default the champion.

    Raises
    ------
    EmptyDataError
        The nights hold no row of positive weight.
    """
    before = champion.parameters if baseline is None else baseline
    after, kept = retrained(statistics, champion, before)
    moments, mass = champion.moments(statistics), statistics.mass
    share = moments.counts / mass
    moved = replace(before, weights=after.weights, means=after.means)
    tied = before.structure == TIED
    reshaped = share * sure_gain(moved, after, moments) if tied else _covariance_gains(moved, after, moments)
    return Gain(
        total=sure_gain(before, after, moments) / mass,
        weight=share * (after.log_weights - before.log_weights) - (after.weights - before.weights),
        mean=_mean_gains(before, after, moments) / mass,
        covariance=reshaped / mass,
        kept=kept,
        mass=mass,
    )


def total_gain(
    statistics: SufficientStatistics, champion: Champion, baseline: MixtureParameters | None = None
) -> float:
    """Return G alone, in nats per row; see `measure_gain`."""
    before = champion.parameters if baseline is None else baseline
    after, _ = retrained(statistics, champion, before)
    return sure_gain(before, after, champion.moments(statistics)) / statistics.mass


def retrained(
    statistics: SufficientStatistics, champion: Champion, baseline: MixtureParameters | None = None
) -> tuple[MixtureParameters, NDArray[np.bool_]]:
    """Return the parameters after one M-step on these sums, and which components kept their shape.

    A component of fewer than max(d + 2, 30) rows keeps the mean and covariance of the baseline, and its weight does not
    fall under 1/N. One whose new covariance has no Cholesky factor keeps its covariance alone, so that values beyond all bounds
    still move its mean.

    Raises
    ------
    EmptyDataError
        The nights hold no row of positive weight.
    """
    before = champion.parameters if baseline is None else baseline
    mass = statistics.mass
    if mass <= 0:
        raise EmptyDataError("these nights hold no row of positive weight, so nothing can be learned from them")
    moments = champion.moments(statistics)
    after = maximize(moments, before.structure, champion.reg_covar)
    kept = moments.counts < max(before.n_features + 2, FEWEST_ROWS)
    if kept.any():
        after = _with_kept(after, before, kept, moments)
    if not after.is_positive_definite:
        after = replace(after, covariances=_sound_covariances(after, before))
    return after, kept


def _with_kept(
    after: MixtureParameters, before: MixtureParameters, kept: NDArray[np.bool_], moments: Moments
) -> MixtureParameters:
    covariances = after.covariances
    if before.structure == TIED:  # the scatter of the kept is about the means that they keep
        steps = (after.means - before.means)[kept]
        covariances = covariances + (moments.counts[kept, None] / moments.counts.sum() * steps).T @ steps
    else:
        covariances = _chosen(kept, before.covariances, covariances)
    return replace(
        after,
        weights=_floored_weights(moments.counts, before.weights),
        means=_chosen(kept, before.means, after.means),
        covariances=covariances,
    )


def _floored_weights(counts: FloatArray, before: FloatArray) -> FloatArray:
    """Return the most likely weights of which none is under 1/N, nor under its old value where that was less."""
    shares, floor = counts / counts.sum(), np.minimum(1 / counts.sum(), before)
    low = shares < floor
    while not low.all():  # at most once for each component
        weights = np.where(low, floor, shares * (1 - floor[low].sum()) / shares[~low].sum())
        if not (weights[~low] < floor[~low]).any():
            return np.asarray(weights)
        low = low | (weights < floor)
    return np.asarray(floor / floor.sum())


def _sound_covariances(after: MixtureParameters, before: MixtureParameters) -> FloatArray:
    if before.structure == TIED:
        return before.covariances
    sound = [_component(after, k).is_positive_definite for k in range(after.n_components)]
    return _chosen(np.array(sound), after.covariances, before.covariances)


def _chosen(where: NDArray[np.bool_], these: FloatArray, others: FloatArray) -> FloatArray:
    """Return the components of one array where chosen, of the other elsewhere."""
    return np.where(where.reshape(-1, *(1,) * (these.ndim - 1)), these, others)


def _mean_gains(before: MixtureParameters, after: MixtureParameters, moments: Moments) -> FloatArray:
    """Return (μ′ − μ)ᵀ·Σ⁻¹·Σ r·(x − (μ + μ′)/2) for every component, in nats."""
    halfway = (before.means + after.means) / 2 - moments.references
    deviations = moments.first - moments.counts[:, None] * halfway
    whitened = before.precision_factors.transpose(0, 2, 1)
    steps = np.einsum("kij,kj->ki", whitened, after.means - before.means)
    return np.asarray((steps * np.einsum("kij,kj->ki", whitened, deviations)).sum(axis=1))


def _covariance_gains(moved: MixtureParameters, after: MixtureParameters, moments: Moments) -> FloatArray:
    """Return what the new covariances add for every component, in nats; not for tied ones, which share it."""
    return np.array(
        [
            sure_gain(_component(moved, k), _component(after, k), _component_moments(moments, k))
            for k in range(moved.n_components)
        ]
    )


def _component(parameters: MixtureParameters, k: int) -> MixtureParameters:
    return replace(
        parameters,
        weights=parameters.weights[k : k + 1],
        means=parameters.means[k : k + 1],
        covariances=parameters.covariances[k : k + 1],
    )


def _component_moments(moments: Moments, k: int) -> Moments:
    one = slice(k, k + 1)
    return Moments(
        counts=moments.counts[one],
        first=moments.first[one],
        second=moments.second[one],
        references=moments.references[one],
    )
