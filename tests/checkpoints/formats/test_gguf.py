import io
import struct

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.amounts import examples
from support.forge import assert_same_arrays, damaged, gguf, gguf_tensor, gguf_text, gguf_value, little_memory

from gptcompare.checkpoints import CheckpointError
from gptcompare.checkpoints.formats.gguf import read_header, read_tensors, write_gguf

# Types of values and of tensors: ggml-org/llama.cpp, ggml/include/gguf.h and ggml.h.
SCALARS = {
    0: ("<B", 200), 1: ("<b", -100), 2: ("<H", 60_000), 3: ("<h", -30_000), 4: ("<I", 2**31), 5: ("<i", -(2**31)),
    6: ("<f", 0.5), 7: ("<B", 1), 10: ("<Q", 2**63), 11: ("<q", -(2**63)), 12: ("<d", 1e300),
}  # fmt: skip
F32, F16, Q4_0, Q8_0, Q4_K, BF16, TEXT, ARRAY = 0, 1, 2, 8, 12, 30, 8, 9
BOOL = 7


def read(folder, contents):
    path = folder / "model.gguf"
    path.write_bytes(contents)
    return read_tensors(path)


def written(values=(), tensors=()):
    file = io.BytesIO()
    write_gguf(file, dict(values), dict(tensors))
    return file.getvalue()


def padded(*parts, alignment=32):
    return b"".join(part + bytes(-len(part) % alignment) for part in parts)


