import io
import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.amounts import examples
from support.forge import assert_same_arrays, damaged, little_memory, safetensors

from gptcompare.arrays import BFLOAT16
from gptcompare.checkpoints import CheckpointError
from gptcompare.checkpoints.formats.safetensors import read_safetensors, write_safetensors

# Names of the format (github.com/huggingface/safetensors, README.md) that NumPy has a type for.
NUMPY_TYPES = {
    "F64": np.float64, "F32": np.float32, "F16": np.float16, "I64": np.int64, "I32": np.int32, "I16": np.int16,
    "I8": np.int8, "U64": np.uint64, "U32": np.uint32, "U16": np.uint16, "U8": np.uint8, "BOOL": np.bool_,
}  # fmt: skip


def entry(dtype="F32", shape=(2, 3), offsets=(0, 24)):
    return {"dtype": dtype, "shape": shape, "data_offsets": offsets}


def read(folder, contents):
    path = folder / "model.safetensors"
    path.write_bytes(contents)
    return read_safetensors(path)


def written(tensors):
    file = io.BytesIO()
    write_safetensors(file, tensors)
    return file.getvalue()


class TestReading:
    @pytest.mark.parametrize("dtype", NUMPY_TYPES)
    def test_every_element_type(self, tmp_path, dtype):
        array = np.arange(6).reshape(2, 3).astype(NUMPY_TYPES[dtype])
        contents = safetensors({"x": entry(dtype, (2, 3), (0, array.nbytes))}, array.tobytes())
        assert_same_arrays(read(tmp_path, contents), {"x": array})

    def test_bfloat16_keeps_its_bits_until_it_is_widened(self, tmp_path):
        contents = safetensors({"x": entry("BF16", [2], [0, 4])}, bytes.fromhex("803f 20c0"))
        found = read(tmp_path, contents)
        assert found["x"].dtype == BFLOAT16
        assert found["x"].base is not None  # a view of the file
        assert_same_arrays(found, {"x": np.array([1.0, -2.5], np.float32)})

    def test_tensors_in_any_order_with_scalars_and_empty_ones(self, tmp_path):
        header = {
            "__metadata__": {"format": "pt"},
            "last": entry("F32", [1], [8, 12]),
            "empty": entry("F32", [0, 5], [4, 4]),
            "scalar": entry("F32", [], [0, 4]),
            "ünïcode/name": entry("F32", [1, 1], [4, 8]),
        }
        numbers = np.array([1, 2, 3], np.float32)
        expected = {
            "last": numbers[2:], "empty": np.zeros((0, 5), np.float32), "scalar": numbers[0].reshape(()),
            "ünïcode/name": numbers[1:2].reshape(1, 1),
        }  # fmt: skip
        assert_same_arrays(read(tmp_path, safetensors(header, numbers.tobytes())), expected)

    @pytest.mark.parametrize("spaces", range(8))
    def test_a_header_of_any_length(self, tmp_path, spaces):
        header = json.dumps({"x": entry("F64", [3], [0, 24])}).encode() + b" " * spaces
        numbers = np.array([1.5, -2, 3])
        assert_same_arrays(read(tmp_path, safetensors(header, numbers.tobytes())), {"x": numbers})

    def test_a_file_without_tensors(self, tmp_path):
        assert read(tmp_path, safetensors({})) == {}

    @pytest.mark.reference
    @pytest.mark.parametrize("name", ["float64", "float32", "float16", "bfloat16", "int64", "uint8", "bool"])
    def test_what_the_package_writes(self, torch, safetensors_torch, tmp_path, name):
        dtype = getattr(torch, name)
        tensors = {
            "matrix": torch.randn(3, 5).mul(4).to(dtype), "scalar": torch.tensor(1).to(dtype),
            "empty": torch.zeros(0, 4, dtype=dtype), "other type": torch.arange(3, dtype=torch.int16),
        }  # fmt: skip
        safetensors_torch.save_file(tensors, tmp_path / "model.safetensors", metadata={"format": "pt"})
        expected = {name: (t.float() if t.dtype == torch.bfloat16 else t).numpy() for name, t in tensors.items()}
        assert_same_arrays(read_safetensors(tmp_path / "model.safetensors"), expected)


