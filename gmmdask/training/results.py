"""What a grid search is asked and what it answers: values only."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from gmmdask.mixture.em import WeightType
from gmmdask.mixture.parameters import MixtureParameters
from gmmdask.mixture.stack import Reference

Criterion = Literal["bic", "aic", "icl", "holdout"]
CandidateStatus = Literal["polished", "evaluated", "disqualified"]

Progress = Callable[[str, int, int, str], None]
"""Called as progress(stage, done, total, detail); may draw a bar, write a line, or do nothing. A total of 0 is a remark:
something to read, of which nothing is done yet or left to do."""


@dataclass(frozen=True, kw_only=True, slots=True)
class GridSpec:
    """Everything about a grid search that can change its answer.

    Parameters
    ----------
    n_components : tuple of int
        Component counts K to try.
    covariance_types : tuple of str
        Structures to try, by scikit-learn's names.
    criterion : {"bic", "aic", "icl", "holdout"}, default "bic"
        What chooses the best candidate; also what the race is run by.
    reg_covar : float, default 1e-6
        Added to every variance, in squared units of the data that is fitted.
    weight_type : {"frequency", "importance"}, default "frequency"
    seed : int, default 0
        Seed of the reservoir and of the starts.
    max_passes : int, default 6
        Largest number of reads of the full data, pass 0 included.
    """

    n_components: tuple[int, ...]
    covariance_types: tuple[str, ...] = ("spherical", "diag", "tied", "full")
    criterion: Criterion = "bic"
    reg_covar: float = 1e-6
    weight_type: WeightType = "frequency"
    seed: int = 0
    max_passes: int = 6


@dataclass(frozen=True, kw_only=True, slots=True)
class Candidate:
    """One cell of the grid after the search.

    Parameters
    ----------
    covariance_type : str
    n_components : int
        As asked for; `parameters` may hold fewer where starved components were dropped.
    parameters : MixtureParameters or None
        What was evaluated; None where no start survived.
    n_parameters : int
    log_likelihood : float
        Of all the data in nats (scaled to the effective number of rows for importance weights).
    aic, bic, icl : float
        Lower is better.
    holdout_score : float
        Mean log-likelihood per held-out row of the sample stage, in nats.
    remaining_gain : float
        Aitken's estimate of what EM would still gain, nats per row; NaN where it is not known.
    status : {"polished", "evaluated", "disqualified"}
        Polished: evaluated after at least one M-step on all the data.
    reason : str
        Why it was disqualified, left the race, or lost components; empty otherwise.
    """

    covariance_type: str
    n_components: int
    parameters: MixtureParameters | None
    n_parameters: int
    log_likelihood: float
    aic: float
    bic: float
    icl: float
    holdout_score: float
    remaining_gain: float
    status: CandidateStatus
    reason: str = ""

    def criterion(self, name: Criterion) -> float:
        """Return the value to minimise."""
        return -self.holdout_score if name == "holdout" else float(getattr(self, name))


@dataclass(frozen=True, kw_only=True, slots=True)
class GridResult:
    """The whole grid and its winner.

    Parameters
    ----------
    candidates : tuple of Candidate
        In the order of covariance types and component counts asked for.
    best : Candidate
        The sound candidate of lowest criterion.
    reference : Reference
        Where the data were centred.
    passes : int
        Reads of the full data, pass 0 included.
    population : float
        Rows that the criteria count: Σ w, or the effective number for importance weights.
    sample_rows, holdout_rows : int
        Rows of the largest sample fit and of the held-out part.
    notes : tuple of str
        What an analyst should know: the grid's edge, smaller models as good, features that reg_covar swallows.
    """

    candidates: tuple[Candidate, ...]
    best: Candidate
    reference: Reference
    passes: int
    population: float
    sample_rows: int
    holdout_rows: int
    notes: tuple[str, ...] = ()
