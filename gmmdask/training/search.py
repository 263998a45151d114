"""The sample stage: many short starts for every cell of the grid, the best run to convergence.

All structures and starts of one component count share a stack. Component counts are independent of each other within
a round, so threads change no byte.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from gmmdask.mixture.degeneracy import LARGEST_FLOORED_MASS, LARGEST_SENSITIVITY, FEWEST_ROWS, floored_mass
from gmmdask.mixture.em import FitState, ModelSpec, maximize
from gmmdask.mixture.moves import drop_components, split_component
from gmmdask.mixture.parameters import MixtureParameters
from gmmdask.mixture.stack import compile_stack
from gmmdask.mixture.structures import Structure, structure_named
from gmmdask.training.em_loop import run_em
from gmmdask.training.results import GridSpec, Progress
from gmmdask.training.sample import Rows, Sample
from gmmdask.training.seeds import kmeans_starts, merges_of, splits_of

Cell = tuple[str, int]
"""A covariance type and a component count."""

SHORT_ITERATIONS, SHORT_TOLERANCE = 10, 1e-4
MIDDLE_ITERATIONS, MIDDLE_TOLERANCE = 30, 1e-4
LONG_ITERATIONS, LONG_TOLERANCE = 200, 1e-5
FINALISTS = 2
LARGEST_STARTS = 30
RESEEDS = 2


@dataclass(frozen=True, kw_only=True, slots=True)
class SampleFit:
    """The best model that the sample stage found for a cell.

    Parameters
    ----------
    parameters : MixtureParameters
    n_rows : int
        Rows it was fitted to.
    log_likelihood : float
        Mean per fitted row, in nats.
    held_out_score : float
        Mean per held-out row, in nats.
    reason : str
        Why it is disqualified, or what became of starved components; empty otherwise.
    sound : bool
        Whether it may win.
    """

    parameters: MixtureParameters
    n_rows: int
    log_likelihood: float
    held_out_score: float
    reason: str = ""
    sound: bool = True


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
    pools = {cell: first.get(cell, []) + second.get(cell, []) for cell in first.keys() | second.keys()}
    fits = _merged(_each(searches, lambda column: column.converge(pools), progress, "sample: long runs"))
    return _merged(_each(searches, lambda column: column.improve(fits), progress, "sample: repairs"))


def _each(
    searches: Sequence[ColumnSearch], step: Callable[[ColumnSearch], V], progress: Progress, stage: str
) -> list[V]:
    """Run a step for every component count, the longest first, on as many threads as there are processors."""
    done: list[V | None] = [None] * len(searches)
    with threadpool_limits(limits=1), ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        futures = {i: pool.submit(step, searches[i]) for i in reversed(range(len(searches)))}
        for count, (i, future) in enumerate(futures.items(), 1):
            done[i] = future.result()
            progress(stage, count, len(searches), "")
    return [result for result in done if result is not None]


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
        starts: list[MixtureParameters] = []
        for structure in self.structures:
            smaller = _best(pools.get((structure.name, self.n_components - 1), []), 1)
            larger = _best(pools.get((structure.name, self.n_components + 1), []), 1)
            starts += [start for model in smaller for start in splits_of(model)]
            starts += [start for model in larger for start in merges_of(model)]
        return self._short_runs(self.sample.short_rows_for(self.n_parameters), starts)

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
        starts: list[MixtureParameters] = []
        for structure in self.structures:
            smaller = fits.get((structure.name, self.n_components - 1))
            larger = fits.get((structure.name, self.n_components + 1))
            starts += splits_of(smaller.parameters) if smaller else []
            starts += merges_of(larger.parameters) if larger else []
        pool = self._short_runs(self.sample.short_rows_for(self.n_parameters), starts)
        own = {cell: fit for cell, fit in fits.items() if cell[1] == self.n_components}
        challengers = self._long_runs([p for models in pool.values() for p in _best(models, 1)])
        return {
            cell: max(
                (f for f in (own.get(cell), challengers.get(cell)) if f), key=lambda f: (f.sound, f.held_out_score)
            )
            for cell in own.keys() | challengers.keys()
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
        specs = [self._model_spec(start, max_iter, tol) for start in sound]
        states = run_em(
            rows.evaluate, [FitState(parameters=p) for p in sound], specs, self.sample.reference, strict=False
        )
        return [state.parameters for state in states if state.status != "degenerate"]

    def _model_spec(self, start: MixtureParameters, max_iter: int, tol: float) -> ModelSpec:
        return ModelSpec(
            structure=start.structure,
            n_components=start.n_components,
            tol=tol,
            max_iter=max_iter,
            reg_covar=self.spec.reg_covar,
        )

    def _scored(self, models: Sequence[MixtureParameters]) -> list[tuple[float, MixtureParameters]]:
        if not models:
            return []
        scores = self.sample.held_out_scores(compile_stack(models, self.sample.reference))
        return list(zip(scores.tolist(), models, strict=True))

    def _long_runs(self, starts: Sequence[MixtureParameters]) -> dict[Cell, SampleFit]:
        rows = self.sample.rows_for(self.n_parameters)
        models = self._run(rows, starts, LONG_ITERATIONS, LONG_TOLERANCE)
        for _ in range(RESEEDS):
            models = self._reseeded(rows, models)
        best: dict[Cell, SampleFit] = {}
        for fit in self._examined(rows, models):
            cell = (fit.parameters.structure.name, self.n_components)
            if cell not in best or (fit.sound, fit.held_out_score) > (best[cell].sound, best[cell].held_out_score):
                best[cell] = fit
        return best

    def _starved(self, rows: Rows, models: Sequence[MixtureParameters]) -> list[NDArray[np.bool_]]:
        """Return which components hold fewer than 30 rows of the data, or d + 2 of the sample."""
        stack = compile_stack(models, self.sample.reference)
        statistics = rows.evaluate(stack)
        rows_per_mass = rows.n_rows / statistics.mass
        fewest = max(len(rows.values) + 2.0, FEWEST_ROWS * rows.n_rows / self.sample.population)
        counts = [stack.moments(statistics, c).counts for c in range(len(models))]
        return [np.asarray(count * rows_per_mass < fewest) for count in counts]

    def _reseeded(self, rows: Rows, models: Sequence[MixtureParameters]) -> list[MixtureParameters]:
        """Return the models with starved components replaced by halves of the heaviest, run to convergence again."""
        if not models:
            return []
        starved = self._starved(rows, models)
        changed = [_replaced(m, s) if s.any() else m for m, s in zip(models, starved, strict=True)]
        again = [m for m, s in zip(changed, starved, strict=True) if s.any()]
        kept = [m for m, s in zip(changed, starved, strict=True) if not s.any()]
        return kept + self._run(rows, again, LONG_ITERATIONS, LONG_TOLERANCE) if again else kept

    def _examined(self, rows: Rows, models: Sequence[MixtureParameters]) -> list[SampleFit]:
        """Return the fits with their scores, starved components dropped, and what disqualifies them."""
        if not models:
            return []
        starved = self._starved(rows, models)
        kept = [drop_components(m, s) if s.any() else m for m, s in zip(models, starved, strict=True) if not s.all()]
        dropped = [int(s.sum()) for s in starved if not s.all()]
        return [
            replace(fit, reason="; ".join(filter(None, [_drop_reason(n), fit.reason])))
            for fit, n in zip(self._verdicts(rows, kept), dropped, strict=True)
        ]

    def _verdicts(self, rows: Rows, models: Sequence[MixtureParameters]) -> list[SampleFit]:
        stack = compile_stack(models, self.sample.reference)
        statistics, scores = rows.evaluate(stack), self.sample.held_out_scores(stack)
        reg_covar = self.spec.reg_covar
        moments = [stack.moments(statistics, c) for c in range(len(models))]
        steps = [
            [maximize(m, p.structure, r) for m, p in zip(moments, models, strict=True)]
            for r in (reg_covar, reg_covar / 1e3)
        ]
        fits = []
        for c, parameters in enumerate(models):
            reason = self._objection(rows, parameters, steps[0][c], steps[1][c])
            fits.append(
                SampleFit(
                    parameters=parameters,
                    n_rows=rows.n_rows,
                    log_likelihood=float(statistics.log_likelihoods[c]) / statistics.mass,
                    held_out_score=float(scores[c]),
                    reason=reason,
                    sound=not reason,
                )
            )
        return fits

    def _objection(
        self, rows: Rows, parameters: MixtureParameters, usual: MixtureParameters, bare: MixtureParameters
    ) -> str:
        """Return why a model describes the regularisation instead of the data, or nothing."""
        share = floored_mass(parameters, self.spec.reg_covar)
        if share > LARGEST_FLOORED_MASS:
            return f"{share:.1%} of its mass lies in components as narrow as reg_covar={self.spec.reg_covar:g}"
        if not bare.is_positive_definite:
            return "without reg_covar a covariance is singular"
        if not usual.is_positive_definite:
            return "a covariance is singular"
        stack = compile_stack([usual, bare], self.sample.reference)
        statistics = rows.evaluate(stack)
        moved = abs(float(np.diff(statistics.log_likelihoods)[0])) / statistics.mass
        if moved < LARGEST_SENSITIVITY:
            return ""
        return f"its likelihood moves by {moved:.2g} nats per row when reg_covar is divided by 1,000"


def _best(models: list[tuple[float, MixtureParameters]], n: int) -> list[MixtureParameters]:
    return [parameters for _, parameters in sorted(models, key=lambda item: -item[0])[:n]]


def _drop_reason(n: int) -> str:
    return f"{n} starved component{'s' if n > 1 else ''} dropped" if n else ""


def _replaced(parameters: MixtureParameters, starved: NDArray[np.bool_]) -> MixtureParameters:
    if starved.all():
        return parameters
    kept = drop_components(parameters, starved)
    while kept.n_components < parameters.n_components:
        kept = split_component(kept, int(np.argmax(kept.weights)))
    return kept
