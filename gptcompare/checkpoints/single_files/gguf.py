"""GPT-2 in GGUF files, as llama.cpp reads and writes it (ggml-org/llama.cpp, src/models/gpt2.cpp, conversion/gpt2.py).

llama.cpp's GPT-2 is dense, with GELU in its tanh form, d_head = d_model / n_head, and biases everywhere. The file has
the output matrix only if it is not the token embedding.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ...arrays import AnyArray
from ...checks import shown
from ...config import GPTConfig
from ...patterns import Dense
from ..errors import CheckpointError
from ..families.common import Tensors, make_config, with_output
from ..families.linear_layers import EMBEDDINGS, renamed
from ..formats.gguf import MAGIC, is_value, read_header, read_tensors

__all__ = ["MAGIC", "config", "end_ids", "parameters", "to_file"]

ARCHITECTURE = "gpt2"
# The ids of the tokens that end a text: of a text, of a turn, of a message. llama.cpp stops at each of them.
END_IDS = tuple(f"tokenizer.ggml.{name}_token_id" for name in ("eos", "eot", "eom"))
SIZES = {
    "n_layer": "block_count",
    "n_head": "attention.head_count",
    "d_model": "embedding_length",
    "d_mlp": "feed_forward_length",
    "n_ctx": "context_length",
}
EPSILON = "attention.layer_norm_epsilon"
PREFIX = re.compile("")  # the names have none
BLOCK = re.compile(r"^blk\.(0|[1-9]\d*)\.")
WITHOUT_BIAS = ("token_embd", "position_embd", "output")
MODULES = {
    "token_embd": "wte",
    "position_embd": "wpe",
    "*.attn_norm": "*.ln_1",
    "*.attn_qkv": "*.attn.c_attn",
    "*.attn_output": "*.attn.c_proj",
    "*.ffn_norm": "*.ln_2",
    "*.ffn_up": "*.mlp.c_fc",
    "*.ffn_down": "*.mlp.c_proj",
    "output_norm": "ln_f",
    "output": "lm_head",
}


def config(path: Path) -> GPTConfig:
    """Read the sizes of a file's model."""
    header = read_header(path)
    return _config(path, header.values, {name: info.shape for name, info in header.tensors.items()})


def parameters(path: Path, dtype: npt.DTypeLike | None) -> tuple[GPTConfig, Tensors]:
    """Read a file's model, with our names and layout."""
    values, tensors = read_tensors(path)
    if unknown := [name for name in tensors if not _is_ours(name)]:  # llama.cpp does not run such a file either
        raise CheckpointError(path, f"{unknown[0]} is not a tensor of GPT-2")
    config = _config(path, values, {name: tensor.shape for name, tensor in tensors.items()})
    return with_output(path, renamed(path, tensors, PREFIX, BLOCK, MODULES), config)


def _is_ours(name: str) -> bool:
    module, _, kind = name.rpartition(".")
    layer = BLOCK.match(module)
    known = ("*." + module[layer.end() :] if layer else module) in MODULES
    return known and (kind == "weight" or (kind == "bias" and module not in WITHOUT_BIAS))


def end_ids(path: Path) -> list[int] | None:
    """Return the tokens that end a text, None if the file names none."""
    values = read_header(path).values
    ids = {name: values[name] for name in END_IDS if name in values}
    if wrong := [name for name, id_ in ids.items() if type(id_) is not int]:
        raise CheckpointError(path, f"{wrong[0]} is not an id")
    return [*ids.values()] or None


def _config(path: Path, values: Mapping[str, Any], shapes: Mapping[str, tuple[int, ...]]) -> GPTConfig:
    _refuse_others(path, values)
    names = [*SIZES.values(), EPSILON]
    if missing := [name for name in names if f"{ARCHITECTURE}.{name}" not in values]:
        raise CheckpointError(path, f"{', '.join(f'{ARCHITECTURE}.{name}' for name in missing)} missing")
    if not shapes.get("token_embd.weight"):
        raise CheckpointError(path, "token_embd.weight is missing")
    given = {ours: values[f"{ARCHITECTURE}.{theirs}"] for ours, theirs in SIZES.items()}
    config = make_config(
        path, **given, n_vocab=shapes["token_embd.weight"][0], layer_norm_eps=_epsilon(values), tied_embeddings=True
    )
    implied = {
        "attention.head_count_kv": config.n_head,
        "attention.key_length": config.d_head,
        "attention.value_length": config.d_head,
    }
    for name, value in implied.items():
        given_value = values.get(f"{ARCHITECTURE}.{name}", value)
        if not is_value(given_value, value):
            raise CheckpointError(path, f"{ARCHITECTURE}.{name} {shown(given_value)} is not supported, only {value}")
    return config


def _refuse_others(path: Path, values: Mapping[str, Any]) -> None:
    """Raise CheckpointError for what is not a whole model of GPT-2's architecture."""
    kind, architecture = values.get("general.type", "model"), values.get("general.architecture")
    if not is_value(kind, "model"):
        raise CheckpointError(path, f"general.type {shown(kind)} is not supported: the file is no model by itself")
    if not is_value(architecture, ARCHITECTURE):
        raise CheckpointError(path, f"architecture {shown(architecture)} is not supported, only {ARCHITECTURE!r}")
    if not is_value(values.get("split.count", 1), 1):
        raise CheckpointError(path, "one of several files of a model: join them (llama-gguf-split --merge)")


def _epsilon(values: Mapping[str, Any]) -> Any:
    """Return the number that was meant: the shortest one that is the file's float32, 1e-05 for 9.99999974738e-06."""
    value = values[f"{ARCHITECTURE}.{EPSILON}"]
    return float(str(np.float32(value))) if isinstance(value, float) else value


def to_file(config: GPTConfig, parameters: Mapping[str, AnyArray]) -> tuple[dict[str, Any], Tensors]:
    """Make the values and the tensors of a file.

    Raises
    ------
    ValueError
        If llama.cpp's GPT-2 cannot compute the model.
    """
    patterns = {type(config.pattern_of(layer)) for layer in range(config.n_layer)} - {Dense}
    obstacles = {
        f"{', '.join(sorted(pattern.__name__.lower() for pattern in patterns))} attention": bool(patterns),
        f"activation {config.activation}": config.activation != "gelu_tanh",
        f"d_head {config.d_head}, other than d_model / n_head": config.d_attention != config.d_model,
    }
    if found := [obstacle for obstacle, present in obstacles.items() if present]:
        raise ValueError(f"llama.cpp's GPT-2 cannot have {' or '.join(found)}: the model cannot be written as GGUF")
    sizes = {f"{ARCHITECTURE}.{theirs}": getattr(config, ours) for ours, theirs in SIZES.items()}
    values = {"general.architecture": ARCHITECTURE, **sizes, f"{ARCHITECTURE}.{EPSILON}": config.layer_norm_eps}
    names = {ours: theirs for theirs, ours in MODULES.items()}
    tensors = {}
    for name, array in parameters.items():
        module, _, kind = name.rpartition(".")
        layer = re.match(r"h\.(\d+)\.", module)
        theirs = names["*." + module[layer.end() :] if layer else module]
        transposed = array.ndim == 2 and module not in EMBEDDINGS
        tensors[f"{theirs.replace('*', f'blk.{layer[1]}', 1) if layer else theirs}.{kind}"] = (
            array.T if transposed else array
        )
    return values, tensors
