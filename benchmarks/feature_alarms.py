"""Nights until a change of the features is noticed, and false alarms on quiet nights, beside what is usual today.

Beside it stand the population stability index alone, by its convention, and a Kolmogorov-Smirnov test of every feature
at 5 %. Nothing is timed here; the cost of counting is at the end.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from benchmarks.record import Options, Section, conclude, load, options_of, table, verdicts
from benchmarks.timing import interleaved, one_thread, timed
from gmmdask.mixture.parameters import MixtureParameters
from gmmdask.mixture.stack import Reference
from gmmdask.mixture.structures import FULL
from gmmdask.monitoring import FeatureBins, NightFeatures, ReferenceProfile, count_rows, judge_features
from gmmdask.preparation.recipe import Recipe
from gmmdask.scoring import SegmentModel, score_leaf

Rows = NDArray[np.float64]
Change = Callable[[Rows, np.random.Generator], Rows]
FEATURES = tuple("abcdef")
TRAINING_NIGHTS, JUDGED = 28, 3
FIRST = date(2026, 1, 1)
LARGEST_COST = 0.15
"""Of scoring the same rows with ten components."""


@dataclass(frozen=True, kw_only=True)
class World:
    """A mixture that rows are drawn from, and how much it differs from night to night.

    Parameters
    ----------
    means : ndarray of shape (n_components, n_features)
    factors : ndarray of shape (n_components, n_features, n_features)
    weights : ndarray of shape (n_components,)
    wobble : float, default 0.0
        Night-to-night standard deviation of every feature's level, in its own standard deviations, and of the
        logarithms of the weights.
    """

    means: Rows
    factors: Rows
    weights: Rows
    wobble: float = 0.0

    @classmethod
    def made(cls, seed: int) -> World:
        """Make five overlapping components of six features, each feature about one standard deviation from 0."""
        random = np.random.default_rng(seed)
        means = random.normal(size=(5, 6)) * 1.4
        factors = random.normal(size=(5, 6, 12)) / np.sqrt(12.0)
        roots = np.linalg.cholesky(factors @ factors.transpose(0, 2, 1))
        spread = np.sqrt(means.var(axis=0) + 1.0)
        weights = np.array([0.3, 0.25, 0.2, 0.15, 0.1])
        return cls(means=means - weights @ means + spread, factors=roots, weights=weights)

    def night(self, n_rows: int, random: np.random.Generator) -> Rows:
        """Draw the rows of a night, shape (n_features, n_rows)."""
        weights = self.weights * np.exp(self.wobble * random.normal(size=len(self.weights)))
        shift = self.wobble * random.normal(size=self.means.shape[1])
        counts = random.multinomial(n_rows, weights / weights.sum())
        drawn = [
            mean + random.normal(size=(n, len(mean))) @ root.T
            for mean, root, n in zip(self.means, self.factors, counts, strict=True)
        ]
        return np.ascontiguousarray((np.concatenate(drawn) + shift).T)


def _shifted(rows: Rows, _: np.random.Generator) -> Rows:
    rows[2] += 0.05 * rows[2].std()
    return rows


def _scaled(rows: Rows, _: np.random.Generator) -> Rows:
    rows[2] += 0.03 * (rows[2] - rows[2].mean())
    return rows


def _with_a_new_cluster(rows: Rows, random: np.random.Generator) -> Rows:
    own = random.choice(rows.shape[1], rows.shape[1] // 100, replace=False)
    # Six standard deviations from the middle, in one of the directions between the axes, always the same one.
    place = rows.mean(axis=1) + rows.std(axis=1) * np.array([1, -1, 1, 1, -1, -1]) * 6 / np.sqrt(6)
    rows[:, own] = place[:, None] + 0.3 * random.normal(size=(6, len(own)))
    return rows


def _in_metres(rows: Rows, _: np.random.Generator) -> Rows:
    rows[2] *= 0.3048
    return rows


def _gone(rows: Rows, _: np.random.Generator) -> Rows:
    rows[2] = np.nan
    return rows


CHANGES: dict[str, Change] = {
    "shift by 0.05 sd, one feature": _shifted,
    "scale × 1.03, one feature": _scaled,
    "new cluster of 1 %": _with_a_new_cluster,
    "a cluster of 10 % vanished": lambda rows, _: rows,
    "unit × 0.3048, one feature": _in_metres,
    "one column gone null": _gone,
}
VANISHED = "a cluster of 10 % vanished"


@dataclass(frozen=True, kw_only=True)
class Watch:
    """What was learned from the training nights, and the rivals' references."""

    profile: ReferenceProfile
    sample: Rows

    @classmethod
    def over(cls, world: World, n_rows: int, seed: int) -> Watch:
        """Learn from training nights."""
        random = np.random.default_rng([seed, 0])
        rows = [world.night(n_rows, random) for _ in range(TRAINING_NIGHTS)]
        sample = np.concatenate([night[:, ::14] for night in rows], axis=1)
        bins = FeatureBins.learn(FEATURES, sample)
        nights = {FIRST + timedelta(night): count_rows(values, bins) for night, values in enumerate(rows)}
        return cls(profile=ReferenceProfile.learn(bins, nights), sample=np.sort(sample, axis=1))

    def alarms(self, nights: Sequence[Rows]) -> dict[str, list[bool]]:
        """Return for every contestant whether each of some nights, one after the other, is an alarm."""
        counts: dict[date, NightFeatures] = {}
        found: dict[str, list[bool]] = {"gmmdask": [], "PSI > 0.1": [], "PSI > 0.25": [], "KS 5 %": []}
        for night, values in enumerate(nights):
            counts[FIRST + timedelta(TRAINING_NIGHTS + night)] = count_rows(values, self.profile.bins)
            judged = judge_features(self.profile, dict(list(counts.items())[-3:]))
            index = max(alarm.value or 0.0 for alarm in judged if alarm.statistic == "psi")
            found["gmmdask"].append(any(alarm.is_alarm for alarm in judged))
            found["PSI > 0.1"].append(index > 0.1)
            found["PSI > 0.25"].append(index > 0.25)
            found["KS 5 %"].append(self._some_test_fails(values))
        return found

    def _some_test_fails(self, values: Rows) -> bool:
        """Say whether a Kolmogorov-Smirnov test of any feature against the sample has a p-value under 5 %."""
        pairs = ((np.sort(now[np.isfinite(now)]), before) for now, before in zip(values, self.sample, strict=True))
        return any(len(now) > 0 and ks_p_value(now, before) < 0.05 for now, before in pairs)