TWO = {"a": entry("F32", [3], [0, 12]), "b": entry("F32", [3], [12, 24])}
HUGE = 10**4299  # the longest integers that Python's JSON reads have 4,300 digits
DATA = bytes(24)
# What the format's README rules out. "holes" to "overlap" would let two programs see different things in one file.
MALFORMED = {
    "shorter than a length": b"\x02\0\0",
    "header longer than the file": (100).to_bytes(8, "little") + b"{}",
    "header length beyond 64 bits signed": b"\xff" * 8 + b"{}",
    "header not UTF-8": safetensors(b'{"\xff": 1}'),
    "header not JSON": safetensors(b"{"),
    "header empty": safetensors(b""),
    "header of a list": safetensors([]),
    "header nested 100,000 deep": safetensors(b'{"a":' * 100_000 + b"1" + b"}" * 100_000),
    "header of lists 100,000 deep": safetensors(b"[" * 100_000 + b"]" * 100_000),
    "duplicate name": safetensors(json.dumps(TWO).replace('"b"', '"a"').encode(), DATA),
    "hole": safetensors(TWO | {"b": entry("F32", [2], [16, 24])}, DATA),
    "hole at the begin": safetensors({"a": entry("F32", [3], [12, 24])}, DATA),
    "trailing bytes": safetensors(TWO, DATA + b"!"),
    "truncated": safetensors(TWO, DATA[:-1]),
    "overlap": safetensors(TWO | {"b": entry("F32", [4], [8, 24])}, DATA),
    "shared bytes": safetensors(TWO | {"c": entry("F32", [3], [12, 24])}, DATA),
    "entry a number": safetensors({"a": 3}),
    "entry a text": safetensors({"a": "dtype"}),
    "entry null": safetensors({"a": None}),
    "no dtype": safetensors({"a": {"shape": [6], "data_offsets": [0, 24]}}, DATA),
    "no shape": safetensors({"a": {"dtype": "F32", "data_offsets": [0, 24]}}, DATA),
    "no offsets": safetensors({"a": {"dtype": "F32", "shape": [6]}}, DATA),
    "dtype unknown": safetensors({"a": entry("F31")}, DATA),
    "dtype a list": safetensors({"a": entry(["F32"])}, DATA),
    "dtype of another width": safetensors({"a": entry("F64")}, DATA),
    "shape too large": safetensors({"a": entry(shape=[2, 4])}, DATA),
    "shape too small": safetensors({"a": entry(shape=[5])}, DATA),
    "shape a number": safetensors({"a": entry(shape=6)}, DATA),
    "shape of floats": safetensors({"a": entry(shape=[2.0, 3.0])}, DATA),
    "shape of truths": safetensors({"a": entry(shape=[True, 6])}, DATA),
    "shape of texts": safetensors({"a": entry(shape=["6"])}, DATA),
    "shape nested": safetensors({"a": entry(shape=[[2, 3]])}, DATA),
    "shape negative": safetensors({"a": entry(shape=[-2, -3])}, DATA),
    "shape huge": safetensors({"a": entry(shape=[HUGE])}, DATA),
    "shape whose product wraps to 6": safetensors({"a": entry(shape=[2**63 + 3, 2])}, DATA),
    "offsets three": safetensors({"a": entry(offsets=[0, 12, 24])}, DATA),
    "offsets a text": safetensors({"a": entry(offsets="01")}, DATA),
    "offsets floats": safetensors({"a": entry(offsets=[0.0, 24.0])}, DATA),
    "offsets truths": safetensors({"a": entry("U8", [1], [False, True])}, b"!"),
    "offsets null": safetensors({"a": entry(offsets=[None, 24])}, DATA),
    "offsets negative": safetensors({"a": entry(offsets=[-24, 0])}, DATA),
    "offsets backwards": safetensors({"a": entry(offsets=[24, 0])}, DATA),
    "offsets beyond the data": safetensors({"a": entry(offsets=[10**12, 10**12 + 24])}, DATA),
    "offsets huge": safetensors({"a": entry(offsets=[-HUGE * 9, HUGE * 9])}, DATA),
    "a terabyte": safetensors({"a": entry(shape=[10**12], offsets=[0, 4 * 10**12])}, DATA),
}
# What the format allows and NumPy has no array for.
IMPOSSIBLE = {
    "shape huge and empty": safetensors({"a": entry(shape=[0, 2**62, 2**62], offsets=[0, 0])}),
    "shape of 100,000 axes": safetensors({"a": entry(shape=[1] * 100_000, offsets=[0, 4])}, bytes(4)),
}


