import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.amounts import examples
from support.strategies import ANY_PATTERN, ONE_OF_EACH

from gptcompare import patterns
from gptcompare.model.attention import causal_attention
from gptcompare.patterns import DENSE, Banded, Fixed, Strided


def plain_attention(queries, keys, values, pattern):
    """The definition, one query at a time in float64."""
    H, T, K = queries.shape
    S = keys.shape[1]
    out = np.zeros((H, T, K))
    for head in range(H):
        for t in range(T):
            seen = [j for j in range(S) if pattern.sees(np.array(S - T + t), np.array(j), head)]
            scores = [math.fsum(queries[head, t] * keys[head, j]) / math.sqrt(K) for j in seen]
            weights = [math.exp(score - max(scores)) for score in scores]
            out[head, t] = sum(w * values[head, j] for w, j in zip(weights, seen, strict=True)) / math.fsum(weights)
    return out


def random_chunk(T, past, seed, K=5):
    """Queries of T positions, keys and values of these and `past` ones before them, four heads, float64."""
    rng = np.random.default_rng(seed)
    keys, values = rng.standard_normal((2, 4, past + T, K)) * 3
    return rng.standard_normal((4, T, K)) * 3, keys, values


@settings(max_examples=examples(150), deadline=None)
@given(
    pattern=ANY_PATTERN, T=st.integers(1, 20), past=st.integers(0, 20), together=st.integers(1, 9),
    seed=st.integers(0, 2**32 - 1),
)  # fmt: skip
def test_attention_equals_its_definition_for_every_chunk_and_pattern(pattern, T, past, together, seed):
    queries, keys, values = random_chunk(T, past, seed)
    expected = plain_attention(queries, keys, values, pattern)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(patterns, "QUERIES", together)
        assert causal_attention(queries, keys, values, pattern) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("pattern", [DENSE, Banded(70), Strided(31), Fixed(50, 7, 2)], ids=str)
def test_a_long_chunk_equals_a_masked_softmax(pattern):
    queries, keys, values = random_chunk(300, 77, 0)
    scores = np.einsum("htk,hsk->hts", queries, keys) / math.sqrt(5)
    visible = np.stack([patterns.visible_keys(300, 377, pattern, head) for head in range(4)])
    weights = np.where(visible, np.exp(scores - scores.max(axis=-1, keepdims=True, where=visible, initial=-1e9)), 0)
    expected = weights @ values / weights.sum(axis=-1, keepdims=True)
    assert causal_attention(queries, keys, values, pattern) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("width", [1, 2, 5, 20])
def test_a_banded_layer_needs_no_key_before_its_first_query_s_band(width):
    queries, keys, values = random_chunk(9, 30, 0)
    first = 30 - width + 1
    alone = causal_attention(queries, keys[:, first:], values[:, first:], Banded(width))
    assert np.array_equal(alone, causal_attention(queries, keys, values, Banded(width)))


@pytest.mark.parametrize("pattern", ONE_OF_EACH, ids=str)
def test_float32_in_is_float32_out(pattern):
    x = np.random.default_rng(0).standard_normal((2, 4, 3), dtype=np.float32)
    assert causal_attention(x, x, x, pattern).dtype == np.float32


@pytest.mark.parametrize("pattern", ONE_OF_EACH, ids=str)
def test_scores_of_any_size_stay_finite(pattern):
    x = np.full((1, 5, 4), 1e18, np.float32)
    assert np.isfinite(causal_attention(x, x, np.ones_like(x), pattern)).all()
