"""Structures: shapes, parameter counts, and the M-step against weighted moments computed row by row."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given

from gmmdask.errors import DegenerateMixtureError, InvalidInputError
from gmmdask.mixture.em import maximize
from gmmdask.mixture.parameters import MixtureParameters
from gmmdask.mixture.passes import summarize
from gmmdask.mixture.stack import Reference, compile_stack
from gmmdask.mixture.statistics import Coverage
from gmmdask.mixture.structures import DIAGONAL, FULL, SPHERICAL, STRUCTURES, TIED, Moments, structure_named
from tests.mixture.worlds import World, matrices_of, responsibilities, worlds


@pytest.mark.parametrize(
    ("name", "expected"), [("full", 3 - 1 + 6 + 9), ("tied", 2 + 6 + 3), ("diag", 2 + 6 + 6), ("spherical", 2 + 6 + 3)]
)
def test_parameters_are_counted_as_in_the_textbook(name: str, expected: int) -> None:
    """Three components in two dimensions; equality of integers."""
    assert structure_named(name).n_parameters(3, 2) == expected


def test_an_unknown_structure_is_refused_with_the_known_ones() -> None:
    with pytest.raises(InvalidInputError, match="'spherical', 'tied', 'diag', 'full'"):
        structure_named("round")


@given(worlds(min_rows=5))
def test_the_m_step_gives_the_weighted_moments_of_each_component(world: World) -> None:
    """Equal to rounding: weights, means and covariances from responsibilities, row by row."""
    world.weights[0] = 1.0
    reference = Reference(centre=world.values.mean(axis=1), scale=world.values.std(axis=1))
    stack = compile_stack(world.candidates, reference)
    statistics = summarize(world.values, world.weights, stack, Coverage.of_leaf(0, 0))
    for c, parameters in enumerate(world.candidates):
        r = responsibilities(world.values, parameters)[0] * world.weights
        if r.sum(axis=1).min() < 1e-3:  # a component that holds next to nothing: its mean is rounding
            continue
        new = maximize(stack.moments(statistics, c), parameters.structure, 0.01)
        means = r @ world.values.T / r.sum(axis=1)[:, None]
        np.testing.assert_allclose(new.weights, r.sum(axis=1) / r.sum(), rtol=1e-9, atol=1e-14)
        np.testing.assert_allclose(new.means, means, rtol=1e-8, atol=1e-8)
        np.testing.assert_allclose(matrices_of(new), _expected_matrices(world, parameters, r, means), atol=1e-8)


def _expected_matrices(world: World, parameters: MixtureParameters, r: np.ndarray, means: np.ndarray) -> np.ndarray:
    d = len(world.values)
    scatters = []
    for k in range(len(means)):
        centred = world.values - means[k][:, None]
        scatters.append((r[k] * centred) @ centred.T)
    counts = r.sum(axis=1)
    full = np.array([s / n for s, n in zip(scatters, counts, strict=True)])
    tied = np.array([sum(scatters) / counts.sum()] * len(means))
    diag = np.array([np.diag(np.diag(m)) for m in full])
    spherical = np.array([np.trace(m) / d * np.eye(d) for m in full])
    return {"full": full, "tied": tied, "diag": diag, "spherical": spherical}[
        parameters.structure.name
    ] + 0.01 * np.eye(d)


@pytest.mark.parametrize("structure", STRUCTURES, ids=lambda s: s.name)
def test_expanding_and_compressing_agree(structure) -> None:
    """Exact: what a structure keeps of its own matrices is what it started from."""
    random = np.random.default_rng(0)
    covariances = {
        "full": np.array([np.eye(3) * 2, np.eye(3)]),
        "tied": np.eye(3) / 2,
        "diag": random.uniform(1, 2, size=(2, 3)),
        "spherical": np.array([1.0, 4.0]),
    }[structure.name]
    kept = structure.compress(structure.expand(covariances, 2, 3))
    factor = {"tied": 2, "spherical": 3}.get(structure.name, 1)
    np.testing.assert_array_equal(kept, factor * covariances)


@pytest.mark.parametrize("structure", [DIAGONAL, SPHERICAL], ids=lambda s: s.name)
def test_rounding_never_leaves_a_negative_variance(structure) -> None:
    """Second moments that cancel to less than nothing give exactly `reg_covar`."""
    second = {"diag": np.array([[1e8 - 1e-6]]), "spherical": np.array([1e8 - 1e-6])}[structure.name]
    moments = Moments(counts=np.ones(1), first=np.full((1, 1), 1e4), second=second, references=np.zeros((1, 1)))
    assert structure.maximize(moments, 0.1).ravel() == [0.1]


def test_a_singular_covariance_is_named_with_its_component() -> None:
    matrices = np.array([np.eye(2), np.ones((2, 2))])
    parameters = MixtureParameters(
        structure=FULL, weights=np.full(2, 0.5), means=np.zeros((2, 2)), covariances=matrices
    )
    assert not parameters.is_positive_definite
    with pytest.raises(DegenerateMixtureError, match="Component 1"):
        _ = parameters.precision_factors


def test_parameters_that_do_not_fit_together_are_refused() -> None:
    with pytest.raises(InvalidInputError, match="do not fit together"):
        MixtureParameters(structure=TIED, weights=np.ones(1), means=np.zeros((1, 2)), covariances=np.ones((1, 2)))
    with pytest.raises(InvalidInputError, match="not finite"):
        MixtureParameters(
            structure=TIED, weights=np.ones(1), means=np.full((1, 1), np.nan), covariances=np.ones((1, 1))
        )


def test_parameters_cannot_be_changed() -> None:
    parameters = MixtureParameters(
        structure=TIED, weights=np.ones(1), means=np.zeros((1, 1)), covariances=np.ones((1, 1))
    )
    with pytest.raises(ValueError, match="read-only"):
        parameters.means[0] = 1.0
