"""Tiles of the fused kernel: four features by four features of one component, over a block of exactly `LANES` rows.

Features are padded with zeros to a multiple of four. A component's coefficients are packed tile by tile: for every four
features i first four linear and ten lower-triangular quadratic ones, then sixteen for every earlier four features j.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from gmmdask.mixture.kernels.arrays import FloatArray, aligned
from gmmdask.mixture.kernels.dots import WIDTH, sum_cross, sum_diagonal
from gmmdask.mixture.kernels.softmax import LANES

DIAGONAL, CROSS = 14, 16


def packed_size(d: int) -> int:
    """Return the number of packed coefficients of a component without its constant."""
    tiles = -(-d // 4)
    return DIAGONAL * tiles + CROSS * (tiles * (tiles - 1) // 2)


@cache
def packed_positions(d: int) -> NDArray[np.int64]:
    """Return the feature (in the order 1, x, x^2, x_i x_j) of every packed coefficient; -1 where there is padding."""
    positions: list[int] = []
    for i in range(0, d, 4):
        positions += [1 + a if a < d else -1 for a in range(i, i + 4)]
        positions += [_quadratic(d, b, a) for a in range(i, i + 4) for b in range(i, a + 1)]
        for j in range(0, i, 4):
            positions += [_quadratic(d, b, a) for a in range(i, i + 4) for b in range(j, j + 4)]
    return np.array(positions)


def _quadratic(d: int, i: int, j: int) -> int:
    """Return the position of x_i x_j, i <= j; -1 for padding."""
    if j >= d:
        return -1
    if i == j:
        return 1 + d + i
    return 1 + 2 * d + i * (2 * d - i - 1) // 2 + (j - i - 1)


@njit(nogil=True, cache=True, fastmath={"contract"})
def add_diagonal(out: Any, x: Any, i: int, q: Any) -> None:
    """Add the linear terms and squares of four features and the products among them (Horner's form)."""
    h0, h1, h2, h3 = q[0], q[1], q[2], q[3]
    q00, q10, q11, q20, q21 = q[4], q[5], q[6], q[7], q[8]
    q22, q30, q31, q32, q33 = q[9], q[10], q[11], q[12], q[13]
    x0, x1, x2, x3 = x[i], x[i + 1], x[i + 2], x[i + 3]
    for m in range(LANES):
        a, b, c, d = x0[m], x1[m], x2[m], x3[m]
        lower = a * (h0 + q00 * a) + b * (h1 + q10 * a + q11 * b)
        upper = c * (h2 + q20 * a + q21 * b + q22 * c) + d * (h3 + q30 * a + q31 * b + q32 * c + q33 * d)
        out[m] += lower + upper


@njit(nogil=True, cache=True, fastmath={"contract"})
def add_cross(out: Any, x: Any, i: int, j: int, q: Any) -> None:
    """Add the products of features i..i+3 with features j..j+3."""
    q00, q01, q02, q03, q10, q11, q12, q13 = q[0], q[1], q[2], q[3], q[4], q[5], q[6], q[7]
    q20, q21, q22, q23, q30, q31, q32, q33 = q[8], q[9], q[10], q[11], q[12], q[13], q[14], q[15]
    x0, x1, x2, x3 = x[i], x[i + 1], x[i + 2], x[i + 3]
    y0, y1, y2, y3 = x[j], x[j + 1], x[j + 2], x[j + 3]
    for m in range(LANES):
        a, b, c, d = y0[m], y1[m], y2[m], y3[m]
        lower = x0[m] * (q00 * a + q01 * b + q02 * c + q03 * d) + x1[m] * (q10 * a + q11 * b + q12 * c + q13 * d)
        upper = x2[m] * (q20 * a + q21 * b + q22 * c + q23 * d) + x3[m] * (q30 * a + q31 * b + q32 * c + q33 * d)
        out[m] += lower + upper


@njit(nogil=True, cache=True)
def evaluate(constant: float, q: Any, x: Any, out: Any) -> None:
    """Fill out = constant + packed coefficients times features."""
    out[:] = constant
    at = 0
    for i in range(0, x.shape[0], 4):
        add_diagonal(out, x, i, q[at : at + DIAGONAL])
        at += DIAGONAL
        for j in range(0, i, 4):
            add_cross(out, x, i, j, q[at : at + CROSS])
            at += CROSS


@njit(nogil=True, cache=True)
def summarize(r: Any, x: Any, weighted: Any, counts: Any, sums: Any) -> None:
    """Add responsibilities to counts (LANES,) and responsibilities times features, in packed order, to sums (packed, 8).

    `weighted` is workspace of shape (4, LANES).
    """
    for m in range(LANES):
        counts[m] += r[m]
    at = 0
    for i in range(0, x.shape[0], 4):
        sum_diagonal(r, x, i, weighted, sums, at)
        at += DIAGONAL
        for j in range(0, i, 4):
            sum_cross(weighted, x, j, sums, at)
            at += CROSS


def empty_packed(m: int, d: int) -> tuple[FloatArray, FloatArray]:
    """Return zero counts and sums for `summarize`, of M components."""
    counts, sums = aligned(m, LANES), aligned(m, packed_size(d), WIDTH)
    counts[...] = 0.0
    sums[...] = 0.0
    return counts, sums


def _folded(lanes: FloatArray) -> FloatArray:
    """Return the sums over the last axis, of a length that is a power of two, pairwise."""
    while lanes.shape[-1] > 1:
        half = lanes.shape[-1] // 2
        lanes = lanes[..., :half] + lanes[..., half:]
    return lanes[..., 0]


def pack(coefficients: FloatArray, positions: NDArray[np.int64]) -> FloatArray:
    """Return full coefficients (M, p) without their constants in packed order."""
    packed = aligned(len(coefficients), len(positions))
    packed[...] = np.where(positions >= 0, coefficients[:, positions], 0.0)
    return packed


def unpack(counts: FloatArray, sums: FloatArray, positions: NDArray[np.int64]) -> FloatArray:
    """Return counts and packed sums in the order 1, x, x^2, x_i x_j."""
    expanded = np.empty((len(sums), int(positions.max()) + 1))
    expanded[:, 0] = _folded(counts)
    expanded[:, positions[positions >= 0]] = _folded(sums)[:, positions >= 0]
    return expanded


def symmetric(sums: FloatArray, d: int) -> FloatArray:
    """Return the second moments in rows of sums (M, p) as matrices (M, d, d)."""
    matrices = np.empty((len(sums), d, d))
    rows, columns = np.triu_indices(d, 1)
    matrices[:, range(d), range(d)] = sums[:, 1 + d : 1 + 2 * d]
    matrices[:, rows, columns] = matrices[:, columns, rows] = sums[:, 1 + 2 * d :]
    return matrices