class TestReading:
    @pytest.mark.parametrize("version", [2, 3])
    @pytest.mark.parametrize("kind", SCALARS)
    def test_every_type_of_value(self, tmp_path, kind, version):
        form, value = SCALARS[kind]
        content = struct.pack(form, value)
        contents = gguf(
            [gguf_value("one", kind, content), gguf_value("three", kind, 3 * content, n=3)], version=version
        )
        values, _ = read(tmp_path, contents)
        assert values["one"] == value
        assert type(values["one"]) is (bool if kind == BOOL else type(value))
        assert values["three"].tolist() == [value] * 3

    def test_texts_and_arrays_of_texts(self, tmp_path):
        texts = ["", "Ġthe", "\0", "日本", "a" * 1000]
        one, many = gguf_value("one", TEXT, gguf_text("ünï")), b"".join(map(gguf_text, texts))
        values, _ = read(tmp_path, gguf([one, gguf_value("many", TEXT, many, n=5), gguf_value("none", TEXT, b"", n=0)]))
        assert values == {"one": "ünï", "many": texts, "none": []}

    def test_tensors_of_plain_types_of_any_shape(self, tmp_path):
        matrix, halves = np.arange(6, dtype="<f4").reshape(2, 3), np.array([1, -2.5], "<f2")
        scalar, empty = np.array(7, "<f4"), np.zeros((0, 4), "<f4")
        tensors = [
            gguf_tensor("matrix", [3, 2], F32, 0), gguf_tensor("halves", [2], F16, 32),
            gguf_tensor("bfloat16", [2], BF16, 64), gguf_tensor("scalar", [], F32, 96),
            gguf_tensor("empty", [4, 0], F32, 128), gguf_tensor("last", [1, 1, 2, 1], F32, 128),
        ]  # fmt: skip
        last = np.array([8, 9], "<f4").reshape(1, 2, 1, 1)
        data = padded(matrix.tobytes(), halves.tobytes(), bytes.fromhex("803f 20c0"), scalar.tobytes()) + last.tobytes()
        expected = {
            "matrix": matrix, "halves": halves, "bfloat16": np.array([1.0, -2.5], np.float32), "scalar": scalar,
            "empty": empty, "last": last,
        }  # fmt: skip
        assert_same_arrays(read(tmp_path, gguf([], tensors, data))[1], expected)

    @pytest.mark.parametrize("alignment", [1, 8, 64, 4096])
    def test_tensors_begin_at_multiples_of_the_alignment(self, tmp_path, alignment):
        values = [gguf_value("general.alignment", 4, struct.pack("<I", alignment))]
        second = -(-4 // alignment) * alignment
        tensors = [gguf_tensor("a", [1], F32, 0), gguf_tensor("b", [1], F32, second)]
        data = padded(struct.pack("<f", 1), struct.pack("<f", 2), alignment=alignment)
        _, found = read(tmp_path, gguf(values, tensors, data, alignment=alignment))
        assert {name: array.tolist() for name, array in found.items()} == {"a": [1], "b": [2]}

    def test_the_header_alone_needs_no_tensors(self, tmp_path):
        contents = gguf([gguf_value("x", 4, bytes(4))], [gguf_tensor("a", [256], Q4_K, 0)])
        (tmp_path / "x.gguf").write_bytes(contents)
        header = read_header(tmp_path / "x.gguf")
        assert header.values == {"x": 0}
        assert header.tensors["a"].shape == (256,)

    @pytest.mark.parametrize(("kind", "name"), [(Q4_K, "Q4_K"), (26, "I32"), (99, "type 99")])
    def test_a_type_that_is_not_read_is_refused_by_its_name(self, tmp_path, kind, name):
        tensors = [gguf_tensor("a", [1], F32, 0), gguf_tensor("b", [256], kind, 32), gguf_tensor("c", [1], F32, 5000)]
        with pytest.raises(CheckpointError, match=rf"b is stored as {name}: known are F32, F16, BF16"):
            read(tmp_path, gguf([], tensors, bytes(32)))


HUGE = 2**64 - 1
ONE = [gguf_tensor("a", [2], F32, 0)]
DATA = bytes(32)
MALFORMED = {
    "another format": b"GGML" + bytes(60),
    "the first bytes alone": b"GGUF",
    "version 1": gguf(version=1),
    "version 4": gguf(version=4),
    "big-endian": b"GGUF" + (3).to_bytes(4, "big") + bytes(16),
    "values that are not there": gguf(n_values=1),
    "as many values as can be said": gguf(n_values=HUGE),
    "tensors that are not there": gguf(n_tensors=1),
    "as many tensors as can be said": gguf(n_tensors=HUGE),
    "a name longer than the file": gguf([HUGE.to_bytes(8, "little")]),
    "a name not UTF-8": gguf([gguf_value(b"\xff", 0, b"\0")]),
    "a value twice": gguf([gguf_value("x", 0, b"\0"), gguf_value("x", 0, b"\0")]),
    "a value of an unknown type": gguf([gguf_value("x", 13, b"\0")]),
    "a value neither true nor false": gguf([gguf_value("x", BOOL, b"\2")]),
    "a value cut off": gguf([gguf_value("x", 10, bytes(8))])[:40],
    "a text longer than the file": gguf([gguf_value("x", TEXT, (2**62).to_bytes(8, "little"))]),
    "a text not UTF-8": gguf([gguf_value("x", TEXT, gguf_text(b"\xc3("))]),
    "an array longer than the file": gguf([gguf_value("x", 12, bytes(8), n=2**61)]),
    "as many texts as can be said": gguf([gguf_value("x", TEXT, gguf_text(""), n=HUGE)]),
    "an array of arrays": gguf([gguf_value("x", ARRAY, struct.pack("<IQB", 0, 1, 0), n=1)]),
    "an array of an unknown type": gguf([gguf_value("x", 99, b"", n=HUGE)]),
    "alignment 0": gguf([gguf_value("general.alignment", 4, bytes(4))]),
    "alignment 48": gguf([gguf_value("general.alignment", 4, struct.pack("<I", 48))]),
    "alignment 2 GiB": gguf([gguf_value("general.alignment", 4, struct.pack("<I", 2**31))]),
    "alignment a text": gguf([gguf_value("general.alignment", TEXT, gguf_text("32"))]),
    "alignment a number of another kind": gguf([gguf_value("general.alignment", 6, struct.pack("<f", 32))]),
    "a tensor twice": gguf([], 2 * ONE, DATA),
    "a name of a tensor of 64 bytes": gguf([], [gguf_tensor("a" * 64, [2], F32, 0)], DATA),
    "five sizes": gguf([], [gguf_tensor("a", [2, 1, 1, 1, 1], F32, 0)], DATA),
    "as many sizes as can be said": gguf([], [gguf_text("a") + b"\xff" * 4]),
    "a tensor before the data": gguf([], [gguf_tensor("a", [2], F32, HUGE - 31)], DATA),
    "a tensor behind the data": gguf([], [gguf_tensor("a", [2], F32, 32)], DATA),
    "a tensor longer than the data": gguf([], [gguf_tensor("a", [2**40], F32, 0)], DATA),
    "sizes whose product wraps to 2": gguf([], [gguf_tensor("a", [2**63 + 1, 2], F32, 0)], DATA),
    "huge and empty": gguf([], [gguf_tensor("a", [0, 2**62, 2**62], F32, 0)], DATA),
    "overlapping tensors": gguf([], [*ONE, gguf_tensor("b", [2], F32, 0)], DATA),
    "tensors with a hole between them": gguf([], [*ONE, gguf_tensor("b", [2], F32, 64)], 3 * DATA),
    "a tensor at no multiple of the alignment": gguf([], [*ONE, gguf_tensor("b", [2], F32, 8)], DATA),
    "part of a block in a row": gguf([], [gguf_tensor("a", [16, 2], Q8_0, 0)], bytes(64)),
    "blocks without a row": gguf([], [gguf_tensor("a", [], Q8_0, 0)], bytes(64)),
    "blocks of a forged number of weights": gguf([], [gguf_tensor("a", [2**50], Q4_0, 0)], bytes(64)),
    "blocks cut off": gguf([], [gguf_tensor("a", [64], Q4_0, 0)], bytes(35)),
}  # fmt: skip


class TestMalformed:
    @pytest.mark.parametrize("what", MALFORMED)
    def test_is_refused_by_the_name_of_the_file(self, tmp_path, what):
        with little_memory(), pytest.raises(CheckpointError, match=r"model\.gguf: "):
            read(tmp_path, MALFORMED[what])

    def test_a_header_is_not_read_beyond_its_bound(self, tmp_path, monkeypatch):
        monkeypatch.setattr("gptcompare.checkpoints.formats.gguf.MAX_HEADER", 1000)
        fits = gguf([gguf_value("x", 0, bytes(900), n=900)], [], bytes(1000))
        read(tmp_path, fits)
        with pytest.raises(CheckpointError, match="longer than 1,000 bytes"):
            read(tmp_path, gguf([gguf_value("x", 0, bytes(1100), n=1100)], [], bytes(1000)))


TO_WRITE = {
    "C order": np.arange(12, dtype=np.float32).reshape(3, 4),
    "Fortran order": np.asfortranarray(np.arange(12, dtype=np.float32).reshape(3, 4)),
    "every other row and column": np.arange(48, dtype=np.float16).reshape(6, 8)[::2, ::2],
    "big-endian": np.arange(3, dtype=">f4"),
    "empty": np.zeros((0, 3), np.float32),
    "last": np.ones(5, np.float16),
}
VALUES = {
    "text": "Ġünï", "int": 2**32 - 1, "float": 0.5, "yes": True, "no": False, "texts": ["", "a", "日本"],
    "numbers": np.array([1, -(2**31)], np.int32), "none": [],
}  # fmt: skip


def assert_same_values(ours):
    assert {name: getattr(value, "tolist", lambda v=value: v)() for name, value in ours.items()} == {
        **VALUES, "numbers": [1, -(2**31)],
    }  # fmt: skip


class TestWriting:
    def test_what_is_written_is_read_back(self, tmp_path):
        values, tensors = read(tmp_path, written(VALUES, TO_WRITE))
        assert_same_values(values)
        assert_same_arrays(
            tensors, {name: array.astype(array.dtype.newbyteorder("=")) for name, array in TO_WRITE.items()}
        )

    @pytest.mark.reference
    def test_the_package_reads_what_is_written(self, tmp_path):
        package = pytest.importorskip("gguf")
        (tmp_path / "x.gguf").write_bytes(written(VALUES, TO_WRITE))
        reader = package.GGUFReader(tmp_path / "x.gguf")
        named = {name: field.contents() for name, field in reader.fields.items() if not name.startswith("GGUF.")}
        assert_same_values({name: value for name, value in named.items() if name != "none"} | {"none": []})
        for tensor in reader.tensors:
            assert np.array_equal(tensor.data, TO_WRITE[tensor.name])


@st.composite
def forged(draw):
    """A file whose tensors follow one another as they must, but for one number of the header that is changed."""
    numbers = st.sampled_from([0, 1, 2, 31, 32, 33, 64, 256, 2**31, 2**32 - 1, 2**62, HUGE])
    kinds = draw(st.lists(st.sampled_from([F32, F16, BF16, Q4_0, Q8_0, 3, 14, Q4_K]), max_size=3))
    tensors = [gguf_tensor(f"t{n}", [256, draw(st.integers(0, 2))], kind, 0) for n, kind in enumerate(kinds)]
    values = [gguf_value("v", draw(st.integers(0, 13)), draw(st.binary(max_size=16)), n=draw(st.none() | numbers))]
    contents = bytearray(gguf(values, tensors, bytes(draw(st.integers(0, 4096)))))
    at = draw(st.integers(4, len(contents) - 8))
    contents[at : at + 8] = draw(numbers).to_bytes(8, "little")
    return bytes(contents)


ORIGINAL = gguf(
    [gguf_value("general.alignment", 4, struct.pack("<I", 8)), gguf_value("x", TEXT, gguf_text("ab") * 3, n=3)],
    [gguf_tensor("a", [2, 2], F32, 0), gguf_tensor("b", [32], Q8_0, 16), gguf_tensor("c", [32], Q4_0, 56)],
    bytes(range(80)), alignment=8,
)  # fmt: skip


class TestFuzzing:
    """Any file at all is either read or refused by a CheckpointError."""

    def read_or_refuse(self, tmp_path_factory, contents):
        try:
            _, tensors = read(tmp_path_factory.getbasetemp(), contents)
        except CheckpointError:
            return
        for array in tensors.values():
            array.tobytes()

    @settings(max_examples=examples(1500), derandomize=True, deadline=None, database=None)
    @given(contents=damaged(ORIGINAL))
    def test_damaged_files(self, tmp_path_factory, contents):
        self.read_or_refuse(tmp_path_factory, contents)

    @settings(max_examples=examples(1500), derandomize=True, deadline=None, database=None)
    @given(contents=forged())
    def test_forged_headers(self, tmp_path_factory, contents):
        self.read_or_refuse(tmp_path_factory, contents)

    def test_the_original_is_read(self, tmp_path):
        assert set(read(tmp_path, ORIGINAL)[1]) == {"a", "b", "c"}
