"""Splits, merges and drops keep the moments of the mixture; the signs of degeneracy see what they should."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gmmdask.mixture.degeneracy import floored_components, floored_mass, small_features
from gmmdask.mixture.moves import (
    bhattacharyya_distances,
    drop_components,
    merge_components,
    nearest_pairs,
    split_component,
)
from gmmdask.mixture.parameters import MixtureParameters
from gmmdask.mixture.structures import DIAGONAL, FULL, SPHERICAL, STRUCTURES, TIED
from tests.mixture.worlds import matrices_of, random_mixture


def overall(parameters: MixtureParameters) -> tuple[np.ndarray, np.ndarray]:
    """Mean and covariance of the mixture's distribution."""
    mean = parameters.weights @ parameters.means
    offsets = parameters.means - mean
    within = np.einsum("k,kij->ij", parameters.weights, matrices_of(parameters))
    return mean, within + np.einsum("k,ki,kj->ij", parameters.weights, offsets, offsets)


@given(st.integers(0, 9999), st.integers(0, 2))
def test_a_split_keeps_mean_and_covariance(seed: int, component: int) -> None:
    """Exact to rounding for full covariances; for the others the mean and the trace, where the structure can."""
    start = random_mixture(np.random.default_rng(seed), FULL, 3, 2)
    for before, after in zip(overall(start), overall(split_component(start, component)), strict=True):
        np.testing.assert_allclose(after, before, rtol=1e-10, atol=1e-10)
    for structure in (DIAGONAL, SPHERICAL):
        start = random_mixture(np.random.default_rng(seed), structure, 3, 2)
        after = overall(split_component(start, component))
        np.testing.assert_allclose(after[0], overall(start)[0], atol=1e-10)
        assert np.trace(after[1]) == pytest.approx(np.trace(overall(start)[1]))


@given(st.integers(0, 9999))
def test_a_merge_keeps_mean_and_covariance(seed: int) -> None:
    start = random_mixture(np.random.default_rng(seed), FULL, 4, 3)
    merged = merge_components(start, 1, 3)
    assert merged.n_components == 3
    for before, after in zip(overall(start), overall(merged), strict=True):
        np.testing.assert_allclose(after, before, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("structure", STRUCTURES, ids=lambda s: s.name)
def test_every_move_gives_a_sound_mixture_of_the_same_structure(structure) -> None:
    start = random_mixture(np.random.default_rng(1), structure, 3, 2)
    for moved, k in (
        (split_component(start, 0), 4),
        (merge_components(start, 0, 2), 2),
        (drop_components(start, np.array([False, True, False])), 2),
    ):
        assert (moved.structure, moved.n_components) == (structure, k)
        assert moved.weights.sum() == pytest.approx(1.0)
        assert moved.is_positive_definite


def test_the_nearest_pair_is_the_pair_that_overlaps() -> None:
    """Distance zero between equals, and Kailath's value for two unit normals 2 apart: 0.5."""
    means = np.array([[0.0], [10.0], [0.0], [2.0]])
    mixture = MixtureParameters(structure=SPHERICAL, weights=np.full(4, 0.25), means=means, covariances=np.ones(4))
    distances = bhattacharyya_distances(mixture)
    assert distances[0, 2] == 0.0
    assert distances[0, 3] == pytest.approx(0.5)
    assert nearest_pairs(mixture, 2) == [(0, 2), (0, 3)]


def test_floored_and_small_are_seen() -> None:
    """One component of three has a flat direction; it holds a fifth of the weight."""
    matrices = np.array([np.eye(2), np.diag([1.0, 1e-5]), np.eye(2)])
    mixture = MixtureParameters(
        structure=FULL, weights=np.array([0.5, 0.2, 0.3]), means=np.zeros((3, 2)), covariances=matrices
    )
    assert floored_components(mixture, 1e-6).tolist() == [False, True, False]
    assert floored_mass(mixture, 1e-6) == pytest.approx(0.2)
    assert floored_mass(mixture, 1e-8) == 0.0
    assert small_features(np.array([1e-3, 1.0]), 1e-6).tolist() == [True, False]


def test_a_tied_mixture_shares_its_covariance_after_a_permutation() -> None:
    start = random_mixture(np.random.default_rng(1), TIED, 3, 2)
    assert start.permuted([2, 0, 1]).covariances.shape == (2, 2)
    assert start.permuted([0, 1, 2]) == start
    assert hash(start.permuted([0, 1, 2])) == hash(start)
