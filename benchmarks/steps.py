"""One EM step of the same mixtures by gmmdask and by scikit-learn, and mixtures to take it from."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np
from numpy.typing import NDArray
from sklearn.mixture import GaussianMixture
from sklearn.mixture._gaussian_mixture import _compute_precision_cholesky

from gmmdask.engine import HeldData, LocalEngine
from gmmdask.lake import ArraySource
from gmmdask.mixture.em import maximize
from gmmdask.mixture.parameters import MixtureParameters
from gmmdask.mixture.stack import Reference, compile_stack
from gmmdask.mixture.structures import FULL, Structure, structure_named
from gmmdask.training.em_loop import summarize_leaf

FloatArray = NDArray[np.float64]
REG_COVAR = 1e-6
STRUCTURE_NAMES = ("spherical", "diag", "tied", "full")


def reference_of(rows: FloatArray) -> Reference:
    """Return the reference that pass 0 would give for these rows."""
    return Reference(centre=rows.mean(axis=0), scale=rows.std(axis=0))


def start_of(rows: FloatArray, structure: Structure, n_components: int, seed: int = 0) -> MixtureParameters:
    """Return a mixture to step from: some of the rows as means, half the overall covariance for each."""
    chosen = np.random.default_rng(seed).choice(len(rows), size=n_components, replace=False)
    d = rows.shape[1]
    covariance = 0.5 * np.cov(rows[:100_000].T).reshape(d, d) + REG_COVAR * np.eye(d)
    covariances = {
        "spherical": np.full(n_components, np.trace(covariance) / d),
        "diag": np.tile(np.diag(covariance), (n_components, 1)),
        "tied": covariance,
        "full": np.tile(covariance, (n_components, 1, 1)),
    }[structure.name]
    weights = np.full(n_components, 1.0 / n_components)
    return MixtureParameters(structure=structure, weights=weights, means=rows[chosen], covariances=covariances)


def seed_grid(rows: FloatArray, largest: int = 10) -> list[MixtureParameters]:
    """Return a mixture for each of the four structures and every K from 1 on."""
    structures = [structure_named(name) for name in STRUCTURE_NAMES]
    return [start_of(rows, structure, k, seed=k) for structure in structures for k in range(1, largest + 1)]


def full_grid(rows: FloatArray, largest: int = 10) -> list[MixtureParameters]:
    """Return a mixture with full covariances for every K from 1 on: 55 components for K up to 10."""
    return [start_of(rows, FULL, k, seed=k) for k in range(1, largest + 1)]


@contextmanager
def held(rows: FloatArray) -> Iterator[HeldData]:
    """Hold an array in this process as a fit does, on one thread."""
    with LocalEngine().hold(ArraySource.of(rows)) as data:
        yield data


def step(data: HeldData, models: Sequence[MixtureParameters], reference: Reference) -> list[MixtureParameters]:
    """Take one EM step of all models in one pass, from compiling the stack to the new parameters."""
    stack = compile_stack(models, reference)
    statistics = data.map_reduce(summarize_leaf, (stack,), name="step")
    return [
        maximize(stack.moments(statistics, position), model.structure, REG_COVAR)
        for position, model in enumerate(models)
    ]


def peer_step(rows: FloatArray, models: Sequence[MixtureParameters]) -> list[GaussianMixture]:
    """Take one step of each model with scikit-learn's own E-step and M-step."""
    peers = [peer_of(model) for model in models]
    for peer in peers:
        _, log_responsibilities = peer._e_step(rows)
        peer._m_step(rows, log_responsibilities)
    return peers


def peer_of(model: MixtureParameters) -> GaussianMixture:
    """Return scikit-learn's mixture with the same parameters."""
    name = model.structure.name
    peer = GaussianMixture(n_components=model.n_components, covariance_type=name, reg_covar=REG_COVAR)
    peer.weights_, peer.means_, peer.covariances_ = model.weights, model.means, model.covariances
    peer.precisions_cholesky_ = _compute_precision_cholesky(model.covariances, name)
    return peer
