import math
import random
import re
import runpy

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.amounts import examples, few_or_many
from support.forge import (
    FLOAT,
    assert_same_arrays,
    bundle,
    bundle_entry,
    bundle_header,
    damaged,
    footer,
    little_memory,
    proto,
    table,
    table_entries,
    varint,
)
from support.places import DATA

from gptcompare.checkpoints import CheckpointError
from gptcompare.checkpoints.formats import tensorflow
from gptcompare.checkpoints.formats.tensorflow import masked_crc32c, read_tensorflow

INDEX, SHARD = "model.ckpt.index", "model.ckpt.data-00000-of-00001"
BFLOAT16 = 14  # DT_BFLOAT16 in tensorflow/core/framework/types.proto
NUMBERS = np.arange(6, dtype=np.float32)
BYTES = NUMBERS.tobytes()


def read(folder, index, shard=BYTES):
    (folder / INDEX).write_bytes(index)
    (folder / SHARD).write_bytes(shard)
    return read_tensorflow(folder / INDEX)


class TestChecksum:
    @pytest.mark.parametrize(
        ("data", "crc"),
        [
            (bytes(32), 0x8A9136AA),
            (b"\xff" * 32, 0x62A8AB43),
            (bytes(range(32)), 0x46DD794E),
            (bytes(range(31, -1, -1)), 0x113FDB5C),
        ],
        ids=["zeros", "ones", "incrementing", "decrementing"],
    )
    def test_examples_of_rfc_3720_appendix_b_4(self, data, crc):
        rotated = (crc >> 15 | crc << 17) % 2**32
        assert masked_crc32c(data) == (rotated + 0xA282EAD8) % 2**32  # tensorflow/core/lib/hash/crc32c.h


class TestFilesOfTensorFlow:
    """Written by TensorFlow, in the repository (tests/data/make_tensorflow_checkpoint.py) or now."""

    @pytest.mark.parametrize("folder", ["tensorflow-gpt2", "tensorflow-gpt2-two-shards"])
    def test_are_read_bit_for_bit(self, folder):
        tensors = read_tensorflow(DATA / folder / INDEX)
        with np.load(DATA / "tensorflow-gpt2.npz") as expected:
            assert_same_arrays(tensors, {**expected, "global_step": np.array(7)})

    @pytest.mark.reference
    def test_of_every_element_type_and_shape(self, tf, tmp_path):
        values = {
            f"{dtype.name}/{what}": tf.cast(value, dtype)
            for dtype in (
                tf.float16, tf.bfloat16, tf.float32, tf.float64, tf.int8, tf.int16, tf.int32, tf.int64, tf.uint8,
                tf.uint16, tf.uint32, tf.uint64, tf.bool,
            )
            for what, value in {
                "matrix": tf.range(-7, 8, delta=1, dtype=tf.float32)[:, None] / 3,
                "scalar": tf.constant(1.0),
                "empty": tf.zeros([0, 3]),
            }.items()
        }  # fmt: skip
        save(tmp_path / "model.ckpt", values | {"text": tf.constant(["not", "numbers"])})
        expected = {
            name: np.asarray(tf.cast(value, tf.float32) if value.dtype == tf.bfloat16 else value)
            for name, value in values.items()
        }
        assert_same_arrays(read_tensorflow(tmp_path / INDEX), expected)

    @pytest.mark.reference
    def test_with_many_names_of_one_long_prefix_in_several_blocks(self, tf, tmp_path):
        prefix = "model/" + "a/very/long/scope/" * 200
        values = {f"{prefix if n % 3 else prefix[n:]}/variable_{n}": tf.fill([n % 4], float(n)) for n in range(2000)}
        save(tmp_path / "model.ckpt", values)
        assert (tmp_path / INDEX).stat().st_size > 2**18  # the size of a block in TensorFlow's tables
        expected = {name: value.numpy() for name, value in values.items()}
        assert_same_arrays(read_tensorflow(tmp_path / INDEX), expected)


def save(prefix, tensors):
    runpy.run_path(str(DATA / "make_tensorflow_checkpoint.py"))["save"](prefix, tensors)


ONE = {"x": bundle_entry(shape=[2, 3], size=24)}
HEADER = (b"", bundle_header())
NO_RESTARTS = bytes(4)


def one(*more, **changes):
    """The index of one tensor, "x", which lies in all 24 bytes of the shard unless told otherwise."""
    return bundle({"x": bundle_entry(*more, **{"shape": [2, 3], "size": 24, **changes})})


