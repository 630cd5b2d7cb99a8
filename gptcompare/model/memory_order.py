"""The memory order of the weights: chosen here for speed, and hidden from everyone else.

A linear layer's weight has the shape (d_in, d_out), whatever its order in memory.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
import numpy.typing as npt

from ..arrays import Array
from ..checkpoints import copy_into, release
from .threads import in_parallel, n_threads, shares

LARGE = 2**20  # bytes, above which two threads copy faster than one


def in_fast_order(weight: Array) -> Array:
    """Return the same matrix with its longer axis contiguous in memory, copied only if necessary.

    Decoding one token consists of matrix-vector products. Measured with OpenBLAS on x86-64 CPUs, these read memory
    fastest along the longer axis, and for a square matrix along the input axis.
    """
    order = _order(weight)
    in_order = weight.flags.c_contiguous if order == "C" else weight.flags.f_contiguous
    return weight if in_order else _copied(weight, order, weight.dtype)


def taken_in_fast_order(stored: dict[str, Array], dtype: npt.DTypeLike) -> dict[str, Array]:
    """Return stored tensors in the same order, in memory of their own, which nothing that happens to a file can change.

    The tensors are taken out of `stored` one by one, so that none stays in memory twice.
    """
    taken = {}
    for name in list(stored):
        value = stored.pop(name)
        if value.flags.owndata and value.dtype == dtype:  # made by a reader, and not a part of a mapped file
            taken[name] = in_fast_order(value)
        else:
            taken[name] = _copied(value, _order(value), dtype)
            release(value)
    return taken


def _order(weight: Array) -> Literal["C", "F"]:
    return "C" if weight.ndim != 2 or weight.shape[1] > weight.shape[0] else "F"


def _copied(array: Array, order: Literal["C", "F"], dtype: npt.DTypeLike) -> Array:
    """Return a copy in that memory order and dtype, of which each thread makes some rows."""
    copy: Array = np.empty(array.shape, dtype, order)

    def copy_rows(share: slice) -> None:
        copy_into(copy[share], array[share])

    in_parallel(copy_rows, shares(len(array), n_threads() if array.nbytes > LARGE else 1))
    return copy
