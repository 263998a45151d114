"""The polish: EM steps of the surviving candidates on all the data, ending with an evaluation of what is returned."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from gmmdask.mixture.criteria import aic, bic, entropy, icl, remaining_gain
from gmmdask.mixture.degeneracy import LARGEST_FLOORED_MASS, floored_mass
from gmmdask.mixture.em import maximize
from gmmdask.mixture.parameters import MixtureParameters
from gmmdask.mixture.stack import Reference, Stack, compile_stack
from gmmdask.mixture.statistics import SufficientStatistics
from gmmdask.training.em_loop import Evaluate
from gmmdask.training.results import GridSpec, Progress
from gmmdask.training.search import Cell

STAGE = "polish: all rows"


@dataclass(frozen=True, kw_only=True, slots=True)
class PolishedCandidate:
    """A candidate as last evaluated on all the data.

    Parameters
    ----------
    parameters : MixtureParameters
        What was evaluated.
    following : MixtureParameters or None
        Its next EM step; None where a covariance of that would be singular.
    log_likelihood, entropy : float
        Of all rows in nats, scaled to the effective number of rows.
    trace : tuple of float
        Log-likelihoods per row of all evaluations.
    """

    parameters: MixtureParameters
    following: MixtureParameters | None
    log_likelihood: float
    entropy: float
    trace: tuple[float, ...]

    @property
    def remaining_gain(self) -> float:
        """Aitken's estimate of what EM would still gain, nats per row."""
        return remaining_gain(self.trace)

    def criterion(self, spec: GridSpec, population: float) -> float:
        """Return the criterion that the polish sorts by; held-out scores do not change here, so BIC stands in."""
        p = self.parameters.n_parameters
        if spec.criterion == "aic":
            return aic(self.log_likelihood, p)
        if spec.criterion == "icl":
            return icl(self.log_likelihood, p, population, self.entropy)
        return bic(self.log_likelihood, p, population)


@dataclass(frozen=True, kw_only=True, slots=True)
class Polish:
    """Runs the evaluations.

    Parameters
    ----------
    evaluate : callable
        Reads all the data once for a stack.
    spec : GridSpec
    reference : Reference
    population : float
        Effective number of rows.
    progress : callable
    """

    evaluate: Evaluate
    spec: GridSpec
    reference: Reference
    population: float
    progress: Progress

    def run(
        self, starts: Mapping[Cell, MixtureParameters], survivors: set[Cell]
    ) -> tuple[dict[Cell, PolishedCandidate], int]:
        """Evaluate every start, step and evaluate again as long as it matters.

        Parameters
        ----------
        starts : mapping of cell to MixtureParameters
        survivors : set of cell
            Candidates that may win.

        Returns
        -------
        evaluations : dict of cell to PolishedCandidate
        passes : int
            Reads of the full data.
        """
        budget = self.spec.max_passes - 1
        evaluations = self._evaluated(dict(starts), {}, "evaluation-1", budget)
        passes, moving = 1, self._second_field(evaluations, survivors)
        while moving and passes < budget:
            steps = {c: step for c, e in evaluations.items() if c in moving and (step := e.following) is not None}
            if not steps:
                break
            passes += 1
            evaluations |= self._evaluated(steps, evaluations, f"evaluation-{passes}", budget)
            moving = self._unsettled(evaluations, survivors)
        self.progress(STAGE, budget, budget, f"{passes} evaluations")
        return evaluations, passes

    def _second_field(self, evaluations: Mapping[Cell, PolishedCandidate], survivors: set[Cell]) -> set[Cell]:
        """Return who takes the first step: all, unless those out of the race would cost more than the others."""
        others = evaluations.keys() - survivors
        affordable = self._cost(evaluations, others) <= self._cost(evaluations, survivors)
        return set(evaluations) if affordable else set(survivors)

    def _cost(self, evaluations: Mapping[Cell, PolishedCandidate], cells: set[Cell]) -> int:
        """Return the products per row that a stack of these cells takes."""
        if not cells:
            return 0
        layout = compile_stack([evaluations[cell].parameters for cell in sorted(cells)], self.reference).layout
        return sum(shape.n_components * layout.columns(shape.structure) for shape in layout.candidates)

    def _unsettled(self, evaluations: Mapping[Cell, PolishedCandidate], survivors: set[Cell]) -> set[Cell]:
        """Return the survivors to go on with: those that could still change the order, and who they could overtake."""
        values = {cell: evaluations[cell].criterion(self.spec, self.population) for cell in survivors}
        reach = {cell: values[cell] - 2.0 * self.population * evaluations[cell].remaining_gain for cell in survivors}
        best = min(sorted(values), key=lambda cell: values[cell])
        rivals = {cell for cell in survivors if cell != best and reach[cell] < values[best]}
        return rivals | {best} if rivals else set()

    def _evaluated(
        self,
        models: Mapping[Cell, MixtureParameters],
        before: Mapping[Cell, PolishedCandidate],
        label: str,
        budget: int,
    ) -> dict[Cell, PolishedCandidate]:
        cells = list(models)
        self.progress(STAGE, int(label.rsplit("-", 1)[1]) - 1, budget, f"{len(cells)} candidates")
        stack = compile_stack([models[cell] for cell in cells], self.reference)
        statistics = self.evaluate(stack, label)
        return {
            cell: self._evaluation(stack, statistics, position, before.get(cell)) for position, cell in enumerate(cells)
        }

    def _evaluation(
        self, stack: Stack, statistics: SufficientStatistics, position: int, before: PolishedCandidate | None
    ) -> PolishedCandidate:
        parameters, moments = stack.candidates[position], stack.moments(statistics, position)
        total = float(statistics.log_likelihoods[position])
        scale = self.population / statistics.mass
        following = maximize(moments, parameters.structure, self.spec.reg_covar)
        return PolishedCandidate(
            parameters=parameters,
            following=following if following.is_positive_definite else None,
            log_likelihood=total * scale,
            entropy=entropy(parameters, total, moments) * scale,
            trace=(*(before.trace if before else ()), total / statistics.mass),
        )


def final_objection(evaluation: PolishedCandidate, reg_covar: float) -> str:
    """Return why a polished candidate describes the regularisation instead of the data, or nothing."""
    share = floored_mass(evaluation.parameters, reg_covar)
    if evaluation.following is None:
        return "a covariance became singular on all rows"
    if share > LARGEST_FLOORED_MASS:
        return f"{share:.1%} of its mass lies in components as narrow as reg_covar={reg_covar:g}"
    return ""
