"""Causal attention of a chunk of queries over the keys that they may see.

Vaswani et al. 2017 (arXiv:1706.03762), equation 1, with a decoder's mask. The patterns of `gptcompare.patterns` are
dense attention over fewer keys: a band is a slice of the keys, every n-th key is a slice with a step, and the summaries
of earlier blocks are a slice of each block. So the cost grows with the number of keys seen, not of keys that exist.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TypeAlias

import numpy as np

from ..arrays import Array, Mask
from ..patterns import Part, Pattern

# Is told about each part of an attention, its exponentials (H, T, S) and their sums (H, T, 1), and returns the
# exponentials to use: for training, which needs them again, and leaves some out (dropout).
Keep: TypeAlias = Callable[[Part, Array, Array], Array]


def causal_attention(
    queries: Array, keys: Array, values: Array, pattern: Pattern, out: Array | None = None, keep: Keep | None = None
) -> Array:
    """Return the softmax of the scaled scores over the visible keys, times the values.

    Parameters
    ----------
    queries : (H, T, K)
    keys, values : (H, S, K)
        S >= T. The last T belong to the queries' own positions, the others to earlier positions: all of them or, for a
        banded layer, at least the first query's band.
    pattern : Pattern
    out : (H, T, K), optional
        Array to write the result to; a new one if not given.
    keep : function of a part and two arrays, optional
        See `Keep`.

    Returns
    -------
    (H, T, K), in the dtype of the queries
    """
    mixed = np.empty_like(queries) if out is None else out
    H, T, _ = queries.shape
    for part in pattern.parts(T, keys.shape[1], H):
        weights, totals = attention_weights(queries[part.queries], keys[part.keys], part.mask)
        if keep is not None:
            weights = keep(part, weights, totals)
        # Divided after the product: that is K divisions per query instead of S.
        np.divide(weights @ values[part.keys], totals, mixed[part.queries])
    return mixed


def attention_pattern(queries: Array, keys: Array, pattern: Pattern) -> Array:
    """Return each query's weight for every key, 0 for hidden keys: (H, T, K), (H, S, K) -> (H, T, S)."""
    H, T, _ = queries.shape
    weights = np.zeros((H, T, keys.shape[1]), queries.dtype)
    for part in pattern.parts(T, keys.shape[1], H):
        exponentials, totals = attention_weights(queries[part.queries], keys[part.keys], part.mask)
        exponentials /= totals
        of_queries = weights[part.queries]  # a view
        of_queries[:, :, part.keys[1]] = exponentials
    return weights


def attention_weights(queries: Array, keys: Array, mask: Mask | None) -> tuple[Array, Array]:
    """Return the exponentials of the scaled scores, (H, T, S), and their undivided sum for each query, (H, T, 1).

    The mask, (T, n) or (H, T, n), covers the last n keys; every query sees all earlier keys.
    """
    scores: Array = (queries * (1 / math.sqrt(queries.shape[-1]))) @ keys.swapaxes(1, 2)
    if mask is not None:
        # measured: adding is ten times as fast as assigning through a boolean mask
        scores[:, :, -mask.shape[-1] :] += np.where(mask, np.float32(0), np.float32(-np.inf))
    scores -= np.maximum.reduce(scores, axis=-1, keepdims=True)
    weights = np.exp(scores, out=scores)
    return weights, np.add.reduce(weights, axis=-1, keepdims=True)
