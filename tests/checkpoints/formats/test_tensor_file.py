import mmap
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gptcompare.checkpoints import CheckpointError
from gptcompare.checkpoints.formats.tensor_file import (
    DTYPES,
    aligned,
    check_disjoint,
    map_file,
    n_bytes,
    release,
    tensor_at,
)


class TestMapFile:
    def test_the_array_cannot_be_written_to(self, tmp_path):
        path = tmp_path / "file"
        path.write_bytes(b"abc")
        buffer = map_file(path)
        assert buffer.tobytes() == b"abc"
        with pytest.raises(ValueError, match="read-only"):
            buffer[0] = ord("z")

    def test_an_empty_file_is_refused(self, tmp_path):
        (tmp_path / "file").touch()
        with pytest.raises(CheckpointError, match="empty"):
            map_file(tmp_path / "file")


class TestNBytes:
    @pytest.mark.parametrize("dtype", DTYPES)
    def test_is_the_number_of_elements_times_their_width(self, dtype):
        width = np.dtype(DTYPES[dtype]).itemsize
        assert [n_bytes("file", "x", dtype, shape) for shape in ([], [7], [2, 3, 4], [5, 0])] == [
            width, 7 * width, 24 * width, 0,
        ]  # fmt: skip

    @pytest.mark.parametrize(
        "shape", [[-1], [2.0], [True], [None], ["2"], [[2]], [2**64], [2**40, 2**40], [2**40, 0, 2**40], [1] * 33]
    )
    def test_an_impossible_shape_is_refused(self, shape):
        with pytest.raises(CheckpointError, match="x has the impossible shape"):
            n_bytes("file", "x", "F32", shape)

    def test_an_unknown_element_type_is_refused(self):
        with pytest.raises(CheckpointError, match="x has element type 'F8_E4M3'"):
            n_bytes("file", "x", "F8_E4M3", [1])


class TestTensorAt:
    def test_is_a_view_of_the_file(self):
        buffer = np.arange(6, dtype="<f4").view(np.uint8)
        tensor = tensor_at("file", buffer, "x", 4, "F32", (2, 2))
        np.testing.assert_array_equal(tensor, [[1, 2], [3, 4]])
        assert np.shares_memory(tensor, buffer)

    @pytest.mark.parametrize("offset", range(1, 8))
    def test_is_the_same_wherever_it_begins(self, offset):
        numbers = np.arange(5, dtype="<f8")
        buffer = np.frombuffer(bytes(offset) + numbers.tobytes(), np.uint8)
        tensor = tensor_at("file", buffer, "x", offset, "F64", (5,))
        np.testing.assert_array_equal(tensor, numbers)
        assert tensor.flags.aligned

    @pytest.mark.parametrize("offset", [-4, 5, 8, 2**63, -(2**70)])
    def test_lies_inside_the_data(self, offset):
        with pytest.raises(CheckpointError, match="the data ends at 8"):
            tensor_at("file", np.zeros(8, np.uint8), "x", offset, "F32", (1,))

    def test_an_array_that_is_aligned_is_not_copied(self):
        array = np.zeros(4)
        assert aligned(array) is array


class TestCheckDisjoint:
    @settings(derandomize=True, deadline=None, database=None)
    @given(st.lists(st.tuples(st.integers(0, 30), st.integers(0, 6))))
    def test_refuses_exactly_the_spans_that_share_a_byte(self, spans):
        spans = [(begin, begin + size, f"span{n}") for n, (begin, size) in enumerate(spans)]
        union = {byte for begin, end, _ in spans for byte in range(begin, end)}
        if len(union) == sum(end - begin for begin, end, _ in spans):
            check_disjoint("file", spans)
        else:
            with pytest.raises(CheckpointError, match="overlap"):
                check_disjoint("file", spans)


def test_a_git_lfs_pointer_is_called_by_its_name(tmp_path):
    path = tmp_path / "model.safetensors"
    path.write_bytes(b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 5\n")
    with pytest.raises(CheckpointError, match="Git LFS pointer"):
        map_file(path)


def writable_map(path):
    """What is written to it is in memory alone, and is lost with its pages."""
    return np.asarray(np.memmap(path, np.uint8, mode="c"))


class TestRelease:
    def test_a_released_array_is_read_from_the_file_again(self, tmp_path):
        contents = np.arange(100_000, dtype=np.float32)
        path = tmp_path / "file"
        contents.tofile(path)
        array = map_file(path).view("<f4")[1_000:90_000].reshape(100, 890)
        assert array.sum() > 0
        release(array)
        assert np.array_equal(array.ravel(), contents[1_000:90_000])

    @pytest.mark.skipif(sys.platform != "linux", reason="other systems take it as a hint")
    def test_its_pages_really_leave_the_memory(self, tmp_path):
        path = tmp_path / "file"
        np.zeros(100_000, np.float32).tofile(path)
        array = writable_map(path).view("<f4")
        array[:] = 1  # in memory alone
        release(array[25_000:75_000])
        still_there = np.flatnonzero(array)
        assert len(still_there) < 100_000 - 50_000 + 2 * mmap.PAGESIZE // 4
        assert set(range(25_000)) <= set(still_there.tolist())
        assert set(range(75_000, 100_000)) <= set(still_there.tolist())

    @pytest.mark.parametrize("shape", [(), (0,), (3, 5)])
    def test_an_array_of_no_file_stays_as_it_is(self, shape):
        array = np.ones(shape)
        release(array)
        assert np.array_equal(array, np.ones(shape))

    def test_less_than_a_page_stays_as_it_is(self, tmp_path):
        path = tmp_path / "file"
        np.zeros(10_000, np.uint8).tofile(path)
        array = writable_map(path)
        array[:] = 7
        release(array[1:100])
        assert (array == 7).all()
