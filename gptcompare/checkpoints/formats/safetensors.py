"""The safetensors format: a JSON header, then the tensors' bytes (github.com/huggingface/safetensors, README.md).

8 bytes      length N of the header, little-endian
N bytes      {"name": {"dtype": "F32", "shape": [2, 3], "data_offsets": [begin, end]}, ...}, may end in spaces
the rest     the tensors, without gaps; offsets count from here
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from ...arrays import AnyArray
from ..errors import CheckpointError
from .tensor_file import Buffer, check_disjoint, map_file, n_bytes, tensor_at

MAX_HEADER = 100_000_000  # bytes; the format's own limit
METADATA = "__metadata__"
TYPE_NAMES = {"float16": "F16", "float32": "F32", "float64": "F64"}


def read_safetensors(path: Path) -> dict[str, AnyArray]:
    """Read every tensor in a file: name -> memory-mapped array.

    Raises
    ------
    CheckpointError
        If the file is invalid in any way.
    """
    buffer = map_file(path)
    header, data = _split(path, buffer)
    header.pop(METADATA, None)
    spans = []
    tensors = {}
    for name, entry in header.items():
        dtype, shape, begin, end = _checked_entry(path, name, entry)
        if not 0 <= begin <= end <= len(data):
            raise CheckpointError(path, f"{name} is not inside the {len(data)} bytes of data: truncated?")
        if end - begin != n_bytes(path, name, dtype, shape):
            raise CheckpointError(path, f"{name} is {dtype} {shape}, which does not fill its {end - begin} bytes")
        spans.append((begin, end, name))
        tensors[name] = tensor_at(path, data, name, begin, dtype, tuple(shape))
    check_disjoint(path, spans)
    if sum(end - begin for begin, end, _ in spans) != len(data):
        raise CheckpointError(path, f"the {len(data)} bytes of data are not all accounted for by tensors")
    return tensors


def read_metadata(path: Path) -> Any:
    """Read what a file says about itself, which should be a dict of str -> str, or nothing. Raises as above."""
    return _split(path, map_file(path))[0].get(METADATA)


def _split(path: Path, buffer: Buffer) -> tuple[dict[str, Any], Buffer]:
    """Return the parsed header, and the bytes after it."""
    length = int.from_bytes(buffer[:8].tobytes(), "little")
    if len(buffer) < 8 or length > min(MAX_HEADER, len(buffer) - 8):
        raise CheckpointError(path, "the header is longer than the file: truncated, or not a safetensors file")
    try:
        header = json.loads(buffer[8 : 8 + length].tobytes().decode("utf-8"), object_pairs_hook=_unique)
    except (ValueError, RecursionError) as error:
        raise CheckpointError(path, f"the header is not JSON ({error})") from None
    if not isinstance(header, dict):
        raise CheckpointError(path, "the header is not a JSON object")
    return header, buffer[8 + length :]


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    table = dict(pairs)
    if len(table) != len(pairs):
        raise ValueError("a key occurs twice")
    return table


def _checked_entry(path: Path, name: str, entry: Any) -> tuple[str, list[int], int, int]:
    try:
        dtype, shape, (begin, end) = entry["dtype"], entry["shape"], entry["data_offsets"]
    except (TypeError, KeyError, ValueError):
        raise CheckpointError(path, f"{name} lacks its dtype, shape or two data_offsets") from None
    if not (isinstance(dtype, str) and isinstance(shape, list) and type(begin) is int and type(end) is int):
        raise CheckpointError(path, f"{name} has a dtype, shape or data_offsets of the wrong kind")
    return dtype, shape, begin, end


def write_safetensors(file: BinaryIO, tensors: Mapping[str, AnyArray], **metadata: str) -> None:
    """Write float16, float32 or float64 arrays, of any memory order, to an open file, with words about them."""
    header: dict[str, Any] = {METADATA: {"format": "pt", **metadata}}  # transformers requires "format"
    offset = 0
    for name, array in tensors.items():
        dtype = TYPE_NAMES[array.dtype.name]
        header[name] = {"dtype": dtype, "shape": array.shape, "data_offsets": [offset, offset + array.nbytes]}
        offset += array.nbytes
    encoded = json.dumps(header, separators=(",", ":")).encode()
    encoded += b" " * (-len(encoded) % 8)  # so that the first tensor is aligned
    file.write(len(encoded).to_bytes(8, "little"))
    file.write(encoded)
    for array in tensors.values():
        little_endian = array.astype(array.dtype.newbyteorder("<"), copy=False)
        file.write(np.ascontiguousarray(little_endian).data)
