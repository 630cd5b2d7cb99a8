"""Checkpoint files put together byte by byte, so that any byte can be wrong."""

import contextlib
import json
import pickle
import re
import tracemalloc
import zipfile
from itertools import accumulate
from operator import and_, eq

import numpy as np
from hypothesis import strategies as st

import gptcompare as gc
from gptcompare.arrays import BFLOAT16
from gptcompare.checkpoints.formats.tensorflow import MAGIC, masked_crc32c
from gptcompare.parameters import parameter_shapes
from gptcompare.sixteen_bits import widened

FLOAT = 1  # DT_FLOAT in tensorflow/core/framework/types.proto


def small_config(**changes):
    return gc.GPTConfig(**{"n_layer": 2, "n_head": 2, "d_model": 8, "n_ctx": 12, "n_vocab": 40, **changes})


def random_parameters(config, dtype=np.float32):
    """Random gains and biases too, so that no two parameters can be exchanged without notice."""
    rng = np.random.default_rng(0)
    return {name: rng.standard_normal(shape).astype(dtype) for name, shape in parameter_shapes(config).items()}


# config.json of the model that `small_config` describes, in the words of three families.
GPT2_FIELDS = {"model_type": "gpt2", "n_layer": 2, "n_head": 2, "n_embd": 8, "n_positions": 12, "vocab_size": 40}
GPT_NEO_FIELDS = {
    "model_type": "gpt_neo", "num_layers": 2, "num_heads": 2, "hidden_size": 8, "max_position_embeddings": 12,
    "vocab_size": 40, "intermediate_size": None, "attention_types": [[["global"], 2]],
}  # fmt: skip
OPT_FIELDS = {
    "model_type": "opt", "num_hidden_layers": 2, "num_attention_heads": 2, "hidden_size": 8, "ffn_dim": 32,
    "max_position_embeddings": 12, "vocab_size": 40, "activation_function": "gelu_new",
}  # fmt: skip
GPT_NEO_MODULES = {"attn.c_proj": "attn.attention.out_proj", "attn.qkv": "attn.attention"}
OPT_MODULES = {
    "wte": "embed_tokens", "wpe": "embed_positions", "ln_f": "final_layer_norm", "h.": "layers.",
    "ln_1": "self_attn_layer_norm", "ln_2": "final_layer_norm", "attn.c_proj": "self_attn.out_proj",
    "attn.qkv": "self_attn", "mlp.c_fc": "fc1", "mlp.c_proj": "fc2",
}  # fmt: skip


def in_linear_layers(parameters, prefix, modules):
    """The parameters as torch.nn.Linear has them: matrices (d_out, d_in), each of queries, keys and values alone."""
    tensors = {}
    for name, array in parameters.items():
        array = array if name in ("wte.weight", "wpe.weight") else array.T
        parts = {name: array}
        if ".c_attn." in name:
            parts = {
                name.replace("c_attn", f"qkv.{x}_proj"): part for x, part in zip("qkv", np.split(array, 3), strict=True)
            }
        for part, value in parts.items():
            theirs = part if part.startswith("lm_head") else prefix + part
            for ours, their_module in modules.items():
                theirs = theirs.replace(ours, their_module)
            tensors[theirs] = value
    return tensors


def gpt_neo_tensors(parameters, prefix="transformer."):
    """The parameters as GPTNeoForCausalLM names them, without what it lacks, the biases of queries, keys and values."""
    tensors = in_linear_layers(parameters, prefix, GPT_NEO_MODULES)
    return {name: tensor for name, tensor in tensors.items() if not re.search("[qkv]_proj.bias", name)}


def opt_tensors(parameters, prefix="model.decoder."):
    """The parameters as OPTForCausalLM names them. Its first two positions, which nothing may use, are not numbers."""
    tensors = in_linear_layers(parameters, prefix, OPT_MODULES)
    used = parameters["wpe.weight"]
    unused = np.full((2, used.shape[1]), np.nan, used.dtype)
    return tensors | {f"{prefix}embed_positions.weight": np.concatenate([unused, used])}


