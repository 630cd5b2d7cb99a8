"""Causal attention of a chunk of queries over the keys that they may see.

Vaswani et al. 2017 (arXiv:1706.03762), equation 1, with the mask of a decoder. The patterns of `gptcompare.patterns`
are dense attention over fewer keys: a band is a slice of them, every n-th one is a slice with a step, and the summaries
of earlier blocks are a slice of each block. So the cost grows with the keys that are seen and not with those there are.
"""

from __future__ import annotations

import math

import numpy as np

from ..arrays import Array, Mask
from ..patterns import Pattern


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
    mixed = np.empty_like(queries)
    H, T, _ = queries.shape
    for part in pattern.parts(T, keys.shape[1], H):
        weights, totals = attention_weights(queries[part.queries], keys[part.keys], part.mask)
        # Divided after the product: there are K numbers to divide and not S.
        np.divide(weights @ values[part.keys], totals, mixed[part.queries])
    return mixed


def attention_pattern(queries: Array, keys: Array, pattern: Pattern) -> Array:
    """Each query's weights of all keys, 0 of those that it does not see: (H, T, K), (H, S, K) -> (H, T, S)."""
    H, T, _ = queries.shape
    weights = np.zeros((H, T, keys.shape[1]), queries.dtype)
    for part in pattern.parts(T, keys.shape[1], H):
        exponentials, totals = attention_weights(queries[part.queries], keys[part.keys], part.mask)
        exponentials /= totals
        block = weights[part.queries]  # a view
        block[:, :, part.keys[1]] = exponentials
    return weights


def attention_weights(queries: Array, keys: Array, mask: Mask | None) -> tuple[Array, Array]:
    """The exponentials of the scaled scores, (H, T, S), and each query's sum of them, (H, T, 1), not yet divided by it.

    The mask, (T, n) or (H, T, n), is about the last n keys; those before them are seen by all.
    """
    scores: Array = (queries * (1 / math.sqrt(queries.shape[-1]))) @ keys.swapaxes(1, 2)
    if mask is not None:
        # measured: adding is ten times as fast as assigning where a mask says so
        scores[:, :, -mask.shape[-1] :] += np.where(mask, np.float32(0), np.float32(-np.inf))
    scores -= np.maximum.reduce(scores, axis=-1, keepdims=True)
    weights = np.exp(scores, out=scores)
    return weights, np.add.reduce(weights, axis=-1, keepdims=True)
