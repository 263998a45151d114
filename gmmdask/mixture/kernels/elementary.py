"""Exponential and logarithm that LLVM can vectorise inside a Numba loop. Scalar functions only; no arrays.

Numba calls the C library once per element for `math.exp`, about seven times slower than these polynomials, which consist of
additions, multiplications and bit patterns alone. Their domain is what a softmax needs, not all of the real line.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir  # type: ignore[import-untyped]
from numba import njit, types
from numba.extending import intrinsic

LOWEST_EXPONENT = -708.0
LOG2_E = 1.4426950408889634074
LN2_HIGH = 6.93147180369123816490e-01
LN2_LOW = 1.90821492927058770002e-10
ROUNDING = 6755399441055744.0  # 1.5 * 2**52: adding it leaves the nearest integer in the lowest bits
ROUNDING_BITS = 0x4338000000000000
MANTISSA = 0x000FFFFFFFFFFFFF
SQRT_HALF_BITS = 0x3FE6A09E667F3BCD


def _bits(_context: Any, _value: Any) -> Any:
    """Return the bit pattern of a float64 as int64."""

    def generate(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        return builder.bitcast(arguments[0], ir.IntType(64))

    return types.int64(types.float64), generate


def _float(_context: Any, _pattern: Any) -> Any:
    """Return the float64 with this bit pattern."""

    def generate(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        return builder.bitcast(arguments[0], ir.DoubleType())

    return types.float64(types.int64), generate


_bits_of: Any = intrinsic(_bits)
_float_of: Any = intrinsic(_float)


@njit(nogil=True, cache=True, fastmath={"contract"})
def exp_nonpositive(x: float) -> float:
    """Return exp(x) for x <= 0 to 1-2 ulp; 0 below -708; NaN stays NaN.

    exp(x) = 2**n exp(r) with |r| <= log(2)/2; the polynomial interpolates (exp(r) - 1 - r - r^2/2) / r^3 at nine
    Chebyshev nodes of that interval; its error is under 4e-17.
    """
    clipped = LOWEST_EXPONENT if x < LOWEST_EXPONENT else x
    shifted = clipped * LOG2_E + ROUNDING
    n = shifted - ROUNDING
    r = (clipped - n * LN2_HIGH) - n * LN2_LOW
    p = r * 2.509555212584642e-08 + 2.7613806837335536e-07
    p = p * r + 2.755728007254566e-06
    p = p * r + 2.480153638869977e-05
    p = p * r + 0.00019841269854335245
    p = p * r + 0.0013888888905881584
    p = p * r + 0.008333333333332157
    p = p * r + 0.04166666666665136
    p = p * r + 0.16666666666666666
    p = p * r + 0.5
    p = (p * r) * r + r + 1.0
    power = _float_of((_bits_of(shifted) + 1023) << 52)
    return 0.0 if x < LOWEST_EXPONENT else p * power


@njit(nogil=True, cache=True, fastmath={"contract"}, error_model="numpy")
def log_positive(x: float) -> float:
    """Return log(x) to about 1 ulp for positive, finite, normal x.

    NumPy's error model leaves out the test for division by zero, a branch that would keep the loop from being vectorised.

    Reduction and coefficients of FDLIBM's e_log.c (Sun Microsystems, 1993): with x = 2**n (1 + f), s = f / (2 + f),
    log(1 + f) = f - f**2/2 + s (f**2/2 + R(s**2)).
    """
    bits = _bits_of(x)
    n_bits = (bits - SQRT_HALF_BITS + 0x3FF0000000000000) >> 52
    n = _float_of((n_bits - 1023) + ROUNDING_BITS) - ROUNDING
    f = _float_of(bits - ((n_bits - 1023) << 52)) - 1.0
    s = f / (2.0 + f)
    z = s * s
    r = z * 1.479819860511658591e-01 + 1.531383769920937332e-01
    r = r * z + 1.818357216161805012e-01
    r = r * z + 2.222219843214978396e-01
    r = r * z + 2.857142874366239149e-01
    r = r * z + 3.999999999940941908e-01
    r = r * z + 6.666666666666735130e-01
    half = 0.5 * f * f
    result: float = n * LN2_HIGH - ((half - (s * (half + r * z) + n * LN2_LOW)) - f)
    return result
