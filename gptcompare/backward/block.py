"""A block of the transformer: forwards, keeping what the gradient needs, and backwards.

`block` and `attend` do the same as `_block` and `_attend` in `gptcompare.model.gpt`, but on whole sequences and without
a cache; each `_backward` function undoes the lines of its forward function in reverse order.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ..arrays import Array
from ..config import GPTConfig
from ..model.ops import linear
from ..patterns import Pattern
from .attention import KeptPart, causal_attention, causal_attention_backward
from .ops import (
    Dropout,
    activation,
    activation_backward,
    dropout,
    dropout_backward,
    layer_norm,
    layer_norm_backward,
    linear_backward,
)


class KeptAttention(NamedTuple):
    """The arrays that the backward pass of attention needs."""

    qkv: Array  # (N, 3 H K)
    heads: Array  # (N, H K)
    parts: list[list[KeptPart]]  # for each sequence


class KeptBlock(NamedTuple):
    """The arrays that the backward pass of a block needs, in the order of the forward pass."""

    norm_1: tuple[Array, Array]
    normed_1: Array
    attention: KeptAttention
    dropped_1: Array | None
    norm_2: tuple[Array, Array]
    normed_2: Array
    hidden: Array
    slope: Array
    dropped_2: Array | None


def block(
    x: Array, p: dict[str, Array], pattern: Pattern, config: GPTConfig, batch: int, drop: Dropout
) -> tuple[Array, KeptBlock]:
    """Apply attention, then the feed-forward layer: each adds to the residual stream x, (N, D), in place."""
    eps = config.layer_norm_eps

    # 1. Attention.
    normed_1, norm_1 = layer_norm(x, p["ln_1.weight"], p["ln_1.bias"], eps)
    qkv = linear(normed_1, p["attn.c_attn.weight"], p["attn.c_attn.bias"])
    attention = attend(qkv, pattern, config, batch, drop)
    update, dropped_1 = dropout(linear(attention.heads, p["attn.c_proj.weight"], p["attn.c_proj.bias"]), *drop)
    x += update

    # 2. Feed-forward layer.
    normed_2, norm_2 = layer_norm(x, p["ln_2.weight"], p["ln_2.bias"], eps)
    hidden, slope = activation(linear(normed_2, p["mlp.c_fc.weight"], p["mlp.c_fc.bias"]), config.activation)
    update, dropped_2 = dropout(linear(hidden, p["mlp.c_proj.weight"], p["mlp.c_proj.bias"]), *drop)
    x += update
    return x, KeptBlock(norm_1, normed_1, attention, dropped_1, norm_2, normed_2, hidden, slope, dropped_2)


def block_backward(
    dx: Array, kept: KeptBlock, p: dict[str, Array], config: GPTConfig, batch: int
) -> tuple[Array, dict[str, Array]]:
    """Turn the gradient with respect to a block's output, (N, D), into those with respect to its input and parameters.

    The gradient with respect to the input overwrites `dx`. x enters twice, directly and through the layer:
    y = x + layer(x), so dx = dy + the layer's gradient.
    """
    g: dict[str, Array] = {}

    # 2. Feed-forward layer.
    d = dropout_backward(dx, kept.dropped_2)
    d, g["mlp.c_proj.weight"], g["mlp.c_proj.bias"] = linear_backward(d, kept.hidden, p["mlp.c_proj.weight"])
    d = activation_backward(d, kept.slope)
    d, g["mlp.c_fc.weight"], g["mlp.c_fc.bias"] = linear_backward(d, kept.normed_2, p["mlp.c_fc.weight"])
    d, g["ln_2.weight"], g["ln_2.bias"] = layer_norm_backward(d, kept.norm_2, p["ln_2.weight"])
    dx += d

    # 1. Attention.
    d = dropout_backward(dx, kept.dropped_1)
    heads = kept.attention.heads
    d, g["attn.c_proj.weight"], g["attn.c_proj.bias"] = linear_backward(d, heads, p["attn.c_proj.weight"])
    d = attend_backward(d, kept.attention, config, batch)
    d, g["attn.c_attn.weight"], g["attn.c_attn.bias"] = linear_backward(d, kept.normed_1, p["attn.c_attn.weight"])
    d, g["ln_1.weight"], g["ln_1.bias"] = layer_norm_backward(d, kept.norm_1, p["ln_1.weight"])
    dx += d
    return dx, g


def attend(qkv: Array, pattern: Pattern, config: GPTConfig, batch: int, drop: Dropout) -> KeptAttention:
    """Attend within each sequence: (N, 3 H K) -> (N, H K), returned with what the backward pass needs."""
    heads: Array = np.empty((len(qkv), config.d_attention), qkv.dtype)
    queries, keys, values = by_head(qkv, 3, config, batch)
    (mixed,) = by_head(heads, 1, config, batch)
    kept = [causal_attention(queries[row], keys[row], values[row], pattern, mixed[row], drop) for row in range(batch)]
    return KeptAttention(qkv, heads, kept)


def attend_backward(d_heads: Array, kept: KeptAttention, config: GPTConfig, batch: int) -> Array:
    """Turn the gradient with respect to the heads, (N, H K), into the one with respect to `qkv`, (N, 3 H K)."""
    d_qkv = np.empty_like(kept.qkv)
    queries, keys, values = by_head(kept.qkv, 3, config, batch)
    d_queries, d_keys, d_values = by_head(d_qkv, 3, config, batch)
    (mixed,), (d_mixed,) = by_head(kept.heads, 1, config, batch), by_head(d_heads, 1, config, batch)
    for row in range(batch):
        causal_attention_backward(
            d_mixed[row], mixed[row], queries[row], keys[row], values[row], kept.parts[row],
            d_queries[row], d_keys[row], d_values[row],
        )  # fmt: skip
    return d_qkv


def by_head(x: Array, n: int, config: GPTConfig, batch: int) -> Array:
    """Split x by head: (N, n H K) -> (n, B, H, T, K), a view through which x can be written."""
    split: Array = x.reshape(batch, -1, n, config.n_head, config.d_head).transpose(2, 0, 3, 1, 4)
    return split
