"""What a finished model says of data as a whole: likelihood, number of rows and entropy, in one pass."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gmmdask.engine import Engine
from gmmdask.errors import InvalidInputError
from gmmdask.mixture import criteria
from gmmdask.mixture.em import WeightType
from gmmdask.mixture.parameters import MixtureParameters
from gmmdask.mixture.stack import Reference, Stack, compile_stack
from gmmdask.mixture.statistics import SufficientStatistics
from gmmdask.source import Leaf, Source
from gmmdask.training.em_loop import summarize_leaf


@dataclass(frozen=True, kw_only=True, slots=True)
class Evaluation:
    """A model on some data, with weights counted as their type has them.

    Parameters
    ----------
    mean : float
        Log-likelihood per row in nats.
    n_rows : float
        Rows that criteria count: Σw, or (Σw)²/Σw² for importance weights.
    entropy : float
        −Σ r·log r over so many rows, in nats.
    n_parameters : int
    """

    mean: float
    n_rows: float
    entropy: float
    n_parameters: int

    @property
    def aic(self) -> float:
        """Akaike's information criterion."""
        return criteria.aic(self.mean * self.n_rows, self.n_parameters)

    @property
    def bic(self) -> float:
        """The Bayesian information criterion."""
        return criteria.bic(self.mean * self.n_rows, self.n_parameters, self.n_rows)

    @property
    def icl(self) -> float:
        """The integrated completed likelihood criterion."""
        return criteria.icl(self.mean * self.n_rows, self.n_parameters, self.n_rows, self.entropy)


def evaluate(
    source: Source, engine: Engine, parameters: MixtureParameters, reference: Reference, weight_type: WeightType
) -> Evaluation:
    """Evaluate a model on all rows of a source.

    Raises
    ------
    InvalidInputError
        A value is missing or infinite, or no row has a positive weight.
    """
    stack = compile_stack([parameters], reference)
    sums = engine.map_reduce(source, evaluate_leaf, (stack,), name="evaluation")
    mass, log_likelihood = sums.statistics.mass, float(sums.statistics.log_likelihoods[0])
    if mass <= 0:
        raise InvalidInputError(f"Input X has no row of positive weight (found {sums.statistics.n_rows} rows).")
    n_rows = criteria.effective_rows(mass, sums.squared_mass, weight_type)
    entropy = criteria.entropy(parameters, log_likelihood, stack.moments(sums.statistics, 0))
    return Evaluation(
        mean=log_likelihood / mass,
        n_rows=n_rows,
        entropy=entropy * n_rows / mass,
        n_parameters=parameters.n_parameters,
    )


@dataclass(frozen=True, kw_only=True, eq=False, slots=True)
class EvaluationSums:
    """Sums of one pass of a finished model, with Σ w² for the effective number of rows."""

    statistics: SufficientStatistics
    squared_mass: float

    def combine(self, other: EvaluationSums) -> EvaluationSums:
        """Return the evaluation over the leaves of both."""
        return EvaluationSums(
            statistics=self.statistics.combine(other.statistics), squared_mass=self.squared_mass + other.squared_mass
        )


def evaluate_leaf(leaf: Leaf, stack: Stack) -> EvaluationSums:
    """Evaluate one leaf.

    Raises
    ------
    InvalidInputError
        A value is missing or infinite.
    """
    require_finite(leaf)
    squared = float(leaf.n_rows) if leaf.weights is None else float(leaf.weights @ leaf.weights)
    return EvaluationSums(statistics=summarize_leaf(leaf, stack), squared_mass=squared)


def require_finite(leaf: Leaf) -> None:
    """Refuse a leaf with missing or infinite values.

    Raises
    ------
    InvalidInputError
    """
    if not np.isfinite(leaf.values).all():
        found = "NaN" if np.isnan(leaf.values).any() else "infinity"
        raise InvalidInputError(f"Input X contains {found}. Drop or impute such rows before scoring.")
