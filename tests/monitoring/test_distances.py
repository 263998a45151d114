"""The formulas against scipy on raw values and against plain sums."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from gmmdask.monitoring.bins import FeatureBins
from gmmdask.monitoring.counts import count_rows
from gmmdask.monitoring.distances import (
    benjamini_hochberg,
    ks,
    ks_chance,
    night_chance,
    psi,
    psi_chance,
    rate_chance,
    wasserstein,
)

SEEDS = st.integers(0, 2**32 - 1)
KINDS = ("normal", "lognormal", "two", "hours", "zeros")


def draw(kind: str, random: np.random.Generator, n: int, shift: float = 0.0, scale: float = 1.0) -> np.ndarray:
    made = {
        "normal": lambda: random.normal(size=n),
        "lognormal": lambda: np.exp(random.normal(size=n)),
        "two": lambda: random.normal(size=n) + np.where(random.random(n) < 0.3, 6.0, 0.0),
        "hours": lambda: random.integers(0, 24, n).astype(float),
        "zeros": lambda: np.where(random.random(n) < 0.6, 0.0, random.exponential(size=n)),
    }[kind]()
    return made * scale + shift


def counted(values: np.ndarray, bins: FeatureBins) -> np.ndarray:
    return count_rows(values[None], bins).counts[0]


@given(SEEDS, st.sampled_from(KINDS), st.floats(-2, 2), st.floats(0.5, 2))
def test_distances_are_those_of_scipy_on_the_raw_values_but_for_the_width_of_a_bin(
    seed: int, kind: str, shift: float, scale: float
) -> None:
    """D is smaller by a bin's share at most; the distance differs by at most the rows of each bin across its width.

    Values beyond the outermost edges lie on them, for scipy too.
    """
    random = np.random.default_rng(seed)
    before, now = draw(kind, random, 3_000), draw(kind, random, 2_000, shift, scale)
    bins = FeatureBins.learn(["x"], before[None])
    edges = bins.edges[0]
    a, b = counted(before, bins), counted(now, bins)
    before, now = (np.clip(values, edges[0], edges[-1]) for values in (before, now))
    # The distribution function jumps at an atom: what scipy sees within a bin is at most what lies in it.
    exact = stats.ks_2samp(now, before, method="asymp").statistic
    inside = np.maximum(a / a.sum(), b / b.sum()).max()
    assert ks(a, b) - 1e-12 <= exact <= ks(a, b) + inside + 1e-12
    error = (np.diff(edges) * (a / a.sum() + b / b.sum())[1:-1]).sum()
    assert wasserstein(edges, a, b) == pytest.approx(stats.wasserstein_distance(now, before), abs=error + 1e-12)


@given(SEEDS)
def test_on_values_that_have_bins_of_their_own_both_distances_are_exact(seed: int) -> None:
    """To rounding: whole hours, each one an edge."""
    random = np.random.default_rng(seed)
    before, now = random.integers(0, 24, 3_000).astype(float), random.integers(2, 20, 500).astype(float)
    bins = FeatureBins.learn(["x"], before[None])
    a, b = counted(before, bins), counted(now, bins)
    assert ks(a, b) == pytest.approx(stats.ks_2samp(now, before, method="asymp").statistic, abs=1e-12)
    assert wasserstein(bins.edges[0], a, b) == pytest.approx(stats.wasserstein_distance(now, before), abs=1e-9)


@given(st.lists(st.tuples(st.integers(0, 50), st.integers(0, 50)), min_size=2, max_size=12))
def test_the_stability_index_is_a_sum_over_bins_symmetric_and_never_negative(pairs: list[tuple[int, int]]) -> None:
    before, now = np.array(pairs).T
    total = 0.0
    for a, b in zip(before.tolist(), now.tolist(), strict=True):
        p, q = ((c + 0.5) / (n + 0.5 * len(pairs)) for c, n in ((a, before.sum()), (b, now.sum())))
        total += (q - p) * np.log(q / p)
    assert psi(before, now) == pytest.approx(total, rel=1e-9, abs=1e-12)
    assert psi(before, now) == pytest.approx(psi(now, before), abs=1e-12)
    assert psi(before, now) >= 0.0
    assert psi(before, before) == pytest.approx(0.0, abs=1e-15)


@pytest.mark.parametrize(("n", "m"), [(2_000, 5_000), (50_000, 1_400_000), (10**9, 10**9)])
@pytest.mark.parametrize("reach", [0.5, 1.0, 1.36, 2.0])
def test_the_chance_of_a_gap_is_that_of_scipy(n: int, m: int, reach: float) -> None:
    """Its limit for many rows, within a few per cent of the exact one."""
    gap = reach / np.sqrt(n * m / (n + m))
    assert ks_chance(gap, m, n) == pytest.approx(stats.kstwo.sf(gap, round(n * m / (n + m))), rel=0.08)


def test_the_chance_of_a_rate_is_that_of_the_chi_square_test_without_correction() -> None:
    expected = stats.chi2_contingency([[30, 970], [500, 19_500]], correction=False).pvalue
    assert rate_chance(500, 20_000, 30, 1_000) == pytest.approx(expected)
    assert rate_chance(0, 20_000, 0, 1_000) == 1.0


def test_the_chance_of_a_stability_index_is_uniform_where_nothing_changed() -> None:
    """Statistical: 1,000 pairs of samples of the same ten bins, against the uniform distribution."""
    random = np.random.default_rng(5)
    chances = [
        psi_chance(psi(*(random.multinomial(n, np.full(10, 0.1)) for n in (40_000, 10_000))), 40_000, 10_000, 10)
        for _ in range(1_000)
    ]
    assert stats.kstest(chances, "uniform").pvalue > 0.01


def test_the_chance_among_nights_is_uniform_for_nights_that_vary_more_than_rows_would() -> None:
    """Statistical: scaled χ² nights, 90 of them known; no more than twice the level is exceeded."""
    random = np.random.default_rng(6)
    chances = np.array([night_chance(random.chisquare(9), random.chisquare(9, 90)) for _ in range(2_000)])
    for level in (0.5, 0.1, 0.01):
        assert level / 2 < (chances < level).mean() < 2 * level


def test_nights_that_never_varied_make_every_other_value_impossible() -> None:
    assert night_chance(0.0, np.zeros(20)) == 1.0
    assert night_chance(0.1, np.zeros(20)) == 0.0


@given(st.lists(st.floats(0, 1), min_size=1, max_size=30), st.sampled_from([0.01, 0.05, 0.2]))
def test_significance_is_that_of_scipys_false_discovery_control(chances: list[float], level: float) -> None:
    adjusted = stats.false_discovery_control(chances)
    found = benjamini_hochberg(np.array(chances), level)
    clear = np.abs(adjusted - level) > 1e-12
    np.testing.assert_array_equal(found[clear], (adjusted <= level)[clear])


def test_what_was_not_tested_is_not_significant_and_is_not_counted() -> None:
    chances = np.array([np.nan, 0.04, np.nan, 0.9])
    assert benjamini_hochberg(chances, 0.1).tolist() == [False, True, False, False]
    assert benjamini_hochberg(np.array([np.nan]), 0.1).tolist() == [False]
