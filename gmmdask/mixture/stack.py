"""Candidates compiled for one shared pass: every log joint density as a row of products.

With Φ(x) = [1, x, x², x_i·x_j] about the global centre, log(w_k·N(x | μ_k, Σ_k)) is linear in Φ for each component of
each candidate, so one matrix of coefficients serves restarts, component counts and structures at once. Beside it go
the factor form of the same densities and the bounds that say where the product form would lose digits.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from gmmdask.errors import InvalidInputError
from gmmdask.mixture.parameters import MixtureParameters
from gmmdask.mixture.statistics import CandidateShape, StackLayout, SufficientStatistics
from gmmdask.mixture.structures import DIAGONAL, FULL, SPHERICAL, STRUCTURES, TIED, FloatArray, Moments, Structure

EPSILON = float(np.finfo(np.float64).eps)
LOCAL_REFERENCE_LIMIT = 1e-10
"""Relative error of centred second moments above which a candidate's sums are taken about its own means."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Reference:
    """The point that rows are centred on and the spread that bounds are measured in.

    Parameters
    ----------
    centre : ndarray of shape (n_features,)
        Usually the weighted means of the features.
    scale : ndarray of shape (n_features,)
        Standard deviations of the features; where one is zero or unknown, any positive number.
    """

    centre: FloatArray
    scale: FloatArray

    def __post_init__(self) -> None:
        scale = np.where(np.isfinite(self.scale) & (self.scale > 0), self.scale, 1.0)
        object.__setattr__(self, "centre", np.array(self.centre, dtype=np.float64))
        object.__setattr__(self, "scale", np.array(scale, dtype=np.float64))
        if not np.isfinite(self.centre).all():
            raise InvalidInputError("The centre of the data is not finite: a value is infinite or far too large.")

    @classmethod
    def of(cls, parameters: MixtureParameters) -> Reference:
        """Return the mean and the standard deviations of the mixture's own distribution."""
        centre = parameters.weights @ parameters.means
        within = np.diagonal(parameters.matrices, axis1=1, axis2=2)
        variance = parameters.weights @ (within + (parameters.means - centre) ** 2)
        return cls(centre=centre, scale=np.sqrt(variance))


@dataclass(frozen=True, kw_only=True, eq=False)
class FactorForm:
    """Densities as constant − ½|Uᵀ(x − mean)|², one entry per component.

    Parameters
    ----------
    constants : ndarray of shape (n_rows,)
        log w − (d/2)·log 2π + log|U|.
    means : ndarray of shape (n_rows, n_features)
    factors : ndarray of shape (n_rows, n_features, n_features)
        Upper triangular precision factors U.
    """

    constants: FloatArray
    means: FloatArray
    factors: FloatArray

    @classmethod
    def of(cls, candidates: Sequence[MixtureParameters], n_features: int) -> FactorForm:
        """Return the factor form of all components of the candidates, one after the other."""
        normal = 0.5 * n_features * np.log(2 * np.pi)
        constants = [c.log_weights + c.log_determinants - normal for c in candidates]
        d = n_features
        return cls(
            constants=np.concatenate([np.empty(0), *constants]),
            means=np.concatenate([np.empty((0, d)), *(c.means for c in candidates)]),
            factors=np.concatenate([np.empty((0, d, d)), *(c.precision_factors for c in candidates)]),
        )


@dataclass(frozen=True, kw_only=True, eq=False)
class Stack:
    """Candidates compiled for a pass.

    Parameters
    ----------
    candidates : tuple of MixtureParameters
    reference : Reference
    layout : StackLayout
    coefficients : tuple of ndarray
        For spherical, tied, diagonal and full: rows of coefficients of [|x|², 1, x], [1, x], [1, x, x²] and
        [1, x, x², x_i·x_j], one per centred component. A tied row leaves out −½·xᵀPx, which its candidate shares.
    factor_form : FactorForm
        The centred components, in the order of the rows.
    bounds : ndarray of shape (n_centred_candidates,)
        ε·max_k tr(D·P_k·D): times |D⁻¹(x − c)|² this bounds the error of a log density in product form.
    tied_precisions : ndarray of shape (n_tied_candidates, n_features, n_features)
    local_forms : tuple of FactorForm
        The candidates whose sums are about their own means.
    """

    candidates: tuple[MixtureParameters, ...]
    reference: Reference
    layout: StackLayout
    coefficients: tuple[FloatArray, FloatArray, FloatArray, FloatArray]
    factor_form: FactorForm
    bounds: FloatArray
    tied_precisions: FloatArray
    local_forms: tuple[FactorForm, ...]

    @cached_property
    def offsets(self) -> NDArray[np.int64]:
        """First row of each centred candidate, and the number of rows."""
        return np.array(self.layout.offsets, dtype=np.int64)

    @cached_property
    def only_full(self) -> bool:
        """Whether every centred candidate has full covariances."""
        return all(shape.structure == FULL for shape in self.layout.candidates if not shape.local)

    def references(self, candidate: int) -> FloatArray:
        """Return the points that a candidate's sums are about, shape (n_components, n_features)."""
        parameters = self.candidates[candidate]
        if self.layout.candidates[candidate].local:
            return parameters.means
        return np.broadcast_to(self.reference.centre, parameters.means.shape)

    def moments(self, statistics: SufficientStatistics, candidate: int) -> Moments:
        """Return a candidate's moments out of the statistics of a pass of this stack."""
        return statistics.moments(candidate, self.references(candidate))


