"""The pickle in a file from torch.save, read without running anything in it.

A pickle is a program for a stack machine, and Python's own machine calls whatever function the program names. Here
`pickletools` only splits the program into operations, and the machine below performs the few that describe tensors.
It cannot import, call or set an attribute, so there is nothing to restrict.
"""

from __future__ import annotations

import pickletools
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import CheckpointError
from .tensor_file import MAX_DIMENSIONS, MAX_ELEMENTS

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
class Storage:
    key: str
    dtype: str
    n_elements: int


@dataclass(frozen=True)
class Tensor:
    storage: Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


_MARK = object()


def unpickle(path: Path, program: bytes) -> object:
    """Return the object that a pickle describes: dicts, tuples, numbers, strings and `Tensor`s."""
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


def _key(path: Path, key: object) -> str | int:
    """Check that a key is a string or a number (of an optimizer's parameters).

    Comparing tuples that nest each other many times over could take for ever.
    """
    if not isinstance(key, (str, int)):
        raise CheckpointError(path, f"data.pkl has a dict with a key of type {type(key).__name__}: not of tensors")
    return key


def _named(path: Path, name: str) -> _Global:
    if name not in ALLOWED:
        raise CheckpointError(
            path,
            f"data.pkl names {name.replace(' ', '.')[:80]!r}, which is not part of a tensor: refused, nothing was run",
        )
    return _Global(name)


def _storage(path: Path, description: object) -> Storage:
    match description:
        case ("storage", _Global(name), str(key), str(), int(n_elements)) if name.startswith("torch "):
            return Storage(key, STORAGES[name.removeprefix("torch ")], n_elements)
    raise CheckpointError(path, "data.pkl refers to something outside itself that is not a storage of numbers")


def _rebuild(path: Path, function: object, arguments: object) -> object:
    match function, arguments:
        case _Global("collections OrderedDict"), ():
            return {}
        case _Global("torch._utils _rebuild_parameter"), (Tensor() as tensor, *_):
            return tensor
        case _Global("torch._utils _rebuild_tensor_v2"), (
            Storage() as storage,
            int(offset),
            tuple(shape),
            tuple(strides),
            *others,
        ):
            if any(others[2:]):  # behind requires_grad and hooks: {"neg": True} of a view with the signs turned
                raise CheckpointError(
                    path, "data.pkl has a view of a tensor with its signs turned: save a `clone` of it"
                )
            if len(shape) == len(strides) <= MAX_DIMENSIONS and all(
                type(n) is int and 0 <= n < MAX_ELEMENTS for n in (offset, *shape, *strides)
            ):
                return Tensor(storage, offset, shape, strides)
    called = function.name.replace(" ", ".") if isinstance(function, _Global) else type(function).__name__
    raise CheckpointError(path, f"data.pkl calls {called} with arguments that do not describe a tensor")
