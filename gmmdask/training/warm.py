"""A few EM steps from a model that is there: what a warm start is. Nothing is drawn, so nothing is random."""

from __future__ import annotations

from gmmdask.engine.port import Engine, HeldData
from gmmdask.errors import InconsistentStatisticsError
from gmmdask.mixture.em import FitState, ModelSpec
from gmmdask.mixture.parameters import MixtureParameters
from gmmdask.mixture.stack import Reference, Stack
from gmmdask.mixture.statistics import SufficientStatistics
from gmmdask.source import Source
from gmmdask.training.em_loop import MASS_TOLERANCE, Evaluate, run_em, summarize_leaf


def continue_fit(
    source: Source, engine: Engine, parameters: MixtureParameters, reference: Reference, spec: ModelSpec
) -> FitState:
    """Run EM from given parameters, for at most `spec.max_iter` reads of the data.

    Parameters
    ----------
    source : Source
        Prepared rows, complete and finite.
    engine : Engine
    parameters : MixtureParameters
        Where to start.
    reference : Reference
        Where the data are centred: that of the model continued.
    spec : ModelSpec

    Returns
    -------
    FitState
        Its status says "degenerate" where a covariance collapsed; its parameters were not evaluated yet.

    Raises
    ------
    InconsistentStatisticsError
        Two passes did not see the same rows.
    """
    with engine.hold(source) as data:
        (state,) = run_em(_evaluator(data), [FitState(parameters=parameters)], [spec], reference, strict=False)
    return state


def _evaluator(data: HeldData) -> Evaluate:
    """Return how to read held data once for a stack, each time compared with the first."""
    first: list[SufficientStatistics] = []

    def evaluate(stack: Stack, label: str) -> SufficientStatistics:
        found: SufficientStatistics = data.map_reduce(summarize_leaf, (stack,), name=f"warm-{label}")
        known = first[0] if first else found
        same = (found.n_rows, found.coverage) == (known.n_rows, known.coverage)
        if not same or abs(found.mass - known.mass) > MASS_TOLERANCE * known.mass:
            raise InconsistentStatisticsError(
                f"Pass {label} saw {found.n_rows} rows in {found.coverage.n_leaves} leaves, and the first one "
                f"{known.n_rows} in {known.coverage.n_leaves}. The data changed while they were read; run again."
            )
        first.append(found)
        return found

    return evaluate
