"""Nights until a change is alerted, and alarms on quiet nights, beside what is usual today; all on the same nights.

The cost of counting the features is at the end; nothing else is timed here.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass

import numpy as np

from benchmarks.drift_watch import ALERT, CONTESTANTS, ONCE, VERDICT, Watch, Watched, first_alarms, nights_told
from benchmarks.drift_worlds import CHANGES, KINDS, TRAINING_NIGHTS, Change, Floats, Training, World
from benchmarks.record import Options, Section, conclude, load, options_of, table, verdicts
from benchmarks.timing import interleaved, one_thread, timed
from gmmdask.mixture.parameters import MixtureParameters
from gmmdask.mixture.stack import Reference
from gmmdask.monitoring import FeatureBins, count_rows
from gmmdask.preparation import Recipe
from gmmdask.scoring import SegmentModel, score_leaf

REQUIRED = KINDS[:2]
"""Where levels wander, they do so by as much as the smallest changes are large: that is printed, and not required."""
ROWS, QUIET_NIGHTS, LONGEST = 50_000, 50, 28
SMALL_ROWS, SMALL_LONGEST = 300, 2
ALERT_WITHIN = 3
MOST_FALSE_ALARMS = 0.01
LARGEST_COST = 0.15
"""Of scoring the same rows with ten components."""

Alarms = Mapping[str, bool]


@dataclass(frozen=True, kw_only=True, eq=False)
class Played:
    """What was said of the nights of one kind, by contestant.

    Parameters
    ----------
    kind : str
    quiet : mapping of str to float
        Share of the quiet nights with an alarm; of those with a full window where it is a verdict.
    noticed : mapping of str to mapping of str to tuple of float
        For every change the night of the first alarm, one entry a world; infinite where there was none.
    """

    kind: str
    quiet: Mapping[str, float]
    noticed: Mapping[str, Mapping[str, tuple[float, ...]]]


def played(kind: str, rows: int, worlds: int, longest: int) -> Played:
    """Play quiet nights, then changed ones: every change anew from the last quiet night on, on the same nights."""
    quiet: list[tuple[bool, Alarms]] = []
    noticed: dict[str, list[Mapping[str, float]]] = {change: [] for change in CHANGES}
    for seed in range(worlds):
        world = World.of(seed, kind, rows)
        watched = Watched.begin(Watch.over(Training.of(world)))
        for _ in range(QUIET_NIGHTS):
            watched = watched.with_night(world.night())
            quiet.append((watched.is_full, watched.alarms()))
        for change, changed in CHANGES.items():
            noticed[change].append(first_alarms(watched, changed_nights(world, changed, longest)))
    return Played(
        kind=kind,
        quiet={name: _share(name, quiet) for name in (*CONTESTANTS, ONCE)},
        noticed={
            change: {name: tuple(one[name] for one in found) for name in CONTESTANTS}
            for change, found in noticed.items()
        },
    )


def changed_nights(world: World, changed: Change, longest: int) -> Iterator[Floats]:
    """Yield a world's next nights, changed; the world stays where it is, so that every change meets the same nights."""
    world = deepcopy(world)
    return (changed(world) for _ in range(longest))


def _share(name: str, quiet: Iterable[tuple[bool, Alarms]]) -> float:
    return float(np.mean([alarms[name] for is_full, alarms in quiet if is_full or name != VERDICT]))


def counting_cost(n_rows: int, repeats: int) -> tuple[float, float]:
    """Return nanoseconds per value, and the share of what scoring costs with ten components, on one thread."""
    world = World.of(2, KINDS[0], n_rows)
    rows, truth = world.night(), world.truth
    features = [f"x{place}" for place in range(len(rows))]
    bins = FeatureBins.learn(features, rows)
    parameters = MixtureParameters(
        structure=truth.structure,
        weights=np.concatenate([truth.weights, truth.weights]) / 2,
        means=np.concatenate([truth.means, truth.means + 0.5]),
        covariances=np.concatenate([truth.covariances, truth.covariances]),
    )
    recipe = Recipe.affine(features=features, centre=[0.0] * len(features), scale=[1.0] * len(features))
    reference = Reference.of(parameters)
    model = SegmentModel(recipe=recipe, parameters=parameters, reference=reference, segment_ids=tuple(range(10)))
    contestants = {"count": timed(lambda: count_rows(rows, bins)), "score": timed(lambda: score_leaf(rows, model))}
    with one_thread():
        spread = interleaved(contestants, repeats)
    return spread["count"].median / rows.size * 1e9, spread["count"].over(spread["score"]).median


