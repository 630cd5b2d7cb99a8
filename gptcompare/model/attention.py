"""Causal attention of a chunk of queries over the keys that they may see.

Vaswani et al. 2017 (arXiv:1706.03762), equation 1, with a decoder's mask. The patterns of `gptcompare.patterns` are
dense attention over fewer keys: a band is a slice of the keys, every n-th key is a slice with a step, and the summaries
of earlier blocks are a slice of each block. So the cost grows with the number of keys seen, not of keys that exist.

`attend` does it for the sequences of a batch and their caches; `attend_with_hooks` is slower, and can be looked into.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TypeAlias

import numpy as np

from ..arrays import Array, Mask
from ..patterns import Part, Pattern
from .hooks import Hook
from .kv_cache import LayerCache
from .threads import LayerOrder

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


def attend(
    qkv: Array, pattern: Pattern, caches: Sequence[LayerCache], n_past: Sequence[int], order: LayerOrder
) -> Array:
    """Attend within each sequence, through its cache, which is extended: (B, T, 3, H, K) -> (B, T, H K).

    `n_past` are the tokens that each sequence had before; in `order`, other chunks reach the caches before and after.
    """
    queries, keys, values = qkv.transpose(2, 0, 3, 1, 4)  # each (B, H, T, K)
    B, H, T, K = queries.shape
    heads: Array = np.empty((B, T, H, K), qkv.dtype)
    with order:
        for row, cache in enumerate(caches):
            seen_keys, seen_values = cache.extend(n_past[row], keys[row], values[row])
            mixed = causal_attention(queries[row], seen_keys, seen_values, pattern)
            heads[row] = mixed.swapaxes(0, 1)  # (H, T, K) -> (T, H, K)
    return heads.reshape(B, T, H * K)


def attend_with_hooks(
    qkv: Array, pattern: Pattern, caches: Sequence[LayerCache], n_past: Sequence[int], hook: Hook
) -> Array:
    """Attend in the same way, with the full weights (B, H, T, S), so that a hook can read or replace them.

    S is the length of the longest sequence. What the hook makes of keys and values is what the caches remember.
    """
    queries, keys, values = (hook(f"attn.hook_{name}", qkv[:, :, n]).swapaxes(1, 2) for n, name in enumerate("qkv"))
    B, H, T, _ = queries.shape
    rows = range(B)
    seen = [_seen(caches[row], n_past[row], keys[row], values[row]) for row in rows]
    ends = [past + T for past in n_past]
    held = [slice(end - of_row[0].shape[1], end) for end, of_row in zip(ends, seen, strict=True)]
    weights: Array = np.zeros((B, H, T, max(ends)), queries.dtype)
    for row in rows:
        weights[row, :, :, held[row]] = attention_pattern(queries[row], seen[row][0], pattern)
    weights = np.broadcast_to(hook("attn.hook_pattern", weights), weights.shape)
    for row in rows:
        _check_held(weights[row], held[row])
    mixed = np.stack([weights[row, :, :, held[row]] @ seen[row][1] for row in rows])
    heads = hook("attn.hook_z", mixed.swapaxes(1, 2))  # (B, T, H, K)
    return heads.reshape(*heads.shape[:2], -1)


def _seen(cache: LayerCache, n_past: int, keys: Array, values: Array) -> tuple[Array, Array]:
    """Extend the cache; return the keys and values that are seen: of a sequence's beginning, those that were given.

    A cache has the model's dtype, but a hook may return another one.
    """
    remembered = cache.extend(n_past, keys, values)
    return remembered if n_past else (keys, values)


def _check_held(weights: Array, held: slice) -> None:
    """Raise ValueError if a hook gives weight, (H, T, S), to positions whose values are not held."""
    if weights[:, :, : held.start].any() or weights[:, :, held.stop :].any():
        raise ValueError(
            f"a hook gives attention to positions other than {held.start} ... {held.stop - 1}: a cache holds no others "
            "here, since a banded layer forgets what no query sees; call the model without a cache"
        )


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
