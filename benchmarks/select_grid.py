"""`select` over the seed grid: a lake of a million rows on two workers, and forty fits of scikit-learn on fewer rows.

Every run over the lake has a driver and a cluster of its own, so that their peaks of memory are this run's.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from time import perf_counter

import numpy as np
from numpy.typing import NDArray
from sklearn.exceptions import ConvergenceWarning
from sklearn.mixture import GaussianMixture

from benchmarks.data import overlapping_components
from benchmarks.lakes import cluster, written_lake
from benchmarks.record import Options, Section, conclude, load, options_of, table, verdicts
from benchmarks.steps import STRUCTURE_NAMES
from benchmarks.timing import memory_bytes, one_processor
from gmmdask import open_lake
from gmmdask.selection import Selection, select

N_FEATURES = 8
SEEDS = (0, 1)
LARGEST_PASSES = 6
TOLERANCE = 1e-3
"""Nats per row that a cell may lie below scikit-learn's."""
BEST = 10


@dataclass(frozen=True, kw_only=True, slots=True)
class LakeRun:
    """One search over a lake; memory in bytes, before it and at its peak."""

    seed: int
    n_rows: int
    seconds: float
    passes: int
    best: str
    driver: tuple[int, int]
    workers: tuple[tuple[int, int], ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Comparison:
    """One seed against scikit-learn: seconds, and how far each cell that counts lies above it in nats per row."""

    seed: int
    n_rows: int
    ours: tuple[float, float]
    theirs: float
    unconverged: int
    gaps: dict[str, float]

    @property
    def lowest(self) -> tuple[str, float]:
        """The cell that compares worst."""
        cell = min(self.gaps, key=lambda name: self.gaps[name])
        return cell, self.gaps[cell]


def search_lake(folder: str, seed: int, largest: int, processes: bool) -> LakeRun:
    """Search the grid over a lake on a cluster of its own."""
    lake = open_lake(folder)
    with cluster(processes=processes) as client:
        idle = client.run(memory_bytes)
        before, _ = memory_bytes()
        start = perf_counter()
        selection = select(lake, n_components=range(1, largest + 1), random_state=seed, client=client, verbose=False)
        seconds = perf_counter() - start
        used = client.run(memory_bytes)
    return LakeRun(
        seed=seed,
        n_rows=int(selection.result.population),
        seconds=seconds,
        passes=selection.passes,
        best=_name(selection.result.best.covariance_type, selection.result.best.n_components),
        driver=(before, memory_bytes()[1]),
        workers=tuple((idle[address][0], used[address][1]) for address in used),
    )


def isolated_search(folder: str, seed: int, largest: int) -> LakeRun:
    """Search in a fresh process."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(search_lake, folder, seed, largest, True).result()


def compare(n_rows: int, seed: int, largest: int) -> Comparison:
    """Search, fit scikit-learn's mixtures, search again; all on one processor."""
    rows = overlapping_components(n_rows, N_FEATURES, seed=seed)
    with one_processor():
        first, selection = _searched(rows, seed, largest)
        start = perf_counter()
        peers = {(name, k): _peer(rows, name, k) for name in STRUCTURE_NAMES for k in range(1, largest + 1)}
        theirs = perf_counter() - start
        again, _ = _searched(rows, seed, largest)
        gaps = _gaps(selection, peers, rows)
    unconverged = sum(not peer.converged_ for peer in peers.values())
    return Comparison(seed=seed, n_rows=n_rows, ours=(first, again), theirs=theirs, unconverged=unconverged, gaps=gaps)


def _searched(rows: NDArray[np.float64], seed: int, largest: int) -> tuple[float, Selection]:
    start = perf_counter()
    selection = select(rows, n_components=range(1, largest + 1), random_state=seed, verbose=False)
    return perf_counter() - start, selection


def _peer(rows: NDArray[np.float64], covariance_type: str, n_components: int) -> GaussianMixture:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return GaussianMixture(n_components, covariance_type=covariance_type, random_state=0).fit(rows)


def _gaps(
    selection: Selection, peers: dict[tuple[str, int], GaussianMixture], rows: NDArray[np.float64]
) -> dict[str, float]:
    """Return ours less scikit-learn's in nats per row, for every polished cell and the best ten by BIC."""
    sound = sorted(selection.result.candidates, key=lambda candidate: candidate.bic)
    counted = [cell for rank, cell in enumerate(sound) if cell.status == "polished" or rank < BEST]
    return {
        _name(cell.covariance_type, cell.n_components): cell.log_likelihood / len(rows)
        - peers[cell.covariance_type, cell.n_components].score(rows)
        for cell in counted
    }


def _name(covariance_type: str, n_components: int) -> str:
    return f"{covariance_type} {n_components}"


def run(options: Options) -> Section:
    """Search the lakes, then compare."""
    many, few, largest = (1_000, 500, 2) if options.small else (1_000_000, 100_000, 10)
    seeds = SEEDS[:1] if options.small else SEEDS
    lake_runs = [_lake_run(many, seed, largest, small=options.small) for seed in seeds for _ in range(options.repeats)]
    comparisons = [compare(few, seed, largest) for seed in seeds]
    lines, missed = verdicts("select_grid", [*_pass_checks(lake_runs), *_gap_checks(comparisons)])
    return Section(
        name="select_grid",
        title=f"select over the seed grid ({4 * largest} candidates, {N_FEATURES} features)",
        lines=(*_lakes(lake_runs), "", *_compared(comparisons), "", *lines),
        missed=missed,
    )


def _lake_run(n_rows: int, seed: int, largest: int, *, small: bool) -> LakeRun:
    with written_lake(n_rows, N_FEATURES, seed=seed) as folder:
        return search_lake(folder, seed, largest, False) if small else isolated_search(folder, seed, largest)


def _lakes(runs: Sequence[LakeRun]) -> list[str]:
    rows = [
        [
            f"{one.n_rows:,}, {one.seed}",
            f"{one.seconds:.1f}",
            one.passes,
            *(f"{before / 1e6:.0f} → {peak / 1e6:.0f}" for before, peak in (one.driver, *one.workers)),
            one.best,
        ]
        for one in runs
    ]
    return [
        "A Parquet lake on 2 workers of one thread; the driver searches the sample on all processors while they wait.",
        "Memory: resident set before the search → its peak.",
        "",
        *table(["rows, seed", "seconds", "passes", "driver MB", "worker MB", "worker MB", "winner"], rows),
    ]


def _compared(comparisons: Sequence[Comparison]) -> list[str]:
    rows = [
        [
            f"{one.n_rows:,}, {one.seed}",
            " ".join(f"{seconds:.1f}" for seconds in one.ours),
            f"{one.theirs:.1f}",
            " ".join(f"{one.theirs / seconds:.1f}" for seconds in one.ours),
            one.unconverged,
            len(one.gaps),
            f"{one.lowest[1]:+.1e} ({one.lowest[0]})",
        ]
        for one in comparisons
    ]
    return [
        "An array on one processor: select, scikit-learn's fits (defaults, random_state=0), select again.",
        "",
        *table(
            ["rows, seed", "select s", "scikit-learn s", "ratio", "unconverged", "cells", "lowest gap, nats/row"], rows
        ),
        "",
        f"Cells: those polished and the best {BEST}; gap: select's mean log-likelihood less scikit-learn's.",
        "Unconverged: fits that scikit-learn ended at 100 iterations.",
    ]


def _pass_checks(runs: Sequence[LakeRun]) -> list[tuple[str, bool]]:
    most = max(one.passes for one in runs)
    return [(f"at most {LARGEST_PASSES} passes: {most}", most <= LARGEST_PASSES)]


def _gap_checks(comparisons: Sequence[Comparison]) -> list[tuple[str, bool]]:
    lowest = min(one.lowest[1] for one in comparisons)
    text = f"no polished cell nor any of the best {BEST} more than {TOLERANCE:g} nats per row below: {lowest:+.1e}"
    return [(text, lowest >= -TOLERANCE)]


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print, record."""
    before, options = load(), options_of(arguments, repeats=2)
    return conclude(run(options), options, before)


if __name__ == "__main__":
    sys.exit(main())
