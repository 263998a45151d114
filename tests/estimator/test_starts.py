"""The first M-step against plain loops in extended precision."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gmmdask.mixture.em import ModelSpec, maximize
from gmmdask.mixture.structures import structure_named
from gmmdask.training import starts
from gmmdask.training.guess import InitialGuess
from gmmdask.training.starts import SampleRows, covariances_of, draw_starts, labelled_moments
from tests.estimator.examples import METHODS, STRUCTURES, blobs


def slow_covariances(rows: np.ndarray, weights: np.ndarray, labels: np.ndarray, structure: str) -> np.ndarray:
    x, w = rows.astype(np.longdouble), weights.astype(np.longdouble)
    matrices, masses = [], []
    for k in range(labels.max() + 1):
        group = labels == k
        mean = (w[group, None] * x[group]).sum(axis=0) / w[group].sum()
        deviations = x[group] - mean
        matrices.append((w[group, None] * deviations).T @ deviations)
        masses.append(w[group].sum())
    each = np.array([m / n for m, n in zip(matrices, masses, strict=True)])
    diagonals = np.diagonal(each, axis1=1, axis2=2)
    shapes = {"full": each, "tied": sum(matrices) / sum(masses), "diag": diagonals, "spherical": diagonals.mean(axis=1)}
    return shapes[structure].astype(np.float64)


@pytest.mark.parametrize("structure", STRUCTURES)
@settings(max_examples=10)
@given(seed=st.integers(0, 2**16), offset=st.sampled_from([0.0, 1e7]), weighted=st.booleans())
def test_groups_made_by_labels_have_their_exact_covariances(
    structure: str, seed: int, offset: float, weighted: bool
) -> None:
    random = np.random.default_rng(seed)
    rows = blobs(seed) + offset
    labels = np.concatenate([[0, 1, 2, 3], random.integers(0, 4, size=len(rows) - 4)])
    weights = random.uniform(0.1, 2.0, size=len(rows)) if weighted else np.ones(len(rows))
    sample = SampleRows(values=rows, weights=weights if weighted else None, centre=rows.mean(axis=0))
    kind = structure_named(structure)
    drawn = maximize(labelled_moments(sample, labels, 4, kind), kind, 0.0)
    expected = slow_covariances(rows, weights, labels, structure)
    np.testing.assert_allclose(drawn.covariances, expected, rtol=1e-8, atol=1e-11)
    assert drawn.weights @ np.ones(4) == pytest.approx(1.0)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("structure", STRUCTURES)
def test_the_size_of_a_block_changes_a_start_by_rounding_only(
    structure: str, method: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = blobs(1)
    spec = ModelSpec(structure=structure_named(structure), n_components=3)
    sample = SampleRows(values=rows, weights=None, centre=rows.mean(axis=0))
    guess = InitialGuess(method=method)  # type: ignore[arg-type]
    whole = draw_starts(sample, guess, spec, 2, np.random.RandomState(0))
    monkeypatch.setattr(starts, "BLOCK_ROWS", 7)
    blocked = draw_starts(sample, guess, spec, 2, np.random.RandomState(0))
    for first, second in zip(whole, blocked, strict=True):
        np.testing.assert_allclose(second.parameters.means, first.parameters.means, rtol=1e-12, atol=1e-12)
        np.testing.assert_allclose(second.parameters.covariances, first.parameters.covariances, rtol=1e-10, atol=1e-12)


def test_a_group_without_rows_begins_at_the_centre_with_next_to_no_weight() -> None:
    rows = blobs(1)
    centre = rows.mean(axis=0)
    sample = SampleRows(values=rows, weights=None, centre=centre)
    kind = structure_named("full")
    drawn = maximize(labelled_moments(sample, np.zeros(len(rows), dtype=int), 2, kind), kind, 1e-6)
    np.testing.assert_allclose(drawn.means[1], centre)
    assert drawn.weights[1] < 1e-15
    np.testing.assert_allclose(drawn.covariances[1], 1e-6 * np.eye(3))


@pytest.mark.parametrize("structure", STRUCTURES)
def test_covariances_are_the_inverses_of_precisions(structure: str) -> None:
    random = np.random.default_rng(0)
    factors = random.normal(size=(3, 4, 4))
    matrices = factors @ factors.transpose(0, 2, 1) + np.eye(4)
    given_values = {
        "full": matrices,
        "tied": matrices[0],
        "diag": matrices[:, 0] ** 2 + 1,
        "spherical": np.array([1.0, 2.0, 4.0]),
    }
    precisions = given_values[structure]
    covariances = covariances_of(precisions, structure_named(structure))
    if precisions.ndim == 1 or structure == "diag":
        np.testing.assert_allclose(covariances * precisions, 1.0)
    else:
        np.testing.assert_allclose(covariances @ precisions, np.broadcast_to(np.eye(4), precisions.shape), atol=1e-10)
