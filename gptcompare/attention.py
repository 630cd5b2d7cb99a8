"""Causal attention of a chunk of queries over the keys that they may see.

Vaswani et al. 2017 (arXiv:1706.03762), equation 1, with the mask of a decoder. The patterns of `patterns.py` are all
dense attention over fewer keys: a band is a slice of them, every n-th one is a slice with a step, and the summaries of
earlier blocks are a slice of each block. So the cost grows with the keys that are seen and not with those there are.

Letters: H heads, T queries of the chunk, S keys (those of the chunk last), K the width of a head.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from .patterns import DENSE, Banded, Dense, Fixed, Pattern, Strided

Array = npt.NDArray[np.floating[Any]]
Mask = npt.NDArray[np.bool_]

# Queries of a banded layer that share a slice of keys. Each of them sees `width` of the slice's width + QUERIES - 1
# keys, so fewer would waste less; more make faster matrix products.
QUERIES = 64


def causal_attention(queries: Array, keys: Array, values: Array, pattern: Pattern) -> Array:
    """Softmax of the scaled scores over the visible keys, times the values.

    Parameters
    ----------
    queries : (H, T, K)
    keys, values : (H, S, K)
        S >= T. The last T belong to the queries' own positions, the others to those before them: all of them, or, for
        a banded layer, at least those in the first query's band.
    pattern : Pattern

    Returns
    -------
    (H, T, K), in the dtype of the queries
    """
    return ATTENTION[type(pattern)](queries, keys, values, pattern)


def visible_keys(T: int, S: int, pattern: Pattern, head: int = 0) -> Mask:
    """Which of S keys each of T queries sees: (T, S), True where it does.

    The queries are the last T of the S positions, so the diagonal ends in the lower right corner, for prefill and
    decode alike.
    """
    return pattern.sees(np.arange(S - T, S)[:, None], np.arange(S), head)


def dense_attention(queries: Array, keys: Array, values: Array, pattern: Dense = DENSE) -> Array:
    """All queries over all keys, the last T of them masked where they come after the query."""
    T = queries.shape[1]
    return _mix(queries, keys, values, None if T == 1 else visible_keys(T, T, pattern))


def banded_attention(queries: Array, keys: Array, values: Array, pattern: Banded) -> Array:
    """A few queries at a time over the slice of keys between the first one's band and the last one."""
    T, n_past = queries.shape[1], keys.shape[1] - queries.shape[1]
    mixed = np.empty_like(queries)
    for start in range(0, T, QUERIES):
        chunk = slice(start, min(start + QUERIES, T))
        seen = slice(max(0, n_past + start + 1 - pattern.width), n_past + chunk.stop)
        n_queries, n_keys = chunk.stop - start, seen.stop - seen.start
        visible = None if n_queries == 1 else visible_keys(n_queries, n_keys, pattern)
        mixed[:, chunk] = _mix(queries[:, chunk], keys[:, seen], values[:, seen], visible)
    return mixed


def strided_attention(queries: Array, keys: Array, values: Array, pattern: Strided) -> Array:
    """The positions with the same remainder see each other and no others: a dense attention for each remainder."""
    T, n_past, stride = queries.shape[1], keys.shape[1] - queries.shape[1], pattern.stride
    mixed = np.empty_like(queries)
    for start in range(min(T, stride)):
        own, seen = slice(start, None, stride), slice((n_past + start) % stride, None, stride)
        mixed[:, own] = dense_attention(queries[:, own], keys[:, seen], values[:, seen])
    return mixed


def fixed_attention(queries: Array, keys: Array, values: Array, pattern: Fixed) -> Array:
    """The queries of a block over the summaries of the blocks before it, then their own block."""
    S, n_past, stride = keys.shape[1], keys.shape[1] - queries.shape[1], pattern.stride
    mixed = np.empty_like(queries)
    for block in range(n_past // stride * stride, S, stride):
        end = min(block + stride, S)
        own = slice(max(block - n_past, 0), end - n_past)
        for variant in range(pattern.summary_variants):
            heads, summary = slice(variant, None, pattern.summary_variants), pattern.summary(variant)
            seen_keys, seen_values = (
                np.concatenate([_of_each_block(x[heads, :block], stride, summary), x[heads, block:end]], axis=1)
                for x in (keys, values)
            )
            mixed[heads, own] = dense_attention(queries[heads, own], seen_keys, seen_values)
    return mixed


ATTENTION: dict[type[Pattern], Callable[..., Array]] = {
    Dense: dense_attention,
    Banded: banded_attention,
    Strided: strided_attention,
    Fixed: fixed_attention,
}


def _of_each_block(x: Array, stride: int, part: slice) -> Array:
    """The same part of each block of `stride` positions: (H, n * stride, K) -> (H, n * width of the part, K)."""
    H, S, K = x.shape
    return x.reshape(H, S // stride, stride, K)[:, :, part].reshape(H, -1, K)


def _mix(queries: Array, keys: Array, values: Array, visible: Mask | None) -> Array:
    """Attention itself; `visible` (T, n) is about the last n keys, those before them are seen by all."""
    scores: Array = (queries * (1 / math.sqrt(queries.shape[-1]))) @ keys.swapaxes(1, 2)  # (H, T, S)
    if visible is not None:
        # measured: adding is ten times as fast as assigning where a mask says so
        scores[:, :, -visible.shape[1] :] += np.where(visible, np.float32(0), np.float32(-np.inf))
    scores -= scores.max(axis=-1, keepdims=True)
    weights = np.exp(scores, out=scores)
    mixed: Array = weights @ values
    mixed /= weights.sum(axis=-1, keepdims=True)  # here, after the product, there are K numbers to divide and not S
    return mixed
