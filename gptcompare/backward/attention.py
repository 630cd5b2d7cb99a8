"""Causal attention of whole sequences, as in `gptcompare.model.attention`, and its gradient.

Both passes use the same parts, so a layer's time and memory grow with the number of keys that its pattern shows: for a
banded layer with the width of the band, not with the square of the sequence length.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from ..arrays import Array
from ..model import attention
from ..patterns import Part, Pattern
from .ops import NO_DROPOUT, Dropout, dropout, dropout_backward


class KeptPart(NamedTuple):
    """The arrays that the backward pass of one part needs."""

    part: Part
    weights: Array  # (H, T, S), exponentials of the scores, not yet divided by their sums
    totals: Array  # (H, T, 1), these sums
    dropped: Array | None  # (H, T, S), the factors of dropout


def causal_attention(
    queries: Array, keys: Array, values: Array, pattern: Pattern, mixed: Array, drop: Dropout = NO_DROPOUT
) -> list[KeptPart]:
    """Attend within one sequence, arrays (H, T, K): fill `mixed`, and return what the backward pass needs."""
    kept = []

    def keep(part: Part, weights: Array, totals: Array) -> Array:
        used, dropped = dropout(weights, *drop)
        kept.append(KeptPart(part, weights, totals, dropped))
        return used

    attention.causal_attention(queries, keys, values, pattern, mixed, keep)
    return kept


def causal_attention_backward(
    d_mixed: Array, mixed: Array, queries: Array, keys: Array, values: Array, kept: list[KeptPart],
    d_queries: Array, d_keys: Array, d_values: Array,
) -> None:  # fmt: skip
    """Fill `d_queries`, `d_keys` and `d_values` from `d_mixed` and the forward pass's arrays, each (H, T, K).

    With p = weights / totals and mixed = p @ values, the gradient with respect to the scores is
    d_scores = p * (d_p - sum over the keys of p * d_p), and this sum equals the sum of mixed * d_mixed over K
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
