"""TensorFlow's checkpoint format, in which OpenAI published GPT-2, read without TensorFlow.

    model.ckpt.index                  which tensors there are, and where
    model.ckpt.data-00000-of-00001    their bytes; there may be several such shards

The index is a sorted-string table (LevelDB's format: tensorflow/core/lib/io/table_format.txt), read from its end:

    footer, 48 bytes    handles of the meta-index and the index block, padding, the magic number
    index block         last key of a data block -> handle of that block; a handle is (offset, size) as varints
    data block          tensor name -> BundleEntryProto; the empty name -> BundleHeaderProto
                        (tensorflow/core/protobuf/tensor_bundle.proto)

A block is a list of entries, each of which shares a prefix with the key before it; then an array of restart points,
which only a search needs; then a trailer: one byte of compression and a CRC-32C. The checksums of the blocks are
verified; those of the tensors' own bytes are not: in Python that would take longer than the rest of loading a model.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from ...arrays import AnyArray
from ..errors import CheckpointError
from .tensor_file import Buffer, check_disjoint, map_file, n_bytes, tensor_at

MAGIC = 0xDB4775248B80FB57
FOOTER, TRAILER = 48, 5
MAX_SHARDS = 10_000
MAX_INDEX = 4_000_000  # bytes; the largest GPT-2's index has 21 thousand
MAX_ENTRIES = 100_000  # the largest GPT-2 has 580 tensors
MAX_NAMES = 10_000_000  # bytes of all names; sharing prefixes, they may be far longer than the file
STRING = 7  # element type of non-numeric tensors, such as TensorFlow 2's object graph
# tensorflow/core/framework/types.proto
TYPE_NAMES = {
    1: "F32", 2: "F64", 3: "I32", 4: "U8", 5: "I16", 6: "I8", 9: "I64", 10: "BOOL",
    14: "BF16", 17: "U16", 19: "F16", 22: "U32", 23: "U64",
}  # fmt: skip


@dataclass
class _Entry:
    """The place of a tensor, from a BundleEntryProto. The defaults are protobuf's."""

    dtype: int = 0
    shape: list[int] = field(default_factory=list)
    shard: int = 0
    offset: int = 0
    size: int = 0
    sliced: bool = False


def read_tensorflow(index: Path) -> dict[str, AnyArray]:
    """Read every numeric tensor of the checkpoint with this index file: name -> memory-mapped array."""
    if index.stat().st_size > MAX_INDEX:
        raise CheckpointError(index, "too large for an index")
    table = _read_table(index, index.read_bytes())
    n_shards = _n_shards(index, table.pop(b"", None))
    entries = {_name(index, key): _parse_entry(index, value) for key, value in table.items()}
    tensors: dict[str, AnyArray] = {}
    shards: dict[int, tuple[Path, Buffer]] = {}
    spans: dict[int, list[tuple[int, int, str]]] = {}
    for name, entry in entries.items():
        if entry.dtype == STRING:
            continue
        if entry.sliced:
            raise CheckpointError(index, f"{name} is stored in slices, which is not supported")
        dtype = TYPE_NAMES.get(entry.dtype, f"number {entry.dtype} of types.proto")
        if n_bytes(index, name, dtype, entry.shape) != entry.size:
            raise CheckpointError(index, f"{name} is {dtype} {entry.shape}, which does not fill its {entry.size} bytes")
        if entry.shard not in shards:
            shards[entry.shard] = _open_shard(index, entry.shard, n_shards)
        path, buffer = shards[entry.shard]
        tensors[name] = tensor_at(path, buffer, name, entry.offset, dtype, tuple(entry.shape))
        spans.setdefault(entry.shard, []).append((entry.offset, entry.offset + entry.size, name))
    for shard, in_shard in spans.items():
        check_disjoint(shards[shard][0], in_shard)
    return tensors


def _open_shard(index: Path, shard: int, n_shards: int) -> tuple[Path, Buffer]:
    if shard >= n_shards:
        raise CheckpointError(index, f"a tensor is in shard {shard}, but shards are 0 ... {n_shards - 1}")
    path = index.with_name(f"{index.name.removesuffix('.index')}.data-{shard:05d}-of-{n_shards:05d}")
    if not path.is_file():
        raise CheckpointError(path, "the file is missing")
    return path, map_file(path)


def _read_table(path: Path, table: bytes) -> dict[bytes, bytes]:
    """Read all entries of a sorted-string table: key -> value."""
    if len(table) < FOOTER or int.from_bytes(table[-8:], "little") != MAGIC:
        raise CheckpointError(path, "not the index of a TensorFlow checkpoint, or truncated")
    reader = _Reader(path, table[-FOOTER:])
    reader.varint(), reader.varint()  # the meta-index, which is empty
    blocks = _Blocks(path, table)
    handles = [_Reader(path, handle) for _, handle in blocks.entries(reader.varint(), reader.varint())]
    places = [(place.varint(), place.varint()) for place in handles]
    # Checked before any block is read: if many handles named one block, each of them would cost as much as all of it.
    check_disjoint(path, [(begin, begin + size + TRAILER, f"block {n}") for n, (begin, size) in enumerate(places)])
    entries: dict[bytes, bytes] = {}
    for place in places:
        for key, value in blocks.entries(*place):
            if key in entries:
                raise CheckpointError(path, f"{key!r} occurs twice")
            entries[key] = value
    return entries