def compile_stack(candidates: Sequence[MixtureParameters], reference: Reference, *, centred: bool = False) -> Stack:
    """Compile candidates for a pass.

    A candidate whose centred second moments would lose more than 1e-10 of a variance (ε·tr(D·P_k·D)·|D⁻¹(μ_k − c)|²)
    has its sums taken about its own means, unless `centred` says that only densities are wanted.

    Raises
    ------
    InvalidInputError
        There is no candidate, or their numbers of features differ.
    DegenerateMixtureError
        A covariance is not positive definite.
    """
    d = len(reference.centre)
    if not candidates or any(c.n_features != d for c in candidates):
        raise InvalidInputError(
            f"A stack needs candidates of {d} features each; got {[c.n_features for c in candidates]}."
        )
    spreads = [_scaled_precisions(c, reference.scale) for c in candidates]
    local = [
        not centred and bool((EPSILON * s * _scaled_distances(c, reference)).max() > LOCAL_REFERENCE_LIMIT)
        for c, s in zip(candidates, spreads, strict=True)
    ]
    layout = StackLayout(
        n_features=d,
        candidates=tuple(
            CandidateShape(structure=c.structure, n_components=c.n_components, local=flag)
            for c, flag in zip(candidates, local, strict=True)
        ),
        reference=_reference_fingerprint(candidates, local, reference),
    )
    ordered = [candidates[c] for c in layout.order]
    return Stack(
        candidates=tuple(candidates),
        reference=reference,
        layout=layout,
        coefficients=_coefficients(ordered, reference.centre),
        factor_form=FactorForm.of(ordered, d),
        bounds=np.array([EPSILON * spreads[c].max() for c in layout.order]),
        tied_precisions=_tied_precisions(ordered, d),
        local_forms=tuple(FactorForm.of([candidates[c]], d) for c in layout.local),
    )


def _tied_precisions(centred: Sequence[MixtureParameters], n_features: int) -> FloatArray:
    factors = [c.precision_factors[0] for c in centred if c.structure == TIED]
    return np.array([factor @ factor.T for factor in factors]).reshape(-1, n_features, n_features)


def _scaled_precisions(parameters: MixtureParameters, scale: FloatArray) -> FloatArray:
    """Return tr(D·P_k·D) for each component: at least the largest eigenvalue, and far cheaper."""
    scaled = scale[:, None] * parameters.precision_factors
    return np.asarray(np.einsum("kij,kij->k", scaled, scaled))


def _scaled_distances(parameters: MixtureParameters, reference: Reference) -> FloatArray:
    return np.asarray((((parameters.means - reference.centre) / reference.scale) ** 2).sum(axis=1))


def _reference_fingerprint(candidates: Sequence[MixtureParameters], local: Sequence[bool], reference: Reference) -> str:
    own = [c.fingerprint if flag else "centre" for c, flag in zip(candidates, local, strict=True)]
    centre = reference.centre.tobytes().hex()
    return hashlib.blake2b("|".join([centre, *own]).encode(), digest_size=8).hexdigest()


def _coefficients(
    centred: Sequence[MixtureParameters], centre: FloatArray
) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
    spherical, tied, diagonal, full = (
        _structure_rows([c for c in centred if c.structure == structure], structure, centre) for structure in STRUCTURES
    )
    return spherical, tied, diagonal, full


def _structure_rows(candidates: Sequence[MixtureParameters], structure: Structure, centre: FloatArray) -> FloatArray:
    d = len(centre)
    width = {SPHERICAL: d + 2, TIED: d + 1, DIAGONAL: 2 * d + 1, FULL: 1 + d + d * (d + 1) // 2}[structure]
    rows = [_candidate_rows(c, structure, centre) for c in candidates]
    return np.ascontiguousarray(np.concatenate([np.empty((0, width)), *rows]))


def _candidate_rows(parameters: MixtureParameters, structure: Structure, centre: FloatArray) -> FloatArray:
    """Return the coefficients of one candidate's components: constant, P·m and −½P, with m = μ − c."""
    factors, m = parameters.precision_factors, parameters.means - centre
    d = len(centre)
    whitened = np.einsum("kij,ki->kj", factors, m)
    linear = np.einsum("kij,kj->ki", factors, whitened)
    normal = 0.5 * d * np.log(2 * np.pi)
    constant = parameters.log_weights + parameters.log_determinants - normal - 0.5 * (whitened**2).sum(axis=1)
    head = np.column_stack([constant, linear])
    if structure == TIED:
        return head
    if structure == SPHERICAL:
        return np.column_stack([-0.5 / parameters.covariances, head])
    if structure == DIAGONAL:
        return np.column_stack([head, -0.5 / parameters.covariances])
    precisions = factors @ factors.transpose(0, 2, 1)
    upper, lower = np.triu_indices(d, 1)
    squares = -0.5 * np.diagonal(precisions, axis1=1, axis2=2)
    return np.column_stack([head, squares, -precisions[:, upper, lower]])
