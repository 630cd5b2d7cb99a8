"""Tensors inside a file: memory-mapped, and only where the file really has the bytes.

What the three binary layouts have in common. A header's word is checked against the file's size before anything is
made of it, so a forged one cannot ask for memory that the file does not back.
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

from ...arrays import AnyArray, Float32
from ..errors import CheckpointError

Buffer = npt.NDArray[np.uint8]

# Name of an element type, as safetensors writes it -> NumPy's, little-endian as all three layouts are.
DTYPES = {
    "F64": "<f8", "F32": "<f4", "F16": "<f2", "BF16": "<u2",
    "I64": "<i8", "I32": "<i4", "I16": "<i2", "I8": "|i1",
    "U64": "<u8", "U32": "<u4", "U16": "<u2", "U8": "|u1", "BOOL": "|b1",
}  # fmt: skip

LFS_POINTER = b"version https://git-lfs"  # what a clone without Git LFS has in place of a large file
MAX_DIMENSIONS = 32
MAX_ELEMENTS = 2**60  # beyond any file; keeps products of sizes from a header small integers


def map_file(path: Path) -> Buffer:
    """The bytes of a file, memory-mapped. Writing to the array changes memory, never the file."""
    size = path.stat().st_size
    if size == 0:
        raise CheckpointError(path, "the file is empty")
    buffer = np.asarray(np.memmap(path, np.uint8, mode="c"))
    if buffer[: len(LFS_POINTER)].tobytes() == LFS_POINTER:
        raise CheckpointError(path, "a Git LFS pointer, not the weights themselves: `git lfs pull` fetches them")
    return buffer


def release(array: AnyArray) -> None:
    """Take a memory-mapped array's pages out of this process's memory: when read again they come from the file again.

    For arrays that have been copied and were never written to: what was written may be lost. Nothing happens to an
    array that is not memory-mapped; an operating system other than Linux may ignore it.
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
    """Bytes that a tensor of this shape and type takes. CheckpointError if they are not a shape and a type."""
    if dtype not in DTYPES:
        raise CheckpointError(path, f"{name} has element type {dtype!r}; known are {', '.join(DTYPES)}")
    given = list(shape)
    sizes = [size for size in given if type(size) is int and 0 <= size < MAX_ELEMENTS]
    if (
        len(sizes) < len(given)
        or len(sizes) > MAX_DIMENSIONS
        or math.prod(size or 1 for size in sizes) >= MAX_ELEMENTS  # NumPy, too, refuses (2**40, 0, 2**40)
    ):
        raise CheckpointError(path, f"{name} has the impossible shape {str(given)[:80]}")
    return math.prod(sizes) * np.dtype(DTYPES[dtype]).itemsize


def tensor_at(path: Path, buffer: Buffer, name: str, offset: int, dtype: str, shape: tuple[int, ...]) -> AnyArray:
    """The tensor whose bytes begin at `offset`: a view of the buffer, but BF16, which NumPy lacks, becomes float32."""
    size = n_bytes(path, name, dtype, shape)
    if not 0 <= offset <= len(buffer) - size:
        raise CheckpointError(
            path, f"{name} should lie at bytes {offset} to {offset + size}, the data ends at {len(buffer)}: truncated?"
        )
    array = buffer[offset : offset + size].view(DTYPES[dtype]).reshape(shape)
    return bfloat16_to_float32(array) if dtype == "BF16" else aligned(array)


def bfloat16_to_float32(bits: npt.NDArray[np.uint16]) -> Float32:
    """A bfloat16 is the upper half of a float32."""
    wide = bits.astype(np.uint32)
    wide <<= 16  # in place: a scalar stays an array
    return wide.view(np.float32)


def aligned(array: AnyArray) -> AnyArray:
    """The array itself, or a copy if its first byte lies where the processor cannot compute with it."""
    return array if array.flags.aligned else array.copy()


def check_disjoint(path: Path, spans: Iterable[tuple[int, int, str]]) -> None:
    """CheckpointError if two of the (begin, end, name) spans share a byte."""
    ordered = sorted(span for span in spans if span[0] < span[1])
    for (_, end, name), (begin, _, other) in pairwise(ordered):
        if begin < end:
            raise CheckpointError(path, f"{name} and {other} overlap")
