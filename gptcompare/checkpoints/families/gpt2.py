"""GPT-2 in Hugging Face transformers (models/gpt2), whose tensor names are ours; Cerebras-GPT is published as such."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy.typing as npt

from ...arrays import AnyArray
from ...config import GPTConfig
from ...patterns import Dense
from ..errors import CheckpointError
from .common import ACTIVATIONS, Tensors, activation, make_config, require, with_output

REQUIRED = {"scale_attn_weights": True, "scale_attn_by_inverse_layer_idx": False, "add_cross_attention": False}
# The causal masks that old exports contain.
MASKS = re.compile(r"h\.\d+\.attn\.(bias|masked_bias)")


def config(path: Path, values: Mapping[str, Any]) -> GPTConfig:
    """Read a config.json; a missing field has transformers' default."""
    require(path, values, REQUIRED)
    return make_config(
        path,
        n_layer=values.get("n_layer", 12),
        n_head=values.get("n_head", 12),
        d_model=values.get("n_embd", 768),
        d_mlp=values.get("n_inner"),
        n_ctx=values.get("n_positions", 1024),
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


def parameters(path: Path, tensors: Tensors, config: GPTConfig, dtype: npt.DTypeLike) -> tuple[GPTConfig, Tensors]:
    """Drop the prefix "transformer." and the masks, and transpose the output matrix to (d_in, d_out)."""
    found: Tensors = {}
    for name, tensor in tensors.items():
        short = name.removeprefix("transformer.")
        if MASKS.fullmatch(short):
            continue
        if short in found:
            raise CheckpointError(path, f"{short} occurs with and without its prefix")
        found[short] = tensor.T if short == "lm_head.weight" else tensor
    return with_output(path, found, config)


def parameters_to_hf(parameters: Mapping[str, AnyArray]) -> Tensors:
    """Rename the parameters as GPT2LMHeadModel saves them."""
    return {
        name if name == "lm_head.weight" else f"transformer.{name}": value.T if name == "lm_head.weight" else value
        for name, value in parameters.items()
    }
