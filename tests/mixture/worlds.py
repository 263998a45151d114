"""Small random worlds for the tests of the mathematics: mixtures, rows, and oracles that share no code with ours."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from hypothesis import strategies as st
from scipy.special import logsumexp

from gmmdask.mixture.parameters import MixtureParameters
from gmmdask.mixture.structures import STRUCTURES, Structure


@dataclass(frozen=True)
class World:
    """Rows, weights, and some mixtures over them."""

    values: np.ndarray
    weights: np.ndarray
    candidates: tuple[MixtureParameters, ...]


def random_mixture(random: np.random.Generator, structure: Structure, k: int, d: int) -> MixtureParameters:
    factors = random.normal(size=(k, d, 2 * d)) / np.sqrt(2 * d)
    matrices = factors @ factors.transpose(0, 2, 1) + 0.1 * np.eye(d)
    covariances = {
        "full": matrices,
        "tied": matrices[0],
        "diag": np.array([np.diag(m) for m in matrices]),
        "spherical": np.array([m[0, 0] for m in matrices]),
    }[structure.name]
    return MixtureParameters(
        structure=structure,
        weights=random.dirichlet(np.full(k, 3.0)),
        means=random.normal(size=(k, d)) * 2,
        covariances=covariances,
    )


@st.composite
def worlds(draw: st.DrawFn, *, min_rows: int = 0) -> World:
    seed = draw(st.integers(0, 2**32 - 1))
    d, n = draw(st.integers(1, 4)), draw(st.integers(min_rows, 60))
    shapes = draw(st.lists(st.tuples(st.sampled_from(STRUCTURES), st.integers(1, 4)), min_size=1, max_size=5))
    random = np.random.default_rng(seed)
    weights = random.choice([0.0, 0.5, 1.0, 3.0], size=n)
    return World(
        values=np.ascontiguousarray(random.normal(size=(d, n)) * 3),
        weights=weights,
        candidates=tuple(random_mixture(random, structure, k, d) for structure, k in shapes),
    )


def matrices_of(parameters: MixtureParameters) -> np.ndarray:
    """Covariance matrices, written out case by case."""
    k, d = parameters.means.shape
    name, covariances = parameters.structure.name, parameters.covariances
    if name == "full":
        return covariances
    if name == "tied":
        return np.array([covariances] * k)
    if name == "diag":
        return np.array([np.diag(row) for row in covariances])
    return np.array([value * np.eye(d) for value in covariances])


def joint_densities(values: np.ndarray, parameters: MixtureParameters) -> np.ndarray:
    """Log joint densities (k, n), in extended precision, one row and component at a time."""
    joint = np.empty((parameters.n_components, values.shape[1]), dtype=np.longdouble)
    for k, (weight, mean, matrix) in enumerate(
        zip(parameters.weights, parameters.means, matrices_of(parameters), strict=True)
    ):
        inverse = np.linalg.inv(matrix).astype(np.longdouble)
        constant = np.log(np.longdouble(weight)) - 0.5 * np.longdouble(np.linalg.slogdet(2 * np.pi * matrix)[1])
        for i, x in enumerate(values.T.astype(np.longdouble)):
            joint[k, i] = constant - 0.5 * (x - mean) @ inverse @ (x - mean)
    return joint


def responsibilities(values: np.ndarray, parameters: MixtureParameters) -> tuple[np.ndarray, np.ndarray]:
    """Posterior probabilities (k, n) and log densities (n,)."""
    joint = joint_densities(values, parameters).astype(float)
    densities = logsumexp(joint, axis=0)
    return np.exp(joint - densities), densities
