"""Changes of what happens inside small models of several kinds, each of which treats every position by itself."""

from dataclasses import replace

import numpy as np

import gptcompare as gc
from gptcompare.inspection import without_heads
from support.references import random_parameters

SIZES = {"n_layer": 3, "n_head": 4, "d_model": 12, "d_head": 3, "d_mlp": 20, "n_ctx": 64, "n_vocab": 50}
CONFIGS = {
    "dense": gc.GPTConfig(**SIZES),
    "a narrow band": gc.GPTConfig(
        **SIZES, attention=("banded", "dense"), band_width=3
    ),  # its buffer is full after 26 tokens
    "strided and fixed": gc.GPTConfig(
        **SIZES, attention=("strided", "fixed", "dense"), stride=7, summary_width=2, summary_variants=2
    ),
    "like GPT-Neo": replace(gc.GPTConfig.preset("gpt-neo-125m"), **SIZES, band_width=9),
    "like OPT": replace(gc.GPTConfig.preset("opt-125m"), **SIZES, tied_embeddings=False),
}
T = 36
VECTOR = np.random.default_rng(3).normal(0, 1, 12)
IDS = np.random.default_rng(1).integers(0, 50, T)


def to_the_first(weights):
    """No attention to the first token; what is left of each query's weights sums to 1 again."""
    weights[..., 0] = 0
    totals = weights.sum(axis=-1, keepdims=True)
    return np.divide(weights, totals, out=weights, where=totals > 0)


CHANGES = {
    "a head left out in every layer": {f"blocks.{layer}.attn.hook_z": without_heads([2]) for layer in range(3)},
    "heads without queries and values": {
        "blocks.0.attn.hook_q": without_heads([0]), "blocks.1.attn.hook_v": without_heads([1, 3]),
    },
    "keys turned round": {"blocks.0.attn.hook_k": np.negative, "blocks.1.attn.hook_k": np.negative},
    "a vector added to the residual stream": {"blocks.1.hook_resid_pre": lambda array: array + VECTOR},
    "what heads give is scaled": {"blocks.0.attn.hook_z": lambda z: z * np.array([[0.5], [2], [-1], [1]])},
    "no attention to the first token": {
        f"blocks.{layer}.attn.hook_pattern": to_the_first for layer in range(3)
    },
    "MLPs clamped": {f"blocks.{layer}.mlp.hook_post": lambda array: array.clip(-0.1, 0.1) for layer in range(3)},
    "both ends": {"hook_embed": lambda array: array * 1.5, "ln_final.hook_normalized": lambda array: array - VECTOR},
}  # fmt: skip


def random_model(name, dtype=np.float64):
    return gc.GPT(CONFIGS[name], random_parameters(CONFIGS[name], 0), dtype=dtype)


def read_anew(model, ids, hook):
    """The logits after each id, (T, V), each of a reading of all ids up to it, without a cache."""
    return np.stack([model(ids[: n + 1], hook=hook)[-1] for n in range(len(ids))])


def read_on(model, ids, hook, lengths):
    """The same, read in pieces of these lengths through one cache."""
    cache, start, found = model.new_cache(), 0, []
    for length in lengths:
        found.append(model(ids[start : start + length], cache, hook=hook))
        start += length
    assert start == len(ids)
    return np.concatenate(found)
