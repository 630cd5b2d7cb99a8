import math

import numpy as np
import pytest

import gptcompare as gc
from gptcompare.checkpoints.formats.tensor_file import map_file
from gptcompare.model import products, threads
from gptcompare.model.products import in_fast_order, product, product_in_shares, taken_in_fast_order

KERNELS = {"AVX-512": "SkylakeX", "AVX2": "Haswell", "unknown": ""}


@pytest.fixture(params=KERNELS)
def kernels(request, monkeypatch):
    """As if the BLAS computed with these kernels, whatever this machine has."""
    monkeypatch.setattr(products, "kernels", lambda: KERNELS[request.param])
    return request.param


@pytest.fixture(params=["one thread", "four threads"])
def n_sharing(request, monkeypatch):
    """On how many threads a large product is computed; here every matrix counts as a large one."""
    monkeypatch.setattr(products, "SHARED", 0)
    monkeypatch.setattr(products, "n_threads", lambda: 1 + 3 * (request.param == "four threads"))
    monkeypatch.setattr(threads, "n_threads", products.n_threads)


def exact(x, weight):
    return np.einsum("...k,kn->...n", x.astype(float), weight.astype(float))


class TestProduct:
    @pytest.mark.parametrize("n_vectors", [1, 2, 3, 5, 8, 9, 16, 127, 130])
    @pytest.mark.parametrize("shape", [(96, 130), (130, 96), (7, 5000), (5000, 7), (1, 1)], ids=str)
    @pytest.mark.usefixtures("kernels", "n_sharing")
    def test_is_the_exact_one_up_to_rounding_however_it_is_cut(self, n_vectors, shape, monkeypatch):
        monkeypatch.setattr(products, "SMALL", 10_000)
        monkeypatch.setattr(products, "LONGEST_RUN", 100)
        rng = np.random.default_rng(n_vectors)
        for dtype, tolerance in ((np.float32, 1e-6), (np.float64, 1e-14)):
            x = rng.standard_normal((n_vectors, shape[0])).astype(dtype)
            weight = in_fast_order(rng.standard_normal(shape).astype(dtype))
            y = product(x, weight)
            assert y.dtype == dtype
            np.testing.assert_allclose(y, exact(x, weight), rtol=0, atol=tolerance * 5 * math.sqrt(shape[0]))

    @pytest.mark.usefixtures("kernels")
    def test_takes_vectors_of_any_rank_and_a_view_of_a_matrix(self):
        rng = np.random.default_rng(0)
        x, table = rng.standard_normal((2, 3, 40)), rng.standard_normal((70, 40))
        np.testing.assert_allclose(product(x, table.T), exact(x, table.T), rtol=1e-12)

    def test_a_few_vectors_go_through_small_pieces_where_the_blas_has_functions_for_them(self, kernels, monkeypatch):
        small = []
        in_pieces = products._product_in_pieces
        monkeypatch.setattr(products, "_product_in_pieces", lambda *given: small.append(given) or in_pieces(*given))
        for n in (2, 3, 8, 9):
            product(np.ones((n, 4)), np.ones((4, 5)))
        assert [len(vectors) for vectors, _ in small] == ([3, 8] if kernels == "AVX-512" else [])

    @pytest.mark.parametrize("shape", [(768, 3072), (3072, 768), (768, 50257), (5120, 20480), (20480, 5120)], ids=str)
    @pytest.mark.parametrize("n_vectors", products.IN_PIECES)
    def test_a_piece_of_a_real_matrix_is_small_and_long_in_memory(self, n_vectors, shape):
        n_rows, n_columns = products.piece_shape(np.broadcast_to(np.float32(0), shape), n_vectors)
        assert n_vectors * n_rows * n_columns <= products.SMALL
        assert (n_columns if shape[1] > shape[0] else n_rows) == min(max(shape), products.LONGEST_RUN)

    def test_many_vectors_and_a_wide_matrix_are_shared_by_columns(self):
        rng = np.random.default_rng(0)
        x, weight = rng.standard_normal((2, 90, 30)), rng.standard_normal((30, 1001))
        np.testing.assert_allclose(product_in_shares(x, weight), exact(x, weight), rtol=1e-10, atol=1e-12)


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
        monkeypatch.setattr(products, "LARGE", 0)
        monkeypatch.setattr(products, "n_threads", lambda: 3)
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


@pytest.mark.skipif(threads.n_threads() < 2, reason="products use one thread here")
@pytest.mark.parametrize(("n_tokens", "d_model", "expected"), [(1, 64, 1), (8, 64, 1), (9, 64, None), (1, 384, None)])
def test_a_few_tokens_of_a_small_model_stay_on_the_calling_thread(n_tokens, d_model, expected):
    model = gc.GPT(gc.GPTConfig(n_layer=1, n_head=2, d_model=d_model, n_ctx=16, n_vocab=9))
    seen = []
    model(np.zeros(n_tokens, int), hook=lambda name, array: seen.append(threads._blas.get()) or array)
    assert set(seen) == {expected or threads.n_threads()}
    assert threads._blas.get() == threads.n_threads()