def ks_p_value(now: Rows, before: Rows) -> float:
    """Return what `scipy.stats.ks_2samp` does for two sorted samples: the reference is sorted once."""
    n, m = len(now), len(before)
    # Just before a value and just behind it: in between, the gap is no larger.
    sides: tuple[Literal["left"], Literal["right"]] = ("left", "right")
    gap = max(np.abs(now.searchsorted(now, side) / n - before.searchsorted(now, side) / m).max() for side in sides)
    return float(stats.kstwo.sf(gap, round(n * m / (n + m))))


def false_alarms(world: World, n_rows: int, n_nights: int, seed: int = 0) -> dict[str, float]:
    """Return the share of quiet nights with an alarm, by contestant."""
    random = np.random.default_rng([seed, 1])
    watch = Watch.over(world, n_rows, seed)
    found = watch.alarms([world.night(n_rows, random) for _ in range(n_nights)])
    return {name: float(np.mean(alarms)) for name, alarms in found.items()}


def nights_until(world: World, n_rows: int, repeats: int) -> dict[str, dict[str, list[int]]]:
    """Return the night of the first alarm after every change, by contestant and repeat; 4 for none in three nights."""
    found: dict[str, dict[str, list[int]]] = {change: {} for change in CHANGES}
    for seed in range(repeats):
        watch = Watch.over(world, n_rows, seed)
        for number, (change, changed) in enumerate(CHANGES.items()):
            random = np.random.default_rng([seed, 2, number])
            after = replace(world, weights=world.weights * [1, 1, 1, 1, 0]) if change == VANISHED else world
            nights = [changed(after.night(n_rows, random), random) for _ in range(JUDGED)]
            for name, alarms in watch.alarms(nights).items():
                night = alarms.index(True) + 1 if any(alarms) else JUDGED + 1
                found[change].setdefault(name, []).append(night)
    return found


