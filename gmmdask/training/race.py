"""Who stays in the race: a candidate leaves only when even its optimistic criterion on all rows cannot win."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from gmmdask.mixture.passes import score_rows
from gmmdask.training.examination import SampleFit
from gmmdask.training.results import Criterion
from gmmdask.training.sample import Sample
from gmmdask.training.search import Cell

FloatArray = NDArray[np.float64]
CONFIDENCE = 3.3
"""Standard errors by which a candidate must be worse before it is given up."""

NEIGHBOURS = 10
"""Candidates that stay whatever the race says, so that the grid's best are all polished."""


def penalty(criterion: Criterion, n_parameters: int, population: float) -> float:
    """Return what the criterion charges for parameters, in units of −2·log-likelihood."""
    charges = {"bic": np.log(population), "icl": np.log(population), "aic": 2.0, "holdout": 0.0}
    return float(n_parameters * charges[criterion])


def race(fits: Mapping[Cell, SampleFit], sample: Sample, criterion: Criterion) -> dict[Cell, str]:
    """Return why each candidate that cannot win leaves, by cell; the others stay.

    For candidate a and leader b, on held-out rows, the optimistic advantage per row is mean(d) + 3.3·se(d) with
    d = g_a − g_b, plus P_a/2m_a − P_b/2m_b, which takes back what fitting to m rows cost each. It leaves if
    −2N·advantage + penalty_a − penalty_b > 0 (Vuong 1989, with the criterion's threshold and the full N).

    Parameters
    ----------
    fits : mapping of cell to SampleFit
    sample : Sample
    criterion : {"bic", "aic", "icl", "holdout"}
    """
    sound = [cell for cell, fit in fits.items() if fit.sound]
    if not sound:
        return {}
    utilities = {cell: _utilities(fits[cell], sample, criterion) for cell in sound}
    expected = {cell: _expected_criterion(fits[cell], utilities[cell], sample, criterion) for cell in sound}
    ranked = sorted(sound, key=lambda cell: expected[cell])
    leader = ranked[0]
    leaving = {}
    for cell in ranked[NEIGHBOURS:]:
        deficit = _deficit(cell, leader, fits, utilities, sample, criterion)
        if deficit > 0:
            leaving[cell] = (
                f"left the race: at best {deficit:.3g} {criterion} units behind {leader[0]} with n_components={leader[1]}"
            )
    return leaving


def _utilities(fit: SampleFit, sample: Sample, criterion: Criterion) -> FloatArray:
    """Return each held-out row's contribution to the criterion's likelihood part, in nats."""
    scores = score_rows(sample.held_out.values, fit.parameters, sample.reference)
    if criterion != "icl":
        return scores.log_densities
    r = scores.responsibilities
    return np.asarray(scores.log_densities + (r * np.log(np.maximum(r, np.finfo(float).tiny))).sum(axis=0))


def _sample_loss(fit: SampleFit) -> float:
    """Return the nats per row that fitting to a sample costs (Wilks 1938): P/2m."""
    return fit.parameters.n_parameters / (2.0 * fit.n_rows)


def _expected_criterion(fit: SampleFit, utilities: FloatArray, sample: Sample, criterion: Criterion) -> float:
    weights = sample.held_out.weights
    mean = float(utilities @ weights / weights.sum()) + _sample_loss(fit)
    return -2.0 * sample.population * mean + penalty(criterion, fit.parameters.n_parameters, sample.population)


def _deficit(
    cell: Cell,
    leader: Cell,
    fits: Mapping[Cell, SampleFit],
    utilities: Mapping[Cell, FloatArray],
    sample: Sample,
    criterion: Criterion,
) -> float:
    """Return by how much a candidate loses to the leader even when luck is on its side."""
    mean, error = _paired(utilities[cell] - utilities[leader], sample.held_out.weights)
    advantage = mean + CONFIDENCE * error + _sample_loss(fits[cell]) - _sample_loss(fits[leader])
    charges = [penalty(criterion, fits[c].parameters.n_parameters, sample.population) for c in (cell, leader)]
    return -2.0 * sample.population * advantage + charges[0] - charges[1]


def _paired(differences: FloatArray, weights: Sequence[float] | FloatArray) -> tuple[float, float]:
    """Return the weighted mean of paired differences and its standard error."""
    shares = np.asarray(weights) / np.sum(weights)
    mean = float(shares @ differences)
    return mean, float(np.sqrt((shares**2) @ (differences - mean) ** 2))
