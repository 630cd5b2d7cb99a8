"""Tensors inside a file: memory-mapped, and only where the file really has the bytes.

This is what the three binary formats share. Every claim in a header is checked against the file's size before any
array is made, so a forged header cannot ask for memory that the file does not back.
"""

from __future__ import annotations

import math
import mmap
from collections.abc import Iterable
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ...arrays import BFLOAT16, AnyArray
from ..errors import CheckpointError

Buffer = npt.NDArray[np.uint8]

# Name of an element type in safetensors -> NumPy's; little-endian, as are all three formats.
DTYPES: dict[str, str | np.dtype[Any]] = {
    "F64": "<f8", "F32": "<f4", "F16": "<f2", "BF16": BFLOAT16,
    "I64": "<i8", "I32": "<i4", "I16": "<i2", "I8": "|i1",
    "U64": "<u8", "U32": "<u4", "U16": "<u2", "U8": "|u1", "BOOL": "|b1",
}  # fmt: skip

LFS_POINTER = b"version https://git-lfs"  # what a clone without Git LFS has instead of a large file
MAX_DIMENSIONS = 32
MAX_ELEMENTS = 2**60  # more than any file has; keeps products of sizes from a header small


def map_file(path: Path) -> Buffer:
    """Memory-map the bytes of a file, or read them where the system maps none, as in WebAssembly.

    The array cannot be written to: so its pages belong to the file alone, and a limit on memory does not count them.
    """
    size = path.stat().st_size
    if size == 0:
        raise CheckpointError(path, "the file is empty")
    try:
        buffer: Buffer = np.asarray(np.memmap(path, np.uint8, mode="r"))
    except OSError:
        buffer = np.empty(size, np.uint8)
        with open(path, "rb") as file:
            if file.readinto(buffer.data) < size:
                raise CheckpointError(path, "the file became shorter while it was read") from None
    buffer.flags.writeable = False
    if buffer[: len(LFS_POINTER)].tobytes() == LFS_POINTER:
        raise CheckpointError(path, "a Git LFS pointer, not the weights themselves: `git lfs pull` fetches them")
    return buffer


def release(array: AnyArray) -> None:
    """Drop a memory-mapped array's pages from this process's memory; the next access reads them from the file again.

    Use it for arrays that have been copied and were never written to: changes may be lost. It does nothing for an array
    that is not memory-mapped, and operating systems other than Linux may ignore it.
    """
    owner: Any = array
    while isinstance(owner, np.ndarray):
        owner = owner.base
    if not isinstance(owner, mmap.mmap) or not hasattr(owner, "madvise"):
        return
    low, high = np.lib.array_utils.byte_bounds(array)
    origin = np.lib.array_utils.byte_bounds(np.frombuffer(owner, np.uint8))[0]
    begin = -(-(low - origin) // mmap.PAGESIZE) * mmap.PAGESIZE
    end = (high - origin) // mmap.PAGESIZE * mmap.PAGESIZE
    if begin < end:
        owner.madvise(mmap.MADV_DONTNEED, begin, end - begin)


def n_bytes(path: Path, name: str, dtype: str, shape: Iterable[object]) -> int:
    """Return the bytes that a tensor of this type and shape takes. CheckpointError if either is invalid."""
    if dtype not in DTYPES:
        raise CheckpointError(path, f"{name} has element type {dtype!r}; known are {', '.join(DTYPES)}")
    given = list(shape)
    sizes = [size for size in given if type(size) is int and 0 <= size < MAX_ELEMENTS]
    if (
        len(sizes) < len(given)
        or len(sizes) > MAX_DIMENSIONS
        or math.prod(size or 1 for size in sizes) >= MAX_ELEMENTS  # NumPy refuses (2**40, 0, 2**40) too
    ):
        raise CheckpointError(path, f"{name} has the impossible shape {str(given)[:80]}")
    return math.prod(sizes) * np.dtype(DTYPES[dtype]).itemsize


def tensor_at(path: Path, buffer: Buffer, name: str, offset: int, dtype: str, shape: tuple[int, ...]) -> AnyArray:
    """Return the tensor whose bytes begin at `offset`, as a view, if it is aligned for its type."""
    size = n_bytes(path, name, dtype, shape)
    if not 0 <= offset <= len(buffer) - size:
        raise CheckpointError(
            path, f"{name} should be at bytes {offset} to {offset + size}, the data ends at {len(buffer)}: truncated?"
        )
    array = buffer[offset : offset + size].view(DTYPES[dtype]).reshape(shape)
    return aligned(array)


def aligned(array: AnyArray) -> AnyArray:
    """Return the array itself, or a copy if its first byte is not aligned for its type."""
    return array if array.flags.aligned else array.copy()


def check_disjoint(path: Path, spans: Iterable[tuple[int, int, str]]) -> None:
    """Raise CheckpointError if two of the (begin, end, name) spans share a byte."""
    ordered = sorted(span for span in spans if span[0] < span[1])
    for (_, end, name), (begin, _, other) in pairwise(ordered):
        if begin < end:
            raise CheckpointError(path, f"{name} and {other} overlap")