class TestMalformed:
    @pytest.mark.parametrize("what", MALFORMED | IMPOSSIBLE)
    def test_is_refused_by_the_name_of_the_file(self, tmp_path, what):
        with little_memory(), pytest.raises(CheckpointError, match=r"model\.safetensors: "):
            read(tmp_path, (MALFORMED | IMPOSSIBLE)[what])

    @pytest.mark.reference
    @pytest.mark.parametrize("what", MALFORMED)
    def test_is_refused_by_the_package_too(self, safetensors_numpy, what):
        from safetensors import SafetensorError

        with pytest.raises(SafetensorError):
            safetensors_numpy.load(MALFORMED[what])

    def test_an_empty_file_is_refused(self, tmp_path):
        with pytest.raises(CheckpointError, match="empty"):
            read(tmp_path, b"")


TO_WRITE = {
    "wte.weight": np.arange(12, dtype=np.float32).reshape(3, 4),
    "Fortran order": np.asfortranarray(np.arange(12, dtype=np.float32).reshape(3, 4)),
    "every other row and column": np.arange(48, dtype=np.float64).reshape(6, 8)[::2, ::2],
    "backwards": np.arange(5, dtype=np.float32)[::-1],
    "one number repeated": np.broadcast_to(np.float32(3), (2, 2)),
    "big-endian": np.arange(3, dtype=">f4"),
    "scalar": np.array(2.5, np.float32),
    "empty": np.zeros((0, 3), np.float32),
    "ünïcode": np.ones(1, np.float64),
}
EXPECTED = {name: array.astype(array.dtype.newbyteorder("=")) for name, array in TO_WRITE.items()}


class TestWriting:
    def test_what_is_written_is_read_back(self, tmp_path):
        assert_same_arrays(read(tmp_path, written(TO_WRITE)), EXPECTED)

    def test_the_data_begin_at_a_multiple_of_8_bytes(self):
        for length in range(8):
            contents = written({"x" * length: np.ones(3)})
            assert (len(contents) - 3 * 8) % 8 == 0

    @pytest.mark.reference
    def test_the_package_reads_what_is_written(self, safetensors_numpy):
        assert_same_arrays(safetensors_numpy.load(written(TO_WRITE)), EXPECTED)


NUMBERS = st.sampled_from([-1, 0, 1, 2, 3, 4, 6, 8, 12, 24, 2**31, 2**63, 2**64, HUGE]) | st.integers()
JSON_LEAVES = st.none() | st.booleans() | NUMBERS | st.floats() | st.text(max_size=3)
JSON_VALUES = st.recursive(
    JSON_LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3)
)
TYPES = st.sampled_from([*NUMPY_TYPES, "BF16", "F8_E4M3"])
SPANS = st.integers(0, 24).flatmap(lambda begin: st.tuples(st.just(begin), st.integers(begin, 24)))
ENTRIES = st.fixed_dictionaries(
    {
        "dtype": TYPES | JSON_LEAVES,
        "shape": st.lists(st.integers(0, 6), max_size=3) | st.lists(NUMBERS, max_size=4) | JSON_VALUES,
        "data_offsets": SPANS | st.tuples(NUMBERS, NUMBERS) | JSON_VALUES,
    }
)
NAMES = st.sampled_from(["x", "y", "__metadata__"]) | st.text(max_size=3)


@st.composite
def forged(draw):
    """A file of tensors that follow one another as they must, but for what is then changed in its header."""
    header, end = {}, 0
    for name in draw(st.lists(NAMES, max_size=3, unique=True)):
        dtype, shape = draw(st.sampled_from(list(NUMPY_TYPES))), draw(st.lists(st.integers(0, 4), max_size=3))
        begin, end = end, end + math.prod(shape) * np.dtype(NUMPY_TYPES[dtype]).itemsize
        header[name] = entry(dtype, shape, [begin, end])
    changes = draw(st.dictionaries(NAMES, ENTRIES | JSON_VALUES, max_size=2))
    return safetensors(header | changes, bytes(end))


ORIGINAL = safetensors(TWO, np.arange(6, dtype=np.float32).tobytes())


class TestFuzzing:
    """Any file at all is either read or refused by a CheckpointError."""

    def read_or_refuse(self, tmp_path_factory, contents):
        try:
            tensors = read(tmp_path_factory.getbasetemp(), contents)
        except CheckpointError:
            return
        for array in tensors.values():
            array.tobytes()

    @settings(max_examples=examples(1500), derandomize=True, deadline=None, database=None)
    @given(contents=damaged(ORIGINAL))
    def test_damaged_files(self, tmp_path_factory, contents):
        self.read_or_refuse(tmp_path_factory, contents)

    @settings(max_examples=examples(1000), derandomize=True, deadline=None, database=None)
    @given(contents=forged())
    def test_forged_headers(self, tmp_path_factory, contents):
        self.read_or_refuse(tmp_path_factory, contents)
