"""The reference profile: what the features of the training nights looked like, and how far such nights lie apart.

Real nights differ far more than rows drawn at random would, so what counts as a change is learned from the nights
themselves: every training night's departure from the others is kept.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date
from functools import cached_property
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from gmmdask.errors import EmptyDataError, InvalidInputError, SchemaError
from gmmdask.monitoring.bins import FeatureBins
from gmmdask.monitoring.counts import NightFeatures
from gmmdask.monitoring.departures import FLOORS, STRONG_FLOORS, FeatureTest, chances_of, departures_of, tests_of
from gmmdask.monitoring.distances import Floats, night_chance
from gmmdask.monitoring.rows import RowCounts

FEWEST_NIGHTS = 14
"""Training nights from which on they say what is usual. With fewer, only strong departures are alarms."""

USUAL_QUANTILE = 0.99
STRONG_FACTOR = 2.0
"""A strong departure is this many times larger than on any training night, besides the convention for a major one."""


@dataclass(frozen=True, kw_only=True, eq=False)
class ReferenceProfile:
    """What the features of the training nights looked like, and how far such nights depart from each other.

    Parameters
    ----------
    bins : FeatureBins
    total : NightFeatures
        Counts over all training nights.
    rows : RowCounts
        Rows of every training night, and of those of the models that it continues.
    departures : ndarray of shape (n_tests, n_nights)
        Of every such night from all others of its training, in the order of `tests`; NaN where it had too few values.
    """

    bins: FeatureBins
    total: NightFeatures
    rows: RowCounts
    departures: Floats

    @classmethod
    def learn(cls, bins: FeatureBins, nights: Mapping[date, NightFeatures]) -> Self:
        """Make a profile from the training nights, counted on these bins.

        Raises
        ------
        SchemaError
            A night was counted on other bins.
        EmptyDataError
            There is no night.
        """
        if not nights:
            raise EmptyDataError("a reference profile is learned from training nights, and none is given")
        total = NightFeatures.empty(bins)
        for dt, night in nights.items():
            require_bins(bins, night, dt)
            total = total.combine(night)
        rows = RowCounts.of({dt: night.n_rows for dt, night in nights.items()})
        columns = [
            np.append(departures_of(bins, total.without(night), night), rows.without(dt).departure(dt, night.n_rows))
            for dt, night in sorted(nights.items())
        ]
        departures = np.array(columns).T.reshape(len(tests_of(bins)), len(nights))
        return cls(bins=bins, total=total, rows=rows, departures=departures)

    def joined(self, earlier: ReferenceProfile) -> ReferenceProfile:
        """Return the profile with how far nights departed from each other before, under the model that it continues.

        What features look like stays what it is on the own nights; what is usual is learned from those of both. A test
        that the earlier profile did not have saw none of its nights.
        """
        places = {(test.statistic, test.feature, test.category): place for place, test in enumerate(earlier.tests)}
        unseen = np.full(earlier.departures.shape[1], np.nan)
        found = [places.get((test.statistic, test.feature, test.category)) for test in self.tests]
        before = np.array([unseen if place is None else earlier.departures[place] for place in found])
        dates = (*earlier.rows.by_date, *self.rows.by_date)
        columns = dict(zip(dates, np.hstack([before, self.departures]).T, strict=True))  # a date of both is its own
        return replace(
            self,
            rows=RowCounts.of({**earlier.rows.by_date, **self.rows.by_date}),
            departures=np.array([columns[dt] for dt in sorted(columns)]).T,
        )

    @cached_property
    def tests(self) -> tuple[FeatureTest, ...]:
        """What is measured every night, in order."""
        return tests_of(self.bins)

    @cached_property
    def thresholds(self) -> Floats:
        """Departure from which on each test counts, shape (n_tests,); NaN where too few nights were seen."""
        floors = np.array([FLOORS[test.statistic] for test in self.tests])
        usual = np.full(len(floors), np.nan)
        for place in np.flatnonzero(self._is_calibrated):
            seen = self._seen(int(place))
            usual[place] = np.quantile(seen, USUAL_QUANTILE, method="higher")
        return np.asarray(np.where(np.isnan(usual), np.nan, np.maximum(floors, usual)))

    @cached_property
    def strong_thresholds(self) -> Floats:
        """Departure from which on each test is an alarm at once, shape (n_tests,).

        Twice the largest of the training nights, or half of the way that is left from there to the largest possible.
        """
        floors = np.array([STRONG_FLOORS[test.statistic] for test in self.tests])
        possible = np.array([test.largest_departure(self.total) for test in self.tests])
        beyond = np.minimum(STRONG_FACTOR * self.largest, (self.largest + possible) / 2)
        return np.asarray(np.maximum(floors, beyond))

    @cached_property
    def largest(self) -> Floats:
        """Largest departure of a training night, shape (n_tests,); 0 without any."""
        return np.array([self._seen(place).max(initial=0.0) for place in range(len(self.tests))])

    def chances(self, night: NightFeatures, departures: Floats) -> Floats:
        """Return the chance of each departure, the larger one of among rows and among nights; NaN without either."""
        among_rows = np.append(chances_of(self.bins, self.total, night, departures[:-1]), np.nan)
        among_nights = np.full(len(departures), np.nan)
        for place in np.flatnonzero(self._is_calibrated & np.isfinite(departures)):
            among_nights[place] = night_chance(float(departures[place]), self._seen(int(place)))
        return np.asarray(np.fmax(among_rows, among_nights))

    def to_parts(self) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
        """Return arrays and JSON-able facts from which `from_parts` makes an equal profile."""
        bin_arrays, bin_facts = self.bins.to_parts()
        total_arrays, total_facts = self.total.to_parts()
        arrays = {f"bins_{name}": array for name, array in bin_arrays.items()}
        arrays |= {f"total_{name}": array for name, array in total_arrays.items()}
        facts = {"bins": bin_facts, "total": total_facts, "rows": self.rows.to_facts()}
        return {**arrays, "departures": self.departures}, facts

    @classmethod
    def from_parts(cls, arrays: Mapping[str, NDArray[Any]], facts: Mapping[str, Any]) -> Self:
        """Make a profile from stored parts.

        Raises
        ------
        InvalidInputError
            They come from another version or do not fit together.
        """
        bins = FeatureBins.from_parts(_named(arrays, "bins_"), facts["bins"])
        total = NightFeatures.from_parts(_named(arrays, "total_"), facts["total"])
        rows = RowCounts.from_facts(facts["rows"])
        departures = np.asarray(arrays["departures"], dtype=np.float64)
        if total.bins != bins.fingerprint or departures.shape != (len(tests_of(bins)), len(rows.by_date)):
            raise InvalidInputError("the parts of the reference profile do not fit together; restore it or train again")
        return cls(bins=bins, total=total, rows=rows, departures=departures)

    def require_schema(self, features: tuple[str, ...], columns: tuple[str, ...] = ()) -> None:
        """Refuse to judge other features or category columns than those that the profile was learned from.

        Raises
        ------
        SchemaError
            Names both.
        """
        if self.bins.features != tuple(features) or set(self.bins.categories) != set(columns):
            raise SchemaError(
                f"The reference profile is of the features {list(self.bins.features)} and columns "
                f"{sorted(self.bins.categories)}, not of {list(features)} and {sorted(columns)}; train again."
            )

    @cached_property
    def _is_calibrated(self) -> NDArray[np.bool_]:
        return np.asarray(np.isfinite(self.departures).sum(axis=1) >= FEWEST_NIGHTS)

    def _seen(self, place: int) -> Floats:
        own = self.departures[place]
        return np.asarray(own[np.isfinite(own)])


def require_bins(bins: FeatureBins, night: NightFeatures, dt: date) -> None:
    """Refuse a night that was counted on other bins."""
    if night.bins != bins.fingerprint:
        raise SchemaError(
            f"The night {dt} was counted on bins {night.bins}, and the reference profile has {bins.fingerprint}: "
            "its features or columns are others. Count the night again on the profile's bins, or train again."
        )


def _named(arrays: Mapping[str, NDArray[Any]], prefix: str) -> dict[str, NDArray[Any]]:
    return {name.removeprefix(prefix): array for name, array in arrays.items() if name.startswith(prefix)}
