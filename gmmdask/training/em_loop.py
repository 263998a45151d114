"""Plain EM for a stack of starts: evaluate all that still run in one pass, take a step, repeat."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from gmmdask.engine.port import HeldData
from gmmdask.errors import InconsistentStatisticsError
from gmmdask.mixture.em import FitState, ModelSpec, advance
from gmmdask.mixture.passes import summarize
from gmmdask.mixture.stack import Reference, Stack, compile_stack
from gmmdask.mixture.statistics import Coverage, SufficientStatistics
from gmmdask.source import Leaf
from gmmdask.training.survey import Survey

Evaluate = Callable[[Stack, str], SufficientStatistics]
"""Reads all the data once for a stack; the text names the pass in keys, logs and errors."""

OnState = Callable[[int, FitState], None]
"""Called with a start's number and its state after every iteration, for progress and checkpoints."""

MASS_TOLERANCE = 1e-12


def summarize_leaf(leaf: Leaf, stack: Stack) -> SufficientStatistics:
    """Return the sums of one leaf for every candidate of a stack."""
    return summarize(leaf.values, leaf.weights, stack, Coverage.of_leaf(leaf.partition, leaf.index))


def require_whole(statistics: SufficientStatistics, survey: Survey, label: str) -> SufficientStatistics:
    """Return the statistics if they are of exactly the rows, leaves and mass that pass 0 saw.

    Raises
    ------
    InconsistentStatisticsError
        A partition was lost, counted twice, or changed since pass 0.
    """
    mass, slack = survey.moments.mass, MASS_TOLERANCE * survey.moments.mass
    same_rows = statistics.n_rows == survey.moments.n_rows
    if statistics.coverage == survey.coverage and same_rows and abs(statistics.mass - mass) <= slack:
        return statistics
    raise InconsistentStatisticsError(
        f"Pass {label} saw {statistics.n_rows} rows in {statistics.coverage.n_leaves} leaves with total weight "
        f"{statistics.mass:.17g}; pass 0 saw {survey.moments.n_rows} rows in {survey.coverage.n_leaves} leaves with "
        f"{mass:.17g}. The data changed while they were read; run again."
    )


def evaluator(data: HeldData, survey: Survey) -> Evaluate:
    """Return how to read held data once for a stack, each time compared with pass 0."""

    def evaluate(stack: Stack, label: str) -> SufficientStatistics:
        statistics: SufficientStatistics = data.map_reduce(summarize_leaf, (stack,), name=label)
        return require_whole(statistics, survey, label)

    return evaluate


def run_em(
    evaluate: Evaluate,
    starts: Sequence[FitState],
    specs: Sequence[ModelSpec],
    reference: Reference,
    *,
    on_state: OnState | None = None,
    strict: bool = True,
) -> list[FitState]:
    """Run every start until it converges or its iterations are used up.

    Starts share each pass; one that has finished leaves the stack, so it never moves again.

    Parameters
    ----------
    evaluate : callable
        Reads the data once for a stack.
    starts : sequence of FitState
    specs : sequence of ModelSpec
        One for each start.
    reference : Reference
        Where the data are centred.
    on_state : callable, optional
    strict : bool, default True
        Whether a degenerate covariance is an error; else its start ends with that status.

    Returns
    -------
    list of FitState
        In the order of the starts.

    Raises
    ------
    DegenerateMixtureError
        A covariance is no longer positive definite, and `strict`.
    """
    states = list(starts)
    passes = 0
    while running := [c for c, state in enumerate(states) if state.status == "running"]:
        stack = compile_stack([states[c].parameters for c in running], reference)
        statistics = evaluate(stack, f"iteration-{passes}")
        passes += 1
        for position, c in enumerate(running):
            log_likelihood = float(statistics.log_likelihoods[position]) / statistics.mass
            states[c] = advance(states[c], log_likelihood, stack.moments(statistics, position), specs[c])
            if strict and states[c].status == "degenerate":
                _ = states[c].parameters.precision_factors  # raises, naming the component
            if on_state is not None:
                on_state(c, states[c])
    return states