class TestForgedFiles:
    def test_a_minimal_one_is_read(self, tmp_path):
        assert_same_arrays(read(tmp_path, one()), {"x": NUMBERS.reshape(2, 3)})

    @pytest.mark.parametrize("restart_every", [1, 3, 16, 1000])
    def test_names_are_the_same_whatever_they_share(self, tmp_path, restart_every):
        names = [f"model/h{n}/{part}" for n in range(12) for part in ("attn/b", "attn/bias", "ln", "ü")]
        index = bundle({name: bundle_entry(shape=[0], size=0) for name in names}, restart_every=restart_every)
        assert sorted(read(tmp_path, index)) == sorted(names)

    @pytest.mark.parametrize("offset", range(1, 8))
    def test_tensors_may_begin_at_any_byte(self, tmp_path, offset):
        assert_same_arrays(read(tmp_path, one(offset=offset), bytes(offset) + BYTES), {"x": NUMBERS.reshape(2, 3)})

    def test_a_bfloat16_scalar_is_an_array(self, tmp_path):
        tensors = read(tmp_path, one(dtype=BFLOAT16, shape=[], size=2), bytes.fromhex("20c0"))
        assert_same_arrays(tensors, {"x": np.array(-2.5, np.float32)})

    def test_unknown_fields_of_every_wire_type_are_skipped(self, tmp_path):
        fixed = varint(100 << 3 | 1) + bytes(8) + varint(101 << 3 | 5) + bytes(4)
        unknown = fixed + proto((102, 7), (103, b"text"))
        index = bundle({"x": ONE["x"] + unknown}, header=bundle_header() + unknown)
        assert_same_arrays(read(tmp_path, index), {"x": NUMBERS.reshape(2, 3)})

    def test_an_index_beyond_the_limit_is_refused(self, tmp_path, monkeypatch):
        monkeypatch.setattr(tensorflow, "MAX_INDEX", len(one()) - 1)
        with pytest.raises(CheckpointError, match="too large"):
            read(tmp_path, one())


def naming(*starts):
    """One block of data, and an index block with handles that begin at these bytes of it."""
    block = table_entries([HEADER, (b"x", ONE["x"])])
    handles = [varint(start) + varint(len(block) - start) for start in starts]
    return table(block, index=table_entries([(b"%d" % n, handle) for n, handle in enumerate(handles)]))


MALFORMED = {
    "empty": (b"", "not the index"),
    "of another kind": (b"a text" * 20, "not the index"),
    "truncated at its end": (one()[:-1], "not the index"),
    "index block beyond the end": (one()[:-48] + footer(10**9, 10), "outside the file"),
    "footer with an endless number": (one()[:-48] + b"\xff" * 40 + one()[-8:], "more than 64 bits"),
    "data block beyond the end": (table(index=table_entries([(b"0", varint(0) + varint(10**9))])), "outside the file"),
    "handle without a size": (table(index=table_entries([(b"0", varint(0))])), "ends in the middle"),
    "compressed": (table(table_entries([HEADER]), compression=1), "compressed"),
    "checksum of a block": (b"!" + one()[1:], "checksum"),
    "block that two handles name": (naming(0, 0), "block 0 and block 1 overlap"),
    "block inside another": (naming(0, 3), "block 0 and block 1 overlap"),
    "block of 0 bytes": (table(b""), "restart points"),
    "block of 3 bytes": (table(bytes(3)), "restart points"),
    "more restart points than bytes": (table(b"\xff" * 4), "restart points"),
    "name with a prefix that is not there": (table(b"\x05\x01\x00a" + NO_RESTARTS), "shares more"),
    "name beyond its block": (table(b"\x00\x09\x00a" + NO_RESTARTS), "ends in the middle"),
    "value beyond its block": (table(b"\x00\x01\x09a" + NO_RESTARTS), "ends in the middle"),
    "name twice in a block": (table(table_entries([HEADER, *[(b"x", ONE["x"])] * 2])), "occurs twice"),
    "name in two blocks": (table(*[table_entries([(b"x", ONE["x"])])] * 2), "occurs twice"),
    "name not UTF-8": (table(table_entries([HEADER, (b"\xff", ONE["x"])])), "UTF-8"),
    "no header": (table(table_entries([(b"x", ONE["x"])])), "header entry is missing"),
    "big-endian": (bundle(ONE, bundle_header(1, (2, 1))), "big-endian"),
    "0 shards": (bundle(ONE, bundle_header(0)), "0 shards"),
    "a billion shards": (bundle(ONE, bundle_header(10**9)), "1000000000 shards"),
    "two shards of which one is there": (bundle(ONE, bundle_header(2)), "data-00000-of-00002: the file is missing"),
    "in a shard that does not exist": (one(shard=1), "shard 1, but shards are 0 ... 0"),
    "in a negative shard": (one(shard=-1), "shard"),
    "sliced": (one((7, b"")), "slices"),
    "complex numbers": (one(dtype=8), "'number 8 of types.proto'"),
    "no element type": (one(dtype=0), "'number 0 of types.proto'"),
    "size of another type": (one(dtype=2), "24 bytes"),
    "size of another shape": (one(shape=[2, 4]), "24 bytes"),
    "negative shape": (one(shape=[-2, -3]), "impossible shape"),
    "shape whose product wraps to 6": (one(shape=[2**63 + 3, 2]), "impossible shape"),
    "huge and empty shape": (one(shape=[2**40, 0, 2**40], size=0), "impossible shape"),
    "33 axes": (one(shape=[1] * 33, size=4), "impossible shape"),
    "a terabyte": (one(shape=[10**12], size=4 * 10**12), "the data ends at 24"),
    "beyond the data": (one(offset=4), "the data ends at 24"),
    "negative offset": (one(offset=-4), "the data ends at 24"),
    "overlapping tensors": (bundle(ONE | {"y": bundle_entry(shape=[1], offset=20)}), "overlap"),
    "the same bytes twice": (bundle(ONE | {"y": ONE["x"]}), "overlap"),
    "entry with an unknown wire type": (bundle({"x": varint(9 << 3 | 3)}), "wire type 3"),
    "entry that ends in a field": (bundle({"x": ONE["x"][:-1]}), "ends in the middle"),
    "entry with an endless number": (bundle({"x": b"\x08" + b"\xff" * 11}), "more than 64 bits"),
}


