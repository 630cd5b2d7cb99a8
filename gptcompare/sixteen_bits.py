"""Numbers of 16 bits, and how they become float32: float16, with 10 bits behind the point, and bfloat16, with 7.

    float16    sign, 5 bits of exponent, 10 of fraction       (IEEE 754 half precision)
    bfloat16   sign, 8 bits of exponent,  7 of fraction       the upper half of a float32
    float32    sign, 8 bits of exponent, 23 of fraction

A bfloat16 needs a shift and nothing else. A float16 counts its exponent from another number: its bits, moved to their
places in a float32, are the same number times 2**-112, so one exact multiplication repairs them, also where the number
is subnormal (its exponent is 0). NumPy's own conversion gives the same numbers one by one, and takes several times as
long for subnormal ones.

Weights are published in these formats. They become float32 when they are loaded or, in a model that keeps them in 16
bits, each time they are multiplied.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from .arrays import BFLOAT16, AnyArray, Array, Float32

SIXTEEN_BITS: dict[str, np.dtype[Any]] = {"float16": np.dtype(np.float16), "bfloat16": BFLOAT16}
AS_STORED = "as stored"
KEEP = (*SIXTEEN_BITS, AS_STORED)  # how a model's weights may be kept

FRACTION_SHIFT = 23 - 10  # a float32 has so many more bits of fraction
REPEATED_SIGN = 0x7000_0000  # where the sign stands once more after the shift
SCALE = np.float32(2.0**112)  # exponents are counted from 127 and not from 15
LARGEST_FLOAT16 = 65504.0
END_OF_FLOAT16 = 2.0**16  # what infinities and NaNs become, and no finite float16 reaches

PIECE = 2**16  # numbers that are copied at a time, so that they stay in the processor's cache
LEAST_ROWS = 16  # of a piece: a transposed row of it then fills a line of the cache


def is_sixteen_bits(array: AnyArray) -> bool:
    """Return whether an array holds float16 or bfloat16 numbers."""
    return array.dtype in SIXTEEN_BITS.values()


def name_of(dtype: np.dtype[Any]) -> str:
    """Return a dtype's name, also that of bfloat16, which NumPy does not know."""
    return next((name for name, other in SIXTEEN_BITS.items() if dtype == other), dtype.name)


def widened(array: AnyArray) -> AnyArray:
    """Return numbers of 16 bits as float32, in the same order in memory; an array of another dtype as it is.

    >>> widened(np.array([0x3F80, 0xC000], np.uint16).view(BFLOAT16))
    array([ 1., -2.], dtype=float32)
    """
    if not is_sixteen_bits(array):
        return array
    wide = np.empty_like(array, np.float32)
    copy_into(wide, array)
    return wide


class Widened(Mapping[str, Array]):
    """Parameters of which some are kept in 16 bits, each widened when it is asked for."""

    def __init__(self, kept: Mapping[str, AnyArray]) -> None:
        self._kept = kept

    def __getitem__(self, name: str) -> Array:
        return widened(self._kept[name])

    def __iter__(self) -> Iterator[str]:
        return iter(self._kept)

    def __len__(self) -> int:
        return len(self._kept)


def is_finite(array: AnyArray) -> bool:
    """Return whether no number of a matrix of 16 bits is infinite or NaN: all bits of its exponent would be set."""
    exponent = 0x7C00 if array.dtype == np.float16 else 0x7F80
    return all(int((_bits(rows) & 0x7FFF).max(initial=0)) < exponent for rows in _in_order(array))


def copy_into(target: AnyArray, source: AnyArray) -> None:
    """Do `target[...] = source`, for arrays of one shape and any dtypes and memory orders, fast for large matrices.

    It goes a few rows at a time, in the order in which the source lies in memory. Numbers of 16 bits are widened as
    `widened` does it, and others rounded to the next number of the target's format.
    """
    if source.ndim != 2:
        _copy_piece(target, source)
        return
    if lies_by_columns(source):
        target, source = target.T, source.T
    for rows in _few_rows(source):
        _copy_piece(target[rows], source[rows])


def widen_finite(source: AnyArray, wide: Float32) -> None:
    """Fill `wide`, of the same shape, with the numbers of an array of 16 bits that has no infinities and NaNs."""
    if source.dtype == BFLOAT16:
        _widen_bfloat16(source, wide)
    else:
        _widen_finite_float16(source, wide)


def _in_order(matrix: AnyArray) -> Iterator[AnyArray]:
    """Yield a few rows or columns at a time, those that lie one after the other in memory."""
    rows_first = matrix.T if lies_by_columns(matrix) else matrix
    for rows in _few_rows(rows_first):
        yield rows_first[rows]


def lies_by_columns(matrix: AnyArray) -> bool:
    """Return whether the numbers of a column, and not those of a row, are neighbours in memory."""
    return abs(matrix.strides[0]) < abs(matrix.strides[1])


def _few_rows(matrix: AnyArray) -> Iterator[slice]:
    n_rows = max(LEAST_ROWS, PIECE // max(1, matrix.shape[1]))
    for start in range(0, len(matrix), n_rows):
        yield slice(start, start + n_rows)


def _bits(array: AnyArray) -> npt.NDArray[np.uint16]:
    """Return numbers of 16 bits as integers, in the same memory."""
    return array["bfloat16"] if array.dtype == BFLOAT16 else array.view(np.uint16)


def _copy_piece(target: AnyArray, source: AnyArray) -> None:
    if source.dtype == target.dtype == BFLOAT16:
        np.copyto(_bits(target), _bits(source))
    elif is_sixteen_bits(source) and source.dtype != target.dtype:
        is_in_place = target.dtype == np.float32 and target.flags.c_contiguous
        wide = target if is_in_place else np.empty(source.shape, np.float32)
        widen = _widen_bfloat16 if source.dtype == BFLOAT16 else _widen_float16
        widen(source, wide)
        if not is_in_place:
            _copy_piece(target, wide)
    elif target.dtype == BFLOAT16:
        np.copyto(_bits(target), _bits_of_nearest_bfloat16(source.astype(np.float32)))
    else:
        np.copyto(target, source, casting="unsafe")


def _widen_bfloat16(source: AnyArray, wide: Float32) -> None:
    """Fill `wide` with the numbers of a bfloat16 array: they are the upper halves."""
    np.left_shift(_bits(source), 16, out=wide.view(np.uint32), dtype=np.uint32)


def _bits_of_nearest_bfloat16(wide: Float32) -> npt.NDArray[np.uint32]:
    """Round to the nearest bfloat16, of two to the even one, as PyTorch does: what is below the upper half carries."""
    bits = wide.view(np.uint32)
    upper = bits >> 16
    rounded: npt.NDArray[np.uint32] = (bits + (np.uint32(0x7FFF) + (upper & 1))) >> 16
    return np.where(np.isnan(wide), upper | 0x40, rounded)  # a NaN whose upper half has no fraction would be infinite


def _widen_float16(source: AnyArray, wide: Float32) -> None:
    """Fill `wide` with the numbers of a float16 array."""
    _widen_finite_float16(source, wide)
    if wide.size and max(wide.max(), -wide.min()) >= END_OF_FLOAT16:
        np.copyto(wide, source)  # it has infinities or NaNs: NumPy's way, which keeps them


def _widen_finite_float16(source: AnyArray, wide: Float32) -> None:
    bits = wide.view(np.int32)
    np.left_shift(source.view(np.int16), FRACTION_SHIFT, out=bits, dtype=np.int32)  # copies of the sign go ahead
    np.bitwise_and(bits, ~REPEATED_SIGN, out=bits)
    np.multiply(wide, SCALE, out=wide)
