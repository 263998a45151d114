"""Which features of a night differ from those of the training nights, and whether that is worth an alarm.

A departure is a number that is 0 where nothing changed. It counts when it is larger than a change anyone would care
for, larger than on all but one in a hundred training nights, and unlikely both by chance and among nights like those;
it is an alarm when that happens twice in three nights, or once and very large.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Self

import numpy as np
from numpy.typing import NDArray

from gmmdask.errors import InvalidInputError
from gmmdask.monitoring.counts import NightFeatures
from gmmdask.monitoring.departures import departures_of
from gmmdask.monitoring.distances import Floats, benjamini_hochberg
from gmmdask.monitoring.reference import ReferenceProfile, require_bins

FALSE_DISCOVERIES = 0.05
NIGHTS_REMEMBERED = 3
IMPOSSIBLE = 1e-6


@dataclass(frozen=True, kw_only=True, slots=True)
class FeatureAlarm:
    """One measurement of one night; the fields are columns of `drift`.

    Parameters
    ----------
    statistic : str
        psi, ks, wasserstein, null_rate, category_rate or row_count.
    feature, category : str or None
        What was measured.
    value : float or None
        None where there was not enough data.
    unit : str
        nats (of the PSI), share, sd (spreads of the feature) or rows.
    reference : float
        What is expected without change.
    threshold : float or None
        Value from which on it counts, on the side of the reference where it lies; None with under 14 training nights.
    p_value : float or None
        The larger one of the chance among rows and the chance among nights; None where neither is known.
    is_large : bool
        Whether it counts tonight.
    is_alarm : bool
        Whether it is an alarm: strong, or large tonight and on one of the two nights before.
    reason : str or None
        The alarm in words.
    """

    statistic: str
    feature: str | None
    category: str | None
    value: float | None
    unit: str
    reference: float
    threshold: float | None
    p_value: float | None
    is_large: bool
    is_alarm: bool
    reason: str | None


def judge_features(profile: ReferenceProfile, nights: Mapping[date, NightFeatures]) -> tuple[FeatureAlarm, ...]:
    """Measure the features of the latest night and say which are alarms.

    Parameters
    ----------
    profile : ReferenceProfile
    nights : mapping of date to NightFeatures
        The night to judge and those before it, counted on the profile's bins; of these, the last two matter.

    Returns
    -------
    tuple of FeatureAlarm
        One for every test, alarm or not.

    Raises
    ------
    SchemaError
        A night was counted on other bins than the profile's.
    InvalidInputError
        There is no night.
    """
    if not nights:
        raise InvalidInputError("no night is given to judge")
    for dt, night in nights.items():
        require_bins(profile.bins, night, dt)
    *before, tonight = sorted(nights)[-NIGHTS_REMEMBERED:]
    large_before = np.zeros(len(profile.tests), dtype=bool)
    for dt in before:
        large_before |= _Judgement.of(profile, dt, nights[dt]).large
    return _alarms(profile, tonight, nights[tonight], large_before)


@dataclass(frozen=True, kw_only=True, eq=False, slots=True)
class _Judgement:
    """Departures of one night, their chances, and which of them are large or strong."""

    departures: Floats
    chances: Floats
    large: NDArray[np.bool_]
    strong: NDArray[np.bool_]

    @classmethod
    def of(cls, profile: ReferenceProfile, dt: date, night: NightFeatures) -> Self:
        departures = np.append(
            departures_of(profile.bins, profile.total, night), profile.rows.departure(dt, night.n_rows)
        )
        chances = profile.chances(night, departures)
        significant = benjamini_hochberg(chances, FALSE_DISCOVERIES) | np.isnan(chances)
        return cls(
            departures=departures,
            chances=chances,
            large=significant & (departures >= profile.thresholds),
            strong=(significant & (departures >= profile.strong_thresholds)) | _gone(profile, night, departures),
        )


def _gone(profile: ReferenceProfile, night: NightFeatures, departures: Floats) -> NDArray[np.bool_]:
    """Return which tests see a feature without a single value, as on no training night and not by chance."""
    usual = profile.total.missing / max(profile.total.n_rows, 1)
    gone = (night.missing == night.n_rows) & (usual**night.n_rows < IMPOSSIBLE)
    seen = [test.statistic == "null_rate" and bool(gone[test.place]) for test in profile.tests]
    return np.array(seen) & (departures > profile.largest)


def _alarms(
    profile: ReferenceProfile, dt: date, night: NightFeatures, large_before: NDArray[np.bool_]
) -> tuple[FeatureAlarm, ...]:
    judgement = _Judgement.of(profile, dt, night)
    alarms = []
    for place, test in enumerate(profile.tests):
        departure, threshold = float(judgement.departures[place]), float(profile.thresholds[place])
        strong, large = bool(judgement.strong[place]), bool(judgement.large[place])
        is_alarm = strong or (large and bool(large_before[place]))
        level = test.level(profile.total, profile.rows.expected(dt))
        value = None if np.isnan(departure) else test.value(departure, night)
        alarms.append(
            FeatureAlarm(
                statistic=test.statistic,
                feature=test.feature,
                category=test.category,
                value=value,
                unit=test.unit,
                reference=level,
                threshold=None if np.isnan(threshold) else test.bound(threshold, level, value),
                p_value=None if np.isnan(judgement.chances[place]) else float(judgement.chances[place]),
                is_large=large or strong,
                is_alarm=is_alarm,
                reason=test.told(value, level, strong) if is_alarm and value is not None else None,
            )
        )
    return tuple(alarms)
