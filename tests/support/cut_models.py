"""Small checkpoints of three families, with numbers of heads that few numbers of ranks divide."""

import json

import numpy as np

import gptcompare as gc
from gptcompare.checkpoints.folder import write_checkpoint
from gptcompare.checkpoints.formats.safetensors import write_safetensors

from .forge import GPT_NEO_FIELDS, OPT_FIELDS, gpt_neo_tensors, opt_tensors

SIZES = {"n_layer": 3, "n_ctx": 96, "n_vocab": 301}
CONFIGS = {
    "gpt2": gc.GPTConfig(**SIZES, n_head=6, d_model=24),
    "gpt_neo": gc.GPTConfig(
        **SIZES, n_head=5, d_model=20, attention=("dense", "banded", "dense"), band_width=8, d_mlp=77
    ),
    "opt": gc.GPTConfig(**SIZES, n_head=4, d_model=12, d_mlp=50, activation="relu", tied_embeddings=True),
    "untied": gc.GPTConfig(**SIZES, n_head=5, d_model=20, tied_embeddings=False),
}


def parameters_of(config):
    """Random ones, in float64: gains and biases, too."""
    whole = gc.GPT(config, seed=0, dtype=np.float64).parameters()
    rng = np.random.default_rng(1)
    return {name: 4 * value + 0.1 * rng.standard_normal(value.shape) for name, value in whole.items()}


def folder_of(family, parent):
    """Write a model as its family's publisher does, once; return its folder."""
    folder, config = parent / family, CONFIGS[family]
    if folder.exists():
        return folder
    sizes = {"hidden_size": config.d_model, "vocab_size": config.n_vocab, "max_position_embeddings": config.n_ctx}
    if family == "gpt_neo":
        kinds = ["global", "local", "global"]
        fields = {**GPT_NEO_FIELDS, **sizes, "num_layers": 3, "num_heads": config.n_head, "window_size": 8}
        fields |= {"attention_types": [[kinds, 1]], "intermediate_size": config.d_mlp}
        _write(folder, fields, gpt_neo_tensors(parameters_of(config)))
    elif family == "opt":
        fields = {**OPT_FIELDS, **sizes, "num_hidden_layers": 3, "num_attention_heads": config.n_head}
        fields |= {"ffn_dim": config.d_mlp, "activation_function": "relu"}
        _write(folder, fields, opt_tensors(parameters_of(config)))
    else:
        write_checkpoint(folder, config, parameters_of(config))
    return folder


def _write(folder, fields, tensors):
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(fields))
    with open(folder / "model.safetensors", "wb") as file:
        write_safetensors(file, tensors)