def assert_same_arrays(ours, expected):
    """The same names, shapes, element types and bits; bfloat16 is expected as float32."""
    assert set(ours) == set(expected)
    ours = {name: widened(array) if array.dtype == BFLOAT16 else array for name, array in ours.items()}
    for name, array in expected.items():
        assert isinstance(ours[name], np.ndarray), name
        assert (ours[name].shape, ours[name].dtype) == (array.shape, array.dtype), name
        assert ours[name].tobytes() == array.tobytes(), name


@contextlib.contextmanager
def little_memory(limit=50_000_000):
    """Fails if the block allocates more bytes than a forged file of a few thousand could need; maps do not count."""
    tracemalloc.start()
    try:
        yield
        assert tracemalloc.get_traced_memory()[1] < limit
    finally:
        tracemalloc.stop()


@st.composite
def damaged(draw, original):
    """The bytes with one to three changes: some replaced, cut out, put in, or the end cut off."""
    data = bytearray(original)
    for _ in range(draw(st.integers(1, 3))):
        begin = draw(st.integers(0, len(data)))
        kind = draw(st.sampled_from(["replace", "cut", "insert", "truncate"]))
        width = {"cut": draw(st.integers(1, 9)), "insert": 0, "truncate": len(data)}.get(kind)
        new = draw(st.binary(min_size=1, max_size=4)) if kind in ("replace", "insert") else b""
        data[begin : begin + (len(new) if width is None else width)] = new
    return bytes(data)


# --- safetensors


def safetensors(header, data=b""):
    """A file with a header, given as a value or as its bytes."""
    encoded = header if isinstance(header, bytes) else json.dumps(header).encode()
    return len(encoded).to_bytes(8, "little") + encoded + data


# --- TensorFlow: protobuf messages in a sorted-string table


def varint(number):
    number %= 2**64  # a negative number is its two's complement
    encoded = bytearray()
    while number > 0x7F:
        encoded.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*encoded, number])


def proto(*fields):
    """A protobuf message of (number, int or bytes) fields."""
    return b"".join(
        varint(number << 3) + varint(value)
        if isinstance(value, int)
        else varint(number << 3 | 2) + varint(len(value)) + value
        for number, value in fields
    )


def bundle_header(n_shards=1, *more):
    return proto((1, n_shards), *more)


def bundle_entry(*more, dtype=FLOAT, shape=(), offset=0, size=4, shard=0):
    shape_proto = proto(*((2, proto((1, n))) for n in shape))
    return proto((1, dtype), (2, shape_proto), (3, shard), (4, offset), (5, size), *more)


def table_entries(entries, restart_every=16):
    """A block's contents: each key without what it shares with the one before, except at a restart point."""
    block, restarts, before = bytearray(), [], b""
    for n, (key, value) in enumerate(entries):
        if n % restart_every == 0:
            restarts.append(len(block))
            before = b""
        shared = sum(accumulate(map(eq, before, key), and_))
        block += varint(shared) + varint(len(key) - shared) + varint(len(value)) + key[shared:] + value
        before = key
    restarts = restarts or [0]
    return bytes(block) + b"".join(n.to_bytes(4, "little") for n in [*restarts, len(restarts)])


def checksummed(block, compression=0):
    contents = block + bytes([compression])
    return contents + masked_crc32c(contents).to_bytes(4, "little")


def footer(offset, size):
    return (varint(0) * 2 + varint(offset) + varint(size)).ljust(40, b"\0") + MAGIC.to_bytes(8, "little")


def table(*blocks, index=None, compression=0):
    """A sorted-string table of data blocks; its index block, if not given, has one handle per block."""
    body, handles = bytearray(), []
    for n, block in enumerate(blocks):
        handles.append((b"%d" % n, varint(len(body)) + varint(len(block))))
        body += checksummed(block, compression)
    index = table_entries(handles) if index is None else index
    return bytes(body) + checksummed(index) + footer(len(body), len(index))


