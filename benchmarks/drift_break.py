"""What a training after a change should learn from: all nights there are, those that were judged, or those since the change.

Quiet nights, then a break in two features that lasts; when a few of the nights that are judged lie behind it, a model is
fitted to each of the three. Shown is how well it fits the nights to come, and what it would call ordinary. Then the same
for a small shift of one feature, as soon as a verdict calls for a warm start.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.drift_worlds import KINDS, World, summed
from benchmarks.record import Options, Section, conclude, load, options_of, table, verdicts
from gmmdask.mixture.passes import score_rows
from gmmdask.monitoring import (
    Champion,
    LastAttempt,
    NightSums,
    NullDistribution,
    Thresholds,
    Verdict,
    judge,
    learn_null,
    retrained,
    total_gain,
)

Floats = NDArray[np.float64]
LIMITS = Thresholds()
MONTH, BROKEN, TO_COME, PASSES = 28, 4, 7, 25
SHIFT = 1.0
"""Standard deviations by which two features move: together, since one alone is taken for a change of its unit."""

SMALL_SHIFT, QUIET, LONGEST, WARM_PASSES = 0.2, 8, 2 * MONTH, 3


def fitted(rows: Sequence[Floats], start: Champion, passes: int = PASSES) -> Champion:
    """Return the champion after EM on the rows of some nights."""
    champion = start
    for _ in range(passes):
        parameters, _ = retrained(_sums(rows, champion).total(), champion)
        champion = Champion(parameters=parameters, reference=champion.reference)
    return champion


def _sums(rows: Sequence[Floats], champion: Champion) -> NightSums:
    nights = {f"{number:05d}": summed(champion, own) for number, own in enumerate(rows)}
    return NightSums.of(champion.stack.layout, nights)


def broken(world: World) -> Floats:
    """Draw a night after the break."""
    rows = world.night()
    rows[:2] += SHIFT * world.spread.scale[:2, None]
    return rows


def shifted(world: World) -> Floats:
    """Draw a night after the small shift."""
    rows = world.night()
    rows[0] += SMALL_SHIFT * world.spread.scale[0]
    return rows


def compare(seed: int, kind: str, rows: int, n_before: int) -> list[list[Any]]:
    """Return what every range of training gives."""
    world = World.of(seed, kind, rows)
    truth = Champion(parameters=world.truth, reference=world.spread)
    before = [world.night() for _ in range(n_before)]
    after = [broken(world) for _ in range(BROKEN)]
    to_come = np.concatenate([broken(world) for _ in range(TO_COME)], axis=1)
    ranges = {
        f"all {n_before + BROKEN}": [*before, *after],
        f"the {MONTH} judged": [*before, *after][-MONTH:],
        f"the {BROKEN} since": after,
    }
    found = []
    for name, nights in ranges.items():
        champion = fitted(nights, truth)
        density = score_rows(to_come, champion.parameters, champion.reference).log_densities.mean()
        null = learn_null(_sums(nights, champion), champion, MONTH)
        is_known = len(nights) >= LIMITS.fewest_nights
        ordinary = LIMITS.margin * null.largest if is_known else None
        found.append([kind, seed, name, float(density), ordinary])
    return found


def warm_started(seed: int, kind: str, rows: int, n_before: int) -> list[list[Any]]:
    """Return what every range of a warm start gives after a small shift: what is left to gain, and what is ordinary."""
    world = World.of(seed, kind, rows)
    nights = [world.night() for _ in range(n_before)]
    champion = fitted(nights, Champion(parameters=world.truth, reference=world.spread))
    null = learn_null(_sums(nights, champion), champion, MONTH)
    nights += [world.night() for _ in range(QUIET)]
    changed, verdict = f"{len(nights):05d}", None
    while verdict is None or (verdict.decision == "keep" and len(nights) < n_before + QUIET + LONGEST):
        nights.append(shifted(world))
        verdict = _judged(nights, n_before, champion, null)
    to_come = [shifted(world) for _ in range(MONTH)]
    since = int(verdict.since or len(nights) - MONTH)
    found = []
    for name, first in {"all": 0, f"the {MONTH} judged": len(nights) - MONTH, "those since": since}.items():
        model = fitted(nights[first:], champion, WARM_PASSES)
        known = learn_null(_sums(nights[first:], model), model, MONTH)
        ordinary = LIMITS.margin * (known.joined(null) if first == since else known).largest
        left = total_gain(_sums(to_come, model).total(), model)
        found.append([kind, seed, name, since - int(changed), left, ordinary])
    return found


def _judged(nights: Sequence[Floats], trained: int, champion: Champion, null: NullDistribution) -> Verdict:
    sums = _sums(nights, champion)
    return judge(sums, sums.dates[-1], champion, null, LastAttempt(date=sums.dates[trained - 1]), LIMITS)


def run(options: Options) -> Section:
    """Play every world."""
    kinds, rows, n_before = (KINDS[:1], 200, 28) if options.small else (KINDS, 2_000, 91)
    worlds = [(seed, kind) for kind in kinds for seed in range(options.repeats)]
    broke = [compare(seed, kind, rows, n_before) for seed, kind in worlds]
    small = [warm_started(seed, kind, rows, n_before) for seed, kind in worlds]
    best = all(since[3] > max(everything[3], judged[3]) for everything, judged, since in broke)
    least = all(since[4] < min(everything[4], judged[4]) for everything, judged, since in small)
    told, missed = verdicts(
        "drift_break",
        [
            ("the nights since the break fit what comes best, in every world", best),
            ("after a small shift those since leave least to gain, in every world", least),
        ],
    )
    return Section(
        name="drift_break",
        title=f"After a change: {n_before} nights of {rows:,} rows before",
        lines=(*_break_lines(broke), "", *_small_lines(small), "", *told),
        missed=missed,
    )


def _break_lines(broke: Sequence[list[list[Any]]]) -> list[str]:
    shown = [
        [kind, seed, name, f"{density:.3f}", "not known yet" if ordinary is None else f"{ordinary:.3f}"]
        for world in broke
        for kind, seed, name, density, ordinary in world
    ]
    return [
        f"Two features shift by {SHIFT:g} standard deviation for good, {BROKEN} nights ago. Mean log density of the {TO_COME} nights",
        "that follow, and the G up to which a window would be ordinary, in nats per row.",
        "",
        *table(["nights vary in", "world", "trained on", "log density", "ordinary"], shown),
    ]


def _small_lines(small: Sequence[list[list[Any]]]) -> list[str]:
    shown = [
        [kind, seed, name, f"{apart:+d}" if name == "those since" else "", f"{left:.4f}", f"{ordinary:.4f}"]
        for world in small
        for kind, seed, name, apart, left, ordinary in world
    ]
    return [
        f"One feature shifts by {SMALL_SHIFT:g} standard deviations for good, and a verdict calls for training. By how many nights the",
        f"change is found too late (+) or too early, G of the {MONTH} nights that follow a warm start, and up to where it would be",
        "ordinary, in nats per row.",
        "",
        *table(["nights vary in", "world", "trained on", "found", "G left", "ordinary"], shown),
    ]


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print, record."""
    before, options = load(), options_of(arguments, repeats=3)
    return conclude(run(options), options, before)


if __name__ == "__main__":
    sys.exit(main())
