"""torch.save's zip format (PyTorch 1.6 and later), read without PyTorch and without running anything in it.

    NAME/data.pkl        a pickle of a dict: tensor name -> how to rebuild the tensor from a storage
    NAME/data/0, 1, ...  the storages' bytes, uncompressed
    NAME/byteorder       "little" (newer files)

`torch_pickle` reads the pickle. A trainer's checkpoint is a dict in which the one of tensors has a name, beside the
optimizer's state and settings.
"""

from __future__ import annotations

import math
import struct
import zipfile
from pathlib import Path

import numpy as np

from ...arrays import AnyArray
from ..errors import CheckpointError
from .tensor_file import DTYPES, Buffer, aligned, check_disjoint, map_file, n_bytes
from .torch_pickle import Storage, Tensor, unpickle

MAX_PICKLE = 2_000_000  # bytes; the largest GPT-2's pickle has 60 thousand
LARGE = 1 << 27  # bytes; up to here the tensors may be any number of times as large as the file
STATE_DICTS = ("model", "module", "state_dict", "model_state_dict")  # names of a model's tensors in trainers' dicts
LIGHTNING = b"pytorch-lightning_version"  # a key in every checkpoint of Lightning
LEGACY_MAGIC = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."  # the first pickle in a file from PyTorch before 1.6
LOCAL_HEADER = struct.Struct("<4s22xHH")  # signature, length of the name, length of the extra field


def read_torch_zip(path: Path) -> dict[str, AnyArray]:
    """Read every tensor of a saved state_dict: name -> memory-mapped array."""
    return read_torch_file(path)[0]


def read_torch_file(path: Path) -> tuple[dict[str, AnyArray], dict[str, object]]:
    """Read a saved state_dict, and what else is in the file if it is only one of the entries of a trainer's dict.

    Returns
    -------
    tensors : dict of name -> memory-mapped array
    others : dict
        The other entries: plain values, lists and dicts of them, and descriptions of tensors that were not read.

    Raises
    ------
    CheckpointError
        If the file is damaged, is no dict of tensors and holds none, or has other objects than these in it.
    """
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
    program = buffer[begin:end].tobytes()
    if LIGHTNING in program:
        raise CheckpointError(
            path,
            "a checkpoint of Lightning, which holds a training run and not only a model: load it there and save the "
            "model by itself (for a model of transformers: model.save_pretrained(FOLDER))",
        )
    state, others = _state_dict(path, unpickle(path, program))
    folder = f"{prefix}data/"
    spans = {name.removeprefix(folder): span for name, span in members.items() if name.startswith(folder)}
    return _tensors(path, buffer, spans, state), others


def _state_dict(path: Path, saved: object) -> tuple[dict[str, object], dict[str, object]]:
    """Return the dict of tensors that was saved, which may be one of a dict's entries, and those beside it."""
    if not isinstance(saved, dict):
        raise CheckpointError(path, "the pickle is not a dict of tensors")
    names = [name for name in STATE_DICTS if isinstance(saved.get(name), dict) and saved[name]]
    if not names:
        return saved, {}
    if len(names) > 1:
        raise CheckpointError(path, f"holds several models, {' and '.join(names)}")
    return saved[names[0]], {name: value for name, value in saved.items() if name != names[0]}


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
    storages: dict[Storage, AnyArray] = {}  # each is converted once, however many tensors share it
    tensors: dict[str, AnyArray] = {}
    total = 0
    for name, tensor in state.items():
        if not isinstance(tensor, Tensor):
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


def _load(path: Path, buffer: Buffer, span: tuple[int, int] | None, storage: Storage) -> AnyArray:
    """Return the numbers of a storage, in one dimension."""
    if span is None:
        raise CheckpointError(path, f"storage {storage.key!r} is missing")
    begin, end = span
    item = np.dtype(DTYPES[storage.dtype])
    if storage.n_elements * item.itemsize != end - begin:
        raise CheckpointError(
            path, f"storage {storage.key!r} does not have the {storage.n_elements} elements that it claims"
        )
    return aligned(buffer[begin:end].view(item))


def _view(path: Path, name: str, flat: AnyArray, tensor: Tensor) -> AnyArray:
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
