import math

import numpy as np
import pytest

from gptcompare.checkpoints.formats.tensor_file import map_file
from gptcompare.model.products import in_fast_order, memory_order, taken_in_fast_order


@pytest.mark.parametrize(("shape", "contiguous_axis"), [((3, 5), 1), ((5, 3), 0), ((4, 4), 0), ((1999, 400), 0)])
def test_the_longer_axis_lies_contiguous_and_the_values_stay(shape, contiguous_axis):
    matrix = np.arange(math.prod(shape), dtype=np.float32).reshape(shape)
    for given in (matrix, np.asfortranarray(matrix)):
        ordered = in_fast_order(given)
        assert np.array_equal(ordered, matrix)
        assert ordered.strides[contiguous_axis] == matrix.itemsize


def test_a_matrix_in_the_fast_order_is_not_copied():
    matrix = np.zeros((3, 5), np.float32)
    assert in_fast_order(matrix) is matrix


class TestTaken:
    @pytest.mark.parametrize("n_rows_and_columns", [(300, 200), (200, 300), (7,)])
    @pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
    def test_numbers_are_converted_into_the_fast_order_on_several_threads(self, dtype, n_rows_and_columns, monkeypatch):
        monkeypatch.setattr(memory_order, "LARGE", 0)
        monkeypatch.setattr(memory_order, "n_threads", lambda: 3)
        stored = np.random.default_rng(0).normal(scale=1e-4, size=n_rows_and_columns).astype(dtype)
        for given in (stored, np.asfortranarray(stored)):
            taken = taken_in_fast_order({"x": given[:]}, np.float32)["x"]
            assert taken.dtype == np.float32
            assert in_fast_order(taken) is taken
            np.testing.assert_array_equal(taken, stored.astype(np.float32))

    def test_what_happens_to_a_mapped_file_changes_nothing(self, tmp_path):
        (tmp_path / "file").write_bytes(np.arange(6, dtype=np.float32).tobytes())
        mapped = map_file(tmp_path / "file").view(np.float32)
        taken = taken_in_fast_order({"x": mapped}, np.float32)["x"]
        (tmp_path / "file").write_bytes(np.full(6, 7, np.float32).tobytes())
        assert taken.tolist() == [0, 1, 2, 3, 4, 5]

    def test_an_array_that_a_reader_made_is_not_copied_and_leaves_the_dict(self):
        stored = {"x": np.zeros((2, 3), np.float32)}
        made = stored["x"]
        assert taken_in_fast_order(stored, np.float32)["x"] is made
        assert not stored
