"""Expectation-maximisation as pure steps on values.

`maximize` turns moments into parameters, `advance` a state and the statistics of a pass into the next state. Reading
the data, and deciding when to stop a whole search, belong elsewhere.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from gmmdask.mixture.parameters import MixtureParameters
from gmmdask.mixture.structures import Moments, Structure

WeightType = Literal["frequency", "importance"]
Status = Literal["running", "converged", "exhausted", "degenerate"]

COUNT_FLOOR = 10 * float(np.finfo(np.float64).eps)
"""Added to every component's count, so that an empty component divides by something."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ModelSpec:
    """Everything about one candidate that can change the answer, and nothing that cannot.

    Parameters
    ----------
    structure : Structure
        Constraint on the covariances.
    n_components : int
        Number of components K.
    tol : float, default 1e-3
        EM stops when the log-likelihood per row (nats) moves by less than this in one iteration.
    reg_covar : float, default 1e-6
        Added to every variance, in squared units of the data that is fitted.
    max_iter : int, default 100
        Largest number of iterations.
    weight_type : {"frequency", "importance"}, default "frequency"
        Whether a row weight counts repetitions or is known up to a factor only.
    leaf_rows : int, default 262144
        Largest number of rows that are summed into one leaf.
    fan_in : int, default 2
        How many sums are added at a time.
    """

    structure: Structure
    n_components: int
    tol: float = 1e-3
    reg_covar: float = 1e-6
    max_iter: int = 100
    weight_type: WeightType = "frequency"
    leaf_rows: int = 262_144
    fan_in: int = 2


@dataclass(frozen=True, kw_only=True, slots=True)
class FitState:
    """Where an EM run stands; also its checkpoint.

    Parameters
    ----------
    parameters : MixtureParameters
        What the next pass evaluates.
    iteration : int
        M-steps taken.
    trace : tuple of float
        Log-likelihood per row (nats) before each M-step.
    status : {"running", "converged", "exhausted", "degenerate"}
        Degenerate where a covariance is no longer positive definite.
    """

    parameters: MixtureParameters
    iteration: int = 0
    trace: tuple[float, ...] = ()
    status: Status = "running"

    @property
    def lower_bound(self) -> float:
        """Log-likelihood per row at the last evaluation; −∞ before the first."""
        return self.trace[-1] if self.trace else -np.inf


def maximize(moments: Moments, structure: Structure, reg_covar: float) -> MixtureParameters:
    """Return the parameters of highest expected log joint density (the M-step).

    Weights n_k/Σn, means Σr·x/n_k and the structure's covariances, plus `reg_covar` on every variance
    (Dempster, Laird & Rubin 1977; McLachlan & Peel 2000, section 3.2).
    """
    floored = replace(moments, counts=moments.counts + COUNT_FLOOR)
    return MixtureParameters(
        structure=structure,
        weights=floored.counts / floored.counts.sum(),
        means=floored.references + floored.first / floored.counts[:, None],
        covariances=structure.maximize(floored, reg_covar),
    )


def advance(state: FitState, log_likelihood: float, moments: Moments, spec: ModelSpec) -> FitState:
    """Return the state after one more iteration.

    Parameters
    ----------
    state : FitState
        What was evaluated.
    log_likelihood : float
        Mean log-likelihood per row of `state.parameters`, in nats.
    moments : Moments
        The same pass's moments.
    spec : ModelSpec
    """
    parameters = maximize(moments, spec.structure, spec.reg_covar)
    iteration = state.iteration + 1
    converged = abs(log_likelihood - state.lower_bound) < spec.tol
    status: Status = "converged" if converged else "exhausted" if iteration >= spec.max_iter else "running"
    if not parameters.is_positive_definite:
        status = "degenerate"
    return FitState(parameters=parameters, iteration=iteration, trace=(*state.trace, log_likelihood), status=status)
