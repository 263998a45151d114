"""Sample, race, polish: a whole grid of component counts and covariance structures in a handful of passes."""

from __future__ import annotations

import numpy as np

from gmmdask.engine.port import Engine, HeldData
from gmmdask.errors import InvalidInputError, NoSoundCandidateError
from gmmdask.mixture.criteria import aic, bic, effective_rows, icl
from gmmdask.mixture.degeneracy import small_features
from gmmdask.mixture.structures import structure_named
from gmmdask.source import Source
from gmmdask.training.em_loop import evaluator
from gmmdask.training.examination import SampleFit
from gmmdask.training.polish import Polish, PolishedCandidate, final_objection
from gmmdask.training.race import race
from gmmdask.training.results import Candidate, CandidateStatus, GridResult, GridSpec, Progress
from gmmdask.training.sample import Sample
from gmmdask.training.search import Cell, search, settled
from gmmdask.training.survey import Survey

ELBOW = 1e-3
"""Nats per row and dropped component below which a smaller model is as good for most purposes."""


def fit_grid(
    source: Source, engine: Engine, survey: Survey, spec: GridSpec, progress: Progress | None = None
) -> GridResult:
    """Open the data and fit and compare every cell of a grid: see `search_grid`."""
    with engine.hold(source) as data:
        return search_grid(data, survey, spec, progress)


def search_grid(data: HeldData, survey: Survey, spec: GridSpec, progress: Progress | None = None) -> GridResult:
    """Fit and compare every cell of a grid.

    Parameters
    ----------
    data : HeldData
        The data to fit, without missing cells, opened by an engine.
    survey : Survey
        Pass 0 of the same data.
    spec : GridSpec
    progress : callable, optional

    Raises
    ------
    InvalidInputError
        The grid cannot be fitted to so few rows, or names an unknown structure.
    NoSoundCandidateError
        Every candidate describes the regularisation instead of the data.
    """
    announce = progress or _silent
    survey.require_complete("The data")
    _require_grid(spec, survey)
    population = effective_rows(survey.moments.mass, survey.moments.squared_mass, spec.weight_type)
    sample = Sample.of(survey, population)
    fits = search(sample, spec, announce)
    if not fits:
        raise NoSoundCandidateError(
            f"Every start of every candidate collapsed onto too few of the {survey.moments.n_rows} rows. Lower"
            f" n_components, raise reg_covar={spec.reg_covar:g}, or look for constant and duplicated columns."
        )
    leaving = race(fits, sample, spec.criterion)
    polish = Polish(
        evaluate=evaluator(data, survey),
        spec=spec,
        reference=survey.reference,
        population=population,
        progress=announce,
    )
    survivors = {cell for cell, fit in fits.items() if fit.sound and cell not in leaving}
    evaluations, passes = polish.run(settled(fits, sample, spec), survivors)
    candidates = tuple(
        _candidate(cell, fits.get(cell), evaluations.get(cell), leaving.get(cell, ""), spec, population)
        for cell in ((name, k) for name in spec.covariance_types for k in spec.n_components)
    )
    best = _best(candidates, spec)
    return GridResult(
        candidates=candidates,
        best=best,
        reference=survey.reference,
        passes=passes + 1,
        population=population,
        sample_rows=max((fit.n_rows for fit in fits.values()), default=0),
        holdout_rows=sample.held_out.n_rows,
        notes=_notes(candidates, best, survey, spec, population),
    )


def _silent(stage: str, done: int, total: int, detail: str) -> None:
    """Report nothing."""


def _require_grid(spec: GridSpec, survey: Survey) -> None:
    if not spec.n_components or not spec.covariance_types:
        raise InvalidInputError("The grid is empty: name at least one component count and one covariance type.")
    for name in spec.covariance_types:
        structure_named(name)
    if min(spec.n_components) < 1:
        raise InvalidInputError(f"n_components must be positive; got {min(spec.n_components)}.")
    if max(spec.n_components) > survey.reservoir.n_rows * 4 // 5:
        raise InvalidInputError(
            f"{max(spec.n_components)} components are more than the {survey.reservoir.n_rows * 4 // 5} rows that starts"
            f" are fitted to; lower n_components or bring more rows (found {survey.moments.n_rows})."
        )
    if spec.max_passes < 2:
        raise InvalidInputError(f"max_passes must be at least 2 (pass 0 and one evaluation); got {spec.max_passes}.")


