"""What is tested of every night, as a list: each test's statistic, unit, smallest change that counts, and words.

Departures are 0 where nothing changed: distances of distributions, absolute differences of shares. The rows of a night
have a module of their own.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from gmmdask.monitoring import distances
from gmmdask.monitoring.bins import FeatureBins
from gmmdask.monitoring.counts import Integers, NightFeatures
from gmmdask.monitoring.distances import Floats

FEWEST_VALUES = 50
"""Values that a feature needs in a night to be compared."""

FLOORS = {
    "psi": 0.0004,
    "ks": 0.008,
    "wasserstein": 0.02,
    "null_rate": 0.005,
    "category_rate": 0.005,
    "row_count": float(np.log(1.1)),
}
"""Smallest departure that counts, however many rows there are to prove it.

The first three are what a shift of a normal feature by δ = 0.02 standard deviations does (PSI δ², D δ/√(2π), Wasserstein
δ): 2e-4 nats per row, a fifth of the gain for which a model would be trained again. A change of scale by 3 % lies three
times above it in the PSI. Half a per cent of the rows; a tenth of the rows.
"""

STRONG_FLOORS = {
    "psi": 0.25,
    "ks": 0.1,
    "wasserstein": 0.25,
    "null_rate": 0.1,
    "category_rate": 0.1,
    "row_count": float(np.log(2.0)),
}
"""Departure from which on one night is enough: 0.25 is the PSI's convention for a major change; a tenth of the rows."""

UNITS = {
    "psi": "nats",
    "ks": "share",
    "wasserstein": "sd",
    "null_rate": "share",
    "category_rate": "share",
    "row_count": "rows",
}
DISTANCES = ("psi", "ks", "wasserstein")


@dataclass(frozen=True, kw_only=True, slots=True)
class FeatureTest:
    """One thing that is measured every night.

    Parameters
    ----------
    statistic : str
    feature, category : str or None
    place : int
        Of the feature among the features, or of the category in its column.
    """

    statistic: str
    feature: str | None = None
    category: str | None = None
    place: int = 0

    @property
    def unit(self) -> str:
        """Unit of the value."""
        return UNITS[self.statistic]

    def level(self, counts: NightFeatures, expected_rows: float) -> float:
        """Return the value that is expected: of a share that of `counts`, of rows `expected_rows`, of a distance 0."""
        if self.statistic == "row_count":
            return expected_rows
        return 0.0 if self.statistic in DISTANCES else self._share(counts)

    def value(self, departure: float, night: NightFeatures) -> float:
        """Return what is told of a night: the distance, the share or the rows."""
        if self.statistic == "row_count":
            return float(night.n_rows)
        return departure if self.statistic in DISTANCES else self._share(night)

    def bound(self, threshold: float, level: float, value: float | None) -> float:
        """Return the threshold on the scale of the value, on the side of the level where the value lies."""
        side = -1.0 if value is not None and value < level else 1.0
        if self.statistic == "row_count":
            return level * float(np.exp(side * threshold))
        return threshold if self.statistic in DISTANCES else level + side * threshold

    def largest_departure(self, counts: NightFeatures) -> float:
        """Return how far a night can depart from these counts."""
        if self.statistic == "ks":
            return 1.0
        if self.statistic not in ("null_rate", "category_rate") or not counts.n_rows:
            return float("inf")
        share = self._share(counts)
        return max(share, 1 - share)

    def told(self, value: float, level: float, strong: bool) -> str:
        """Return an alarm in words."""
        what = {
            "psi": f"distribution of {self.feature} differs (PSI {value:.3g})",
            "ks": f"distribution of {self.feature} differs (largest gap {value:.1%} of the rows)",
            "wasserstein": f"values of {self.feature} moved by {value:.3g} standard deviations on average",
            "null_rate": f"{value:.1%} of {self.feature} is missing, {level:.1%} is usual",
            "category_rate": f"{value:.1%} of {self.feature} is {self.category}, {level:.1%} is usual",
            "row_count": f"{value:,.0f} rows, about {level:,.0f} are usual on this weekday",
        }[self.statistic]
        return f"{what}: {'strong, so at once' if strong else 'on two of the last three nights'}"

    def _share(self, counts: NightFeatures) -> float:
        return counted(self, counts) / counts.n_rows if counts.n_rows else float("nan")


