"""One EM step of the whole seed grid, four structures × K = 1..10 as one stack, against scikit-learn's forty steps."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from benchmarks.data import overlapping_components
from benchmarks.record import Options, Section, conclude, load, options_of, table, verdicts
from benchmarks.steps import held, peer_step, reference_of, seed_grid, step
from benchmarks.timing import Spread, interleaved, one_thread, timed

REQUIRED = 10.0
N_ROWS = 200_000
FEATURES = (8, 16)


def measure(n_rows: int, n_features: int, largest: int, repeats: int) -> dict[str, Spread]:
    """Return the seconds of both contestants."""
    rows = overlapping_components(n_rows, n_features)
    models, reference = seed_grid(rows, largest), reference_of(rows)
    with held(rows) as data:
        contestants = {
            "gmmdask": timed(lambda: step(data, models, reference)),
            "scikit-learn": timed(lambda: peer_step(rows, models)),
        }
        return interleaved(contestants, repeats)


def run(options: Options) -> Section:
    """Measure both numbers of features."""
    n_rows, largest = (1_000, 2) if options.small else (N_ROWS, 10)
    with one_thread():
        spreads = {d: measure(n_rows, d, largest, options.repeats) for d in FEATURES}
    ratios = {d: spread["scikit-learn"].over(spread["gmmdask"]) for d, spread in spreads.items()}
    components = 4 * largest * (largest + 1) // 2
    lines, missed = verdicts(
        "grid_step",
        [(f"at least {REQUIRED:g} times at d = {d}: {ratio}", ratio.median >= REQUIRED) for d, ratio in ratios.items()],
    )
    rows = [
        [
            f"{n_rows // 1000}k × {d}",
            spread["gmmdask"].scaled(1e3),
            spread["scikit-learn"].scaled(1e3),
            ratios[d],
            spread["gmmdask"].scaled(1e9 / (n_rows * components)),
        ]
        for d, spread in spreads.items()
    ]
    return Section(
        name="grid_step",
        title=f"One EM step of the seed grid ({4 * largest} candidates, {components} components), one thread",
        lines=(
            f"Median (smallest–largest) of {options.repeats} interleaved rounds; the last column per row and component.",
            "",
            *table(["rows × d", "gmmdask ms", "scikit-learn ms", "ratio", "gmmdask ns"], rows),
            "",
            *lines,
        ),
        missed=missed,
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print, record."""
    before, options = load(), options_of(arguments, repeats=5)
    return conclude(run(options), options, before)


if __name__ == "__main__":
    sys.exit(main())
