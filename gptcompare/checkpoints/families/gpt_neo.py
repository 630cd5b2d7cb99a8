"""GPT-Neo in Hugging Face transformers (models/gpt_neo), the nearest public relative of GPT-3's attention pattern.

Every second layer sees a window of the latest 256 tokens, including the token itself: GPT-3's band. Two differences
from GPT-2 are not part of the architecture and are resolved here. Scores are not divided by sqrt(d_head), so the
weights of the queries are multiplied by it. Queries, keys and values have no biases, so ours are zero, and `n_params`
counts them.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy.typing as npt

from ...checks import shown
from ...config import GPTConfig
from ...parallel import WHOLE, Share
from ..errors import CheckpointError
from .common import Tensors, activation, cut, field, make_config, with_output
from .linear_layers import joined_qkv, other_shapes, renamed, take_qkv

PREFIX = re.compile(r"^transformer\.")
BLOCK = re.compile(r"^h\.(\d+)\.")
MODULES = {
    **{name: name for name in ("wte", "wpe", "ln_f", "lm_head")},
    "*.attn.attention.q_proj": "*.attn.q_proj",
    "*.attn.attention.k_proj": "*.attn.k_proj",
    "*.attn.attention.v_proj": "*.attn.v_proj",
    "*.attn.attention.out_proj": "*.attn.c_proj",
    **{f"*.{name}": f"*.{name}" for name in ("ln_1", "ln_2", "mlp.c_fc", "mlp.c_proj")},
}
# The causal masks that old exports contain.
MASKS = re.compile(r"(transformer\.)?h\.\d+\.attn\.attention\.(bias|masked_bias)")
LAYER_KINDS = {"global": "dense", "local": "banded"}
MAX_LAYERS = 10_000  # more than any model has; bounds the memory that a forged number of repetitions asks for


def config(path: Path, values: Mapping[str, Any]) -> GPTConfig:
    """Read a config.json; a missing field has transformers' default."""
    n_layer = field(path, values, "num_layers", "num_hidden_layers", 24)
    if type(n_layer) is not int or not 1 <= n_layer <= MAX_LAYERS:
        raise CheckpointError(path, f"num_layers must be an integer from 1 to {MAX_LAYERS}, got {shown(n_layer)}")
    attention = _attention(path, values, n_layer)
    return make_config(
        path,
        n_layer=n_layer,
        n_head=field(path, values, "num_heads", "num_attention_heads", 16),
        d_model=values.get("hidden_size", 2048),
        d_mlp=values.get("intermediate_size"),
        n_ctx=values.get("max_position_embeddings", 2048),
        n_vocab=values.get("vocab_size", 50257),
        attention=attention,
        band_width=values.get("window_size", 256) if "banded" in attention else None,
        activation=activation(path, values.get("activation_function", "gelu_new")),
        layer_norm_eps=values.get("layer_norm_epsilon", 1e-5),
        tied_embeddings=values.get("tie_word_embeddings", True),
    )


def _attention(path: Path, values: Mapping[str, Any], n_layer: int) -> tuple[str, ...]:
    """Return the kinds of the layers as their shortest cycle.

    [[["global", "local"], 12]], which means global and local 12 times, becomes ("dense", "banded"). The list of
    single layers that most files also have takes precedence, as in transformers.
    """
    field = "attention_layers" if "attention_layers" in values else "attention_types"
    types = [[values[field], 1]] if field == "attention_layers" else values.get(field)
    if types is None:
        types = [[["global", "local"], 12]]
    layers: list[str] = []
    try:
        for kinds, times in types:
            if len(layers) + len(kinds) * times > n_layer:
                raise ValueError
            layers += [LAYER_KINDS[kind] for kind in kinds] * times
    except (TypeError, ValueError, KeyError, OverflowError):  # one message for all of them, below
        layers = []
    if len(layers) != n_layer:
        raise CheckpointError(
            path,
            f"{field} {shown(values.get(field))} does not name {n_layer} layers' kinds, which are global and local",
        )
    cycle = next(n for n in range(1, n_layer + 1) if layers[n:] == layers[:-n])
    return tuple(layers[:cycle])


def parameters(
    path: Path, tensors: Tensors, config: GPTConfig, dtype: npt.DTypeLike | None, share: Share = WHOLE
) -> tuple[GPTConfig, Tensors]:
    """Convert to our names and layout, add zero biases, and multiply the queries' weights by sqrt(d_head)."""
    without_masks = {name: tensor for name, tensor in tensors.items() if not MASKS.fullmatch(name)}
    found = renamed(path, without_masks, PREFIX, BLOCK, MODULES)
    qkv = take_qkv(path, found, config, biased=False)
    config, found = with_output(path, found, config, other_shapes)
    joined = joined_qkv(cut(share, qkv, config), dtype, query_scale=math.sqrt(config.d_head))
    return config, cut(share, found, config) | joined
