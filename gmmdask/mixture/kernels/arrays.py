"""The groups of arrays that the kernels take and fill. Shapes only: what the arrays mean is decided by the callers."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]

ERROR_LIMIT = 1e-8
"""A candidate whose expanded form could err by more than this in a block takes the factor form there."""


class Rows(NamedTuple):
    """Rows of data and the point about which they are expanded.

    Attributes
    ----------
    values : ndarray of shape (d, n), float64 or float32
        Feature-major.
    weights : ndarray of shape (n,), optional
        Row weights; a row of weight zero counts as absent, whatever its values. None means one each.
    centre : ndarray of shape (d,)
        Subtracted from every row; sums are about this point.
    scale : ndarray of shape (d,)
        Standard deviations of the features; used in the error bound only.
    """

    values: NDArray[Any]
    weights: FloatArray | None
    centre: FloatArray
    scale: FloatArray


class Stack(NamedTuple):
    """Components of all candidates: spherical rows first, then tied, diagonal and full ones.

    The expanded form of a component's log joint density is a row of coefficients of [|x|^2, 1, x] (spherical), [1, x]
    (tied, without the common quadratic), [1, x, x^2] (diagonal) or [1, x, x^2, x_i x_j for i < j] (full), x measured from
    the centre. The factor form is ``constants[m] - |factors[m].T @ (row - means[m])|**2 / 2``.

    Attributes
    ----------
    spherical, tied, diag, full : ndarray of shape (M_structure, columns)
        Coefficients; any may have no rows.
    offsets : ndarray of shape (C + 1,), int64
        Candidate c owns rows ``offsets[c]:offsets[c + 1]``, at least one, all of one structure.
    bounds : ndarray of shape (C,)
        Machine epsilon times the largest eigenvalue of D P D over the candidate's components, D = diag(scale).
    constants : ndarray of shape (M,)
        Logarithms of weight and normalisation.
    means : ndarray of shape (M, d)
        In the units of the values, not centred.
    factors : ndarray of shape (M, d, d)
        F with precision P = F F'.
    tied_precisions : ndarray of shape (C_tied, d, d)
        Precisions of the tied candidates, in order.
    """

    spherical: FloatArray
    tied: FloatArray
    diag: FloatArray
    full: FloatArray
    offsets: NDArray[np.int64]
    bounds: FloatArray
    constants: FloatArray
    means: FloatArray
    factors: FloatArray
    tied_precisions: FloatArray


class Sums(NamedTuple):
    """What a pass adds up, about the centre.

    Attributes
    ----------
    log_likelihood : ndarray of shape (C,)
        Weighted log-likelihood of every candidate, in nats.
    spherical, tied, diag, full : ndarray
        Responsibilities times features, shaped as the coefficients.
    shared : ndarray of shape (d, d)
        Weighted sum of x x'.
    """

    log_likelihood: FloatArray
    spherical: FloatArray
    tied: FloatArray
    diag: FloatArray
    full: FloatArray
    shared: FloatArray


def empty_sums(stack: Stack) -> Sums:
    """Return zeros in the shapes that belong to a stack."""
    d = stack.means.shape[1]
    return Sums(
        log_likelihood=np.zeros(len(stack.bounds)),
        spherical=np.zeros(stack.spherical.shape),
        tied=np.zeros(stack.tied.shape),
        diag=np.zeros(stack.diag.shape),
        full=np.zeros(stack.full.shape),
        shared=np.zeros((d, d)),
    )


def aligned(*shape: int) -> FloatArray:
    """Return an uninitialised array that starts on a cache line, so that no sum depends on where it was allocated."""
    size = int(np.prod(shape))
    buffer = np.empty(size + 8)
    skip = (-buffer.ctypes.data % 64) // 8
    return buffer[skip : skip + size].reshape(shape)


def owned(array: NDArray[Any], dtype: type = np.float64) -> NDArray[Any]:
    """Return a contiguous, writable copy: compiled loops are compiled once for every kind of array that they meet."""
    return np.array(array, dtype=dtype, order="C")


def owned_stack(stack: Stack) -> Stack:
    """Return a stack of arrays that are all of the one kind that the compiled loops expect."""
    copies = {name: owned(part) for name, part in stack._asdict().items() if name != "offsets"}
    return Stack(**copies, offsets=owned(stack.offsets, np.int64))
