"""The pass for small stacks of full candidates: one compiled function per leaf that never builds the features."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from gmmdask.mixture.kernels.arrays import ERROR_LIMIT, Rows, Stack, Sums, aligned, owned, owned_stack
from gmmdask.mixture.kernels.blocks import factor_row, float64_chunks
from gmmdask.mixture.kernels.softmax import LANES, softmax_block
from gmmdask.mixture.kernels.tiles import empty_packed, evaluate, pack, packed_positions, summarize, symmetric, unpack


@njit(nogil=True, cache=True)
def load_block(values: Any, weights: Any, start: int, centre: Any, raw: Any, block_weights: Any) -> None:
    """Copy LANES rows as float64; rows of weight zero and those behind the end become the centre with weight zero."""
    stop = min(start + LANES, values.shape[1])
    for i in range(LANES):
        block_weights[i] = 0.0
    for i in range(start, stop):
        block_weights[i - start] = weights[i] if weights.shape[0] > 0 else 1.0
    for j in range(values.shape[0]):
        row, origin = raw[j], centre[j]
        for i in range(stop - start, LANES):
            row[i] = origin
        for i in range(stop - start):
            row[i] = origin if block_weights[i] == 0.0 else values[j, start + i]


@njit(nogil=True, cache=True, fastmath={"contract"})
def centre_block(raw: Any, centre: Any, scale: Any, x: Any, radii: Any) -> float:
    """Fill x = raw - centre and return max |x / scale|^2."""
    radii[:] = 0.0
    for j in range(raw.shape[0]):
        row, out = raw[j], x[j]
        origin, inverse = centre[j], 1.0 / scale[j]
        for i in range(LANES):
            out[i] = row[i] - origin
            radii[i] += (out[i] * inverse) * (out[i] * inverse)
    largest = 0.0
    for i in range(LANES):
        if radii[i] > largest:  # NaN is passed over: it spoils its own row only
            largest = radii[i]
    return float(largest)


@njit(nogil=True, inline="always")
def _evaluate_stack(offsets: Any, exact: Any, model: Any, block: Any, work: Any) -> None:
    """Fill the log joint densities of all components, by candidate in the form that the block calls for."""
    packed, first, constants, means, factors = model
    raw, x, _, joint = block
    for c in range(exact.shape[0]):
        for m in range(offsets[c], offsets[c + 1]):
            if exact[c]:
                factor_row(raw, means[m], factors[m], constants[m], joint[m], work[0])
            else:
                evaluate(first[m], packed[m], x, joint[m])


@njit(nogil=True, inline="always")
def _add_moments(block: Any, work: Any, out: Any) -> None:
    """Add the block's packed sums of all components, and of the weights themselves where `out` has a row for them."""
    _, x, weights, joint = block
    _, counts, sums = out
    for i in range(LANES):
        joint[joint.shape[0] - 1, i] = weights[i]
    for m in range(sums.shape[0]):
        summarize(joint[m], x, work[2], counts[m], sums[m])


@njit(nogil=True, cache=True)
def _fused_leaf(
    values: Any, weights: Any, place: Any, offsets: Any, bounds: Any, model: Any, block: Any, work: Any, out: Any
) -> None:
    centre, scale = place
    raw, x, block_weights, joint = block
    for start in range(0, values.shape[1], LANES):
        load_block(values, weights, start, centre, raw, block_weights)
        exact = bounds * centre_block(raw, centre, scale, x, work[1][2]) > ERROR_LIMIT
        _evaluate_stack(offsets, exact, model, block, work)
        softmax_block(joint, offsets, block_weights, out[0], work[1])
        _add_moments(block, work, out)


def accumulate_fused(rows: Rows, stack: Stack, sums: Sums, *, with_shared: bool = False) -> None:
    """Add one pass over the rows to the sums, for a stack of full candidates only.

    Parameters and results are those of `accumulate_stacked`; the two agree to rounding, not to the bit.
    """
    stack = owned_stack(stack)
    d, n_components = stack.means.shape[1], len(stack.full)
    positions = packed_positions(d)
    packed = pack(stack.full, positions)
    x = aligned(-(-d // 4) * 4, LANES)
    x[...] = 0.0
    block = (aligned(d, LANES), x, aligned(LANES), aligned(n_components + 1, LANES))
    work = (aligned(1 + d, LANES), aligned(3, LANES), aligned(4, LANES))
    n_sums = n_components + with_shared
    out = (np.zeros(len(stack.bounds)), *empty_packed(n_sums, d))
    model = (packed, owned(stack.full[:, 0]), stack.constants, stack.means, stack.factors)
    place = (owned(rows.centre), owned(rows.scale))
    for values, weights in float64_chunks(rows):
        _fused_leaf(values, weights, place, stack.offsets, stack.bounds, model, block, work, out)
    sums.log_likelihood[...] += out[0]
    expanded = unpack(out[1], out[2], positions)
    sums.full[...] += expanded[:n_components]
    if with_shared:
        sums.shared[...] += symmetric(expanded[n_components:], d)[0]
