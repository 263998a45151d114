"""Moves between mixtures of different sizes: split a component, merge two, drop one.

Each keeps the mixture's overall mean, and its overall covariance as far as the structure can hold it.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from gmmdask.mixture.parameters import MixtureParameters
from gmmdask.mixture.structures import TIED, FloatArray

SPLIT_STEP = np.sqrt(2.0 / np.pi)
"""Distance of the halves of a normal distribution from its centre, in standard deviations."""


def split_component(parameters: MixtureParameters, component: int) -> MixtureParameters:
    """Return the mixture with one component cut in half across its longest axis; the new half comes last."""
    matrix = parameters.matrices[component]
    eigenvalues, eigenvectors = np.linalg.eigh(matrix)
    step = SPLIT_STEP * np.sqrt(eigenvalues[-1]) * eigenvectors[:, -1]
    weights = np.append(parameters.weights, parameters.weights[component] / 2)
    weights[component] /= 2
    means = np.vstack([parameters.means, parameters.means[component] + step])
    means[component] -= step
    matrices = np.concatenate([parameters.matrices, matrix[None]])
    matrices[[component, -1]] = matrix - np.outer(step, step)
    return _assembled(parameters, weights, means, matrices)


def merge_components(parameters: MixtureParameters, first: int, second: int) -> MixtureParameters:
    """Return the mixture with two components replaced by the normal distribution of their joint moments."""
    pair = [first, second]
    weight = parameters.weights[pair].sum()
    shares = parameters.weights[pair] / weight
    mean = shares @ parameters.means[pair]
    offsets = parameters.means[pair] - mean
    matrix = np.einsum("k,kij->ij", shares, parameters.matrices[pair] + offsets[:, :, None] * offsets[:, None, :])
    weights, means, matrices = parameters.weights.copy(), parameters.means.copy(), parameters.matrices.copy()
    weights[first], means[first], matrices[first] = weight, mean, matrix
    keep = np.arange(parameters.n_components) != second
    return _assembled(parameters, weights[keep], means[keep], matrices[keep])


def drop_components(parameters: MixtureParameters, dropped: NDArray[np.bool_]) -> MixtureParameters:
    """Return the mixture without the components marked in the boolean array `dropped`."""
    keep = ~dropped
    weights = parameters.weights[keep] / parameters.weights[keep].sum()
    return _assembled(parameters, weights, parameters.means[keep], parameters.matrices[keep])


def bhattacharyya_distances(parameters: MixtureParameters) -> FloatArray:
    """Return the pairwise distances of the components, shape (n_components, n_components).

    ⅛·Δᵀ Σ̄⁻¹ Δ + ½·log(|Σ̄| / √(|Σ₁||Σ₂|)) with Σ̄ the mean of the two covariances (Kailath 1967).
    """
    matrices, means = parameters.matrices, parameters.means
    pooled = 0.5 * (matrices[:, None] + matrices[None, :])
    difference = means[:, None] - means[None, :]
    solved = np.linalg.solve(pooled, difference[..., None])[..., 0]
    log_determinants = np.linalg.slogdet(matrices)[1]
    spread = np.linalg.slogdet(pooled)[1] - 0.5 * (log_determinants[:, None] + log_determinants[None, :])
    return np.asarray(0.125 * (difference * solved).sum(axis=-1) + 0.5 * spread)


def nearest_pairs(parameters: MixtureParameters, n_pairs: int) -> list[tuple[int, int]]:
    """Return the pairs of components that overlap most, nearest first."""
    first, second = np.triu_indices(parameters.n_components, 1)
    order = np.argsort(bhattacharyya_distances(parameters)[first, second], kind="stable")[:n_pairs]
    return [(int(first[i]), int(second[i])) for i in order]


def _assembled(
    parameters: MixtureParameters, weights: FloatArray, means: FloatArray, matrices: FloatArray
) -> MixtureParameters:
    structure = parameters.structure
    if structure == TIED:
        covariances = parameters.covariances
    else:
        covariances = structure.compress(matrices)
        covariances = covariances / means.shape[1] if structure.name == "spherical" else covariances
    return MixtureParameters(structure=structure, weights=weights, means=means, covariances=covariances)
