"""Memory that each thread uses again and again: for numbers that become float32, and for the products of pieces."""

from __future__ import annotations

import math
import threading

import numpy as np

from ...arrays import AnyArray, Array, Float32
from ...sixteen_bits import is_sixteen_bits, lies_by_columns, widen_finite

_scratch = threading.local()


def memory_for(purpose: str, *shape: int) -> Float32:
    """Return memory that lasts until this thread's next call for the same purpose, which uses it again."""
    size = math.prod(shape)
    memory: Float32 | None = getattr(_scratch, purpose, None)
    if memory is None or memory.size < size:
        memory = np.empty(size, np.float32)
        setattr(_scratch, purpose, memory)
    return memory[:size].reshape(shape)


def wide(part: AnyArray) -> Array:
    """Return a part of a matrix as it is or, if it is kept in 16 bits, as float32, in its own order in memory.

    These numbers last until this thread's next call.
    """
    if not is_sixteen_bits(part):
        return part
    by_columns = lies_by_columns(part)
    rows = part.T if by_columns else part
    numbers = memory_for("wide", *rows.shape)
    widen_finite(rows, numbers)
    return numbers.T if by_columns else numbers
