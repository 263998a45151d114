"""The sample stage: many short starts for every cell of the grid, the best run to convergence.

All structures and starts of one component count share a stack. Component counts are independent of each other within
a round, so threads change no byte.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import as_completed
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

import numpy as np

from gmmdask.engine.pools import one_thread, single_threaded_workers
from gmmdask.mixture.em import FitState, ModelSpec
from gmmdask.mixture.parameters import MixtureParameters
from gmmdask.mixture.stack import compile_stack
from gmmdask.mixture.structures import Structure, structure_named
from gmmdask.training.em_loop import run_em
from gmmdask.training.examination import Examination, SampleFit, lightened, reseeded
from gmmdask.training.results import GridSpec, Progress
from gmmdask.training.sample import Rows, Sample
from gmmdask.training.seeds import kmeans_starts, resized

Cell = tuple[str, int]
"""A covariance type and a component count."""

SHORT_ITERATIONS, SHORT_TOLERANCE = 10, 1e-4
MIDDLE_ITERATIONS, MIDDLE_TOLERANCE = 30, 1e-4
LONG_ITERATIONS, LONG_TOLERANCE = 200, 1e-5
FINALISTS = 2
LARGEST_STARTS = 30
RESEEDS = 2
REPAIRS = 3
SMALLEST_REPAIR = 1e-4
LARGEST_SETTLED_ROWS = 25_000


K = TypeVar("K")
V = TypeVar("V")
Pool = dict[Cell, list[tuple[float, MixtureParameters]]]


def search(sample: Sample, spec: GridSpec, progress: Progress) -> dict[Cell, SampleFit]:
    """Return the best sample fit of every cell; a cell where every start collapsed is missing.

    Parameters
    ----------
    sample : Sample
    spec : GridSpec
    progress : callable
    """
    structures = [structure_named(name) for name in spec.covariance_types]
    searches = [ColumnSearch(sample, spec, structures, k) for k in sorted(set(spec.n_components))]
    first = _merged(_each(searches, lambda column: column.short_starts(), progress, "sample: short starts"))
    second = _merged(_each(searches, lambda column: column.neighbour_starts(first), progress, "sample: splits, merges"))
    pools = {cell: first.get(cell, []) + second.get(cell, []) for cell in sorted(first.keys() | second.keys())}
    fits = _merged(_each(searches, lambda column: column.converge(pools), progress, "sample: long runs"))
    for attempt in range(1, REPAIRS + 1):
        before, step = fits, partial(ColumnSearch.improve, fits=fits)
        fits = _merged(_each(searches, step, progress, f"sample: repairs {attempt}"))
        if not any(_improved(before.get(cell), fit) for cell, fit in fits.items()):
            break
    return fits


def settled(fits: Mapping[Cell, SampleFit], sample: Sample, spec: GridSpec) -> dict[Cell, MixtureParameters]:
    """Return where the polish starts: the sample fits, run on over all rows where these are in memory and few.

    On small data a fifth of the rows held out moves the optimum by more than the few steps of the polish mend.
    """
    if not sample.is_whole or sample.all_rows.n_rows > LARGEST_SETTLED_ROWS:
        return {cell: fit.parameters for cell, fit in fits.items()}
    starts = [FitState(parameters=fit.parameters) for fit in fits.values()]
    specs = [_model_spec(state.parameters, spec, LONG_ITERATIONS, LONG_TOLERANCE) for state in starts]
    with one_thread():
        states = run_em(sample.all_rows.evaluate, starts, specs, sample.reference, strict=False)
    return {
        cell: fit.parameters if state.status == "degenerate" else state.parameters
        for (cell, fit), state in zip(fits.items(), states, strict=True)
    }


def _each(
    searches: Sequence[ColumnSearch], step: Callable[[ColumnSearch], V], progress: Progress, stage: str
) -> list[V]:
    """Run a step for every component count, the longest first, on as many threads as there are processors."""
    with one_thread(), single_threaded_workers(len(os.sched_getaffinity(0))) as pool:
        futures = [pool.submit(step, column) for column in reversed(searches)]
        for done, _ in enumerate(as_completed(futures), 1):
            progress(stage, done, len(futures), "")
        return [future.result() for future in reversed(futures)]


def _merged(parts: Iterable[Mapping[K, V]]) -> dict[K, V]:
    return {key: value for part in parts for key, value in part.items()}


@dataclass(frozen=True, slots=True)
class ColumnSearch:
    """The search for one component count, all structures at once."""

    sample: Sample
    spec: GridSpec
    structures: Sequence[Structure]
    n_components: int

    @property
    def n_parameters(self) -> int:
        """The largest number of parameters in this column."""
        d = len(self.sample.reference.centre)
        return max(structure.n_parameters(self.n_components, d) for structure in self.structures)

    def short_starts(self) -> Pool:
        """Return the short runs from k-means starts."""
        rows = self.sample.short_rows_for(self.n_parameters)
        n_starts = min(8 + self.n_components // 2, LARGEST_STARTS)
        seeds = np.random.SeedSequence([self.spec.seed, self.n_components]).generate_state(n_starts) >> 1
        scale, reg_covar = self.sample.reference.scale, self.spec.reg_covar
        starts = kmeans_starts(rows, scale, self.n_components, self.structures, seeds.tolist(), reg_covar)
        return self._short_runs(rows, starts)

    def neighbour_starts(self, pools: Pool) -> Pool:
        """Return the short runs from the neighbours' best models, split or merged."""
        return self._short_runs(
            self.sample.short_rows_for(self.n_parameters),
            [
                start
                for structure in self.structures
                for k in (self.n_components - 1, self.n_components + 1)
                for model in _best(pools.get((structure.name, k), []), 1)
                for start in resized(model, self.n_components)
            ],
        )

    def converge(self, pools: Pool) -> dict[Cell, SampleFit]:
        """Return the best short run of each structure, run to convergence.

        The two best run on for a while before one of them is chosen: at the end of a short run ranks still change.
        """
        finalists = [p for s in self.structures for p in _best(pools.get((s.name, self.n_components), []), FINALISTS)]
        rows = self.sample.rows_for(self.n_parameters)
        pool = self._pooled(self._run(rows, finalists, MIDDLE_ITERATIONS, MIDDLE_TOLERANCE))
        return self._long_runs([p for models in pool.values() for p in _best(models, 1)])

    def improve(self, fits: Mapping[Cell, SampleFit]) -> dict[Cell, SampleFit]:
        """Return the fits after a second look at the converged neighbours, split or merged.

        More components can always be at least as likely; a model that is not was a bad optimum.
        """
        neighbours = [
            fits.get((structure.name, k))
            for structure in self.structures
            for k in (self.n_components - 1, self.n_components + 1)
        ]
        starts = [start for fit in neighbours if fit for start in resized(fit.parameters, self.n_components)]
        pool = self._short_runs(self.sample.short_rows_for(self.n_parameters), starts)
        own = {cell: fit for cell, fit in fits.items() if cell[1] == self.n_components}
        challengers = self._long_runs([p for models in pool.values() for p in _best(models, 1)])
        return {
            cell: max(
                (f for f in (own.get(cell), challengers.get(cell)) if f), key=lambda f: (f.sound, f.held_out_score)
            )
            for cell in sorted(own.keys() | challengers.keys())
        }

    def _short_runs(self, rows: Rows, starts: Sequence[MixtureParameters]) -> Pool:
        return self._pooled(self._run(rows, starts, SHORT_ITERATIONS, SHORT_TOLERANCE))

    def _pooled(self, models: Sequence[MixtureParameters]) -> Pool:
        pool: Pool = {}
        for score, parameters in self._scored(models):
            pool.setdefault((parameters.structure.name, self.n_components), []).append((score, parameters))
        return pool

    def _run(
        self, rows: Rows, starts: Sequence[MixtureParameters], max_iter: int, tol: float
    ) -> list[MixtureParameters]:
        sound = [start for start in starts if start.is_positive_definite]
        specs = [_model_spec(start, self.spec, max_iter, tol) for start in sound]
        states = run_em(
            rows.evaluate, [FitState(parameters=p) for p in sound], specs, self.sample.reference, strict=False
        )
        return [state.parameters for state in states if state.status != "degenerate"]

    def _scored(self, models: Sequence[MixtureParameters]) -> list[tuple[float, MixtureParameters]]:
        if not models:
            return []
        scores = self.sample.held_out_scores(compile_stack(models, self.sample.reference))
        return list(zip(scores.tolist(), models, strict=True))

    def _long_runs(self, starts: Sequence[MixtureParameters]) -> dict[Cell, SampleFit]:
        rows = self.sample.rows_for(self.n_parameters)
        models = self._run(rows, starts, LONG_ITERATIONS, LONG_TOLERANCE)
        examination = Examination(sample=self.sample, rows=rows, reg_covar=self.spec.reg_covar)
        sound: list[MixtureParameters] = []
        for attempt in range(RESEEDS + self.n_components):
            kept, starved = examination.sorted_by_starvation(models)
            sound += kept
            changed = [lightened(model) for model, _ in starved]
            changed += [reseeded(*pair) for pair in starved] if attempt < RESEEDS else []
            models = self._run(rows, changed, LONG_ITERATIONS, LONG_TOLERANCE)
        fits: dict[Cell, SampleFit] = {}
        for fit in examination.fits(sound, self.n_components):
            cell = (fit.parameters.structure.name, self.n_components)
            fits[cell] = max(filter(None, (fits.get(cell), fit)), key=_merit)
        return fits


def _model_spec(start: MixtureParameters, spec: GridSpec, max_iter: int, tol: float) -> ModelSpec:
    return ModelSpec(
        structure=start.structure,
        n_components=start.n_components,
        tol=tol,
        max_iter=max_iter,
        reg_covar=spec.reg_covar,
    )


def _improved(before: SampleFit | None, after: SampleFit) -> bool:
    return before is None or after.held_out_score > before.held_out_score + SMALLEST_REPAIR


def _merit(fit: SampleFit) -> tuple[bool, float]:
    return fit.sound, fit.held_out_score


def _best(models: list[tuple[float, MixtureParameters]], n: int) -> list[MixtureParameters]:
    return [parameters for _, parameters in sorted(models, key=lambda item: -item[0])[:n]]
