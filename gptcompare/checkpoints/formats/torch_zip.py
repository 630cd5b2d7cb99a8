"""torch.save's zip format (PyTorch 1.6 and later), read without PyTorch and without running anything in it.

    NAME/data.pkl        a pickle of a dict: tensor name -> how to rebuild the tensor from a storage
    NAME/data/0, 1, ...  the storages' bytes, uncompressed
    NAME/byteorder       "little" (newer files)

A pickle is a program for a stack machine, and Python's own machine calls whatever function the program names. Here
`pickletools` only splits the program into operations, and the machine below performs the few that describe tensors.
It cannot import, call or set an attribute, so there is nothing to restrict.
"""

from __future__ import annotations

import math
import pickletools
import struct
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ...arrays import AnyArray
from ..errors import CheckpointError
from .tensor_file import (
    DTYPES,
    MAX_DIMENSIONS,
    MAX_ELEMENTS,
    Buffer,
    aligned,
    bfloat16_to_float32,
    check_disjoint,
    map_file,
    n_bytes,
)

MAX_PICKLE = 2_000_000  # bytes; the largest GPT-2's pickle has 60 thousand
LARGE = 1 << 27  # bytes; up to here the tensors may be any number of times as large as the file
LEGACY_MAGIC = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."  # the first pickle in a file from PyTorch before 1.6
LOCAL_HEADER = struct.Struct("<4s22xHH")  # signature, length of the name, length of the extra field
STORAGES = {
    "DoubleStorage": "F64", "FloatStorage": "F32", "HalfStorage": "F16", "BFloat16Storage": "BF16",
    "LongStorage": "I64", "IntStorage": "I32", "ShortStorage": "I16", "CharStorage": "I8",
    "ByteStorage": "U8", "BoolStorage": "BOOL",
}  # fmt: skip
ORDERED_DICT = "collections OrderedDict"
REBUILD_TENSOR = "torch._utils _rebuild_tensor_v2"
REBUILD_PARAMETER = "torch._utils _rebuild_parameter"
ALLOWED = {ORDERED_DICT, REBUILD_TENSOR, REBUILD_PARAMETER, *(f"torch {name}" for name in STORAGES)}


@dataclass(frozen=True)
class _Global:
    """A name that the pickle mentions. It is only a name: what it stands for is never looked up."""

    name: str


@dataclass(frozen=True)
class _Storage:
    key: str
    dtype: str
    n_elements: int


@dataclass(frozen=True)
class _Tensor:
    storage: _Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


_MARK = object()


def read_torch_zip(path: Path) -> dict[str, AnyArray]:
    """Read every tensor of a saved state_dict: name -> memory-mapped array."""
    buffer = map_file(path)
    members = _members(path, buffer)
    pickles = [name for name in members if name.endswith("/data.pkl") and name.count("/") == 1]
    if len(pickles) != 1:
        raise CheckpointError(path, "no data.pkl: not a file from torch.save")
    prefix = pickles[0].removesuffix("data.pkl")
    begin, end = members[pickles[0]]
    if end - begin > MAX_PICKLE:
        raise CheckpointError(path, "data.pkl is too large to be a description of tensors")
    if f"{prefix}byteorder" in members:
        order = slice(*members[f"{prefix}byteorder"])
        if buffer[order].tobytes() != b"little":
            raise CheckpointError(path, "the data is not little-endian, which is not supported")
    state = _unpickle(path, buffer[begin:end].tobytes())
    if not isinstance(state, dict):
        raise CheckpointError(path, "the pickle is not a dict of tensors")
    folder = f"{prefix}data/"
    spans = {name.removeprefix(folder): span for name, span in members.items() if name.startswith(folder)}
    return _tensors(path, buffer, spans, state)


def _members(path: Path, buffer: Buffer) -> dict[str, tuple[int, int]]:
    """Find where the contents of each member begin and end in the file: name -> (begin, end)."""
    if buffer[: len(LEGACY_MAGIC)].tobytes() == LEGACY_MAGIC:
        raise CheckpointError(
            path,
            "written by PyTorch before 1.6, in a format that is not supported; convert it with PyTorch: "
            'torch.save(torch.load(FILE, weights_only=True), "pytorch_model.bin")',
        )
    try:
        with zipfile.ZipFile(path) as archive:
            infos = archive.infolist()
    except (zipfile.BadZipFile, NotImplementedError, ValueError, OSError, OverflowError, struct.error) as error:
        raise CheckpointError(path, f"not a file from torch.save, or truncated ({error})") from None
    members: dict[str, tuple[int, int]] = {}
    for info in infos:
        if info.compress_type != zipfile.ZIP_STORED or info.flag_bits & 1 or info.compress_size != info.file_size:
            raise CheckpointError(path, f"{info.filename} is compressed or encrypted, which torch.save does not do")
        if info.filename in members:
            raise CheckpointError(path, f"{info.filename} occurs twice")
        members[info.filename] = _contents(path, buffer, info)
    check_disjoint(path, [(begin, end, name) for name, (begin, end) in members.items()])
    return members


