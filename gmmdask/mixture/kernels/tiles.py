"""Tiles of the fused kernel: four features by four features of one component, over a block of exactly `LANES` rows.

Features are padded with zeros to a multiple of four. A component's coefficients are packed tile by tile: for every four
features i first four linear and ten lower-triangular quadratic ones, then sixteen for every earlier four features j.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from gmmdask.mixture.kernels.arrays import FloatArray, aligned
from gmmdask.mixture.kernels.softmax import LANES

DIAGONAL, CROSS = 14, 16


def packed_size(d: int) -> int:
    """Return the number of packed coefficients of a component without its constant."""
    tiles = -(-d // 4)
    return DIAGONAL * tiles + CROSS * (tiles * (tiles - 1) // 2)


@njit(nogil=True, cache=True)
def packed_positions(d: int, positions: Any) -> None:
    """Fill the feature (in the order 1, x, x^2, x_i x_j) of every packed coefficient; -1 where there is padding."""
    positions[:] = -1
    at = 0
    for i in range(0, d, 4):
        for a in range(4):
            if i + a < d:
                positions[at + a] = 1 + i + a
        at += 4
        for a in range(4):
            for b in range(a + 1):
                positions[at] = _quadratic(d, i + b, i + a)
                at += 1
        for j in range(0, i, 4):
            for a in range(4):
                for b in range(4):
                    positions[at] = _quadratic(d, j + b, i + a)
                    at += 1


@njit(nogil=True, cache=True)
def _quadratic(d: int, i: int, j: int) -> int:
    """Return the position of x_i x_j, i <= j."""
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


@njit(nogil=True, cache=True, fastmath={"contract", "reassoc"})
def sum_diagonal(r: Any, x: Any, i: int, s: Any) -> None:
    """Add the sums that belong to the coefficients of `add_diagonal`: r x and r x x' among four features."""
    x0, x1, x2, x3 = x[i], x[i + 1], x[i + 2], x[i + 3]
    h0 = h1 = h2 = h3 = s00 = s10 = s11 = s20 = s21 = s22 = s30 = s31 = s32 = s33 = 0.0
    for m in range(LANES):
        a, b, c, d = x0[m], x1[m], x2[m], x3[m]
        ra, rb, rc, rd = r[m] * a, r[m] * b, r[m] * c, r[m] * d
        h0 += ra
        h1 += rb
        h2 += rc
        h3 += rd
        s00 += ra * a
        s10 += rb * a
        s11 += rb * b
        s20 += rc * a
        s21 += rc * b
        s22 += rc * c
        s30 += rd * a
        s31 += rd * b
        s32 += rd * c
        s33 += rd * d
    for k, value in enumerate((h0, h1, h2, h3, s00, s10, s11, s20, s21, s22, s30, s31, s32, s33)):
        s[k] += value


@njit(nogil=True, cache=True, fastmath={"contract", "reassoc"})
def sum_cross(r: Any, x: Any, i: int, j: int, s: Any) -> None:
    """Add the sums that belong to the coefficients of `add_cross`, two features by four at a time."""
    y0, y1, y2, y3 = x[j], x[j + 1], x[j + 2], x[j + 3]
    for half in range(2):
        x0, x1 = x[i + 2 * half], x[i + 2 * half + 1]
        s00 = s01 = s02 = s03 = s10 = s11 = s12 = s13 = 0.0
        for m in range(LANES):
            a, b = r[m] * x0[m], r[m] * x1[m]
            s00 += a * y0[m]
            s01 += a * y1[m]
            s02 += a * y2[m]
            s03 += a * y3[m]
            s10 += b * y0[m]
            s11 += b * y1[m]
            s12 += b * y2[m]
            s13 += b * y3[m]
        for k, value in enumerate((s00, s01, s02, s03, s10, s11, s12, s13)):
            s[8 * half + k] += value


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
def summarize(r: Any, x: Any, s: Any) -> None:
    """Add responsibilities times features in packed order."""
    at = 0
    for i in range(0, x.shape[0], 4):
        sum_diagonal(r, x, i, s[at : at + DIAGONAL])
        at += DIAGONAL
        for j in range(0, i, 4):
            sum_cross(r, x, i, j, s[at : at + CROSS])
            at += CROSS


def pack(coefficients: FloatArray, positions: NDArray[np.int64]) -> FloatArray:
    """Return full coefficients (M, p) without their constants in packed order."""
    packed = aligned(len(coefficients), len(positions))
    packed[...] = np.where(positions >= 0, coefficients[:, positions], 0.0)
    return packed


def unpack(counts: FloatArray, packed: FloatArray, positions: NDArray[np.int64]) -> FloatArray:
    """Return counts and packed sums in the order 1, x, x^2, x_i x_j."""
    expanded = np.empty((len(packed), int(positions.max()) + 1))
    expanded[:, 0] = counts
    expanded[:, positions[positions >= 0]] = packed[:, positions >= 0]
    return expanded


def symmetric(sums: FloatArray, d: int) -> FloatArray:
    """Return the second moments in rows of sums (M, p) as matrices (M, d, d)."""
    matrices = np.empty((len(sums), d, d))
    rows, columns = np.triu_indices(d, 1)
    matrices[:, range(d), range(d)] = sums[:, 1 + d : 1 + 2 * d]
    matrices[:, rows, columns] = matrices[:, columns, rows] = sums[:, 1 + 2 * d :]
    return matrices
