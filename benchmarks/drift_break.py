"""What a refit after a break should learn from: all nights there are, those that were judged, or those since the break.

Quiet nights, then a break in two features that lasts; when a few of the nights that are judged lie behind it, a model is
fitted to each of the three. Shown is how well it fits the nights to come, and what it would call ordinary.
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
from gmmdask.monitoring import Champion, NightSums, Thresholds, learn_null, retrained

Floats = NDArray[np.float64]
MONTH, BROKEN, TO_COME, PASSES = 28, 4, 7, 25
SHIFT = 1.0
"""Standard deviations by which two features move: together, since one alone is taken for a change of its unit."""


def fitted(rows: Sequence[Floats], start: Champion) -> Champion:
    """Return the champion after EM on the rows of some nights."""
    champion = start
    for _ in range(PASSES):
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
        is_known = len(nights) >= Thresholds().fewest_nights
        ordinary = Thresholds().margin * null.largest if is_known else None
        found.append([kind, seed, name, float(density), ordinary])
    return found


def run(options: Options) -> Section:
    """Play every world."""
    kinds, rows, n_before = (KINDS[:1], 200, 28) if options.small else (KINDS, 2_000, 91)
    found = [row for kind in kinds for seed in range(options.repeats) for row in compare(seed, kind, rows, n_before)]
    worlds = [found[first : first + 3] for first in range(0, len(found), 3)]
    best = all(since[3] > max(everything[3], judged[3]) for everything, judged, since in worlds)
    told, missed = verdicts("drift_break", [("the nights since the break fit what comes best, in every world", best)])
    shown = [
        [kind, seed, name, f"{density:.3f}", "not known yet" if ordinary is None else f"{ordinary:.3f}"]
        for kind, seed, name, density, ordinary in found
    ]
    return Section(
        name="drift_break",
        title=f"After a break: {n_before} nights of {rows:,} rows before, {BROKEN} after",
        lines=(
            f"Two features shift by {SHIFT:g} standard deviation for good. Mean log density of the {TO_COME} nights that follow,",
            "and the G up to which a window would be ordinary, in nats per row.",
            "",
            *table(["nights vary in", "world", "trained on", "log density", "ordinary"], shown),
            "",
            *told,
        ),
        missed=missed,
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print, record."""
    before, options = load(), options_of(arguments, repeats=3)
    return conclude(run(options), options, before)


if __name__ == "__main__":
    sys.exit(main())
