"""How a user says where EM should begin, checked before anything is read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from gmmdask.errors import InvalidInputError
from gmmdask.mixture.em import ModelSpec
from gmmdask.mixture.structures import DIAGONAL, SPHERICAL, FloatArray, Structure

InitParams = Literal["kmeans", "k-means++", "random", "random_from_data"]


@dataclass(frozen=True, kw_only=True, eq=False)
class InitialGuess:
    """How to begin, and what of the beginning is given.

    Parameters
    ----------
    method : {"kmeans", "k-means++", "random", "random_from_data"}
    weights, means, precisions : ndarray, optional
        Values that replace those of the method; with all three given nothing is drawn.
    """

    method: InitParams = "kmeans"
    weights: FloatArray | None = None
    means: FloatArray | None = None
    precisions: FloatArray | None = None

    @classmethod
    def checked(
        cls,
        method: InitParams,
        given: tuple[ArrayLike | None, ArrayLike | None, ArrayLike | None],
        spec: ModelSpec,
        n_features: int,
    ) -> InitialGuess:
        """Make a guess of what a user gave for weights, means and precisions.

        Raises
        ------
        InvalidInputError
            A shape does not fit, weights are not proportions, or precisions are not positive definite.
        """
        k, d, name = spec.n_components, n_features, spec.structure.name
        precisions = f"{name} precision"
        guess = cls(
            method=method,
            weights=_shaped(given[0], (k,), "weights"),
            means=_shaped(given[1], (k, d), "means"),
            precisions=_shaped(given[2], spec.structure.covariance_shape(k, d), precisions),
        )
        if guess.weights is not None:
            _require_proportions(guess.weights)
        if guess.precisions is not None:
            _require_definite(guess.precisions, spec.structure, precisions)
        return guess


def _shaped(given: ArrayLike | None, shape: tuple[int, ...], name: str) -> FloatArray | None:
    if given is None:
        return None
    array = np.array(given, dtype=np.float64)
    if array.shape != shape:
        raise InvalidInputError(f"The parameter '{name}' should have the shape of {shape}, but got {array.shape}")
    if not np.isfinite(array).all():
        raise InvalidInputError(f"The parameter '{name}' holds values that are not finite (NaN or infinity).")
    return array


def _require_proportions(weights: FloatArray) -> None:
    if (weights < 0).any() or (weights > 1).any():
        # scikit-learn names the smallest value "max" and the largest "min"; its tests look for that sentence.
        raise InvalidInputError(
            "The parameter 'weights' should be in the range [0, 1], but got "
            f"max value {weights.min():.5f}, min value {weights.max():.5f}"
        )
    if abs(1.0 - weights.sum()) > 1e-6:
        raise InvalidInputError(
            f"The parameter 'weights' should be normalized, but got sum(weights) = {weights.sum():.5f}"
        )


def _require_definite(precisions: FloatArray, structure: Structure, name: str) -> None:
    if structure in (DIAGONAL, SPHERICAL):
        if (precisions <= 0).any():
            raise InvalidInputError(f"'{name}' should be positive; the smallest is {precisions.min():.5g}.")
        return
    for k, matrix in enumerate(precisions.reshape(-1, *precisions.shape[-2:])):
        if not np.allclose(matrix, matrix.T) or np.linalg.eigvalsh(matrix)[0] <= 0:
            raise InvalidInputError(
                f"'{name}' should be symmetric, positive-definite; matrix {k} has the smallest eigenvalue "
                f"{np.linalg.eigvalsh(matrix)[0]:.5g}."
            )
