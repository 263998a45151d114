"""Sums of one candidate about its components' own means, for components that are tight and far from the centre."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numba import njit

from gmmdask.mixture.kernels.arrays import FloatArray, Rows, Stack, aligned, owned
from gmmdask.mixture.kernels.blocks import factor_row, float64_chunks
from gmmdask.mixture.kernels.fused import load_block
from gmmdask.mixture.kernels.softmax import LANES, softmax_block
from gmmdask.mixture.kernels.tiles import empty_packed, packed_positions, summarize, symmetric, unpack


class LocalSums(NamedTuple):
    """Sums of one candidate of K components.

    Attributes
    ----------
    log_likelihood : ndarray of shape ()
        Weighted log-likelihood, in nats.
    counts : ndarray of shape (K,)
        Weighted responsibilities r.
    first : ndarray of shape (K, d)
        Sum of r (x - mu_k).
    second : ndarray of shape (K, d, d)
        Sum of r (x - mu_k) (x - mu_k)'.
    """

    log_likelihood: FloatArray
    counts: FloatArray
    first: FloatArray
    second: FloatArray


def empty_local_sums(stack: Stack) -> LocalSums:
    """Return zeros in the shapes that belong to a stack of one candidate."""
    k, d = stack.means.shape
    return LocalSums(np.zeros(()), np.zeros(k), np.zeros((k, d)), np.zeros((k, d, d)))


@njit(nogil=True, cache=True)
def _local_leaf(
    values: Any, weights: Any, centre: Any, offsets: Any, model: Any, block: Any, work: Any, out: Any
) -> None:
    """Add log-likelihood, counts and packed sums about the means."""
    means, factors, constants = model
    raw, block_weights, joint, differences = block
    log_likelihood, counts, sums = out
    for start in range(0, values.shape[1], LANES):
        load_block(values, weights, start, centre, raw, block_weights)
        for m in range(means.shape[0]):
            factor_row(raw, means[m], factors[m], constants[m], joint[m], differences[m])
        softmax_block(joint, offsets, block_weights, log_likelihood, work[0])
        for m in range(means.shape[0]):
            summarize(joint[m], differences[m, 1:], work[1], counts[m], sums[m])


def accumulate_local(rows: Rows, stack: Stack, sums: LocalSums) -> None:
    """Add one pass over the rows to the sums of one candidate, about its components' means.

    Parameters
    ----------
    rows : Rows
        Any number of rows; the centre only stands in for rows of weight zero.
    stack : Stack
        One candidate of any structure; its constants, means and factors are used.
    sums : LocalSums
        Added to in place.
    """
    k, d = stack.means.shape
    differences = aligned(k, 1 + -(-d // 4) * 4, LANES)
    differences[...] = 0.0
    block = (aligned(d, LANES), aligned(LANES), aligned(k, LANES), differences)
    out = (np.zeros(1), *empty_packed(k, d))
    model = (owned(stack.means), owned(stack.factors), owned(stack.constants))
    work = (aligned(3, LANES), aligned(4, LANES))
    for values, weights in float64_chunks(rows):
        _local_leaf(values, weights, owned(rows.centre), np.array([0, k]), model, block, work, out)
    expanded = unpack(out[1], out[2], packed_positions(d))
    sums.log_likelihood[...] += out[0][0]
    sums.counts[...] += expanded[:, 0]
    sums.first[...] += expanded[:, 1 : 1 + d]
    sums.second[...] += symmetric(expanded, d)
