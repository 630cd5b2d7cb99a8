"""OPT in Hugging Face transformers (models/opt), Meta's replicas of GPT-3's sizes, dense, with ReLU.

Its table of positions begins with two rows that a text without padding never uses (they come from fairseq): position 0
is row 2.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy.typing as npt

from ...checks import shown
from ...config import GPTConfig
from ...parallel import WHOLE, Share
from ..errors import CheckpointError
from .common import Tensors, activation, cut, make_config, require, with_output
from .linear_layers import joined_qkv, other_shapes, renamed, take_qkv

UNUSED_POSITIONS = 2
# opt-350m has its layer norms after the sub-layers, and embeddings narrower than the model: a different function.
REQUIRED = {
    "do_layer_norm_before": True,
    "_remove_final_layer_norm": False,
    "enable_bias": True,
    "layer_norm_elementwise_affine": True,
}
PREFIX = re.compile(r"^(model\.)?decoder\.")
PROJECTION = re.compile(r"project_(in|out)\..*")
BLOCK = re.compile(r"^layers\.(\d+)\.")
MODULES = {
    "embed_tokens": "wte",
    "embed_positions": "wpe",
    "*.self_attn_layer_norm": "*.ln_1",
    "*.self_attn.q_proj": "*.attn.q_proj",
    "*.self_attn.k_proj": "*.attn.k_proj",
    "*.self_attn.v_proj": "*.attn.v_proj",
    "*.self_attn.out_proj": "*.attn.c_proj",
    "*.final_layer_norm": "*.ln_2",
    "*.fc1": "*.mlp.c_fc",
    "*.fc2": "*.mlp.c_proj",
    "final_layer_norm": "ln_f",
    "lm_head": "lm_head",
}


def config(path: Path, values: Mapping[str, Any]) -> GPTConfig:
    """Read a config.json; a missing field has transformers' default."""
    d_model = values.get("hidden_size", 768)
    require(path, values, REQUIRED)
    if values.get("word_embed_proj_dim") not in (None, d_model):
        raise CheckpointError(
            path,
            f"word_embed_proj_dim {shown(values['word_embed_proj_dim'])} is not supported, only "
            f"hidden_size, which is {shown(d_model)}",
        )
    return make_config(
        path,
        n_layer=values.get("num_hidden_layers", 12),
        n_head=values.get("num_attention_heads", 12),
        d_model=d_model,
        d_mlp=values.get("ffn_dim", 3072),
        n_ctx=values.get("max_position_embeddings", 2048),
        n_vocab=values.get("vocab_size", 50272),
        activation=activation(path, values.get("activation_function", "relu")),
        tied_embeddings=values.get("tie_word_embeddings", True),
    )


def parameters(
    path: Path, tensors: Tensors, config: GPTConfig, dtype: npt.DTypeLike | None, share: Share = WHOLE
) -> tuple[GPTConfig, Tensors]:
    """Convert to our names and layout, and drop the unused rows of positions."""
    if narrow := [name for name in tensors if PROJECTION.fullmatch(PREFIX.sub("", name))]:
        raise CheckpointError(path, f"{narrow[0]} belongs to embeddings narrower than the model: not supported")
    found = renamed(path, tensors, PREFIX, BLOCK, MODULES)
    qkv = take_qkv(path, found, config, biased=True)
    if "wpe.weight" in found and found["wpe.weight"].ndim == 2:
        found["wpe.weight"] = found["wpe.weight"][UNUSED_POSITIONS:]
    config, found = with_output(path, found, config, other_shapes)
    return config, cut(share, found, config) | joined_qkv(cut(share, qkv, config), dtype)
