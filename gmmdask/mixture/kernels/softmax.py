"""Responsibilities from log joint densities, one candidate after the other, a few hundred rows at a time."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from gmmdask.mixture.kernels.arrays import FloatArray
from gmmdask.mixture.kernels.elementary import exp_nonpositive, log_positive

LANES = 256
LOWEST = -np.finfo(np.float64).max


@njit(nogil=True, cache=True, fastmath={"contract"})
def _exponentiate(joint: Any, start: int, top: Any, total: Any) -> None:
    """Replace log joint densities by exp(joint - top) and sum them over the components; `top` is their maximum."""
    width = top.shape[0]
    for i in range(width):
        top[i] = LOWEST
        total[i] = 0.0
    for k in range(joint.shape[0]):
        row = joint[k][start : start + width]
        for i in range(width):
            top[i] = top[i] if row[i] < top[i] else row[i]
    for k in range(joint.shape[0]):
        row = joint[k][start : start + width]
        for i in range(width):
            value = LOWEST if row[i] < LOWEST else row[i]
            row[i] = exp_nonpositive(value - top[i])
            total[i] += row[i]


@njit(nogil=True, cache=True, fastmath={"contract"}, error_model="numpy")
def softmax_tile(joint: Any, start: int, weights: Any, top: Any, total: Any) -> None:
    """Turn log joint densities of one candidate (K, n) into weighted responsibilities, in place, for a tile of rows.

    The tile begins at row `start` and is as wide as `top`, which returns log sum exp of every row; `total` is workspace.
    """
    _exponentiate(joint, start, top, total)
    width = top.shape[0]
    for i in range(width):
        top[i] += log_positive(total[i])
        total[i] = weights[i] / total[i]
    for k in range(joint.shape[0]):
        row = joint[k][start : start + width]
        for i in range(width):
            row[i] *= total[i]


@njit(nogil=True, cache=True)
def fold(lanes: Any) -> float:
    """Add 2**m numbers pairwise in place, in an order that is written out here."""
    width = lanes.shape[0]
    while width > 1:
        width //= 2
        for i in range(width):
            lanes[i] += lanes[i + width]
    return float(lanes[0])


@njit(nogil=True, cache=True, fastmath={"contract"})
def softmax_block(joint: Any, offsets: Any, weights: Any, log_likelihood: Any, workspace: Any) -> None:
    """Turn log joint densities (M, n) into weighted responsibilities and add to the candidates' log-likelihoods.

    `workspace` has shape (3, LANES).
    """
    lanes = workspace[2]
    for c in range(offsets.shape[0] - 1):
        lanes[:] = 0.0
        for start in range(0, joint.shape[1], LANES):
            stop = min(start + LANES, joint.shape[1])
            top, total = workspace[0][: stop - start], workspace[1][: stop - start]
            softmax_tile(joint[offsets[c] : offsets[c + 1]], start, weights[start:stop], top, total)
            for i in range(stop - start):
                lanes[i] += weights[start + i] * top[i]
        log_likelihood[c] += fold(lanes)


@njit(nogil=True, cache=True)
def _softmax_rows(joint: Any, weights: Any, log_sum: Any, workspace: Any) -> None:
    for start in range(0, joint.shape[1], LANES):
        stop = min(start + LANES, joint.shape[1])
        softmax_tile(joint, start, weights[: stop - start], log_sum[start:stop], workspace[: stop - start])


def softmax(joint: NDArray[np.float64]) -> tuple[FloatArray, FloatArray]:
    """Return log sum exp and responsibilities of log joint densities.

    Parameters
    ----------
    joint : ndarray of shape (K, n)
        Log joint densities of one candidate, in nats. Not changed.

    Returns
    -------
    log_sum : ndarray of shape (n,)
        Log density of every row, in nats.
    responsibilities : ndarray of shape (K, n)
        Sum to one over the components.
    """
    responsibilities = np.array(joint, dtype=np.float64, order="C")
    log_sum = np.empty(joint.shape[1])
    _softmax_rows(responsibilities, np.ones(LANES), log_sum, np.empty(LANES))
    return log_sum, responsibilities
