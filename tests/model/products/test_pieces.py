import numpy as np
import pytest

from gptcompare.model.products import pieces


@pytest.mark.parametrize("shape", [(768, 3072), (3072, 768), (768, 50257), (5120, 20480), (20480, 5120)], ids=str)
@pytest.mark.parametrize("n_vectors", pieces.IN_PIECES[::2])
def test_a_piece_of_a_real_matrix_is_small_and_long_in_memory(n_vectors, shape):
    weight = np.empty(shape, np.float32, order="C" if shape[1] > shape[0] else "F")
    n_rows, n_columns = pieces.piece_shape(weight, n_vectors)
    run, n_runs = (n_columns, n_rows) if shape[1] > shape[0] else (n_rows, n_columns)
    assert run == min(max(shape), pieces.LONGEST_RUN)
    assert n_runs in (8, 16, 24, 32)
    assert n_vectors * n_rows * n_columns <= pieces.SMALL