def _contents(path: Path, buffer: Buffer, info: zipfile.ZipInfo) -> tuple[int, int]:
    header = buffer[max(info.header_offset, 0) :][: LOCAL_HEADER.size].tobytes()
    if info.header_offset < 0 or len(header) < LOCAL_HEADER.size:
        raise CheckpointError(path, f"{info.filename} is outside the file")
    signature, name_length, extra_length = LOCAL_HEADER.unpack(header)
    begin = info.header_offset + LOCAL_HEADER.size + name_length + extra_length
    if signature != b"PK\x03\x04" or begin + info.file_size > len(buffer):
        raise CheckpointError(path, f"{info.filename} is not where the directory says: truncated or damaged")
    return begin, begin + info.file_size


def _tensors(
    path: Path, buffer: Buffer, spans: dict[str, tuple[int, int]], state: dict[str, object]
) -> dict[str, AnyArray]:
    """Make the arrays of a state_dict, whose storages are at the spans of their keys."""
    storages: dict[_Storage, AnyArray] = {}  # each is converted once, however many tensors share it
    tensors: dict[str, AnyArray] = {}
    total = 0
    for name, tensor in state.items():
        if not isinstance(tensor, _Tensor):
            raise CheckpointError(path, f"the entry {name!r} is not a tensor")
        storage = tensor.storage
        if storage not in storages:
            storages[storage] = _load(path, buffer, spans.get(storage.key), storage)
        # What tensors share in the file need not be shared in memory: a small file may not stand for a large model.
        total += n_bytes(path, name, storage.dtype, tensor.shape)
        if total > max(LARGE, 2 * len(buffer)):
            raise CheckpointError(path, f"the tensors up to {name} are more than twice as large as the file")
        tensors[name] = _view(path, name, storages[storage], tensor)
    return tensors


def _load(path: Path, buffer: Buffer, span: tuple[int, int] | None, storage: _Storage) -> AnyArray:
    """Return the numbers of a storage, in one dimension."""
    if span is None:
        raise CheckpointError(path, f"storage {storage.key!r} is missing")
    begin, end = span
    item = np.dtype(DTYPES[storage.dtype])
    if storage.n_elements * item.itemsize != end - begin:
        raise CheckpointError(
            path, f"storage {storage.key!r} does not have the {storage.n_elements} elements that it claims"
        )
    flat = aligned(buffer[begin:end].view(item))
    return bfloat16_to_float32(flat) if storage.dtype == "BF16" else flat


def _view(path: Path, name: str, flat: AnyArray, tensor: _Tensor) -> AnyArray:
    """Return the tensor as a strided view of its storage, after checking that it stays inside it.

    A tensor with a stride of 0, from `expand`, repeats its elements, also where it has more than the storage.
    """
    count = math.prod(tensor.shape)
    last = tensor.offset + sum((n - 1) * stride for n, stride in zip(tensor.shape, tensor.strides, strict=True))
    if count > 0 and last >= len(flat):
        raise CheckpointError(path, f"{name}: shape {tensor.shape} does not fit into its storage")
    if count == 0:
        return flat[:0].reshape(tensor.shape)
    strides = [stride * flat.itemsize for stride in tensor.strides]
    view = np.lib.stride_tricks.as_strided(flat[tensor.offset :], tensor.shape, strides)
    repeats = any(n > 1 and stride == 0 for n, stride in zip(tensor.shape, tensor.strides, strict=True))
    return view.copy() if repeats else view  # training changes each number by itself


def _unpickle(path: Path, program: bytes) -> object:
    """Return the object that a pickle describes: dicts, tuples, numbers, strings and `_Tensor`s."""
    try:
        return _run(path, pickletools.genops(program))
    except (IndexError, KeyError, TypeError) as error:  # an empty stack, an unknown memo, an unhashable key
        raise CheckpointError(path, f"data.pkl is damaged ({type(error).__name__}: {error})") from None
    except (ValueError, struct.error, OverflowError, EOFError) as error:
        if isinstance(error, CheckpointError):
            raise
        raise CheckpointError(path, f"data.pkl is damaged ({error})") from None


