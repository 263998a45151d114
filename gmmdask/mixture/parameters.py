"""What a fitted mixture is: weights, means and covariances as one immutable value."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from gmmdask.errors import DegenerateMixtureError, InvalidInputError
from gmmdask.mixture.structures import TIED, FloatArray, Structure

SMALLEST_WEIGHT = np.finfo(np.float64).tiny
"""A component of weight zero keeps a finite logarithm, so that no product meets 0 · ∞."""


@dataclass(frozen=True, kw_only=True, eq=False)
class MixtureParameters:
    """Weights, means and covariances of a Gaussian mixture.

    Parameters
    ----------
    structure : Structure
        Constraint on the covariances.
    weights : ndarray of shape (n_components,)
        Mixing proportions; non-negative, they sum to one.
    means : ndarray of shape (n_components, n_features)
    covariances : ndarray
        Shape by structure: see `Structure.covariance_shape`.

    Raises
    ------
    InvalidInputError
        Shapes do not fit each other, or a value is not finite.
    """

    structure: Structure
    weights: FloatArray
    means: FloatArray
    covariances: FloatArray

    def __post_init__(self) -> None:
        for name in ("weights", "means", "covariances"):
            array = np.array(getattr(self, name), dtype=np.float64, order="C")
            if not np.isfinite(array).all():
                raise InvalidInputError(f"The mixture's {name} hold values that are not finite.")
            array.setflags(write=False)
            object.__setattr__(self, name, array)
        expected = self.structure.covariance_shape(*self.means.shape)
        if self.covariances.shape != expected or self.weights.shape != self.means.shape[:1]:
            raise InvalidInputError(
                f"weights {self.weights.shape}, means {self.means.shape} and {self.structure.name} covariances "
                f"{self.covariances.shape} do not fit together; covariances must have shape {expected}."
            )

    def __eq__(self, other: object) -> bool:
        """Equal when every number is."""
        return isinstance(other, MixtureParameters) and self.fingerprint == other.fingerprint

    def __hash__(self) -> int:
        """Hash of the numbers."""
        return hash(self.fingerprint)

    @property
    def n_components(self) -> int:
        """Number of components K."""
        return int(self.means.shape[0])

    @property
    def n_features(self) -> int:
        """Number of features d."""
        return int(self.means.shape[1])

    @property
    def n_parameters(self) -> int:
        """Number of free parameters."""
        return self.structure.n_parameters(self.n_components, self.n_features)

    @cached_property
    def fingerprint(self) -> str:
        """Hash of structure and numbers, 32 hexadecimal digits."""
        digest = hashlib.blake2b(self.structure.name.encode(), digest_size=16)
        for array in (self.weights, self.means, self.covariances):
            digest.update(repr(array.shape).encode() + array.tobytes())
        return digest.hexdigest()

    @cached_property
    def matrices(self) -> FloatArray:
        """Covariance matrices, shape (n_components, n_features, n_features)."""
        return self.structure.expand(self.covariances, self.n_components, self.n_features)

    @cached_property
    def precision_factors(self) -> FloatArray:
        """Upper triangular U with U·Uᵀ = Σ⁻¹ for each component, shape (n_components, n_features, n_features)."""
        if self.structure == TIED:
            return np.broadcast_to(_precision_factors(self.covariances[None]), self.matrices.shape)
        return _precision_factors(self.matrices)

    @property
    def is_positive_definite(self) -> bool:
        """Whether every covariance has a Cholesky factor, so that densities exist."""
        try:
            return bool(np.isfinite(self.precision_factors).all())
        except DegenerateMixtureError:
            return False

    @cached_property
    def log_determinants(self) -> FloatArray:
        """Logarithms of the determinants of the precision factors: −½ log|Σ|, shape (n_components,)."""
        return np.asarray(np.log(np.diagonal(self.precision_factors, axis1=1, axis2=2)).sum(axis=1))

    @cached_property
    def log_weights(self) -> FloatArray:
        """Logarithms of the weights, shape (n_components,)."""
        return np.asarray(np.log(np.maximum(self.weights, SMALLEST_WEIGHT)))

    def permuted(self, order: list[int]) -> MixtureParameters:
        """Return the same mixture with its components in another order."""
        shared = self.structure.covariance_shape(self.n_components + 1, self.n_features) == self.covariances.shape
        return MixtureParameters(
            structure=self.structure,
            weights=self.weights[order],
            means=self.means[order],
            covariances=self.covariances if shared else self.covariances[order],
        )


def _precision_factors(matrices: FloatArray) -> FloatArray:
    """Return inv(L).T for the Cholesky factors L of a stack of matrices."""
    try:
        lower = np.linalg.cholesky(matrices)
    except np.linalg.LinAlgError as error:
        smallest = np.linalg.eigvalsh(matrices)[:, 0]
        component = int(np.argmin(smallest))
        raise DegenerateMixtureError(
            "Fitting the mixture model failed because some components have ill-defined empirical covariance (for instance"
            " caused by singleton or collapsed samples). Try to decrease the number of components, increase reg_covar, or"
            f" scale the input data. Component {component}: smallest eigenvalue {smallest[component]:.3g}."
        ) from error
    inverse = np.linalg.inv(lower)
    return np.ascontiguousarray(np.triu(inverse.transpose(0, 2, 1)))