class TestMalformed:
    @pytest.mark.parametrize("what", MALFORMED)
    def test_is_refused_with_the_reason(self, tmp_path, what):
        index, reason = MALFORMED[what]
        with little_memory(), pytest.raises(CheckpointError, match=rf"model\.ckpt\..*{re.escape(reason)}"):
            read(tmp_path, index)

    def test_a_truncated_shard_is_refused(self, tmp_path):
        with pytest.raises(CheckpointError, match="the data ends at 20: truncated"):
            read(tmp_path, one(), BYTES[:-4])

    def test_every_changed_byte_of_the_blocks_is_noticed(self, tmp_path):
        index = one()
        for position in range(len(index) - 48):  # before the footer, which has no checksum
            with pytest.raises(CheckpointError):
                read(tmp_path, index[:position] + bytes([index[position] ^ 1]) + index[position + 1 :])

    def test_names_that_grow_by_sharing_their_prefixes_ask_for_little_memory(self, tmp_path):
        first = varint(0) + varint(100_000) + varint(0) + b"x" * 100_000
        longer = [varint(100_000 + n) + varint(1) + varint(0) + b"x" for n in range(2_000)]
        index = table(first + b"".join(longer) + NO_RESTARTS)  # 200 MB of names in 0.1 MB
        with little_memory(), pytest.raises(CheckpointError, match="names"):
            read(tmp_path, index)

    def test_a_block_that_many_handles_name_is_read_for_none_of_them(self, tmp_path, monkeypatch):
        checked = []
        monkeypatch.setattr(tensorflow, "masked_crc32c", lambda data: checked.append(data) or masked_crc32c(data))
        with pytest.raises(CheckpointError, match="overlap"):
            read(tmp_path, naming(*[0] * 1000))
        assert len(checked) == 1  # the index block's

    def test_the_names_of_blocks_count_among_all_names(self, tmp_path):
        first = varint(0) + varint(100_000) + varint(2) + b"x" * 100_000 + varint(0) * 2
        same = varint(100_000) + varint(0) + varint(2) + varint(0) * 2
        with little_memory(), pytest.raises(CheckpointError, match="names have more than 10000000 bytes"):
            read(tmp_path, table(index=first + same * 200 + NO_RESTARTS))

    def test_more_entries_than_any_model_has_are_refused(self, tmp_path, monkeypatch):
        monkeypatch.setattr(tensorflow, "MAX_ENTRIES", 2)
        with pytest.raises(CheckpointError, match="more than 2 entries"):
            read(tmp_path, one())  # a handle, the header and a tensor


NAMES = st.text("xy/é", max_size=3).map(str.encode) | st.binary(max_size=3)
WORDS = st.sampled_from([0, 1, 2, 3, 4, 6, 8, 12, 24, -1, 10**6, 2**31, 2**62, 2**63, 2**64 - 1]) | st.integers(0, 30)
FIELDS = st.lists(st.tuples(st.integers(1, 8), WORDS | st.binary(max_size=6)), max_size=6).map(lambda f: proto(*f))
WRONG_ENTRIES = st.builds(
    bundle_entry,
    dtype=st.just(FLOAT) | st.integers(0, 25),
    shape=st.lists(st.integers(0, 6) | WORDS, max_size=3),
    offset=WORDS,
    size=WORDS,
    shard=st.just(0) | WORDS,
)


