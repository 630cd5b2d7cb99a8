"""Causal attention of a chunk of queries over the keys that it may see.

Vaswani et al. 2017 (arXiv:1706.03762), equation 1, with the mask of a decoder. The locally banded layers of GPT-3
(Brown et al. 2020, section 2.1, after Child et al. 2019, arXiv:1904.10509) are the same sum over a shorter slice of
keys: position i sees the keys j with i - band_width < j <= i.

Letters: H heads, T queries of the chunk, S keys (those of the chunk last), K the width of a head.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.floating[Any]]


def visible_keys(T: int, S: int, band_width: int | None = None) -> npt.NDArray[np.bool_]:
    """Which of S keys each of T queries sees: (T, S), True where it does.

    The queries are the last T of the S positions, so the diagonal ends in the lower right corner, for prefill and
    decode alike. `band_width` None is a dense layer.
    """
    query = np.arange(S - T, S)[:, None]
    key = np.arange(S)
    visible = key <= query
    if band_width is not None:
        visible &= key > query - band_width
    return visible


def causal_attention(queries: Array, keys: Array, values: Array, band_width: int | None = None) -> Array:
    """Softmax of the scaled scores over the visible keys, times the values.

    Parameters
    ----------
    queries : (H, T, K)
    keys, values : (H, S, K)
        S >= T; the last T belong to the queries' own positions.
    band_width : int, optional
        Keys that a query sees, itself included; None for a dense layer.

    Returns
    -------
    (H, T, K), in the dtype of the queries
    """
    T, S, K = queries.shape[1], keys.shape[1], queries.shape[2]
    scores = (queries * (1 / math.sqrt(K))) @ keys.swapaxes(1, 2)  # (H, T, S)
    if T > 1 or (band_width is not None and band_width < S):
        np.copyto(scores, -np.inf, where=~visible_keys(T, S, band_width))
    scores -= scores.max(axis=-1, keepdims=True)
    weights = np.exp(scores, out=scores)
    mixed: Array = weights @ values
    mixed /= weights.sum(axis=-1, keepdims=True)  # here, after the product, there are K numbers to divide and not S
    return mixed
