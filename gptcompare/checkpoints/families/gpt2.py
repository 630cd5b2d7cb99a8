"""GPT-2 in Hugging Face transformers (models/gpt2), whose tensor names are ours; Cerebras-GPT is published as such."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ...arrays import AnyArray
from ...checks import shown
from ...config import GPTConfig
from ...parallel import WHOLE, Share
from ...patterns import Dense
from ...sixteen_bits import widened
from ..errors import CheckpointError
from .common import ACTIVATIONS, Tensors, activation, cut, field, make_config, require, with_output

REQUIRED = {"add_cross_attention": False}
# Scores are divided by sqrt(d_head), and not by the layer's number as well (modeling_gpt2.py, GPT2Attention).
USUAL_SCORES = {"scale_attn_weights": True, "scale_attn_by_inverse_layer_idx": False}
# The causal masks that old exports contain.
MASKS = re.compile(r"h\.\d+\.attn\.(bias|masked_bias)")


def config(path: Path, values: Mapping[str, Any]) -> GPTConfig:
    """Read a config.json; a missing field has transformers' default."""
    require(path, values, REQUIRED)
    for name, usual in USUAL_SCORES.items():
        if not isinstance(values.get(name, usual), bool):
            raise CheckpointError(path, f"{name} must be true or false, got {shown(values[name])}")
    return make_config(
        path,
        n_layer=field(path, values, "n_layer", "num_hidden_layers", 12),
        n_head=field(path, values, "n_head", "num_attention_heads", 12),
        d_model=field(path, values, "n_embd", "hidden_size", 768),
        d_mlp=values.get("n_inner"),
        n_ctx=field(path, values, "n_positions", "max_position_embeddings", 1024),
        n_vocab=values.get("vocab_size", 50257),
        activation=activation(path, values.get("activation_function", "gelu_new")),
        layer_norm_eps=values.get("layer_norm_epsilon", 1e-5),
        tied_embeddings=values.get("tie_word_embeddings", True),
    )


def config_to_hf(config: GPTConfig) -> dict[str, Any] | None:
    """Make the config.json with which transformers computes the same function, or None if its GPT-2 cannot."""
    all_dense = all(isinstance(config.pattern_of(layer), Dense) for layer in range(config.n_layer))
    if not all_dense or config.d_attention != config.d_model:
        return None
    activations = {ours: theirs for theirs, ours in reversed(ACTIVATIONS.items())}
    return {
        "architectures": ["GPT2LMHeadModel"],
        "model_type": "gpt2",
        "n_layer": config.n_layer,
        "n_head": config.n_head,
        "n_embd": config.d_model,
        "n_inner": config.d_mlp,
        "n_positions": config.n_ctx,
        "vocab_size": config.n_vocab,
        "activation_function": activations[config.activation],
        "layer_norm_epsilon": config.layer_norm_eps,
        "tie_word_embeddings": config.tied_embeddings,
        "bos_token_id": None,  # the vocabulary's, which a model does not know: older versions of transformers would
        "eos_token_id": None,  # otherwise take GPT-2's; `write_end_ids` writes them where they are known
    }


def has_other_scores(values: Mapping[str, Any]) -> bool:
    """Return whether a config.json asks for attention scores that are not divided by sqrt(d_head) and no more."""
    return any(values.get(name, usual) is not usual for name, usual in USUAL_SCORES.items())


def parameters(
    path: Path,
    tensors: Tensors,
    config: GPTConfig,
    dtype: npt.DTypeLike | None,
    share: Share = WHOLE,
    values: Mapping[str, Any] | None = None,
) -> tuple[GPTConfig, Tensors]:
    """Drop the prefix "transformer." and the masks, and transpose the output matrix to (d_in, d_out).

    If config.json is given and has other scores, their factor becomes part of the queries, in arrays of
    `dtype`, or of float32 if that is None.
    """
    found: Tensors = {}
    for name, tensor in tensors.items():
        short = name.removeprefix("transformer.")
        if MASKS.fullmatch(short):
            continue
        if short in found:
            raise CheckpointError(path, f"{short} occurs with and without its prefix")
        found[short] = tensor.T if short == "lm_head.weight" else tensor
    config, found = with_output(path, found, config)
    found = cut(share, found, config)
    if values is not None:
        for layer in range(config.n_layer):
            scale = 1.0 if values.get("scale_attn_weights", True) else math.sqrt(config.d_head)
            scale /= layer + 1 if values.get("scale_attn_by_inverse_layer_idx", False) else 1
            for name in (f"h.{layer}.attn.c_attn.weight", f"h.{layer}.attn.c_attn.bias"):
                found[name] = widened(found[name]).astype(np.float32 if dtype is None else dtype)
                found[name][..., : found[name].shape[-1] // 3] *= scale
    return config, found


def parameters_to_hf(parameters: Mapping[str, AnyArray]) -> Tensors:
    """Rename the parameters as GPT2LMHeadModel saves them."""
    return {
        name if name == "lm_head.weight" else f"transformer.{name}": value.T if name == "lm_head.weight" else value
        for name, value in parameters.items()
    }