@st.composite
def forged(draw):
    """The entries of tensors that follow one another, but for what is then changed among them."""
    entries, end = {b"": bundle_header()}, 0
    for name in draw(st.lists(NAMES.filter(bool), max_size=3, unique=True)):
        dtype, width = draw(st.sampled_from([(FLOAT, 4), (BFLOAT16, 2)]))
        shape = draw(st.lists(st.integers(0, 3), max_size=3))
        begin, end = end, end + math.prod(shape) * width
        entries[name] = bundle_entry(dtype=dtype, shape=shape, offset=begin, size=end - begin)
    entries |= draw(st.dictionaries(NAMES, WRONG_ENTRIES | FIELDS | st.binary(max_size=12), max_size=2))
    return sorted(entries.items())


BLOCK = table_entries([HEADER, (b"model/x", ONE["x"]), (b"model/y", bundle_entry(shape=[0], size=0))])


class TestFuzzing:
    """Any file at all is either read or refused by a CheckpointError."""

    def read_or_refuse(self, tmp_path_factory, index):
        try:
            tensors = read(tmp_path_factory.getbasetemp(), index, bytes(300))
        except CheckpointError:
            return
        for array in tensors.values():
            array.tobytes()

    @settings(max_examples=examples(800), derandomize=True, deadline=None, database=None)
    @given(index=damaged(table(BLOCK)))
    def test_damaged_files(self, tmp_path_factory, index):
        self.read_or_refuse(tmp_path_factory, index)

    @settings(max_examples=examples(800), derandomize=True, deadline=None, database=None)
    @given(block=damaged(BLOCK))
    def test_damaged_blocks_whose_checksum_is_right(self, tmp_path_factory, block):
        self.read_or_refuse(tmp_path_factory, table(block))

    @settings(max_examples=examples(1000), derandomize=True, deadline=None, database=None)
    @given(entries=forged(), restart_every=st.integers(1, 3))
    def test_forged_entries(self, tmp_path_factory, entries, restart_every):
        self.read_or_refuse(tmp_path_factory, table(table_entries(entries, restart_every)))

    @settings(max_examples=examples(200), derandomize=True, deadline=None, database=None)
    @given(place=st.tuples(WORDS, WORDS), handle=st.tuples(WORDS, WORDS))
    def test_forged_places_of_blocks(self, tmp_path_factory, place, handle):
        index = table(BLOCK, index=table_entries([(b"0", b"".join(map(varint, handle)))]))
        self.read_or_refuse(tmp_path_factory, index)
        self.read_or_refuse(tmp_path_factory, table(BLOCK)[:-48] + footer(*place))


def _damaged_index(rng):
    """The index of some tensors, of which bytes, handles, entries or the block's own numbers are wrong."""
    entries = {f"model/h{n}/{part}": bundle_entry(shape=[2, 3], size=24) for n in range(3) for part in ("w", "b")}
    for n, name in enumerate(entries):
        entries[name] = bundle_entry(shape=[2, 3], size=24, offset=24 * n)
    block = table_entries([HEADER, *((name.encode(), entry) for name, entry in entries.items())])
    kind = rng.choice(["bytes", "block", "index block", "handles"])
    if kind == "block":
        block = _changed(block, rng)
    handle = varint(0) + varint(len(block))
    if kind == "handles":
        places = [rng.choice([handle, *(varint(rng.randrange(len(block) + 9)) * 2 for _ in "ab")]) for _ in range(300)]
        index = table_entries([(b"%d" % n, place) for n, place in enumerate(places[: rng.randint(1, 300)])])
    else:
        index = table_entries([(b"0", handle)])
    whole = table(block, index=_changed(index, rng) if kind == "index block" else index)
    return entries, _changed(whole, rng) if kind == "bytes" else whole


def _changed(content, rng):
    data = bytearray(content)
    for _ in range(rng.randint(1, 3)):
        begin = rng.randrange(len(data) + 1)
        new = rng.choice([b"", rng.randbytes(rng.randint(1, 4)), b"\xff" * rng.randint(1, 12), bytes(3), data[:40] * 9])
        data[begin : begin + rng.choice([0, len(new), rng.randint(1, 9)])] = new
    return bytes(data)


@few_or_many("n", 150, 4000)
def test_a_damaged_index_is_one_error_or_leads_to_the_bytes_of_the_shard(tmp_path, n):
    rng = random.Random(0)
    shard = rng.randbytes(144)
    for _ in range(n):
        entries, index = _damaged_index(rng)
        with little_memory(200_000_000):
            try:
                tensors = read(tmp_path, index, shard)
            except CheckpointError as error:
                assert INDEX in str(error) or SHARD[:-8] in str(error)  # noqa: PT017
                continue
        for name, array in tensors.items():
            assert array.tobytes() in shard
            if name in entries and array.shape == (2, 3) and index.count(entries[name]) == 1:
                begin = 24 * [*entries].index(name)
                assert array.tobytes() == shard[begin : begin + 24]
