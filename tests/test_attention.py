import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gptcompare.attention import causal_attention, visible_keys


def plain_attention(queries, keys, values, band_width):
    """The definition, one query at a time in float64."""
    H, T, K = queries.shape
    S = keys.shape[1]
    out = np.zeros((H, T, K))
    for head in range(H):
        for t in range(T):
            i = S - T + t
            seen = [j for j in range(S) if j <= i and (band_width is None or j > i - band_width)]
            scores = [math.fsum(queries[head, t] * keys[head, j]) / math.sqrt(K) for j in seen]
            weights = [math.exp(score - max(scores)) for score in scores]
            out[head, t] = sum(w * values[head, j] for w, j in zip(weights, seen, strict=True)) / math.fsum(weights)
    return out


@settings(max_examples=60, deadline=None)
@given(
    T=st.integers(1, 9), past=st.integers(0, 9), band=st.none() | st.integers(1, 20), seed=st.integers(0, 2**32 - 1)
)  # fmt: skip
def test_attention_equals_its_definition_for_every_chunk_and_band(T, past, band, seed):
    rng = np.random.default_rng(seed)
    queries = rng.standard_normal((3, T, 5)) * 3
    keys, values = rng.standard_normal((2, 3, past + T, 5)) * 3
    expected = plain_attention(queries, keys, values, band)
    assert causal_attention(queries, keys, values, band) == pytest.approx(expected, abs=1e-12)


def test_float32_in_is_float32_out():
    x = np.random.default_rng(0).standard_normal((2, 4, 3), dtype=np.float32)
    assert causal_attention(x, x, x, 2).dtype == np.float32


def test_scores_of_any_size_stay_finite():
    x = np.full((1, 3, 4), 1e18, np.float32)
    assert np.isfinite(causal_attention(x, x, np.ones_like(x))).all()


@pytest.mark.parametrize("band", [None, 1, 2, 5, 8, 100])
def test_the_mask_is_that_of_the_sparse_transformer_s_local_attention(band):
    # openai/sparse_attention, attention.py, get_attn_mask: "all" is j <= i; "local" is also i - j < l
    mask = visible_keys(8, 8, band)
    assert mask.tolist() == [[j <= i and i - j < (band or 8) for j in range(8)] for i in range(8)]


def test_the_mask_of_a_chunk_is_the_end_of_the_whole_mask():
    assert np.array_equal(visible_keys(3, 8, 4), visible_keys(8, 8, 4)[-3:])