def run(options: Options) -> Section:
    """Measure."""
    rows, longest = (SMALL_ROWS, SMALL_LONGEST) if options.small else (ROWS, LONGEST)
    kinds = KINDS[:1] if options.small else KINDS
    found = [played(kind, rows, options.repeats, longest) for kind in kinds]
    per_value, share = counting_cost(2_000 if options.small else 262_144, 1 if options.small else 25)
    checks = [
        *_checks(found),
        (f"counting costs at most {LARGEST_COST:.0%} of scoring: {share:.0%}", share <= LARGEST_COST),
    ]
    told, missed = verdicts("drift_alarms", checks)
    return Section(
        name="drift_alarms",
        title=f"Alarms: nights of {rows:,} rows, {TRAINING_NIGHTS} to learn from, {options.repeats} worlds of each kind",
        lines=(
            *_change_lines(found, longest),
            "",
            *_quiet_lines(found, options.repeats * QUIET_NIGHTS),
            "",
            f"Counting a night's features costs {per_value:.1f} ns per value on one thread, {share:.0%} of scoring it with",
            "ten components.",
            "",
            *told,
        ),
        missed=missed,
    )


def _change_lines(found: Sequence[Played], longest: int) -> list[str]:
    rows = []
    for one in found:
        rows.append([f"{one.kind}:", *[""] * len(CONTESTANTS)])
        rows += [[change, *map(nights_told, nights.values())] for change, nights in one.noticed.items()]
    return [
        "Nights until the first alarm: the median world's–the last world's, or one number where they are the",
        f"same; where not all worlds had one within {longest} nights, the median of those that had, and (how many); –: none.",
        "",
        "G, part: G of tonight, or a part of G of the last three nights. Unit: a change of unit. Features: a feature's",
        "own alarm. gmmdask: any of these three. Verdict: not keep. PSI 0.1, PSI 0.25: some feature's index is larger.",
        "KS: some feature's test at 5 % fails. Zero far or near: ten standard deviations away, or at the mean.",
        "",
        *table(["change", *CONTESTANTS], rows),
    ]


def _quiet_lines(found: Sequence[Played], nights: int) -> list[str]:
    rows = [[one.kind, *(f"{one.quiet[name]:.1%}" for name in CONTESTANTS)] for one in found]
    return [
        f"Share of quiet nights with an alarm, of {nights:,} of each kind (verdict: of those that have a full window).",
        "",
        *table(["nights", *CONTESTANTS], rows),
        "",
        f"An alarm of {ONCE}: {', '.join(f'{one.quiet[ONCE]:.1%}' for one in found)}.",
    ]


def _checks(found: Sequence[Played]) -> list[tuple[str, bool]]:
    required = [one for one in found if one.kind in REQUIRED]
    checks = []
    for change in CHANGES:
        in_time = {one.kind: [night <= ALERT_WITHIN for night in one.noticed[change][ALERT]] for one in required}
        told = ", ".join(f"{sum(worlds)} of {len(worlds)} ({kind})" for kind, worlds in in_time.items())
        in_all = all(all(worlds) for worlds in in_time.values())
        checks.append((f"{change}: alerted within {ALERT_WITHIN} nights in worlds: {told}", in_all))
    return checks + [
        (
            f"{one.kind}: features alarm on at most {MOST_FALSE_ALARMS:.0%} of quiet nights: {one.quiet['features']:.1%}",
            one.quiet["features"] <= MOST_FALSE_ALARMS,
        )
        for one in required
    ]


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print, record."""
    before, options = load(), options_of(arguments, repeats=20)
    return conclude(run(options), options, before)


if __name__ == "__main__":
    sys.exit(main())
