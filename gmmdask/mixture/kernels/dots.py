"""Tiles of dot products in explicit vectors of eight: the order of every sum is written here, not chosen by a compiler.

A sum over rows cannot be vectorised without permission to reorder it, and what LLVM then makes of it differs between
processors and versions. So these inner loops are spelled out as LLVM instructions: eight lanes, one fused
multiply-add per product, sixteen sums side by side. Wherever a vector of eight does not fit one register, LLVM splits
it without changing a bit.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from llvmlite import ir  # type: ignore[import-untyped]
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from gmmdask.mixture.kernels.softmax import LANES

WIDTH = 8
VECTOR = ir.VectorType(ir.DoubleType(), WIDTH)
INTEGER = ir.IntType(64)


class _Emitter:
    """Emits vector instructions over blocks of LANES numbers."""

    def __init__(self, context: Any, builder: Any) -> None:
        self.context, self.builder = context, builder
        fused = ir.FunctionType(VECTOR, [VECTOR] * 3)
        name = f"llvm.fma.v{WIDTH}f64"
        self._fused = cgutils.get_or_insert_function(builder.module, fused, name)  # type: ignore[no-untyped-call]

    def data(self, array_type: Any, array: Any) -> Any:
        """Return the address of an array's first number."""
        return self.context.make_array(array_type)(self.context, self.builder, array).data

    def row(self, address: Any, index: Any, offset: int = 0, length: int = LANES) -> Any:
        """Return the address of row `index + offset`, rows being `length` numbers long."""
        row = self.builder.add(index, INTEGER(offset))
        return self.builder.gep(address, [self.builder.mul(row, INTEGER(length))])

    def load(self, row: Any, position: Any) -> Any:
        """Return the eight numbers of a row that begin at a position."""
        address = self.builder.gep(row, [position])
        return self.builder.load(self.builder.bitcast(address, VECTOR.as_pointer()), align=8)

    def store(self, vector: Any, row: Any, position: Any) -> None:
        """Store eight numbers."""
        address = self.builder.gep(row, [position])
        self.builder.store(vector, self.builder.bitcast(address, VECTOR.as_pointer()), align=8)

    def sums(self, count: int) -> list[Any]:
        """Return that many sums of eight lanes, all zero; registers once optimised."""
        zero = ir.Constant(VECTOR, [0.0] * WIDTH)
        slots = [cgutils.alloca_once(self.builder, VECTOR) for _ in range(count)]  # type: ignore[no-untyped-call]
        for slot in slots:
            self.builder.store(zero, slot)
        return slots

    def add(self, slot: Any, left: Any, right: Any | None = None) -> None:
        """Add a vector, or the product of two in one rounding, to a sum."""
        before = self.builder.load(slot)
        after = (
            self.builder.fadd(before, left) if right is None else self.builder.call(self._fused, [left, right, before])
        )
        self.builder.store(after, slot)

    def each(self, body: Callable[[Any], None]) -> None:
        """Run the body at positions 0, 8, ... of a block."""
        with cgutils.for_range(self.builder, INTEGER(LANES // WIDTH), intp=INTEGER) as loop:
            body(self.builder.mul(loop.index, INTEGER(WIDTH)))

    def finish(self, slots: list[Any], address: Any, first: Any) -> None:
        """Add the sums of the block to rows of eight in memory."""
        for offset, slot in enumerate(slots):
            row = self.row(address, first, offset, WIDTH)
            total = self.builder.fadd(self.load(row, INTEGER(0)), self.builder.load(slot))
            self.store(total, row, INTEGER(0))


def _diagonal(_context: Any, r: Any, x: Any, i: Any, weighted: Any, sums: Any, at: Any) -> Any:
    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        emit = _Emitter(context, builder)
        r_row, x_data, weighted_data, sums_data = (emit.data(signature.args[n], arguments[n]) for n in (0, 1, 3, 4))
        x_rows = [emit.row(x_data, arguments[2], a) for a in range(4)]
        weighted_rows = [emit.row(weighted_data, INTEGER(a)) for a in range(4)]
        slots = emit.sums(14)

        def body(position: Any) -> None:
            responsibility = emit.load(r_row, position)
            features = [emit.load(row, position) for row in x_rows]
            products = [builder.fmul(responsibility, feature) for feature in features]
            quadratic = iter(slots[4:])
            for a, product in enumerate(products):
                emit.store(product, weighted_rows[a], position)
                emit.add(slots[a], product)
                for feature in features[: a + 1]:
                    emit.add(next(quadratic), product, feature)

        emit.each(body)
        emit.finish(slots, sums_data, arguments[5])
        return context.get_dummy_value()

    return types.void(r, x, i, weighted, sums, at), generate


def _cross(_context: Any, weighted: Any, x: Any, j: Any, sums: Any, at: Any) -> Any:
    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        emit = _Emitter(context, builder)
        weighted_data, x_data, sums_data = (emit.data(signature.args[n], arguments[n]) for n in (0, 1, 3))
        weighted_rows = [emit.row(weighted_data, INTEGER(a)) for a in range(4)]
        x_rows = [emit.row(x_data, arguments[2], b) for b in range(4)]
        slots = emit.sums(16)

        def body(position: Any) -> None:
            features = [emit.load(row, position) for row in x_rows]
            for a, row in enumerate(weighted_rows):
                product = emit.load(row, position)
                for b, feature in enumerate(features):
                    emit.add(slots[4 * a + b], product, feature)

        emit.each(body)
        emit.finish(slots, sums_data, arguments[4])
        return context.get_dummy_value()

    return types.void(weighted, x, j, sums, at), generate


sum_diagonal: Any = intrinsic(_diagonal)
"""Add to sums[at:at + 14, 8] the sums of r x and of r x x' among features i..i+3; fill `weighted` (4, LANES) with r x."""

sum_cross: Any = intrinsic(_cross)
"""Add to sums[at:at + 16, 8] the products of the rows of `weighted` with features j..j+3."""
