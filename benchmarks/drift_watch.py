"""Who says of a night that something changed: all that gmmdask watches, and what is usual today.

What is usual: the population stability index of every feature by its convention, and a Kolmogorov-Smirnov test of every
feature at 5 %.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from functools import cache
from math import inf
from statistics import median_low
from typing import Literal

import numpy as np
from scipy import stats

from benchmarks.drift_worlds import Floats, Training, dated, summed
from gmmdask.mixture.statistics import SufficientStatistics
from gmmdask.monitoring import (
    Champion,
    FeatureAlarm,
    FeatureBins,
    LastAttempt,
    NightFeatures,
    NightSums,
    NullDistribution,
    ReferenceProfile,
    Thresholds,
    count_rows,
    judge,
    judge_features,
    learn_null,
)
from gmmdask.monitoring.units import moved_all_rows
from gmmdask.monitoring.verdict import find_unit_change

LIMITS = Thresholds()
SAMPLE = 100_000
"""Rows of the training nights that bins and the rivals' tests know."""
SIGNIFICANT = 0.05
ALERT, VERDICT = "gmmdask", "verdict"
ALERTS = ("G, part", "unit", "features")
CONTESTANTS = (*ALERTS, ALERT, VERDICT, "PSI 0.1", "PSI 0.25", "KS")
ONCE = "features, without the rule of two nights in three"


@dataclass(frozen=True, kw_only=True, eq=False)
class Watch:
    """What was learned from the training nights; the sample has each feature's values in ascending order."""

    champion: Champion
    null: NullDistribution
    profile: ReferenceProfile
    sample: Floats

    @classmethod
    def over(cls, training: Training) -> Watch:
        """Learn."""
        stride = max(sum(night.shape[1] for night in training.rows) // SAMPLE, 1)
        sample = np.concatenate([night[:, ::stride] for night in training.rows], axis=1)
        bins = FeatureBins.learn([f"x{place}" for place in range(len(sample))], sample)
        nights = {dated(number): count_rows(rows, bins) for number, rows in enumerate(training.rows)}
        return cls(
            champion=training.champion,
            null=learn_null(training.sums, training.champion, LIMITS.window),
            profile=ReferenceProfile.learn(bins, nights),
            sample=np.sort(sample, axis=1),
        )

    def denies_unit_change(self, sums: SufficientStatistics, counts: NightFeatures) -> bool:
        """Return whether a night's sums look like a change of unit and its counts say that it is none."""
        change = find_unit_change(sums, self.champion, LIMITS) if sums.mass else None
        if change is None:
            return False
        edges = self.profile.bins.edges[change.feature]
        before, after = (one.counts[change.feature, : len(edges) + 1] for one in (self.profile.total, counts))
        return not moved_all_rows(change, edges, before, after)


@dataclass(frozen=True, kw_only=True, eq=False)
class Watched:
    """The nights since the training, the latest one with its rows."""

    watch: Watch
    sums: NightSums
    counts: Mapping[date, NightFeatures]
    rows: Floats

    @classmethod
    def begin(cls, watch: Watch) -> Watched:
        """Return that there is no night yet."""
        none = NightSums.of(watch.champion.stack.layout, {})
        return cls(watch=watch, sums=none, counts={}, rows=np.empty((len(watch.sample), 0)))

    def with_night(self, rows: Floats) -> Watched:
        """Return the nights with one more."""
        tonight = dated(len(self.watch.profile.rows.by_date) + len(self.sums))
        own, counted = summed(self.watch.champion, rows), count_rows(rows, self.watch.profile.bins)
        usual = {tonight.isoformat()} if self.watch.denies_unit_change(own, counted) else set()
        sums = self.sums.with_night(tonight.isoformat(), own)
        return Watched(
            watch=self.watch,
            sums=replace(sums, in_usual_units=self.sums.in_usual_units | usual),
            counts={**self.counts, tonight: counted},
            rows=rows,
        )

    @property
    def is_full(self) -> bool:
        """Whether a verdict has all the nights that it looks at."""
        return len(self.sums) >= LIMITS.window

    def alarms(self) -> dict[str, bool]:
        """Return for every contestant, and for a looser rule for features, whether the latest night is an alarm."""
        watch, tonight = self.watch, max(self.counts).isoformat()
        verdict = judge(self.sums, tonight, watch.champion, watch.null, LastAttempt(date=""), LIMITS)
        features = judge_features(watch.profile, self.counts)
        index = _largest_index(features)
        alerts = (bool(verdict.alerts), verdict.unit_change is not None, any(one.is_alarm for one in features))
        usual = (index > 0.1, index > 0.25, self._some_test_fails())
        found = (*alerts, any(alerts), verdict.decision != "keep", *usual)
        return {**dict(zip(CONTESTANTS, found, strict=True)), ONCE: any(one.is_large for one in features)}

    def _some_test_fails(self) -> bool:
        """Say whether a Kolmogorov-Smirnov test of any feature against the sample is significant."""
        pairs = ((now[np.isfinite(now)], before) for now, before in zip(self.rows, self.watch.sample, strict=True))
        return any(len(now) > 0 and ks_test_fails(np.sort(now), before) for now, before in pairs)


def first_alarms(watched: Watched, nights: Iterable[Floats]) -> dict[str, float]:
    """Return by contestant which of some more nights is the first with an alarm, from 1 on; infinite where none is."""
    first = dict.fromkeys(CONTESTANTS, inf)
    for number, rows in enumerate(nights, start=1):
        watched = watched.with_night(rows)
        alarms = watched.alarms()
        first = {name: min(night, number if alarms[name] else inf) for name, night in first.items()}
    return first


def nights_told(nights: Sequence[float]) -> str:
    """Return several first alarms in a word: the median one–the last one; the median one (how many), if not all are."""
    noticed = [night for night in nights if night < inf]
    if not noticed:
        return "–"
    middle, last = median_low(noticed), max(nights)
    if last == inf:
        return f"{middle:.0f} ({len(noticed)})"
    return f"{middle:.0f}" if middle == last else f"{middle:.0f}–{last:.0f}"


def _largest_index(features: tuple[FeatureAlarm, ...]) -> float:
    return max(one.value or 0.0 for one in features if one.statistic == "psi")


def ks_test_fails(now: Floats, before: Floats) -> bool:
    """Return whether `scipy.stats.ks_2samp` has a p-value under 5 % for two sorted samples.

    Faster than that: the reference is sorted once, and how large a gap may be is computed once for all nights of a size.
    """
    n, m = len(now), len(before)
    # Just before a value and just behind it: in between, the gap is no larger.
    sides: tuple[Literal["left"], Literal["right"]] = ("left", "right")
    gap = max(np.abs(now.searchsorted(now, side) / n - before.searchsorted(now, side) / m).max() for side in sides)
    return bool(gap > _critical_gap(round(n * m / (n + m))))


@cache
def _critical_gap(n: int) -> float:
    return float(stats.kstwo.isf(SIGNIFICANT, n))
