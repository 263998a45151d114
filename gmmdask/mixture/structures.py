"""Covariance structures as four stateless values.

The only place that knows the shape of a structure's covariances, how many free parameters it has and how it is
maximised. A structure is compared and looked up by its name, which is scikit-learn's ``covariance_type``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from gmmdask.errors import InvalidInputError

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True, slots=True)
class Moments:
    """Weighted sums of one candidate's components about fixed references.

    Parameters
    ----------
    counts : ndarray of shape (n_components,)
        Sums of the responsibilities r.
    first : ndarray of shape (n_components, n_features)
        Sums of r·(x − reference).
    second : ndarray
        Sums of r·(x − reference)(x − reference)ᵀ, as far as the structure needs them: (n_components, n_features,
        n_features) for full, its diagonals for diag, their traces (n_components,) for spherical, and the total over
        components (n_features, n_features) for tied.
    references : ndarray of shape (n_components, n_features)
        The point that each component's sums are about.
    """

    counts: FloatArray
    first: FloatArray
    second: FloatArray
    references: FloatArray


@dataclass(frozen=True, slots=True)
class Structure:
    """A constraint on the covariances of a mixture's components."""

    name: ClassVar[str]

    def covariance_shape(self, n_components: int, n_features: int) -> tuple[int, ...]:
        """Return the shape of the covariances array."""
        raise NotImplementedError

    def covariance_parameters(self, n_components: int, n_features: int) -> int:
        """Return the number of free covariance parameters."""
        raise NotImplementedError

    def n_parameters(self, n_components: int, n_features: int) -> int:
        """Return the number of free parameters of the whole mixture: weights, means and covariances."""
        return n_components - 1 + n_components * n_features + self.covariance_parameters(n_components, n_features)

    def expand(self, covariances: FloatArray, n_components: int, n_features: int) -> FloatArray:
        """Return the covariances as matrices of shape (n_components, n_features, n_features)."""
        raise NotImplementedError

    def compress(self, matrices: FloatArray) -> FloatArray:
        """Return what this structure keeps of per-component matrices of shape (n_components, n_features, n_features)."""
        raise NotImplementedError

    def maximize(self, moments: Moments, reg_covar: float) -> FloatArray:
        """Return the covariances of highest likelihood given the moments, plus `reg_covar` on every variance."""
        raise NotImplementedError


@dataclass(frozen=True, slots=True)
class Full(Structure):
    """Every component has a covariance matrix of its own."""

    name: ClassVar[str] = "full"

    def covariance_shape(self, n_components: int, n_features: int) -> tuple[int, ...]:
        """Return (n_components, n_features, n_features)."""
        return (n_components, n_features, n_features)

    def covariance_parameters(self, n_components: int, n_features: int) -> int:
        """Return K·d(d+1)/2."""
        return n_components * n_features * (n_features + 1) // 2

    def expand(self, covariances: FloatArray, n_components: int, n_features: int) -> FloatArray:
        """Return the covariances as they are."""
        return covariances

    def compress(self, matrices: FloatArray) -> FloatArray:
        """Return the matrices as they are."""
        return matrices

    def maximize(self, moments: Moments, reg_covar: float) -> FloatArray:
        """Return Q/n − m·mᵀ + reg_covar·I for each component."""
        offsets = moments.first / moments.counts[:, None]
        covariances = moments.second / moments.counts[:, None, None] - offsets[:, :, None] * offsets[:, None, :]
        return _regularized(covariances, reg_covar)


