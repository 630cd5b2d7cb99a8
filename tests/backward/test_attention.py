import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.amounts import examples
from support.differences import CLOSE, gradient
from support.strategies import ANY_PATTERN, ONE_OF_EACH

from gptcompare import patterns
from gptcompare.backward.attention import causal_attention, causal_attention_backward
from gptcompare.backward.ops import NO_DROPOUT, Dropout
from gptcompare.model import attention as inference
from gptcompare.patterns import DENSE, Banded, Fixed, Strided


def random_sequence(T, seed=0, H=4, K=3, dtype=np.float64):
    """Queries, keys, values and the gradient by the output."""
    return np.random.default_rng(seed).standard_normal((4, H, T, K)).astype(dtype)


def gradients(queries, keys, values, d_mixed, pattern, drop=NO_DROPOUT):
    """By queries, keys and values, in arrays in which nothing is 0 before."""
    mixed, *found = (np.full_like(queries, np.nan) for _ in range(4))
    kept = causal_attention(queries, keys, values, pattern, mixed, drop)
    causal_attention_backward(d_mixed, mixed, queries, keys, values, kept, *found)
    return found


@settings(max_examples=examples(100), deadline=None)
@given(pattern=ANY_PATTERN, T=st.integers(1, 70), seed=st.integers(0, 2**32 - 1))
def test_the_forward_pass_is_that_of_inference(pattern, T, seed):
    queries, keys, values, mixed = random_sequence(T, seed)
    expected = inference.causal_attention(queries, keys, values, pattern)
    causal_attention(queries, keys, values, pattern, mixed)
    assert np.array_equal(mixed, expected)


@settings(max_examples=examples(60), deadline=None)
@given(
    pattern=ANY_PATTERN, T=st.integers(1, 9), together=st.integers(1, 5), seed=st.integers(0, 2**32 - 1)
)  # fmt: skip
def test_the_gradient_is_that_of_the_forward_pass(pattern, T, together, seed):
    *inputs, d_mixed = random_sequence(T, seed, K=2)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(patterns, "QUERIES", together)
        found = gradients(*inputs, d_mixed, pattern)
    for which in range(3):

        def loss(x, which=which):
            return (inference.causal_attention(*inputs[:which], x, *inputs[which + 1 :], pattern) * d_mixed).sum()

        assert found[which] == pytest.approx(gradient(loss, inputs[which]), **CLOSE)


@pytest.mark.parametrize("pattern", ONE_OF_EACH, ids=str)
def test_the_gradient_with_dropout_is_that_of_the_forward_pass_with_the_same_dropout(pattern):
    *inputs, d_mixed = random_sequence(8)
    found = gradients(*inputs, d_mixed, pattern, Dropout(0.3, np.random.default_rng(5)))
    for which in range(3):

        def loss(x, which=which):
            mixed = np.empty_like(x)
            changed = (*inputs[:which], x, *inputs[which + 1 :])
            causal_attention(*changed, pattern, mixed, Dropout(0.3, np.random.default_rng(5)))
            return (mixed * d_mixed).sum()

        assert found[which] == pytest.approx(gradient(loss, inputs[which]), **CLOSE)


@pytest.mark.parametrize("T", [1, 50, 300])
def test_a_band_wider_than_the_sequence_gives_the_dense_gradients(T):
    inputs = random_sequence(T)
    for banded, dense in zip(gradients(*inputs, Banded(T + 3)), gradients(*inputs, DENSE), strict=True):
        assert banded == pytest.approx(dense, rel=1e-10, abs=1e-12)


@pytest.mark.parametrize(
    ("pattern", "most"),
    [(Banded(10), 10 + patterns.QUERIES), (Strided(32), 1024 // 32), (Fixed(32, 1), 32 + 1024 // 32)],
    ids=str,
)
def test_the_scores_that_are_computed_grow_with_the_keys_that_are_seen(pattern, most):
    """The two passes work on the weights that the forward pass keeps, and on nothing else of T times T."""
    queries, keys, values, mixed = random_sequence(1024)
    kept = causal_attention(queries, keys, values, pattern, mixed)
    assert sum(part.weights.size for part in kept) <= 4 * 1024 * most


@pytest.mark.parametrize("pattern", ONE_OF_EACH, ids=str)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_dtype_is_kept(pattern, dtype):
    queries, keys, values, mixed = random_sequence(20, dtype=dtype)
    kept = causal_attention(queries, keys, values, pattern, mixed, Dropout(0.1, np.random.default_rng(0)))
    assert {array.dtype for part in kept for array in part[1:]} == {np.dtype(dtype)}


@pytest.mark.parametrize("pattern", ONE_OF_EACH, ids=str)
def test_gradients_of_scores_of_any_size_are_finite(pattern):
    queries, keys, values, d_mixed = random_sequence(20, dtype=np.float32)
    for found in gradients(queries * np.float32(1e10), keys * np.float32(1e10), values, d_mixed, pattern):
        assert np.isfinite(found).all()
