"""The pass as two matrix products per block, for any stack of candidates. BLAS runs under the caller's thread limit."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from gmmdask.mixture.kernels.arrays import ERROR_LIMIT, FloatArray, Rows, Stack, Sums, aligned, empty_sums, owned_stack
from gmmdask.mixture.kernels.blocks import Block, BlockReader, block_features, factor_rows
from gmmdask.mixture.kernels.softmax import LANES, softmax_block

BLOCK_ROWS = 1024
WIDE_BLOCK_ROWS = 256
WIDE_FEATURES = 1024


class _Part(NamedTuple):
    """The rows of a stack that share a structure, the features they need, and their coefficients."""

    stack_rows: slice
    feature_rows: slice
    coefficients: FloatArray
    sums: FloatArray


def _parts(stack: Stack, sums: Sums) -> list[_Part]:
    pairs = [
        (stack.spherical, sums.spherical),
        (stack.tied, sums.tied),
        (stack.diag, sums.diag),
        (stack.full, sums.full),
    ]
    parts, begin = [], 0
    for (coefficients, part_sums), first in zip(pairs, (0, 1, 1, 1), strict=True):
        end = begin + len(coefficients)
        features = slice(first, first + coefficients.shape[1])
        if end > begin:
            parts.append(_Part(slice(begin, end), features, coefficients, part_sums))
        begin = end
    return parts


def _tied_candidates(stack: Stack) -> slice:
    """Return which candidates are tied."""
    first, last = len(stack.spherical), len(stack.spherical) + len(stack.tied)
    begin, end = np.searchsorted(stack.offsets, [first, last])
    return slice(int(begin), int(end))


class _Pass:
    """Evaluates a stack block by block. Holds buffers that are used again, never results."""

    def __init__(self, rows: Rows, stack: Stack, sums: Sums) -> None:
        self.stack = stack = owned_stack(stack)
        self.parts = _parts(stack, sums)
        self.tied = _tied_candidates(stack)
        d = stack.means.shape[1]
        with_cross = len(stack.full) > 0
        wide = block_features(d, with_cross) > WIDE_FEATURES
        self.reader = BlockReader(rows, WIDE_BLOCK_ROWS if wide else BLOCK_ROWS, with_cross)
        self._joint = aligned(len(stack.means) * self.reader.width)
        self._factor = aligned((1 + d) * self.reader.width)
        self._weighted = aligned(d * self.reader.width)
        self._products = [aligned(*part.coefficients.shape) for part in self.parts]
        self.lanes = aligned(3, LANES)

    def joint(self, block: Block) -> tuple[FloatArray, NDArray[np.bool_]]:
        """Return log joint densities (tied ones without the common quadratic) and which candidates took the factor form."""
        b = len(block.weights)
        joint = self._joint[: len(self.stack.means) * b].reshape(-1, b)
        # Rows so far out that their products overflow are no one's; neither are they worth a warning on every terminal.
        with np.errstate(over="ignore", invalid="ignore"):
            for part in self.parts:
                np.matmul(part.coefficients, block.features[part.feature_rows], out=joint[part.stack_rows])
        exact: NDArray[np.bool_] = self.stack.bounds * block.radius > ERROR_LIMIT
        for c in np.flatnonzero(exact):
            own = slice(self.stack.offsets[c], self.stack.offsets[c + 1])
            means, factors, constants = self.stack.means[own], self.stack.factors[own], self.stack.constants[own]
            workspace = self._factor[: (1 + means.shape[1]) * b].reshape(-1, b)
            factor_rows(block.raw, means, factors, constants, joint[own], workspace)
        return joint, exact

    def add_moments(self, block: Block, responsibilities: FloatArray) -> None:
        """Add responsibilities times features."""
        for part, product in zip(self.parts, self._products, strict=True):
            np.matmul(responsibilities[part.stack_rows], block.features[part.feature_rows].T, out=product)
            np.add(part.sums, product, out=part.sums)

    def second_moment(self, block: Block) -> FloatArray:
        """Return the block's weighted sum of x x', symmetric to the bit."""
        d, b = block.raw.shape
        x = block.features[2 : 2 + d]
        weighted = np.multiply(x, block.weights, out=self._weighted[: d * b].reshape(d, b))
        product: FloatArray = np.tril(np.matmul(weighted, x.T))
        return product + np.tril(product, -1).T


def accumulate_stacked(rows: Rows, stack: Stack, sums: Sums, *, with_shared: bool = False) -> None:
    """Add one pass over the rows to the sums: L = W F, responsibilities R = softmax of L, S += R F'.

    Parameters
    ----------
    rows : Rows
        Any number of rows.
    stack : Stack
        Candidates of any mixture of structures.
    sums : Sums
        Added to in place. `shared` is filled where there are tied candidates or `with_shared` asks for it.
    with_shared : bool, default False
        Sum w x x' as well.
    """
    one_pass = _Pass(rows, stack, sums)
    stack = one_pass.stack
    log_likelihood = np.zeros(len(stack.bounds))
    needs_shared = with_shared or len(stack.tied) > 0
    for start in range(0, rows.values.shape[1], one_pass.reader.width):
        block = one_pass.reader.read(start)
        joint, exact = one_pass.joint(block)
        softmax_block(joint, stack.offsets, block.weights, log_likelihood, one_pass.lanes)
        one_pass.add_moments(block, joint)
        if needs_shared:
            shared = one_pass.second_moment(block)
            sums.shared[...] += shared
            _complete_tied(stack, one_pass.tied, exact, shared, log_likelihood)
    sums.log_likelihood[...] += log_likelihood


def _complete_tied(
    stack: Stack, tied: slice, exact: NDArray[np.bool_], shared: FloatArray, log_likelihood: FloatArray
) -> None:
    """Subtract <P, sum w x x'> / 2 from the tied candidates whose densities lack it."""
    quadratic = np.einsum("cij,ij->c", stack.tied_precisions, shared)
    log_likelihood[tied] -= np.where(exact[tied], 0.0, 0.5 * quadratic)


def log_joint(rows: Rows, stack: Stack) -> FloatArray:
    """Return the log joint densities of all components for every row, shape (M, n), in nats.

    Weights play no part: a row of weight zero has a density too. A row that holds NaN gets NaN.
    """
    one_pass = _Pass(rows._replace(weights=None), stack, empty_sums(stack))
    joint = np.empty((len(stack.means), rows.values.shape[1]))
    d = rows.values.shape[0]
    for start in range(0, rows.values.shape[1], one_pass.reader.width):
        block = one_pass.reader.read(start)
        values, exact = one_pass.joint(block)
        x = block.features[2 : 2 + d]
        for precision, c in zip(stack.tied_precisions, range(one_pass.tied.start, one_pass.tied.stop), strict=True):
            if not exact[c]:
                values[stack.offsets[c] : stack.offsets[c + 1]] -= 0.5 * np.sum((precision @ x) * x, axis=0)
        joint[:, start : start + len(block.weights)] = values
    return joint
