"""The sample that starts are searched on: rows of the reservoir, split into a part to fit and a part held out."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gmmdask.errors import InvalidInputError
from gmmdask.mixture.parameters import MixtureParameters
from gmmdask.mixture.passes import score_rows, summarize
from gmmdask.mixture.stack import Reference, Stack
from gmmdask.mixture.statistics import Coverage, SufficientStatistics
from gmmdask.training.survey import Survey

FloatArray = NDArray[np.float64]
FITTED_SHARE = 0.8
ROWS_PER_PARAMETER = 50
FEWEST_SAMPLE_ROWS = 20_000
SHORT_ROWS = 5_000
SHORT_ROWS_PER_PARAMETER = 10


@dataclass(frozen=True, kw_only=True, eq=False)
class Rows:
    """Feature-major rows in memory with their weights.

    Parameters
    ----------
    values : ndarray of shape (n_features, n_rows)
    weights : ndarray of shape (n_rows,)
    """

    values: FloatArray
    weights: FloatArray

    @property
    def n_rows(self) -> int:
        """Number of rows."""
        return int(self.values.shape[1])

    def first(self, n_rows: int) -> Rows:
        """Return the first rows."""
        n_rows = min(n_rows, self.n_rows)
        return Rows(values=np.ascontiguousarray(self.values[:, :n_rows]), weights=self.weights[:n_rows])

    def evaluate(self, stack: Stack, _label: str = "") -> SufficientStatistics:
        """Return the sums of all rows for a stack."""
        return summarize(self.values, self.weights, stack, Coverage.of_leaf(0, 0))

    def log_densities(self, parameters: MixtureParameters, reference: Reference) -> FloatArray:
        """Return the log density of every row, in nats."""
        return score_rows(self.values, parameters, reference).log_densities


@dataclass(frozen=True, kw_only=True, eq=False)
class Sample:
    """Rows to fit, in a seeded random order, and rows held out.

    Parameters
    ----------
    fitted, held_out : Rows
    reference : Reference
        Where the data are centred.
    population : float
        Rows that the data stand for.
    is_whole : bool
        Whether the two parts together are all the data.
    """

    fitted: Rows
    held_out: Rows
    reference: Reference
    population: float
    is_whole: bool

    @classmethod
    def of(cls, survey: Survey, population: float) -> Sample:
        """Split the reservoir: four fifths to fit, one fifth held out.

        Raises
        ------
        InvalidInputError
            There are too few rows to hold any out.
        """
        reservoir = survey.reservoir
        order = reservoir.shuffled()
        n_fitted = int(np.ceil(FITTED_SHARE * len(order)))
        if n_fitted == len(order):
            raise InvalidInputError(f"select needs at least 5 rows with weight; found {len(order)}.")
        parts = [
            Rows(values=np.ascontiguousarray(reservoir.values[:, rows]), weights=reservoir.weights[rows])
            for rows in (order[:n_fitted], order[n_fitted:])
        ]
        return cls(
            fitted=parts[0],
            held_out=parts[1],
            reference=survey.reference,
            population=population,
            is_whole=reservoir.n_rows == survey.moments.n_rows,
        )

    @property
    def all_rows(self) -> Rows:
        """Both parts together."""
        parts = (self.fitted, self.held_out)
        return Rows(
            values=np.concatenate([part.values for part in parts], axis=1),
            weights=np.concatenate([part.weights for part in parts]),
        )

    def rows_for(self, n_parameters: int) -> Rows:
        """Return the rows that a candidate of so many parameters is fitted to: 50 a parameter, at least 20,000."""
        return self.fitted.first(max(ROWS_PER_PARAMETER * n_parameters, FEWEST_SAMPLE_ROWS))

    def short_rows_for(self, n_parameters: int) -> Rows:
        """Return the fewer rows that short starts are compared on."""
        return self.fitted.first(max(SHORT_ROWS, SHORT_ROWS_PER_PARAMETER * n_parameters))

    def held_out_scores(self, stack: Stack) -> FloatArray:
        """Return the mean log-likelihood per held-out row of every candidate, in nats."""
        statistics = self.held_out.evaluate(stack)
        return np.asarray(statistics.log_likelihoods / statistics.mass)
