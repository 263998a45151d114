"""What Dask costs and brings: passes over the same lake on two workers and by the serial engine, in turns."""

from __future__ import annotations

import sys
from collections.abc import Sequence

import numpy as np
from distributed import Client

from benchmarks.data import overlapping_components
from benchmarks.lakes import cluster, written_lake
from benchmarks.record import Options, Section, conclude, load, options_of, table
from benchmarks.steps import full_grid, reference_of, start_of
from benchmarks.timing import Spread, interleaved, timed
from gmmdask import open_lake
from gmmdask.engine import HeldData, LocalEngine
from gmmdask.engine.dask import DaskEngine
from gmmdask.mixture.parameters import MixtureParameters
from gmmdask.mixture.stack import Stack, compile_stack
from gmmdask.mixture.structures import FULL
from gmmdask.training.em_loop import summarize_leaf

N_FEATURES = 16


def measure(folder: str, models: Sequence[MixtureParameters], client: Client, repeats: int) -> dict[str, Spread]:
    """Return the seconds of a pass for a stack of these models, the data being in memory on both sides."""
    lake = open_lake(folder)
    stack = compile_stack(models, reference_of(_sample(models[0].n_features)))
    with LocalEngine().hold(lake) as here, DaskEngine(client).hold(lake) as there:
        contestants = {
            "serial": timed(lambda: _pass(here, stack)),
            "dask": timed(lambda: _pass(there, stack)),
        }
        return interleaved(contestants, repeats)


def _pass(data: HeldData, stack: Stack) -> None:
    data.map_reduce(summarize_leaf, (stack,), name="pass")


def _sample(n_features: int) -> np.ndarray:
    return overlapping_components(20_000, n_features)


def run(options: Options) -> Section:
    """Measure a large stack on many rows, and one small model on few."""
    n_rows, largest = (4_000, 2) if options.small else (1_000_000, 10)
    with cluster(processes=not options.small) as client:
        with written_lake(n_rows, N_FEATURES) as folder:
            large = measure(folder, full_grid(_sample(N_FEATURES), largest), client, options.repeats)
        with written_lake(1_000, 2) as folder:
            small = measure(folder, [start_of(_sample(2), FULL, 2)], client, 10 * options.repeats)
    components = largest * (largest + 1) // 2
    return Section(
        name="dask_overhead",
        title="Dask on 2 workers against the serial engine",
        lines=(
            "Wall time of a pass over a lake held in memory; median (smallest–largest) of interleaved rounds.",
            "",
            *table(
                ["pass", "serial ms", "dask ms", "dask / serial", "dask − serial ms"],
                [
                    _row(f"{components} full, {n_rows // 1000}k × {N_FEATURES}", large),
                    _row("2 full, 1k × 2", small),
                ],
            ),
            "",
            "Two workers at no cost would take half the serial time: a ratio of 0.50. For the small model the difference is",
            "the overhead of a pass.",
        ),
    )


def _row(name: str, spread: dict[str, Spread]) -> list[object]:
    serial, dask = spread["serial"].scaled(1e3), spread["dask"].scaled(1e3)
    return [name, serial, dask, dask.over(serial), dask.minus(serial)]


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print, record."""
    before, options = load(), options_of(arguments, repeats=7)
    return conclude(run(options), options, before)


if __name__ == "__main__":
    sys.exit(main())
