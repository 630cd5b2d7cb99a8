import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.strategies import ANY_PATTERN

from gptcompare.patterns import DENSE, Banded, Fixed, Strided, visible_keys

# The masks of github.com/openai/sparse_attention, attention.py, n positions long, each built as its definition there
# says: get_attn_mask for three of them, the layout of blocks of get_blocksparse_obj for "fixed".


def openai_all(n):
    return np.tril(np.ones((n, n), bool))


def openai_local(n, bandwidth):
    below = min(n - 1, bandwidth - 1)  # diagonals kept under the main one: tf.matrix_band_part
    return np.tril(np.ones((n, n), bool)) & np.triu(np.ones((n, n), bool), -below)


def openai_strided(n, stride):
    q, k = np.indices((n, n))
    return (q >= k) & (np.mod(q - k, stride) == 0)


def openai_fixed(n, head, local_attn_ctx, blocksize, num_verts, vertsize):
    n_blocks, stride = n // blocksize, local_attn_ctx // blocksize
    vertical = np.arange(stride)[::-1].reshape(-1, vertsize)[head % num_verts]
    layout = np.zeros((n_blocks, n_blocks), bool)
    for column in vertical:
        layout[:, column::stride] = True
    for row in range(n_blocks):
        first = row // stride * stride
        layout[row, first : first + stride] = True
        layout[row, row + 1 :] = False
    mask = np.kron(layout, np.ones((blocksize, blocksize), bool))
    return mask & np.tril(np.ones((n, n), bool))  # within the blocks of the diagonal


def test_dense_is_the_mask_of_all():
    assert np.array_equal(visible_keys(40, 40, DENSE), openai_all(40))


@pytest.mark.parametrize("width", [1, 2, 5, 39, 40, 41, 100])
def test_banded_is_the_mask_of_local(width):
    assert np.array_equal(visible_keys(40, 40, Banded(width)), openai_local(40, width))


@pytest.mark.parametrize("stride", [1, 2, 7, 39, 40, 100])
def test_strided_is_the_mask_of_strided(stride):
    assert np.array_equal(visible_keys(40, 40, Strided(stride)), openai_strided(40, stride))


@pytest.mark.parametrize(
    ("local_attn_ctx", "blocksize", "num_verts", "vertsize"),
    [(8, 1, 1, 1), (8, 1, 1, 3 + 1), (8, 2, 4, 1), (16, 2, 2, 4), (16, 4, 4, 1), (12, 1, 3, 2), (12, 1, 2, 2)],
)
@pytest.mark.parametrize("head", range(5))
def test_fixed_is_the_mask_of_fixed(local_attn_ctx, blocksize, num_verts, vertsize, head):
    pattern = Fixed(stride=local_attn_ctx, summary_width=blocksize * vertsize, summary_variants=num_verts)
    expected = openai_fixed(48, head, local_attn_ctx, blocksize, num_verts, vertsize)
    assert np.array_equal(visible_keys(48, 48, pattern, head), expected)


@given(pattern=ANY_PATTERN, n=st.integers(1, 40))
def test_keys_seen_counts_what_the_last_of_n_tokens_sees(pattern, n):
    assert pattern.keys_seen(n) == visible_keys(n, n, pattern)[-1].sum()


@given(pattern=ANY_PATTERN, n=st.integers(1, 40), later=st.integers(0, 40))
def test_no_later_query_sees_a_key_that_is_not_kept(pattern, n, later):
    seen = np.flatnonzero(visible_keys(n + later, n + later, pattern)[n - 1 :].any(axis=0))
    assert seen.min() >= n - pattern.keys_kept(n)


@given(pattern=ANY_PATTERN, T=st.integers(1, 20), past=st.integers(0, 20), head=st.integers(0, 5))
def test_the_mask_of_a_chunk_is_the_end_of_the_whole_mask(pattern, T, past, head):
    S = past + T
    assert np.array_equal(visible_keys(T, S, pattern, head), visible_keys(S, S, pattern, head)[-T:])


def test_summaries_longer_than_the_block_are_refused():
    with pytest.raises(ValueError, match="summary_width 3 times summary_variants 3 is more than stride 8"):
        Fixed(8, 3, 3)
