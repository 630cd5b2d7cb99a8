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

from ...arrays import BFLOAT16, AnyArray, Float32

FRACTION_SHIFT = 23 - 10  # a float32 has so many more bits of fraction
REPEATED_SIGN = 0x7000_0000  # where the sign stands once more after the shift
SCALE = np.float32(2.0**112)  # exponents are counted from 127 and not from 15
END_OF_FLOAT16 = 2.0**16  # what infinities and NaNs become, and no finite float16 reaches

PIECE = 2**16  # numbers that are copied at a time, so that they stay in the processor's cache
LEAST_ROWS = 16  # of a piece: a transposed row of it then fills a line of the cache


def widened(array: AnyArray) -> AnyArray:
    """Return bfloat16 numbers as float32; an array of another dtype as it is.

    >>> widened(np.array([0x3F80, 0xC000], np.uint16).view(BFLOAT16))
    array([ 1., -2.], dtype=float32)
    """
    if array.dtype != BFLOAT16:
        return array
    wide = np.empty(array.shape, np.float32)
    _widen_bfloat16(array, wide)
    return wide


def copy_into(target: AnyArray, source: AnyArray) -> None:
    """Do `target[...] = source`, for arrays of one shape and any dtypes and memory orders, fast for large matrices.

    It goes a few rows at a time, in the order in which the source lies in memory, and widens 16 bits as `widened` does.
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
    if source.dtype == BFLOAT16:
        widen = _widen_bfloat16
    elif source.dtype == np.float16 and target.dtype == np.float32:
        widen = _widen_float16
    else:
        np.copyto(target, source, casting="unsafe")
        return
    if target.dtype == np.float32 and target.flags.c_contiguous:
        widen(source, target)
    else:
        wide = np.empty(source.shape, np.float32)
        widen(source, wide)
        np.copyto(target, wide, casting="unsafe")


def _widen_bfloat16(source: AnyArray, wide: Float32) -> None:
    """Fill `wide` with the numbers of a bfloat16 array: they are the upper halves."""
    bits = wide.view(np.uint32)
    np.copyto(bits, source["bfloat16"])
    np.left_shift(bits, 16, out=bits)


def _widen_float16(source: AnyArray, wide: Float32) -> None:
    """Fill `wide` with the numbers of a float16 array."""
    bits = wide.view(np.int32)
    np.copyto(bits, source.view(np.int16))  # copies of the sign fill the upper half
    np.left_shift(bits, FRACTION_SHIFT, out=bits)
    np.bitwise_and(bits, ~REPEATED_SIGN, out=bits)
    np.multiply(wide, SCALE, out=wide)
    if wide.size and max(wide.max(), -wide.min()) >= END_OF_FLOAT16:
        np.copyto(wide, source)  # it has infinities or NaNs: NumPy's way, which keeps them