def _candidate(
    cell: Cell,
    fit: SampleFit | None,
    evaluation: PolishedCandidate | None,
    leaving: str,
    spec: GridSpec,
    population: float,
) -> Candidate:
    name, k = cell
    if fit is None or evaluation is None:
        nan = float("nan")
        return Candidate(
            covariance_type=name,
            n_components=k,
            parameters=None,
            n_parameters=0,
            log_likelihood=nan,
            aic=nan,
            bic=nan,
            icl=nan,
            holdout_score=nan,
            remaining_gain=nan,
            status="disqualified",
            reason="every start collapsed onto too few rows",
        )
    p, log_likelihood = evaluation.parameters.n_parameters, evaluation.log_likelihood
    objection = (fit.reason if not fit.sound else "") or final_objection(evaluation, spec.reg_covar)
    polished: CandidateStatus = "polished" if len(evaluation.trace) > 1 else "evaluated"
    gain = evaluation.remaining_gain
    return Candidate(
        covariance_type=name,
        n_components=k,
        parameters=evaluation.parameters,
        n_parameters=p,
        log_likelihood=log_likelihood,
        aic=aic(log_likelihood, p),
        bic=bic(log_likelihood, p, population),
        icl=icl(log_likelihood, p, population, evaluation.entropy),
        holdout_score=fit.held_out_score,
        remaining_gain=gain if np.isfinite(gain) else float("nan"),
        status="disqualified" if objection else polished,
        reason=objection or "; ".join(filter(None, [fit.reason, leaving])),
    )


def _best(candidates: tuple[Candidate, ...], spec: GridSpec) -> Candidate:
    sound = [candidate for candidate in candidates if candidate.status != "disqualified"]
    if sound:
        return min(sound, key=lambda candidate: candidate.criterion(spec.criterion))
    table = "\n".join(f"  {c.covariance_type} {c.n_components}: {c.reason}" for c in candidates)
    raise NoSoundCandidateError(
        f"None of the {len(candidates)} candidates describes the data rather than reg_covar={spec.reg_covar:g}. Look for"
        f" constant, duplicated, rounded or one-hot columns, and scale the features.\n{table}"
    )


def _notes(
    candidates: tuple[Candidate, ...], best: Candidate, survey: Survey, spec: GridSpec, population: float
) -> tuple[str, ...]:
    variance = survey.moments.variance
    swallowed = small_features(variance, spec.reg_covar) & (variance > 0)  # no scale helps where nothing varies
    notes = [
        f"Feature {name!r} varies so little that reg_covar={spec.reg_covar:g} decides its fit; scale it."
        for name in np.array(survey.features)[swallowed].tolist()
    ]
    if best.n_components == max(spec.n_components) > min(spec.n_components):
        notes.append(
            f"The winner has {best.n_components} components, the most that were tried: more may fit better still."
        )
    if smaller := _smallest_as_good(candidates, best, population):
        loss = (best.log_likelihood - smaller.log_likelihood) / population
        notes.append(
            f"{smaller.covariance_type} with {_components(smaller.n_components)} is as good for most purposes: it loses"
            f" {max(loss, 0.0):.2g} nats per row to the winner, less than {ELBOW:g} for each component it does without."
        )
    return tuple(notes)


def _components(n: int) -> str:
    return f"{n} component{'s' if n > 1 else ''}"


def _smallest_as_good(candidates: tuple[Candidate, ...], best: Candidate, population: float) -> Candidate | None:
    def is_as_good(candidate: Candidate) -> bool:
        dropped = best.n_components - candidate.n_components
        loss = (best.log_likelihood - candidate.log_likelihood) / population
        return candidate.status != "disqualified" and dropped > 0 and loss <= ELBOW * dropped

    fitting = [candidate for candidate in candidates if is_as_good(candidate)]
    return min(fitting, key=lambda candidate: (candidate.n_components, candidate.n_parameters), default=None)
