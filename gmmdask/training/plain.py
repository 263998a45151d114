"""Plain EM on any source: pass 0, starts, iterations that all starts share.

What scikit-learn's mixture does, on data that need not fit in memory. Searching over structures and numbers of
components is done elsewhere.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gmmdask.engine import Engine, HeldData
from gmmdask.errors import InvalidInputError
from gmmdask.mixture.em import FitState, ModelSpec
from gmmdask.mixture.stack import Reference
from gmmdask.mixture.structures import FloatArray
from gmmdask.source import Source
from gmmdask.training.em_loop import OnState, evaluator, run_em
from gmmdask.training.guess import InitialGuess
from gmmdask.training.starts import SampleRows, draw_starts
from gmmdask.training.survey import Survey, survey_leaf


@dataclass(frozen=True, kw_only=True, eq=False)
class PlainPlan:
    """What to fit and from where.

    Parameters
    ----------
    spec : ModelSpec
    guess : InitialGuess
        How the starts are drawn.
    n_init : int
        Number of starts.
    random_state : RandomState
    values : ndarray of shape (n_rows, n_features), optional
        Rows to draw the starts from; by default those of the survey's reservoir.
    weights : ndarray of shape (n_rows,), optional
        Their weights.
    resumed : FitState, optional
        A state to go on from instead of drawing any start.
    """

    spec: ModelSpec
    guess: InitialGuess
    n_init: int
    random_state: np.random.RandomState
    values: NDArray[Any] | None = None
    weights: FloatArray | None = None
    resumed: FitState | None = None


@dataclass(frozen=True, kw_only=True, eq=False)
class PlainFit:
    """The best start's last state, and where the data were centred."""

    state: FitState
    reference: Reference


def fit_plain(source: Source, engine: Engine, plan: PlainPlan, on_state: OnState | None = None) -> PlainFit:
    """Run EM from every start and return the one that ends highest; the first of equals.

    Parameters
    ----------
    source : Source
    engine : Engine
    plan : PlainPlan
    on_state : callable, optional
        Called with a start's number and its state after every iteration.

    Raises
    ------
    InvalidInputError
        A value is missing or infinite, or there are fewer rows than components.
    DegenerateMixtureError
        A component's covariance collapsed.
    """
    with engine.hold(source) as data:
        survey = _surveyed(data, source, plan)
        starts = [plan.resumed] if plan.resumed is not None else _starts(survey, plan)
        states = _iterated(data, survey, starts, plan.spec, on_state) if plan.spec.max_iter else starts
    if not plan.spec.max_iter:  # as in scikit-learn: the last start, unevaluated
        return PlainFit(state=states[-1], reference=survey.reference)
    return PlainFit(state=max(states, key=lambda state: state.lower_bound), reference=survey.reference)


def _surveyed(data: HeldData, source: Source, plan: PlainPlan) -> Survey:
    # The seed is drawn from a copy: on few rows the starts must find the random state untouched.
    seed = int(copy.deepcopy(plan.random_state).randint(np.iinfo(np.int32).max))
    names = tuple(partition.name for partition in source.partitions)
    survey: Survey = data.map_reduce(survey_leaf, (source.features, names, seed), name="pass-0")
    survey.require_complete()
    _require_squares(survey)
    if survey.reservoir.n_rows < plan.spec.n_components:
        raise InvalidInputError(
            f"Expected n_samples >= n_components but got n_components = {plan.spec.n_components}, "
            f"n_samples = {survey.reservoir.n_rows}"
        )
    return survey


def _require_squares(survey: Survey) -> None:
    finite = np.isfinite(survey.moments.deviations)
    if not finite.all():
        j = int(np.argmin(finite))
        raise InvalidInputError(
            f"Feature {survey.features[j]!r} runs from {survey.minimum[j]:.3g} to {survey.maximum[j]:.3g}: the squares of "
            "such values overflow. Remove or scale them before fitting."
        )


def _starts(survey: Survey, plan: PlainPlan) -> list[FitState]:
    values, weights = plan.values, plan.weights
    if values is None:
        sample = survey.reservoir.ordered()
        values = np.ascontiguousarray(sample.values.T)
        weights = None if (sample.weights == 1).all() else sample.weights
    rows = SampleRows(values=values, weights=weights, centre=survey.moments.mean)
    return draw_starts(rows, plan.guess, plan.spec, plan.n_init, plan.random_state)


def _iterated(
    data: HeldData, survey: Survey, starts: Sequence[FitState], spec: ModelSpec, on_state: OnState | None
) -> list[FitState]:
    return run_em(evaluator(data, survey), starts, [spec] * len(starts), survey.reference, on_state=on_state)
