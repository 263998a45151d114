"""How far two sets of counts lie apart, and how likely that is by chance. Pure formulas on arrays."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import special

Floats = NDArray[np.float64]
Counts = NDArray[np.int64]


def psi(reference: Counts, counts: Counts) -> float:
    """Return the population stability index, Σ (a − b)·log(a / b), in nats.

    Half a row is added to every bin, so that an empty one does not count as infinitely far.
    """
    a, b = _smoothed(counts), _smoothed(reference)
    return float(((a - b) * np.log(a / b)).sum())


def psi_chance(value: float, n_reference: int, n: int, n_bins: int) -> float:
    """Return the probability of such a PSI between samples of one distribution.

    PSI / (1/N + 1/M) is about χ² with a degree of freedom less than there are bins (Yurdakul & Naranjo 2020).
    """
    if n_bins < 2:
        return 1.0
    return float(special.chdtrc(n_bins - 1, value / (1 / n + 1 / n_reference)))


def ks(reference: Counts, counts: Counts) -> float:
    """Return the largest difference of the distribution functions at the edges: Kolmogorov's D, or a bin's share less."""
    return float(np.abs(_cumulative(counts) - _cumulative(reference)).max(initial=0.0))


def ks_chance(value: float, n_reference: int, n: int) -> float:
    """Return the limiting probability of such a D between samples of one distribution (Smirnov 1948)."""
    return float(special.kolmogorov(np.sqrt(n / (n + n_reference) * n_reference) * value))


def wasserstein(edges: Floats, reference: Counts, counts: Counts) -> float:
    """Return the first Wasserstein distance ∫ |F − G| dx, in the unit of the edges.

    Both distribution functions are exact at the edges and taken as straight between them; what lies beyond the
    outermost edges counts as lying on them.
    """
    gaps = (_cumulative(counts) - _cumulative(reference))[: len(edges)]
    left, right, widths = gaps[:-1], gaps[1:], np.diff(edges)
    size = np.abs(left) + np.abs(right)
    crossing = left * right < 0
    squares = np.divide(left**2 + right**2, size, out=np.zeros_like(size), where=crossing)
    return float((widths * np.where(crossing, squares, size)).sum() / 2)


def rate_chance(n_reference_found: int, n_reference: int, n_found: int, n: int) -> float:
    """Return the two-sided probability of such a difference of two shares (normal approximation, pooled variance)."""
    pooled = (n_reference_found + n_found) / (n_reference + n)
    variance = pooled * (1 - pooled) * (1 / n_reference + 1 / n)
    if variance <= 0:
        return 1.0
    difference = n_found / n - n_reference_found / n_reference
    return float(special.erfc(abs(difference) / np.sqrt(2 * variance)))


def night_chance(value: float, nights: Floats) -> float:
    """Return the probability of such a value among nights like these: the tail of a gamma distribution of their moments.

    Exact in form for the PSI, whose null is a scaled χ²; for the others a tail that decays no faster than their own.
    """
    mean, variance = float(nights.mean()), float(nights.var(ddof=1))
    if not variance > 0:
        return 1.0 if value <= mean else 0.0
    return float(special.gammaincc(mean * mean / variance, value * mean / variance))


def benjamini_hochberg(chances: Floats, level: float) -> NDArray[np.bool_]:
    """Return which tests are significant so that at most `level` of these are false on average.

    Benjamini & Hochberg (1995): the largest k with p_(k) <= level·k/m, and all smaller ones. NaN is no test.
    """
    tested = np.isfinite(chances)
    ordered = np.sort(chances[tested])
    passed = np.flatnonzero(ordered <= level * np.arange(1, len(ordered) + 1) / max(len(ordered), 1))
    limit = ordered[passed[-1]] if len(passed) else -1.0
    return np.asarray(tested & (chances <= limit))


def _smoothed(counts: Counts) -> Floats:
    return np.asarray((counts + 0.5) / (counts.sum() + 0.5 * len(counts)))


def _cumulative(counts: Counts) -> Floats:
    return np.asarray(np.cumsum(counts) / max(int(counts.sum()), 1))