def bundle(entries, header=None, restart_every=16):
    """The index file of tensor name -> BundleEntryProto."""
    items = {b"": bundle_header() if header is None else header} | {name.encode(): e for name, e in entries.items()}
    return table(table_entries(sorted(items.items()), restart_every))


# --- torch.save: a pickle in a zip


def push(value):
    """The operations that put a plain value on the pickle machine's stack."""
    return pickle.dumps(value, protocol=2)[2:-1]


def named(module, name):
    return pickle.GLOBAL + f"{module}\n{name}\n".encode()


def storage(kind="FloatStorage", key="0", n_elements=6):
    return (
        pickle.MARK + push("storage") + named("torch", kind) + push(key) + push("cpu") + push(n_elements) + pickle.TUPLE
        + pickle.BINPERSID
    )  # fmt: skip


def tensor(source=None, offset=0, shape=(2, 3), strides=(3, 1)):
    """The operations that describe a tensor over a storage."""
    hooks = named("collections", "OrderedDict") + pickle.EMPTY_TUPLE + pickle.REDUCE
    return (
        named("torch._utils", "_rebuild_tensor_v2") + pickle.MARK + (source or storage()) + push(offset) + push(shape)
        + push(strides) + pickle.NEWFALSE + hooks + pickle.TUPLE + pickle.REDUCE
    )  # fmt: skip


def program(*operations):
    return pickle.PROTO + b"\2" + b"".join(operations) + pickle.STOP


def state_dict(tensors):
    """The pickle of name -> the operations of a tensor."""
    items = [push(name) + operations for name, operations in tensors.items()]
    return program(pickle.EMPTY_DICT, pickle.MARK, *items, pickle.SETITEMS)


def torch_zip(path, pickled, storages=None, edit=None, padding=0, compression=zipfile.ZIP_STORED):
    """A file of torch.save; `edit` gets the ZipInfos by name before the directory is written from them."""
    with zipfile.ZipFile(path, "w", compression) as archive:
        archive.writestr("archive/padding", bytes(padding))
        archive.writestr("archive/data.pkl", pickled)
        for key, contents in ({"0": bytes(24)} if storages is None else storages).items():
            archive.writestr(f"archive/data/{key}", contents)
        if edit:
            edit({info.filename.removeprefix("archive/"): info for info in archive.filelist})


# --- GGUF


def gguf_text(text):
    encoded = text if isinstance(text, bytes) else text.encode()
    return len(encoded).to_bytes(8, "little") + encoded


def gguf_value(name, kind, content, *, n=None):
    """A value: its type and the bytes of its content; with n, an array of so many elements of the type."""
    types = [kind] if n is None else [9, kind]
    count = b"" if n is None else n.to_bytes(8, "little")
    return gguf_text(name) + b"".join(t.to_bytes(4, "little") for t in types) + count + content


def gguf_tensor(name, sizes, kind, offset):
    """An entry of the table of tensors; sizes with the innermost first, as in the file."""
    numbers = b"".join(size.to_bytes(8, "little") for size in sizes)
    return (
        gguf_text(name)
        + len(sizes).to_bytes(4, "little")
        + numbers
        + kind.to_bytes(4, "little")
        + offset.to_bytes(8, "little")
    )


def gguf(values=(), tensors=(), data=b"", *, version=3, n_values=None, n_tensors=None, alignment=32):
    """A file of these parts, and the numbers of its values and tensors, which may be wrong."""
    header = b"GGUF" + version.to_bytes(4, "little")
    header += (len(tensors) if n_tensors is None else n_tensors).to_bytes(8, "little")
    header += (len(values) if n_values is None else n_values).to_bytes(8, "little")
    header += b"".join(values) + b"".join(tensors)
    return header + bytes(-len(header) % alignment) + data
