"""The order in which matrices lie in memory, and how those of a file are brought into it."""

from __future__ import annotations

import warnings
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from ...arrays import AnyArray
from ...checkpoints import memory_of_machine, release
from ...display.units import in_bytes
from ...sixteen_bits import AS_STORED, SIXTEEN_BITS, copy_into, is_finite, is_sixteen_bits, name_of
from ..threads import in_parallel, n_threads, shares

LARGE = 2**20  # bytes, above which two threads copy faster than one


def in_fast_order(weight: AnyArray) -> AnyArray:
    """Return the same matrix with its longer axis contiguous in memory, copied only if necessary.

    Decoding one token consists of matrix-vector products. Measured with OpenBLAS on x86-64 CPUs, these read memory
    fastest along the longer axis, and for a square matrix along the input axis.
    """
    order = _order(weight)
    in_order = weight.flags.c_contiguous if order == "C" else weight.flags.f_contiguous
    return weight if in_order else _copied(weight, order, weight.dtype)


def taken_in_fast_order(
    stored: dict[str, AnyArray], dtype: npt.DTypeLike, keep: str | None = None
) -> dict[str, AnyArray]:
    """Return stored tensors in the same order, in memory of their own, which nothing that happens to a file can change.

    With `keep`, matrices are in 16 bits, and those that lie in a mapped file as they are needed stay there; all do, if
    they are larger than memory. The tensors are taken out of `stored` one by one, so that none stays in memory twice.

    Raises
    ------
    ValueError
        If a number is beyond the range of the format that is kept.
    """
    room, n_bytes = memory_of_machine(), sum(value.nbytes for value in stored.values())
    stay = keep is not None and room is not None and n_bytes > room
    if stay:
        warnings.warn(
            f"the weights, {in_bytes(n_bytes)}, are larger than this machine's memory of {in_bytes(room or 0)}: what "
            "does not fit is read from the file again for each token, at the speed of the disk",
            stacklevel=3,
        )
    taken = {}
    for name in list(stored):
        value = stored.pop(name)
        if keep is None or value.ndim != 2 or name == "wpe.weight":
            taken[name] = _taken(value, dtype)
        elif keep == AS_STORED:
            taken[name] = _kept(name, value, value.dtype if is_sixteen_bits(value) else np.dtype(dtype), stay)
        else:
            taken[name] = _kept(name, value, SIXTEEN_BITS[keep], stay)
    return taken


def _taken(value: AnyArray, dtype: npt.DTypeLike) -> AnyArray:
    if value.flags.owndata and value.dtype == dtype:  # made by a reader, and not a part of a mapped file
        return in_fast_order(value)
    taken = _copied(value, _order(value), dtype)
    release(value)
    return taken


def _kept(name: str, value: AnyArray, dtype: np.dtype[Any], stay: bool) -> AnyArray:
    """Return a matrix in a dtype and in fast order; in float32 if it has infinities, which no product widens.

    If it is to stay in its file, only one of another dtype is copied.
    """
    with np.errstate(over="ignore"):  # an infinity is found below
        kept = value if value.dtype == dtype else _copied(value, _order(value), dtype)
    if not stay:
        kept = in_fast_order(kept)
    if kept is not value or stay:
        release(value)
    if not is_sixteen_bits(kept) or is_finite(kept):
        return kept
    if dtype != value.dtype:
        raise ValueError(f"{name} has numbers beyond the range of {name_of(dtype)}: keep them as they are stored")
    return _copied(kept, _order(kept), np.float32)


def _order(weight: AnyArray) -> Literal["C", "F"]:
    return "C" if weight.ndim != 2 or weight.shape[1] > weight.shape[0] else "F"


def _copied(array: AnyArray, order: Literal["C", "F"], dtype: npt.DTypeLike) -> AnyArray:
    """Return a copy in that memory order and dtype, of which each thread makes some rows."""
    copy: AnyArray = np.empty(array.shape, dtype, order)

    def copy_rows(share: slice) -> None:
        copy_into(copy[share], array[share])

    in_parallel(copy_rows, shares(len(array), n_threads() if array.nbytes > LARGE else 1))
    return copy
