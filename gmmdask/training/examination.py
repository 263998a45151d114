"""The examination of sample fits: starved components, fits that describe the regularisation, and their scores."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gmmdask.mixture.degeneracy import FEWEST_ROWS, LARGEST_FLOORED_MASS, LARGEST_SENSITIVITY, floored_mass
from gmmdask.mixture.em import maximize
from gmmdask.mixture.moves import drop_components, split_component
from gmmdask.mixture.parameters import MixtureParameters
from gmmdask.mixture.stack import Stack, compile_stack
from gmmdask.mixture.statistics import SufficientStatistics
from gmmdask.training.sample import Rows, Sample

Mask = NDArray[np.bool_]


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

    def reseeded(self, models: Sequence[MixtureParameters]) -> tuple[list[MixtureParameters], list[MixtureParameters]]:
        """Return the models without starved components, and the others with these replaced by halves of the heaviest."""
        return self._changed(models, _replaced)

    def lightened(self, models: Sequence[MixtureParameters]) -> tuple[list[MixtureParameters], list[MixtureParameters]]:
        """Return the models without starved components, and the others without their lightest component."""
        return self._changed(
            models, lambda model, _: drop_components(model, np.arange(model.n_components) == np.argmin(model.weights))
        )

    def fits(self, models: Sequence[MixtureParameters], n_components: int) -> list[SampleFit]:
        """Return scores and verdicts; models may have lost some of the components asked for."""
        if not models:
            return []
        stack = compile_stack(models, self.sample.reference)
        statistics, scores = self.rows.evaluate(stack), self.sample.held_out_scores(stack)
        return [self._fit(stack, statistics, c, float(scores[c]), n_components) for c in range(len(models))]

    def _changed(
        self, models: Sequence[MixtureParameters], change: Callable[[MixtureParameters, Mask], MixtureParameters]
    ) -> tuple[list[MixtureParameters], list[MixtureParameters]]:
        starved = self._starved(models)
        kept = [model for model, mask in zip(models, starved, strict=True) if not mask.any()]
        return kept, [change(model, mask) for model, mask in zip(models, starved, strict=True) if mask.any()]

    def _starved(self, models: Sequence[MixtureParameters]) -> list[Mask]:
        """Return which components hold fewer than 30 rows of the data, or d + 2 of the sample; the last never does."""
        if not models:
            return []
        stack = compile_stack(models, self.sample.reference)
        statistics = self.rows.evaluate(stack)
        rows_per_mass = self.rows.n_rows / statistics.mass
        fewest = max(len(self.rows.values) + 2.0, FEWEST_ROWS * self.rows.n_rows / self.sample.population)
        counts = [stack.moments(statistics, c).counts for c in range(len(models))]
        return [np.asarray((count * rows_per_mass < fewest) & (len(count) > 1)) for count in counts]

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


def _replaced(parameters: MixtureParameters, starved: Mask) -> MixtureParameters:
    if starved.all():
        return parameters
    kept = drop_components(parameters, starved)
    while kept.n_components < parameters.n_components:
        kept = split_component(kept, int(np.argmax(kept.weights)))
    return kept
