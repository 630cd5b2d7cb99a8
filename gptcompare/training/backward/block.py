"""A block of the transformer, forwards with what the gradient needs, and backwards.

`block` and `attend` are `_block` and `_attend` of `gptcompare.model.gpt`, of whole sequences and without a cache; each
`_backward` undoes the lines of its forward function in reverse.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ...arrays import Array
from ...config import GPTConfig
from ...model.ops import linear
from ...patterns import Pattern
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
    qkv: Array  # (N, 3 H K)
    heads: Array  # (N, H K)
    parts: list[list[KeptPart]]  # of each sequence


class KeptBlock(NamedTuple):
    """In the order in which the forward pass comes by it."""

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
    """Attention and feed-forward layer, each adding to the residual stream x, (N, D), in its own memory."""
    eps = config.layer_norm_eps

    normed_1, norm_1 = layer_norm(x, p["ln_1.weight"], p["ln_1.bias"], eps)
    qkv = linear(normed_1, p["attn.c_attn.weight"], p["attn.c_attn.bias"])
    attention = attend(qkv, pattern, config, batch, drop)
    update, dropped_1 = dropout(linear(attention.heads, p["attn.c_proj.weight"], p["attn.c_proj.bias"]), *drop)
    x += update

    normed_2, norm_2 = layer_norm(x, p["ln_2.weight"], p["ln_2.bias"], eps)
    hidden, slope = activation(linear(normed_2, p["mlp.c_fc.weight"], p["mlp.c_fc.bias"]), config.activation)
    update, dropped_2 = dropout(linear(hidden, p["mlp.c_proj.weight"], p["mlp.c_proj.bias"]), *drop)
    x += update
    return x, KeptBlock(norm_1, normed_1, attention, dropped_1, norm_2, normed_2, hidden, slope, dropped_2)


def block_backward(
    dx: Array, kept: KeptBlock, p: dict[str, Array], config: GPTConfig, batch: int
) -> tuple[Array, dict[str, Array]]:
    """The gradient by the block's output, (N, D) -> by its input, in the same memory, and by its parameters.

    x enters twice, directly and through the layer: y = x + layer(x), so dx = dy + the layer's gradient.
    """
    g: dict[str, Array] = {}

    d = dropout_backward(dx, kept.dropped_2)
    d, g["mlp.c_proj.weight"], g["mlp.c_proj.bias"] = linear_backward(d, kept.hidden, p["mlp.c_proj.weight"])
    d = activation_backward(d, kept.slope)
    d, g["mlp.c_fc.weight"], g["mlp.c_fc.bias"] = linear_backward(d, kept.normed_2, p["mlp.c_fc.weight"])
    d, g["ln_2.weight"], g["ln_2.bias"] = layer_norm_backward(d, kept.norm_2, p["ln_2.weight"])
    dx += d

    d = dropout_backward(dx, kept.dropped_1)
    heads = kept.attention.heads
    d, g["attn.c_proj.weight"], g["attn.c_proj.bias"] = linear_backward(d, heads, p["attn.c_proj.weight"])
    d = attend_backward(d, kept.attention, config, batch)
    d, g["attn.c_attn.weight"], g["attn.c_attn.bias"] = linear_backward(d, kept.normed_1, p["attn.c_attn.weight"])
    d, g["ln_1.weight"], g["ln_1.bias"] = layer_norm_backward(d, kept.norm_1, p["ln_1.weight"])
    dx += d
    return dx, g


def attend(qkv: Array, pattern: Pattern, config: GPTConfig, batch: int, drop: Dropout) -> KeptAttention:
    """Every sequence over its own keys: (N, 3 H K) -> (N, H K), which is kept with the rest."""
    heads: Array = np.empty((len(qkv), config.d_attention), qkv.dtype)
    queries, keys, values = by_head(qkv, 3, config, batch)
    (mixed,) = by_head(heads, 1, config, batch)
    kept = [causal_attention(queries[row], keys[row], values[row], pattern, mixed[row], drop) for row in range(batch)]
    return KeptAttention(qkv, heads, kept)


def attend_backward(d_heads: Array, kept: KeptAttention, config: GPTConfig, batch: int) -> Array:
    """The gradient by the heads, (N, H K) -> by queries, keys and values side by side, (N, 3 H K)."""
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
    """(N, n H K) -> (n, B, H, T, K), a view: what is written to it is written to x."""
    split: Array = x.reshape(batch, -1, n, config.n_head, config.d_head).transpose(2, 0, 3, 1, 4)
    return split