def _told(nights: Sequence[int]) -> str:
    """Return how many were noticed within three nights, and the median night."""
    noticed = [night for night in nights if night <= JUDGED]
    return f"{len(noticed)}/{len(nights)}" + (f", night {int(np.median(noticed))}" if noticed else "")


def counting_cost(n_rows: int, repeats: int) -> tuple[float, float]:
    """Return nanoseconds per value, and the share of what scoring costs with ten components, on one thread."""
    world, random = World.made(0), np.random.default_rng(0)
    rows = world.night(n_rows, random)
    bins = FeatureBins.learn(FEATURES, rows)
    parameters = MixtureParameters(
        structure=FULL,
        weights=np.full(10, 0.1),
        means=np.concatenate([world.means, world.means + 0.5]),
        covariances=np.concatenate([world.factors @ world.factors.transpose(0, 2, 1)] * 2),
    )
    recipe = Recipe.affine(features=FEATURES, centre=np.zeros(6), scale=np.ones(6))
    reference = Reference.of(parameters)
    model = SegmentModel(recipe=recipe, parameters=parameters, reference=reference, segment_ids=tuple(range(10)))
    contestants = {"count": timed(lambda: count_rows(rows, bins)), "score": timed(lambda: score_leaf(rows, model))}
    with one_thread():
        spread = interleaved(contestants, repeats)
    return spread["count"].median / rows.size * 1e9, spread["count"].over(spread["score"]).median


def run(options: Options) -> Section:
    """Measure."""
    n_rows, n_nights = (2_000, 10) if options.small else (50_000, 200)
    world = World.made(1)
    wobbling = replace(world, wobble=0.02)
    noticed = nights_until(world, n_rows, options.repeats)
    quiet = {
        "quiet nights, drawn alike": false_alarms(world, n_rows, n_nights),
        "quiet nights that vary by 0.02 sd": false_alarms(wobbling, n_rows, n_nights),
    }
    rows = [[change, *(_told(nights) for nights in found.values())] for change, found in noticed.items()]
    rows += [[name, *(f"{share:.1%}" for share in shares.values())] for name, shares in quiet.items()]
    per_value, share = counting_cost(n_rows if options.small else 262_144, 1 if options.small else 25)
    checks = [(f"{name}: noticed within 3 nights", max(found["gmmdask"]) <= JUDGED) for name, found in noticed.items()]
    checks += [
        (f"{name}: an alarm on at most 1 % of them", shares["gmmdask"] <= 0.01) for name, shares in quiet.items()
    ]
    checks.append((f"counting costs at most {LARGEST_COST:.0%} of scoring", share <= LARGEST_COST))
    told, missed = verdicts("feature_alarms", checks)
    return Section(
        name="feature_alarms",
        title=f"Alarms of the features: nights of {n_rows:,} rows × {len(FEATURES)} features, {TRAINING_NIGHTS} to learn from",
        lines=(
            f"Changes: worlds noticed within three nights of {options.repeats}, and the median night of the alarm.",
            f"Quiet nights: share of {n_nights} with an alarm of any feature.",
            "",
            *table(["change", *next(iter(noticed.values()))], rows),
            "",
            f"Counting a night costs {per_value:.1f} ns per value on one thread, {share:.0%} of scoring it with ten components.",
            "",
            *told,
        ),
        missed=missed,
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print, record."""
    before, options = load(), options_of(arguments, repeats=20)
    return conclude(run(options), options, before)


if __name__ == "__main__":
    sys.exit(main())
