"""One EM step with full covariances on one thread: gmmdask, scikit-learn, oneDAL, and the machine's own limit.

The limit is the time of the step's two matrix products (rows × features of Φ × components, twice) at the rate of a large
matrix product measured in the same rounds.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.data import overlapping_components
from benchmarks.onedal import VERSION, environment, onedal_step
from benchmarks.record import Options, Section, conclude, load, options_of, table, verdicts
from benchmarks.steps import held, peer_step, reference_of, start_of, step
from benchmarks.timing import Spread, interleaved, one_thread, timed
from gmmdask.mixture.structures import FULL

REQUIRED = 6.0
PEAK_SIZE = 1_500


@dataclass(frozen=True, slots=True)
class Shape:
    """Size of a step."""

    n_rows: int
    n_features: int
    n_components: int

    @property
    def gigaflops(self) -> float:
        """Operations of the two products, in thousands of millions."""
        d = self.n_features
        return 4e-9 * self.n_rows * self.n_components * (1 + d + d * (d + 1) // 2)

    def __str__(self) -> str:
        """Return rows × features, components."""
        return f"{self.n_rows // 1000}k × {self.n_features}, {self.n_components}"


SHAPES = (Shape(400_000, 4, 8), Shape(400_000, 8, 8), Shape(400_000, 16, 8), Shape(200_000, 32, 16))
SMALL = (Shape(2_000, 4, 3), Shape(2_000, 5, 2))


def measure(shape: Shape, repeats: int, interpreter: Path | None) -> dict[str, Spread]:
    """Return the seconds of every contestant."""
    rows = overlapping_components(shape.n_rows, shape.n_features)
    model, reference = start_of(rows, FULL, shape.n_components), reference_of(rows)
    square = np.random.default_rng(0).normal(size=(PEAK_SIZE, PEAK_SIZE))
    with held(rows) as data, onedal_step(interpreter, rows, model) as onedal:
        contestants = {
            "gmmdask": timed(lambda: step(data, [model], reference)),
            "scikit-learn": timed(lambda: peer_step(rows, [model])),
            "peak": timed(lambda: square @ square),
        }
        return interleaved(contestants | onedal, repeats)


def run(options: Options) -> Section:
    """Measure all shapes."""
    interpreter = None if options.small else environment()
    with one_thread():
        spreads = {
            shape: measure(shape, options.repeats, interpreter) for shape in (SMALL if options.small else SHAPES)
        }
    lines, missed = verdicts("em_step", [_check(spreads)])
    return Section(
        name="em_step",
        title="One EM step, full covariances, one thread",
        lines=(
            f"Milliseconds and ratios: median (smallest–largest) of {options.repeats} interleaved rounds.",
            "",
            *table(["rows × d, K", "gmmdask ms", "scikit-learn ms", f"oneDAL {VERSION} ms"], _times(spreads)),
            "",
            *table(["rows × d, K", "× scikit-learn", "× oneDAL"], _ratios(spreads)),
            "",
            "The two matrix products of the step against a large product (f64) in the same rounds:",
            "",
            *table(["rows × d, K", "GFLOP/s", "peak GFLOP/s", "part of peak", "at peak ms"], _rates(spreads)),
            "",
            *lines,
        ),
        missed=missed,
    )


def _check(spreads: dict[Shape, dict[str, Spread]]) -> tuple[str, bool]:
    ratios = {shape: spread["scikit-learn"].over(spread["gmmdask"]) for shape, spread in spreads.items()}
    slowest = min(ratios, key=lambda shape: ratios[shape].median)
    text = f"at least {REQUIRED:g} times as fast as scikit-learn in every shape; least: {ratios[slowest]} at {slowest}"
    return text, ratios[slowest].median >= REQUIRED


def _times(spreads: dict[Shape, dict[str, Spread]]) -> list[list[object]]:
    names = ("gmmdask", "scikit-learn", "oneDAL")
    return [
        [shape, *(spread[name].scaled(1e3) if name in spread else "left out" for name in names)]
        for shape, spread in spreads.items()
    ]


def _ratios(spreads: dict[Shape, dict[str, Spread]]) -> list[list[object]]:
    names = ("scikit-learn", "oneDAL")
    return [
        [shape, *(spread[name].over(spread["gmmdask"]) if name in spread else "left out" for name in names)]
        for shape, spread in spreads.items()
    ]


def _rates(spreads: dict[Shape, dict[str, Spread]]) -> list[list[object]]:
    rows: list[list[object]] = []
    for shape, spread in spreads.items():
        rate = spread["gmmdask"].inverse(shape.gigaflops)
        peak = spread["peak"].inverse(2e-9 * PEAK_SIZE**3)
        rows.append([shape, rate, peak, rate.over(peak), peak.inverse(1e3 * shape.gigaflops)])
    return rows


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print, record."""
    before, options = load(), options_of(arguments, repeats=9)
    return conclude(run(options), options, before)


if __name__ == "__main__":
    sys.exit(main())