def tests_of(bins: FeatureBins) -> tuple[FeatureTest, ...]:
    """Return all tests in order: by feature, by category column, the rows last."""
    numeric = [
        FeatureTest(statistic=statistic, feature=name, place=place)
        for place, name in enumerate(bins.features)
        for statistic in (*DISTANCES, "null_rate")
    ]
    categorical = [
        FeatureTest(statistic="category_rate", feature=column, category=name, place=place)
        for column in bins.categories
        for place, name in enumerate(bins.category_names(column))
    ]
    return (*numeric, *categorical, FeatureTest(statistic="row_count"))


def counted(test: FeatureTest, counts: NightFeatures) -> int:
    """Return the rows that the share of a test counts."""
    found = counts.missing if test.statistic == "null_rate" else counts.categories[str(test.feature)]
    return int(found[test.place])


def departures_of(bins: FeatureBins, reference: NightFeatures, night: NightFeatures) -> Floats:
    """Return the departure of every test but that of the rows; NaN where one side has too few values."""
    return np.array([_departure(test, bins, reference, night) for test in tests_of(bins)[:-1]])


def chances_of(bins: FeatureBins, reference: NightFeatures, night: NightFeatures, departures: Floats) -> Floats:
    """Return the probability of each departure if rows were drawn from one distribution; NaN where no test says."""
    tests = tests_of(bins)[:-1]
    return np.array(
        [
            _chance(test, bins, reference, night, departure)
            for test, departure in zip(tests, departures.tolist(), strict=True)
        ]
    )


def _departure(test: FeatureTest, bins: FeatureBins, reference: NightFeatures, night: NightFeatures) -> float:
    if test.statistic not in DISTANCES:
        if min(reference.n_rows, night.n_rows) < FEWEST_VALUES:
            return float("nan")
        return abs(counted(test, night) / night.n_rows - counted(test, reference) / reference.n_rows)
    before, now = _compared(test, bins, reference), _compared(test, bins, night)
    if min(before.sum(), now.sum()) < FEWEST_VALUES:
        return float("nan")
    if test.statistic == "wasserstein":
        spread = float(bins.spreads[test.place])
        return distances.wasserstein(bins.edges[test.place], before, now) / spread if spread else float("nan")
    measure: Callable[[Integers, Integers], float] = distances.psi if test.statistic == "psi" else distances.ks
    return measure(before, now)


def _compared(test: FeatureTest, bins: FeatureBins, counts: NightFeatures) -> Integers:
    """Return a feature's counts, on its deciles for the PSI."""
    fine = counts.counts[test.place, : len(bins.edges[test.place]) + 1]
    if test.statistic != "psi":
        return fine
    stops = [0, *(bins.decile_edges[test.place] + 1).tolist(), len(fine)]
    return np.array([fine[start:stop].sum() for start, stop in pairwise(stops)], dtype=np.int64)


def _chance(
    test: FeatureTest, bins: FeatureBins, reference: NightFeatures, night: NightFeatures, departure: float
) -> float:
    if np.isnan(departure) or test.statistic == "wasserstein":
        return float("nan")
    if test.statistic not in DISTANCES:
        return distances.rate_chance(counted(test, reference), reference.n_rows, counted(test, night), night.n_rows)
    before, now = (int(_compared(test, bins, counts).sum()) for counts in (reference, night))
    if test.statistic == "ks":
        return distances.ks_chance(departure, before, now)
    return distances.psi_chance(departure, before, now, len(bins.decile_edges[test.place]) + 1)