def _run(path: Path, operations: Iterator[tuple[pickletools.OpcodeInfo, Any, int | None]]) -> object:
    stack: list[Any] = []
    memo: dict[int, Any] = {}
    for operation, argument, _ in operations:
        match operation.name:
            case "PROTO" | "FRAME":
                pass
            case "STOP":
                return stack.pop()
            case "MARK":
                stack.append(_MARK)
            case "EMPTY_DICT":
                stack.append({})
            case "EMPTY_LIST":
                stack.append([])
            case "EMPTY_TUPLE":
                stack.append(())
            case "NONE":
                stack.append(None)
            case "NEWTRUE":
                stack.append(True)
            case "NEWFALSE":
                stack.append(False)
            case "BININT" | "BININT1" | "BININT2" | "LONG1" | "BINFLOAT" | "BINUNICODE" | "SHORT_BINUNICODE":
                stack.append(argument)
            case "BINPUT" | "LONG_BINPUT":
                memo[argument] = stack[-1]
            case "MEMOIZE":
                memo[len(memo)] = stack[-1]
            case "BINGET" | "LONG_BINGET":
                stack.append(memo[argument])
            case "TUPLE1" | "TUPLE2" | "TUPLE3":
                stack.append(tuple([stack.pop() for _ in range(int(operation.name[-1]))][::-1]))
            case "TUPLE":
                stack.append(tuple(_pop_to_mark(stack)))
            case "APPEND":
                _top(stack, 2, list).append(stack.pop())
            case "APPENDS":
                items = _pop_to_mark(stack)
                _top(stack, 1, list).extend(items)
            case "SETITEM":
                value, key = stack.pop(), stack.pop()
                _top(stack, 1, dict)[_key(path, key)] = value
            case "SETITEMS":
                items = _pop_to_mark(stack)
                keys = [_key(path, key) for key in items[::2]]
                _top(stack, 1, dict).update(zip(keys, items[1::2], strict=True))
            case "GLOBAL":
                stack.append(_named(path, argument))
            case "STACK_GLOBAL":
                name, module = stack.pop(), stack.pop()
                if not isinstance(module, str) or not isinstance(name, str):
                    raise TypeError("a name is not a string")
                stack.append(_named(path, f"{module} {name}"))
            case "BINPERSID":
                stack.append(_storage(path, stack.pop()))
            case "REDUCE":
                arguments, function = stack.pop(), stack.pop()
                stack.append(_rebuild(path, function, arguments))
            case "BUILD":  # the attributes of an OrderedDict, such as torch's _metadata: not needed
                stack.pop()
                _top(stack, 1, dict)
            case other:
                raise CheckpointError(path, f"data.pkl uses the operation {other}, which no dict of tensors needs")
    raise CheckpointError(path, "data.pkl ends in the middle")


def _pop_to_mark(stack: list[Any]) -> list[Any]:
    items = []
    while (item := stack.pop()) is not _MARK:
        items.append(item)
    return items[::-1]


def _top(stack: list[Any], depth: int, kind: type) -> Any:
    if not isinstance(stack[-depth], kind):
        raise TypeError(f"expected a {kind.__name__}")
    return stack[-depth]


def _key(path: Path, key: object) -> str:
    """Check that a key is a string: comparing tuples that nest each other many times over could take for ever."""
    if not isinstance(key, str):
        raise CheckpointError(path, f"data.pkl has a dict with a key of type {type(key).__name__}: not of tensors")
    return key


def _named(path: Path, name: str) -> _Global:
    if name not in ALLOWED:
        raise CheckpointError(
            path,
            f"data.pkl names {name.replace(' ', '.')[:80]!r}, which is not part of a tensor: refused, nothing was run",
        )
    return _Global(name)


def _storage(path: Path, description: object) -> _Storage:
    match description:
        case ("storage", _Global(name), str(key), str(), int(n_elements)) if name.startswith("torch "):
            return _Storage(key, STORAGES[name.removeprefix("torch ")], n_elements)
    raise CheckpointError(path, "data.pkl refers to something outside itself that is not a storage of numbers")


def _rebuild(path: Path, function: object, arguments: object) -> object:
    match function, arguments:
        case _Global("collections OrderedDict"), ():
            return {}
        case _Global("torch._utils _rebuild_parameter"), (_Tensor() as tensor, *_):
            return tensor
        case _Global("torch._utils _rebuild_tensor_v2"), (
            _Storage() as storage,
            int(offset),
            tuple(shape),
            tuple(strides),
            *_,
        ):
            if len(shape) == len(strides) <= MAX_DIMENSIONS and all(
                type(n) is int and 0 <= n < MAX_ELEMENTS for n in (offset, *shape, *strides)
            ):
                return _Tensor(storage, offset, shape, strides)
    called = function.name.replace(" ", ".") if isinstance(function, _Global) else type(function).__name__
    raise CheckpointError(path, f"data.pkl calls {called} with arguments that do not describe a tensor")