@dataclass(frozen=True, slots=True)
class Tied(Structure):
    """All components share one covariance matrix."""

    name: ClassVar[str] = "tied"

    def covariance_shape(self, n_components: int, n_features: int) -> tuple[int, ...]:
        """Return (n_features, n_features)."""
        return (n_features, n_features)

    def covariance_parameters(self, n_components: int, n_features: int) -> int:
        """Return d(d+1)/2."""
        return n_features * (n_features + 1) // 2

    def expand(self, covariances: FloatArray, n_components: int, n_features: int) -> FloatArray:
        """Return the shared matrix once for every component."""
        return np.broadcast_to(covariances, (n_components, n_features, n_features))

    def compress(self, matrices: FloatArray) -> FloatArray:
        """Return the sum over components."""
        return np.asarray(matrices.sum(axis=0))

    def maximize(self, moments: Moments, reg_covar: float) -> FloatArray:
        """Return (Σ w·xxᵀ − Σ n·m·mᵀ)/Σ n + reg_covar·I."""
        offsets = moments.first / moments.counts[:, None]
        between = (moments.counts[:, None] * offsets).T @ offsets
        return _regularized((moments.second - between) / moments.counts.sum(), reg_covar)


@dataclass(frozen=True, slots=True)
class Diagonal(Structure):
    """Every component has variances of its own and no correlations."""

    name: ClassVar[str] = "diag"

    def covariance_shape(self, n_components: int, n_features: int) -> tuple[int, ...]:
        """Return (n_components, n_features)."""
        return (n_components, n_features)

    def covariance_parameters(self, n_components: int, n_features: int) -> int:
        """Return K·d."""
        return n_components * n_features

    def expand(self, covariances: FloatArray, n_components: int, n_features: int) -> FloatArray:
        """Return diagonal matrices."""
        return np.asarray(covariances[:, :, None] * np.eye(n_features))

    def compress(self, matrices: FloatArray) -> FloatArray:
        """Return the diagonals, shape (n_components, n_features)."""
        return np.array(np.diagonal(matrices, axis1=1, axis2=2))

    def maximize(self, moments: Moments, reg_covar: float) -> FloatArray:
        """Return q/n − m² + reg_covar, where rounding can never leave a negative variance."""
        offsets = moments.first / moments.counts[:, None]
        return np.maximum(moments.second / moments.counts[:, None] - offsets**2, 0.0) + reg_covar


@dataclass(frozen=True, slots=True)
class Spherical(Structure):
    """Every component has one variance for all features."""

    name: ClassVar[str] = "spherical"

    def covariance_shape(self, n_components: int, n_features: int) -> tuple[int, ...]:
        """Return (n_components,)."""
        return (n_components,)

    def covariance_parameters(self, n_components: int, n_features: int) -> int:
        """Return K."""
        return n_components

    def expand(self, covariances: FloatArray, n_components: int, n_features: int) -> FloatArray:
        """Return multiples of the identity."""
        return np.asarray(covariances[:, None, None] * np.eye(n_features))

    def compress(self, matrices: FloatArray) -> FloatArray:
        """Return the traces, shape (n_components,)."""
        return np.asarray(np.trace(matrices, axis1=1, axis2=2))

    def maximize(self, moments: Moments, reg_covar: float) -> FloatArray:
        """Return (Σ r·|x|²/n − |m|²)/d + reg_covar, where rounding can never leave a negative variance."""
        offsets = moments.first / moments.counts[:, None]
        spread = moments.second / moments.counts - np.einsum("kj,kj->k", offsets, offsets)
        return np.asarray(np.maximum(spread / offsets.shape[1], 0.0) + reg_covar)


SPHERICAL, TIED, DIAGONAL, FULL = Spherical(), Tied(), Diagonal(), Full()
STRUCTURES: tuple[Structure, ...] = (SPHERICAL, TIED, DIAGONAL, FULL)
"""All structures, in the order in which a stack holds them."""


def structure_named(name: str) -> Structure:
    """Return the structure called `name`.

    Raises
    ------
    InvalidInputError
        There is none of this name.

    Examples
    --------
    >>> structure_named("full").n_parameters(3, 2)
    17
    """
    for structure in STRUCTURES:
        if structure.name == name:
            return structure
    known = ", ".join(repr(structure.name) for structure in STRUCTURES)
    raise InvalidInputError(f"covariance_type={name!r} is not known; choose one of {known}.")


def _regularized(covariances: FloatArray, reg_covar: float) -> FloatArray:
    diagonal = np.arange(covariances.shape[-1])
    covariances[..., diagonal, diagonal] += reg_covar
    return covariances
