"""Causal attention of whole sequences, as in `gptcompare.model.attention`, and its gradient.

The parts are the same ones, so a layer's time and memory grow with the keys that its pattern shows, backwards too: for
a banded layer with the band and not with the square of the sequence.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from ...arrays import Array
from ...model.attention import attention_weights
from ...patterns import Part, Pattern
from .ops import NO_DROPOUT, Dropout, dropout, dropout_backward


class KeptPart(NamedTuple):
    """What the backward pass of one part needs."""

    part: Part
    weights: Array  # (H, T, S), exponentials of the scores: not yet divided by
    totals: Array  # (H, T, 1), their sums
    dropped: Array | None  # (H, T, S), the factors of dropout


def causal_attention(
    queries: Array, keys: Array, values: Array, pattern: Pattern, mixed: Array, drop: Dropout = NO_DROPOUT
) -> list[KeptPart]:
    """Queries, keys and values of one sequence, each (H, T, K) -> `mixed`, which is filled, and what is kept."""
    kept = []
    H, T, _ = queries.shape
    for part in pattern.parts(T, T, H):
        weights, totals = attention_weights(queries[part.queries], keys[part.keys], part.mask)
        used, dropped = dropout(weights, *drop)
        np.divide(used @ values[part.keys], totals, out=mixed[part.queries])
        kept.append(KeptPart(part, weights, totals, dropped))
    return kept


def causal_attention_backward(
    d_mixed: Array, mixed: Array, queries: Array, keys: Array, values: Array, kept: list[KeptPart],
    d_queries: Array, d_keys: Array, d_values: Array,
) -> None:  # fmt: skip
    """`d_mixed` and the arrays of the forward pass, each (H, T, K) -> the last three, which are filled.

    With p = weights / totals and mixed = p @ values, the gradient of a softmax is that of its scores,
    d_scores = p * (d_p - sum over the keys of p * d_p), and this sum is that of mixed * d_mixed over K
    (Dao et al. 2022, arXiv:2205.14135, appendix B.2).
    """
    scale = 1 / math.sqrt(queries.shape[-1])
    d_keys[...] = 0
    d_values[...] = 0
    for (own, seen, _mask), weights, totals, dropped in kept:
        # mixed = (weights * dropped) @ values / totals
        d = d_mixed[own] / totals
        d_values[seen] += dropout_backward(weights, dropped).swapaxes(1, 2) @ d
        d_scores = dropout_backward(d @ values[seen].swapaxes(1, 2), dropped)
        d_scores -= np.einsum("htk,htk->ht", d, mixed[own])[..., None]
        d_scores *= weights
        # scores = queries @ keys.T * scale
        d_queries[own] = d_scores @ keys[seen] * scale
        d_keys[seen] += d_scores.swapaxes(1, 2) @ (queries[own] * scale)
