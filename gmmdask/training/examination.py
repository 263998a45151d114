"""The examination of sample fits: starved components, fits that describe the regularisation, and their scores."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gmmdask.mixture.degeneracy import FEWEST_ROWS, LARGEST_FLOORED_MASS, LARGEST_SENSITIVITY, floored_mass
from gmmdask.mixture.em import maximize
from gmmdask.mixture.moves import drop_components, split_component
from gmmdask.mixture.parameters import MixtureParameters
from gmmdask.mixture.stack import Stack, compile_stack
from gmmdask.mixture.statistics import SufficientStatistics
from gmmdask.mixture.structures import FULL
from gmmdask.training.sample import Rows, Sample

Mask = NDArray[np.bool_]
FEWEST_SAMPLE_ROWS = 3


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


@dataclass(frozen=True, kw_only=True, slots=True)
class Examination:
    """Looks at converged sample fits.

    Parameters
    ----------
    sample : Sample
    rows : Rows
        What the models were fitted to.
    reg_covar : float
    """

    sample: Sample
    rows: Rows
    reg_covar: float

    def sorted_by_starvation(
        self, models: Sequence[MixtureParameters]
    ) -> tuple[list[MixtureParameters], list[tuple[MixtureParameters, Mask]]]:
        """Return the models without starved components, and the others with a mask of these."""
        masks = self._starved(models)
        pairs = list(zip(models, masks, strict=True))
        return [model for model, mask in pairs if not mask.any()], [pair for pair in pairs if pair[1].any()]

    def fits(self, models: Sequence[MixtureParameters], n_components: int) -> list[SampleFit]:
        """Return scores and verdicts; models may have lost some of the components asked for."""
        if not models:
            return []
        stack = compile_stack(models, self.sample.reference)
        statistics, scores = self.rows.evaluate(stack), self.sample.held_out_scores(stack)
        return [self._fit(stack, statistics, c, float(scores[c]), n_components) for c in range(len(models))]

    def _starved(self, models: Sequence[MixtureParameters]) -> list[Mask]:
        """Return which components hold too few rows, of the data or of the sample; a last component never does."""
        if not models:
            return []
        stack = compile_stack(models, self.sample.reference)
        statistics = self.rows.evaluate(stack)
        counts = [stack.moments(statistics, c).counts * self.rows.n_rows / statistics.mass for c in range(len(models))]
        return [
            np.asarray((count < self._fewest_rows(model)) & (len(count) > 1))
            for model, count in zip(models, counts, strict=True)
        ]

    def _fewest_rows(self, parameters: MixtureParameters) -> float:
        """Return the rows of the sample below which a component is starved.

        What stands for max(d + 2, 30) rows of the data, and at least what gives the structure a covariance.
        """
        d = parameters.n_features
        for_covariance = d + 2 if parameters.structure == FULL else FEWEST_SAMPLE_ROWS
        return max(for_covariance, max(d + 2, FEWEST_ROWS) * self.rows.n_rows / self.sample.population)

    def _fit(
        self, stack: Stack, statistics: SufficientStatistics, position: int, score: float, n_components: int
    ) -> SampleFit:
        parameters, moments = stack.candidates[position], stack.moments(statistics, position)
        steps = [maximize(moments, parameters.structure, reg) for reg in (self.reg_covar, self.reg_covar / 1e3)]
        objection = self._objection(parameters, *steps)
        dropped = _drop_reason(n_components - parameters.n_components)
        return SampleFit(
            parameters=parameters,
            n_rows=self.rows.n_rows,
            log_likelihood=float(statistics.log_likelihoods[position]) / statistics.mass,
            held_out_score=score,
            reason="; ".join(filter(None, (dropped, objection))),
            sound=not objection,
        )

    def _objection(self, parameters: MixtureParameters, usual: MixtureParameters, bare: MixtureParameters) -> str:
        """Return why a model describes the regularisation instead of the data, or nothing.

        `usual` and `bare` are its next EM steps with `reg_covar` and with a thousandth of it.
        """
        share = floored_mass(parameters, self.reg_covar)
        if share > LARGEST_FLOORED_MASS:
            return f"{share:.1%} of its mass lies in components as narrow as reg_covar={self.reg_covar:g}"
        if not (usual.is_positive_definite and bare.is_positive_definite):
            return "without reg_covar a covariance is singular"
        statistics = self.rows.evaluate(compile_stack([usual, bare], self.sample.reference))
        moved = abs(float(np.diff(statistics.log_likelihoods)[0])) / statistics.mass
        if moved < LARGEST_SENSITIVITY:
            return ""
        return f"its likelihood moves by {moved:.2g} nats per row when reg_covar is divided by 1,000"


def _drop_reason(n: int) -> str:
    return f"{n} starved component{'s' if n > 1 else ''} dropped" if n else ""


def reseeded(parameters: MixtureParameters, starved: Mask) -> MixtureParameters:
    """Return the model with starved components replaced by halves of the heaviest."""
    if starved.all():
        return parameters
    kept = drop_components(parameters, starved)
    while kept.n_components < parameters.n_components:
        kept = split_component(kept, int(np.argmax(kept.weights)))
    return kept


def lightened(parameters: MixtureParameters) -> MixtureParameters:
    """Return the model without its lightest component."""
    return drop_components(parameters, np.arange(parameters.n_components) == np.argmin(parameters.weights))
