"""Numbers of 16 bits, widened to float32: float16, which has 10 bits behind the point, and bfloat16, which has 7.

    float16    sign, 5 bits of exponent, 10 of fraction       (IEEE 754 half precision)
    bfloat16   sign, 8 bits of exponent,  7 of fraction       the upper half of a float32
    float32    sign, 8 bits of exponent, 23 of fraction

A bfloat16 needs a shift and nothing else. A float16 counts its exponent from another number: its bits, moved to their
places in a float32, are the same number times 2**-112, so one exact multiplication repairs them, also where the number
is subnormal (its exponent is 0). NumPy's own conversion gives the same numbers one by one, and takes several times as
long for subnormal ones.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ...arrays import AnyArray, Float32

FRACTION_SHIFT = 23 - 10  # a float32 has so many more bits of fraction
REPEATED_SIGN = 0x7000_0000  # where the sign stands once more after the shift
SCALE = np.float32(2.0**112)  # exponents are counted from 127 and not from 15
END_OF_FLOAT16 = 2.0**16  # what infinities and NaNs become, and no finite float16 reaches

PIECE = 2**16  # numbers that are copied at a time, so that they stay in the processor's cache
LEAST_ROWS = 16  # of a piece: a transposed row of it then fills a line of the cache


def bfloat16_to_float32(bits: npt.NDArray[np.uint16]) -> Float32:
    """Widen bfloat16 to float32: a bfloat16 is the upper half of a float32.

    >>> bfloat16_to_float32(np.array([0x3F80, 0xC000], np.uint16))
    array([ 1., -2.], dtype=float32)
    """
    wide = bits.astype(np.uint32)
    wide <<= 16  # in place: a scalar stays an array
    return wide.view(np.float32)


def copy_into(target: AnyArray, source: AnyArray) -> None:
    """Do `target[...] = source`, for arrays of one shape and any dtypes and memory orders, fast for large matrices.

    It goes a few rows at a time, in the order in which the source lies in memory; float16 becomes float32 by its bits.
    """
    if source.ndim != 2:
        _copy_piece(target, source)
        return
    if abs(source.strides[0]) < abs(source.strides[1]):
        target, source = target.T, source.T
    n_rows = max(LEAST_ROWS, PIECE // max(1, source.shape[1]))
    for start in range(0, len(source), n_rows):
        rows = slice(start, start + n_rows)
        _copy_piece(target[rows], source[rows])


def _copy_piece(target: AnyArray, source: AnyArray) -> None:
    if source.dtype != np.float16 or target.dtype != np.float32:
        np.copyto(target, source, casting="unsafe")
    elif target.flags.c_contiguous:
        _widen(source, target)
    else:
        wide = np.empty(source.shape, np.float32)
        _widen(source, wide)
        np.copyto(target, wide)


def _widen(source: AnyArray, wide: Float32) -> None:
    """Fill `wide` with the numbers of a float16 array."""
    bits = wide.view(np.int32)
    np.copyto(bits, source.view(np.int16))  # copies of the sign fill the upper half
    np.left_shift(bits, FRACTION_SHIFT, out=bits)
    np.bitwise_and(bits, ~REPEATED_SIGN, out=bits)
    np.multiply(wide, SCALE, out=wide)
    if wide.size and max(wide.max(), -wide.min()) >= END_OF_FLOAT16:
        np.copyto(wide, source)  # it has infinities or NaNs: NumPy's way, which keeps them
