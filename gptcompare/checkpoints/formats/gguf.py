"""The GGUF format of llama.cpp: named values, then tensors (ggml-org/llama.cpp, ggml/include/gguf.h).

4 bytes      "GGUF"
4            version; 2 and 3 are the same but for byte order, which is little-endian here
8, 8         number of tensors, number of values
values       each: name, type (4 bytes), content; an array is the type of its elements, their number (8), and them
tensors      each: name, number of sizes (4), sizes (8 each, the innermost first), type (4), offset (8)
the rest     from the next multiple of the alignment on: the tensors one after the other, each at such a multiple

A text is its number of bytes (8) and UTF-8. Numbers are checked against the file before anything of their size is made.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np

from ...arrays import AnyArray
from ...checks import shown
from ..errors import CheckpointError
from .quantized_blocks import KINDS, dequantized
from .tensor_file import Buffer, map_file, n_bytes, tensor_at

MAGIC = b"GGUF"
VERSIONS = (2, 3)
MAX_HEADER = 50_000_000  # bytes of all that comes before the tensors; no published vocabulary needs half of it
ALIGNMENT = 32  # where `general.alignment` says nothing else
MAX_ALIGNMENT = 1 << 20
MAX_DIMENSIONS = 4  # ggml's GGML_MAX_DIMS
MAX_NAME = 63  # bytes, of a tensor: ggml's GGML_MAX_NAME has room for one more, which ends it

# Types of values: the number in the file -> NumPy's name for one.
SCALARS = {
    0: "<u1", 1: "<i1", 2: "<u2", 3: "<i2", 4: "<u4", 5: "<i4", 6: "<f4", 10: "<u8", 11: "<i8", 12: "<f8",
}  # fmt: skip
UINT32, INT32, FLOAT32, BOOL, TEXT, ARRAY = 4, 5, 6, 7, 8, 9

# Types of tensors, by ggml's numbers (ggml/include/ggml.h, enum ggml_type).
TENSOR_TYPES = {
    0: "F32", 1: "F16", 2: "Q4_0", 3: "Q4_1", 6: "Q5_0", 7: "Q5_1", 8: "Q8_0", 9: "Q8_1", 10: "Q2_K", 11: "Q3_K",
    12: "Q4_K", 13: "Q5_K", 14: "Q6_K", 15: "Q8_K", 16: "IQ2_XXS", 17: "IQ2_XS", 18: "IQ3_XXS", 19: "IQ1_S",
    20: "IQ4_NL", 21: "IQ3_S", 22: "IQ2_S", 23: "IQ4_XS", 24: "I8", 25: "I16", 26: "I32", 27: "I64", 28: "F64",
    29: "IQ1_M", 30: "BF16", 34: "TQ1_0", 35: "TQ2_0", 39: "MXFP4", 40: "NVFP4", 41: "Q1_0", 42: "Q2_0",
}  # fmt: skip
PLAIN = ("F32", "F16", "BF16", "F64")
READABLE = (*PLAIN, *KINDS)
WRITTEN_TYPES = {"float32": 0, "float16": 1}


class TensorInfo(NamedTuple):
    """What the header says of a tensor: its type, its shape (outermost size first), and where it begins in the file."""

    kind: str
    shape: tuple[int, ...]
    begin: int


class Header(NamedTuple):
    """Name -> value, and name -> tensor. An array of numbers is a NumPy array, one of texts a list."""

    values: dict[str, Any]
    tensors: dict[str, TensorInfo]


class _Cursor:
    """Takes one thing after the other from the beginning of a file."""

    def __init__(self, path: Path, buffer: Buffer) -> None:
        self.path = path
        self.view = memoryview(buffer[:MAX_HEADER])  # type: ignore[arg-type]  # an array has the buffer protocol
        self.at = 0
        self.is_cut = len(buffer) > MAX_HEADER

    def take(self, n: int) -> memoryview:
        begin, self.at = self.at, self.at + n
        if self.at > len(self.view):
            limit = f"{MAX_HEADER:,} bytes" if self.is_cut else "the file"
            raise CheckpointError(self.path, f"the header is longer than {limit}: truncated, or not a GGUF file")
        return self.view[begin : self.at]

    def integer(self, n: int) -> int:
        return int.from_bytes(self.take(n), "little")

    def text(self) -> str:
        try:
            return str(self.take(self.integer(8)), "utf-8")
        except UnicodeDecodeError:
            raise CheckpointError(self.path, f"a text before byte {self.at} is not UTF-8") from None


def is_value(value: Any, wanted: str | bool | int) -> bool:
    """Return whether a value is this one, and of the same kind: an array, and True for 1, are not."""
    return type(value) is type(wanted) and bool(value == wanted)


def read_header(path: Path) -> Header:
    """Read the values of a file and the table of its tensors.

    Raises
    ------
    CheckpointError
        If the file is invalid in any way.
    """
    return _parse(path, map_file(path))


def read_tensors(path: Path) -> tuple[dict[str, Any], dict[str, AnyArray]]:
    """Read the values of a file and its tensors, memory-mapped, or new float32 arrays where they are quantized.

    Raises
    ------
    CheckpointError
        If the file is invalid in any way, or a tensor has a type that this library does not read.
    """
    buffer = map_file(path)
    values, infos = _parse(path, buffer)
    for name, info in infos.items():
        if info.kind not in READABLE:
            raise CheckpointError(
                path,
                f"{name} is stored as {info.kind}: known are {', '.join(READABLE)}; convert the model to one",
            )
    return values, {name: _tensor(path, buffer, name, info) for name, info in infos.items()}


def _parse(path: Path, buffer: Buffer) -> Header:
    cursor = _Cursor(path, buffer)
    if bytes(cursor.take(4)) != MAGIC:
        raise CheckpointError(path, "not a GGUF file")
    version = cursor.integer(4)
    if version not in VERSIONS:
        why = "its numbers are big-endian" if version and version % 65536 == 0 else f"it has version {version}"
        raise CheckpointError(path, f"{why}: known are versions 2 and 3 of little-endian GGUF")
    n_tensors, n_values = cursor.integer(8), cursor.integer(8)
    values: dict[str, Any] = {}
    for _ in range(n_values):  # each takes some bytes, so a forged number meets the end of the file
        name = cursor.text()
        if name in values:
            raise CheckpointError(path, f"the value {shown(name)} occurs twice")
        values[name] = _value(cursor, name)
    entries = [_entry(cursor) for _ in range(n_tensors)]
    return Header(values, _placed(path, entries, cursor.at, _alignment(path, values)))


def _value(cursor: _Cursor, name: str) -> Any:
    kind = cursor.integer(4)
    if kind == ARRAY:
        kind, n = cursor.integer(4), cursor.integer(8)
        if kind == TEXT:
            return [cursor.text() for _ in range(n)]
        return _numbers(cursor, name, kind, n)
    if kind == TEXT:
        return cursor.text()
    return _numbers(cursor, name, kind, 1)[0].item()


def _numbers(cursor: _Cursor, name: str, kind: int, n: int) -> AnyArray:
    if kind not in SCALARS and kind != BOOL:
        what = "an array of arrays" if kind == ARRAY else f"of the unknown type {kind}"
        raise CheckpointError(cursor.path, f"the value {shown(name)} is {what}")
    dtype = np.dtype("<u1" if kind == BOOL else SCALARS[kind])
    numbers: AnyArray = np.frombuffer(bytes(cursor.take(n * dtype.itemsize)), dtype)
    if kind != BOOL:
        return numbers
    if np.any(numbers > 1):
        raise CheckpointError(cursor.path, f"the value {shown(name)} should be true or false, 1 or 0")
    return numbers.astype(np.bool_)


def _alignment(path: Path, values: Mapping[str, Any]) -> int:
    alignment = values.get("general.alignment", ALIGNMENT)
    if type(alignment) is not int or not 0 < alignment <= MAX_ALIGNMENT or alignment & (alignment - 1):
        raise CheckpointError(path, f"general.alignment {shown(alignment)} is not a power of 2 up to {MAX_ALIGNMENT}")
    return alignment


def _entry(cursor: _Cursor) -> tuple[str, str, tuple[int, ...], int]:
    name = cursor.text()
    n_dimensions = cursor.integer(4)
    if len(name.encode()) > MAX_NAME or n_dimensions > MAX_DIMENSIONS:
        raise CheckpointError(
            cursor.path, f"a tensor has a name of more than {MAX_NAME} bytes, or more than {MAX_DIMENSIONS} sizes"
        )
    shape = tuple(cursor.integer(8) for _ in range(n_dimensions))[::-1]
    kind = cursor.integer(4)
    return name, TENSOR_TYPES.get(kind, f"type {kind}"), shape, cursor.integer(8)


def _placed(
    path: Path, entries: list[tuple[str, str, tuple[int, ...], int]], end_of_header: int, alignment: int
) -> dict[str, TensorInfo]:
    """Return name -> tensor, each of which must begin where the one before it ends, at the next aligned byte.

    So does llama.cpp (ggml/src/gguf.cpp). After a tensor of a type that cannot be read the places are not known.
    """
    start = -(-end_of_header // alignment) * alignment
    expected: int | None = 0
    infos: dict[str, TensorInfo] = {}
    for name, kind, shape, offset in entries:
        if name in infos:
            raise CheckpointError(path, f"the tensor {shown(name)} occurs twice")
        if expected is not None and offset != expected:
            raise CheckpointError(path, f"{name} begins at {offset} of the data, not where the one before it ends")
        infos[name] = TensorInfo(kind, shape, start + offset)
        size = _size(path, name, infos[name]) if kind in READABLE else None
        expected = None if expected is None or size is None else -(-(offset + size) // alignment) * alignment
    return infos


def _size(path: Path, name: str, info: TensorInfo) -> int:
    """Return the bytes of a tensor."""
    if info.kind not in KINDS:
        return n_bytes(path, name, info.kind, info.shape)
    kind = KINDS[info.kind]
    n_weights = n_bytes(path, name, "U8", info.shape)  # checks the sizes
    if not info.shape or info.shape[-1] % kind.n_weights:
        raise CheckpointError(
            path, f"{name} has rows that are no multiple of the {kind.n_weights} weights of {info.kind}"
        )
    return n_weights // kind.n_weights * kind.n_bytes


def _tensor(path: Path, buffer: Buffer, name: str, info: TensorInfo) -> AnyArray:
    if info.kind not in KINDS:
        return tensor_at(path, buffer, name, info.begin, info.kind, info.shape)
    kind = KINDS[info.kind]
    blocks = tensor_at(path, buffer, name, info.begin, "U8", (_size(path, name, info),))
    return dequantized(kind, blocks.reshape(-1, kind.n_bytes)).reshape(info.shape)


def write_gguf(file: BinaryIO, values: Mapping[str, Any], tensors: Mapping[str, AnyArray]) -> None:
    """Write a file of version 3.

    Parameters
    ----------
    file : open binary file
    values : name -> value
        A text, bool, int (stored as uint32), float (float32), list of texts, or array of int32.
    tensors : name -> array
        float16 or float32, of any memory order.
    """
    header = bytearray(MAGIC + struct.pack("<IQQ", VERSIONS[-1], len(tensors), len(values)))
    for name, value in values.items():
        header += _text(name) + _typed(value)
    offset = 0
    for name, array in tensors.items():
        sizes = struct.pack(f"<I{array.ndim}Q", array.ndim, *reversed(array.shape))
        header += _text(name) + sizes + struct.pack("<IQ", WRITTEN_TYPES[array.dtype.name], offset)
        offset += array.nbytes + -array.nbytes % ALIGNMENT
    file.write(header + bytes(-len(header) % ALIGNMENT))
    for array in tensors.values():
        little_endian = array.astype(array.dtype.newbyteorder("<"), copy=False)
        file.write(np.ascontiguousarray(little_endian).data)
        file.write(bytes(-array.nbytes % ALIGNMENT))


def _text(text: str) -> bytes:
    encoded = text.encode()
    return struct.pack("<Q", len(encoded)) + encoded


def _typed(value: Any) -> bytes:
    match value:
        case bool():
            return struct.pack("<IB", BOOL, value)
        case int():
            return struct.pack("<II", UINT32, value)
        case float():
            return struct.pack("<If", FLOAT32, value)
        case str():
            return struct.pack("<I", TEXT) + _text(value)
        case list():
            return struct.pack("<IIQ", ARRAY, TEXT, len(value)) + b"".join(map(_text, value))
        case _:
            numbers: bytes = value.astype("<i4").tobytes()
            return struct.pack("<IIQ", ARRAY, INT32, len(value)) + numbers