class _Blocks:
    """The blocks of a table, which together may have so many entries, and keys of so many bytes, and no more."""

    def __init__(self, path: Path, table: bytes) -> None:
        self.path, self.table = path, table
        self.n_entries = self.n_name_bytes = 0

    def entries(self, offset: int, size: int) -> Iterator[tuple[bytes, bytes]]:
        """Yield key and value of each entry of a block."""
        block = self._contents(offset, size)
        n_restarts = int.from_bytes(block[-4:], "little")
        if 4 * (n_restarts + 1) > len(block):
            raise CheckpointError(self.path, "a block is shorter than its list of restart points")
        reader = _Reader(self.path, block[: len(block) - 4 * (n_restarts + 1)])
        key = b""
        while not reader.at_end():
            shared, not_shared, value_size = reader.varint(), reader.varint(), reader.varint()
            if shared > len(key):
                raise CheckpointError(self.path, "a key shares more bytes with the key before it than that has")
            key = key[:shared] + reader.take(not_shared)
            self._count(key)
            yield key, reader.take(value_size)

    def _contents(self, offset: int, size: int) -> bytes:
        """Return the contents of a block, after checking its checksum."""
        end = offset + size + TRAILER
        if end > len(self.table) - FOOTER:
            raise CheckpointError(self.path, "a block is outside the file: truncated?")
        if self.table[offset + size] != 0:
            raise CheckpointError(self.path, "a block is compressed, which TensorFlow does not do in checkpoints")
        checksum = int.from_bytes(self.table[end - 4 : end], "little")
        if masked_crc32c(self.table[offset : offset + size + 1]) != checksum:
            raise CheckpointError(self.path, "a checksum is wrong: the file is damaged")
        return self.table[offset : offset + size]

    def _count(self, key: bytes) -> None:
        self.n_entries += 1
        self.n_name_bytes += len(key)
        if self.n_entries > MAX_ENTRIES:
            raise CheckpointError(self.path, f"the index has more than {MAX_ENTRIES} entries")
        if self.n_name_bytes > MAX_NAMES:
            raise CheckpointError(self.path, f"the tensor names have more than {MAX_NAMES} bytes")


def _n_shards(path: Path, header: bytes | None) -> int:
    """Read the number of shards, field 1 of the BundleHeaderProto; its field 2 is 1 for big-endian data."""
    if header is None:
        raise CheckpointError(path, "the header entry is missing")
    fields = {number: value for number, value in _proto_fields(path, header) if isinstance(value, int)}
    if fields.get(2, 0) != 0:
        raise CheckpointError(path, "the data is big-endian, which is not supported")
    if not 1 <= fields.get(1, 0) <= MAX_SHARDS:
        raise CheckpointError(path, f"the checkpoint claims {fields.get(1, 0)} shards")
    return fields[1]


def _name(path: Path, key: bytes) -> str:
    try:
        return key.decode()
    except UnicodeDecodeError:
        raise CheckpointError(path, f"the tensor name {key!r} is not UTF-8") from None


def _parse_entry(path: Path, message: bytes) -> _Entry:
    entry = _Entry()
    names = {1: "dtype", 3: "shard", 4: "offset", 5: "size"}
    for number, value in _proto_fields(path, message):
        if number in names and isinstance(value, int):
            setattr(entry, names[number], value)
        elif number == 2 and isinstance(value, bytes):
            entry.shape = _parse_shape(path, value)
        elif number == 7:
            entry.sliced = True
    return entry


def _parse_shape(path: Path, message: bytes) -> list[int]:
    """Parse a TensorShapeProto: field 2 is repeated per dimension; its field 1 is the size (left out if 0)."""
    shape = []
    for number, value in _proto_fields(path, message):
        if number == 2 and isinstance(value, bytes):
            sizes = [size for field_, size in _proto_fields(path, value) if field_ == 1]
            shape.append(sizes[-1] if sizes and isinstance(sizes[-1], int) else 0)
    return shape


def _proto_fields(path: Path, message: bytes) -> Iterator[tuple[int, int | bytes]]:
    """Yield number and value of each field of a protobuf message: an int, or bytes (string or inner message)."""
    reader = _Reader(path, message)
    while not reader.at_end():
        number, wire_type = divmod(reader.varint(), 8)
        if wire_type == 0:
            yield number, reader.varint()
        elif wire_type == 1:
            yield number, int.from_bytes(reader.take(8), "little")
        elif wire_type == 2:
            yield number, reader.take(reader.varint())
        elif wire_type == 5:
            yield number, int.from_bytes(reader.take(4), "little")
        else:
            raise CheckpointError(path, f"protobuf wire type {wire_type} is unknown")


class _Reader:
    """Takes bytes and varints off the front of a byte string, and never more than there are."""

    def __init__(self, path: Path, data: bytes) -> None:
        self.path, self.data, self.position = path, data, 0

    def at_end(self) -> bool:
        return self.position == len(self.data)

    def take(self, size: int) -> bytes:
        if size > len(self.data) - self.position:
            raise CheckpointError(self.path, "an entry ends in the middle")
        self.position += size
        return self.data[self.position - size : self.position]

    def varint(self) -> int:
        """Take a varint of at most 64 bits: seven bits per byte, the lowest first; the eighth says that more follow."""
        value = 0
        for shift in range(0, 70, 7):
            byte = self.take(1)[0]
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                return value
        raise CheckpointError(self.path, "a number has more than 64 bits")


def _crc32c_table() -> list[int]:
    table = []
    for byte in range(256):
        crc = byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
        table.append(crc)
    return table


_CRC32C = _crc32c_table()


def masked_crc32c(data: bytes) -> int:
    """Compute the CRC-32C (RFC 3720, appendix B.4), masked as LevelDB stores it (tensorflow/core/lib/hash/crc32c.h)."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc = crc >> 8 ^ _CRC32C[(crc ^ byte) & 0xFF]
    crc ^= 0xFFFFFFFF
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF
