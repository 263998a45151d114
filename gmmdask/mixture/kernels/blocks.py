"""Blocks of rows: centring, features of the expanded form, and the factor form. Nothing here sums over rows."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from numba import njit

from gmmdask.mixture.kernels.arrays import FloatArray, Rows, aligned, owned

CHUNK_ROWS = 8192


class Block(NamedTuple):
    """One block: features (1 + p, b), raw values (d, b), weights (b,), and its largest scaled distance squared."""

    features: FloatArray
    raw: FloatArray
    weights: FloatArray
    radius: float


@njit(nogil=True, cache=True, fastmath={"contract"})
def centre_rows(raw: Any, weights: Any, centre: Any, scale: Any, features: Any) -> float:
    """Fill features[0] = |x|^2, [1] = 1, then x and x^2; return max |x / scale|^2.

    Rows of weight zero are moved to the centre, in `raw` too, so that whatever they hold cannot reach a sum.
    """
    d, n = raw.shape
    squared, radii = features[0], features[1]
    squared[:] = 0.0
    radii[:] = 0.0
    for j in range(d):
        row, x, square = raw[j], features[2 + j], features[2 + d + j]
        origin, inverse = centre[j], 1.0 / scale[j]
        for i in range(n):
            value = origin if weights[i] == 0.0 else row[i]
            row[i] = value
            x[i] = value - origin
            square[i] = x[i] * x[i]
            squared[i] += square[i]
            radii[i] += (x[i] * inverse) * (x[i] * inverse)
    largest = 0.0
    for i in range(n):
        if radii[i] > largest:  # NaN is passed over: it spoils its own row only
            largest = radii[i]
        radii[i] = 1.0
    return float(largest)


@njit(nogil=True, cache=True)
def cross_products(features: Any, d: int) -> None:
    """Fill x_i x_j for i < j, row-major, behind the squares."""
    at = 2 + 2 * d
    for i in range(d):
        x = features[2 + i]
        for j in range(i + 1, d):
            y, out = features[2 + j], features[at]
            for m in range(x.shape[0]):
                out[m] = x[m] * y[m]
            at += 1


@njit(nogil=True, cache=True, fastmath={"contract"})
def factor_row(raw: Any, mean: Any, factor: Any, constant: float, out: Any, workspace: Any) -> None:
    """Fill out = constant - |factor.T @ (raw - mean)|^2 / 2; `workspace` (1 + d, b) returns raw - mean behind its first row."""
    d, n = raw.shape
    projection = workspace[0]
    for j in range(d):
        row, difference, mu = raw[j], workspace[1 + j], mean[j]
        for i in range(n):
            difference[i] = row[i] - mu
    out[:] = constant
    for a in range(d):
        projection[:] = 0.0
        for j in range(d):
            entry = factor[j, a]
            difference = workspace[1 + j]
            if entry != 0.0:
                for i in range(n):
                    projection[i] += entry * difference[i]
        for i in range(n):
            out[i] -= 0.5 * projection[i] * projection[i]


@njit(nogil=True, cache=True)
def factor_rows(raw: Any, means: Any, factors: Any, constants: Any, joint: Any, workspace: Any) -> None:
    """Fill joint (M, b) by the factor form."""
    for m in range(means.shape[0]):
        factor_row(raw, means[m], factors[m], constants[m], joint[m], workspace)


def float64_chunks(rows: Rows) -> Iterator[tuple[FloatArray, FloatArray]]:
    """Yield values and weights for compiled loops over whole leaves; no weights at all stand for one each.

    Rows that are contiguous float64 come in one piece. Others are converted a chunk at a time; a chunk is a whole number of
    blocks, so that the type changes no sum. All are made read-only, for a loop is compiled once for every kind of array.
    """
    n = rows.values.shape[1]
    whole = rows.values.dtype == np.float64 and rows.values.flags.c_contiguous
    weights = np.empty(0) if rows.weights is None else np.ascontiguousarray(rows.weights, dtype=np.float64)
    for start in range(0, n, max(n, 1) if whole else CHUNK_ROWS):
        values = rows.values if whole else rows.values[:, start : start + CHUNK_ROWS]
        part = weights if whole else weights[start : start + CHUNK_ROWS]
        yield _read_only(np.ascontiguousarray(values, dtype=np.float64)), _read_only(part)


def _read_only(array: FloatArray) -> FloatArray:
    view = array.view()
    view.flags.writeable = False
    return view


def block_features(d: int, with_cross: bool) -> int:
    """Return the number of feature rows of a block."""
    return 2 + 2 * d + (d * (d - 1) // 2 if with_cross else 0)


class BlockReader:
    """Reads blocks of rows as float64 into buffers that are used again for the next block."""

    def __init__(self, rows: Rows, width: int, with_cross: bool) -> None:
        self.rows = rows._replace(centre=owned(rows.centre), scale=owned(rows.scale))
        self.width = max(1, min(width, rows.values.shape[1]))
        self.with_cross = with_cross
        d = rows.values.shape[0]
        self._raw = aligned(d * self.width)
        self._features = aligned(block_features(d, with_cross) * self.width)
        self._weights = aligned(self.width)

    def read(self, start: int) -> Block:
        """Return the block that begins at this row."""
        values, weights, centre, scale = self.rows
        d, n = values.shape
        stop = min(start + self.width, n)
        b = stop - start
        raw = self._raw[: d * b].reshape(d, b)
        features = self._features[: block_features(d, self.with_cross) * b].reshape(-1, b)
        raw[...] = values[:, start:stop]
        self._weights[:b] = 1.0 if weights is None else weights[start:stop]
        radius = centre_rows(
            raw, self._weights[:b], np.ascontiguousarray(centre), np.ascontiguousarray(scale), features
        )
        if self.with_cross:
            cross_products(features, d)
        return Block(features, raw, self._weights[:b], radius)
