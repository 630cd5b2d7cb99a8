import math

import numpy as np
import pytest

import gptcompare as gc
from gptcompare.model import threads
from gptcompare.model.products import in_fast_order, multiplication, pieces, product, product_in_shares

KERNELS = {"AVX-512": "SkylakeX", "AVX2": "Haswell", "unknown": ""}


@pytest.fixture(params=KERNELS)
def kernels(request, monkeypatch):
    """As if the BLAS computed with these kernels, whatever this machine has."""
    monkeypatch.setattr(multiplication, "kernels", lambda: KERNELS[request.param])
    return request.param


@pytest.fixture(params=["one thread", "four threads"])
def n_sharing(request, monkeypatch):
    """On how many threads a large product is computed; here every matrix counts as a large one."""
    n = 1 + 3 * (request.param == "four threads")
    monkeypatch.setattr(multiplication, "SHARED", 0)
    monkeypatch.setattr(pieces, "SHARED_PIECES", 0)
    for module in (multiplication, pieces, threads):
        monkeypatch.setattr(module, "n_threads", lambda: n)


def exact(x, weight):
    return np.einsum("...k,kn->...n", x.astype(float), weight.astype(float))


class TestProduct:
    @pytest.mark.parametrize("n_vectors", [1, 2, 3, 5, 8, 12, 13, 127, 130])
    @pytest.mark.parametrize("shape", [(96, 130), (130, 96), (7, 5000), (5000, 7), (1, 1)], ids=str)
    @pytest.mark.usefixtures("kernels", "n_sharing")
    def test_is_the_exact_one_up_to_rounding_however_it_is_cut(self, n_vectors, shape, monkeypatch):
        for name, value in {"SMALL": 10_000, "LONGEST_RUN": 100, "BLOCK": 3000}.items():
            monkeypatch.setattr(pieces, name, value)
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
        in_pieces = multiplication.product_in_pieces
        monkeypatch.setattr(
            multiplication, "product_in_pieces", lambda *given: small.append(given) or in_pieces(*given)
        )
        for n in (1, 2, 3, 12, 13):
            product(np.ones((n, 4)), np.ones((4, 5)))
        assert [len(vectors) for vectors, _ in small] == ([2, 3, 12] if kernels == "AVX-512" else [])

    def test_many_vectors_and_a_wide_matrix_are_shared_by_columns(self):
        rng = np.random.default_rng(0)
        x, weight = rng.standard_normal((2, 90, 30)), rng.standard_normal((30, 1001))
        np.testing.assert_allclose(product_in_shares(x, weight), exact(x, weight), rtol=1e-10, atol=1e-12)


@pytest.mark.skipif(threads.n_threads() < 2, reason="products use one thread here")
@pytest.mark.parametrize(("n_tokens", "d_model", "expected"), [(1, 64, 1), (8, 64, 1), (9, 64, None), (1, 384, None)])
def test_a_few_tokens_of_a_small_model_stay_on_the_calling_thread(n_tokens, d_model, expected):
    model = gc.GPT(gc.GPTConfig(n_layer=1, n_head=2, d_model=d_model, n_ctx=16, n_vocab=9))
    seen = []
    model(np.zeros(n_tokens, int), hook=lambda name, array: seen.append(threads._blas.get()) or array)
    assert set(seen) == {expected or threads.n_threads()}
    assert threads._blas.get() == threads.n_threads()
