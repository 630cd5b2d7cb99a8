"""Causal attention of a chunk of queries over the keys that they may see.

Vaswani et al. 2017 (arXiv:1706.03762), equation 1, with the mask of a decoder. The patterns of `patterns.py` are all
dense attention over fewer keys: a band is a slice of them, every n-th one is a slice with a step, and the summaries of
earlier blocks are a slice of each block. So the cost grows with the keys that are seen and not with those there are.

Letters: H heads, T queries of the chunk, S keys (those of the chunk last), K the width of a head.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from .patterns import DENSE, Banded, Dense, Fixed, Pattern, Strided

Array = npt.NDArray[np.floating[Any]]
Mask = npt.NDArray[np.bool_]
Positions = npt.NDArray[np.intp]


# Queries of a banded layer that share a slice of keys. Each of them sees `width` of the slice's width + QUERIES - 1
# keys, so fewer would waste less; more make faster matrix products.
QUERIES = 64
# Queries of a dense layer that share their keys. The fewer, the less of the scores is computed only to be masked.
DENSE_QUERIES = 64


class Part(NamedTuple):
    """Queries that look at the same keys, so that among themselves they are a dense attention."""

    own: tuple[slice, slice]  # heads and positions of the queries: queries[own]
    seen: tuple[slice, slice | Positions]  # of the keys and values: keys[seen]
    visible: Mask | None  # (queries, n) about the last n of the keys; the others are seen by all, as all are if None


ALL = slice(None)
EVERYTHING = (Part((ALL, ALL), (ALL, ALL), None),)


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
    for own, seen, visible in parts(queries.shape[1], keys.shape[1], pattern):
        weights, totals = attention_weights(queries[own], keys[seen], visible)
        # Divided after the product: there are K numbers to divide and not S.
        np.divide(weights @ values[seen], totals, mixed[own])
    return mixed


def attention_pattern(queries: Array, keys: Array, pattern: Pattern) -> Array:
    """Each query's weights of all keys, 0 of those that it does not see: (H, T, K), (H, S, K) -> (H, T, S)."""
    weights = np.zeros((*queries.shape[:2], keys.shape[1]), queries.dtype)
    for (heads, own), (_, seen), visible in parts(queries.shape[1], keys.shape[1], pattern):
        exponentials, totals = attention_weights(queries[heads, own], keys[heads, seen], visible)
        exponentials /= totals
        block = weights[heads, own]  # a view
        block[:, :, seen] = exponentials
    return weights


def attention_weights(queries: Array, keys: Array, visible: Mask | None) -> tuple[Array, Array]:
    """The exponentials of the scaled scores, (H, T, S), and each query's sum of them, (H, T, 1), not yet divided by it.

    `visible` (T, n) is about the last n keys, those before them are seen by all.
    """
    scores: Array = (queries * (1 / math.sqrt(queries.shape[-1]))) @ keys.swapaxes(1, 2)
    if visible is not None:
        # measured: adding is ten times as fast as assigning where a mask says so
        scores[:, :, -visible.shape[1] :] += np.where(visible, np.float32(0), np.float32(-np.inf))
    scores -= np.maximum.reduce(scores, axis=-1, keepdims=True)
    weights = np.exp(scores, out=scores)
    return weights, np.add.reduce(weights, axis=-1, keepdims=True)


def visible_keys(T: int, S: int, pattern: Pattern, head: int = 0) -> Mask:
    """Which of S keys each of T queries sees: (T, S), True where it does.

    The queries are the last T of the S positions, so the diagonal ends in the lower right corner, for prefill and
    decode alike.
    """
    return pattern.sees(np.arange(S - T, S)[:, None], np.arange(S), head)


def parts(T: int, S: int, pattern: Pattern) -> Iterable[Part]:
    """What attention of the last T of S positions consists of: each query and head once, with the keys that it sees."""
    if T == 1 and isinstance(pattern, Dense):
        return EVERYTHING  # decoding a small model would notice the time that it takes to say this in other words
    return PARTS[type(pattern)](T, S, pattern)


def dense_parts(T: int, S: int, pattern: Dense = DENSE) -> Iterator[Part]:
    """A few queries at a time over all keys up to the last of them, masked where they come after the query."""
    n_past = S - T
    for start in range(0, T, DENSE_QUERIES):
        stop = min(start + DENSE_QUERIES, T)
        yield Part((ALL, slice(start, stop)), (ALL, slice(0, n_past + stop)), _causal(stop - start))


def banded_parts(T: int, S: int, pattern: Banded) -> Iterator[Part]:
    """A few queries at a time over the slice of keys between the first one's band and the last one."""
    n_past = S - T
    for start in range(0, T, QUERIES):
        stop = min(start + QUERIES, T)
        seen = slice(max(0, n_past + start + 1 - pattern.width), n_past + stop)
        n_queries, n_keys = stop - start, seen.stop - seen.start
        visible = None if n_queries == 1 else visible_keys(n_queries, n_keys, pattern)
        yield Part((ALL, slice(start, stop)), (ALL, seen), visible)


def strided_parts(T: int, S: int, pattern: Strided) -> Iterator[Part]:
    """The positions with the same remainder see each other and no others: a dense attention for each remainder."""
    n_past, stride = S - T, pattern.stride
    for start in range(min(T, stride)):
        own, seen = slice(start, None, stride), slice((n_past + start) % stride, None, stride)
        yield Part((ALL, own), (ALL, seen), _causal(len(range(start, T, stride))))


def fixed_parts(T: int, S: int, pattern: Fixed) -> Iterator[Part]:
    """The queries of a block over the summaries of the blocks before it, then their own block."""
    n_past, stride = S - T, pattern.stride
    for block in range(n_past // stride * stride, S, stride):
        end = min(block + stride, S)
        own = slice(max(block - n_past, 0), end - n_past)
        for variant in range(pattern.summary_variants):
            summaries = np.arange(block).reshape(-1, stride)[:, pattern.summary(variant)]
            seen = np.concatenate([summaries.ravel(), np.arange(block, end)])
            heads = slice(variant, None, pattern.summary_variants)
            yield Part((heads, own), (heads, seen), _causal(own.stop - own.start))


PARTS: dict[type[Pattern], Callable[..., Iterator[Part]]] = {
    Dense: dense_parts,
    Banded: banded_parts,
    Strided: strided_parts,
    Fixed: fixed_parts,
}


def _causal(n_queries: int) -> Mask | None:
    """The mask of the queries' own positions; one query sees its own."""
    return None if n_queries == 1 else visible_keys(n_queries, n_queries, DENSE)
