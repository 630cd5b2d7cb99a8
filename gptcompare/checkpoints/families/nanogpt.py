"""nanoGPT's ckpt.pt (github.com/karpathy/nanoGPT, train.py and model.py): GPT-2 with torch.nn.Linear's matrices.

The file has the sizes of its model in `model_args`. Biases may be absent; ours are zero then. Its GELU is the exact
one, as in nanoGPT since 2023; a run with the first versions, which had the tanh form, differs a little.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ...config import GPTConfig
from ..errors import CheckpointError
from . import gpt2
from .common import Tensors, make_config

SIZES = {"n_layer": "n_layer", "n_head": "n_head", "d_model": "n_embd", "n_ctx": "block_size", "n_vocab": "vocab_size"}
WITHOUT_EFFECT = {"bias", "dropout"}  # what the tensors themselves show, and what only training uses


def model_args(path: Path, entries: Mapping[str, object]) -> Mapping[str, Any]:
    """Return the sizes among a file's entries. CheckpointError if it is another program's."""
    found = entries.get("model_args")
    if not isinstance(found, Mapping):
        raise CheckpointError(path, "no model_args, which nanoGPT writes: only its checkpoints say their sizes")
    return found


def config(path: Path, model_args: Mapping[str, Any]) -> GPTConfig:
    """Read `model_args`; a field that nanoGPT's own model does not have is refused, since it changes the function."""
    if missing := [name for name in SIZES.values() if name not in model_args]:
        raise CheckpointError(path, f"{', '.join(missing)} missing in model_args")
    if others := [name for name in model_args if name not in {*SIZES.values(), *WITHOUT_EFFECT}]:
        raise CheckpointError(path, f"model_args has {', '.join(others)}, which is not part of nanoGPT's model")
    return make_config(path, activation="gelu_erf", **{ours: model_args[theirs] for ours, theirs in SIZES.items()})


def parameters(path: Path, tensors: Tensors, config: GPTConfig, dtype: npt.DTypeLike) -> tuple[GPTConfig, Tensors]:
    """Transpose the matrices of the blocks, and add biases of zero where there are none."""
    found = {
        name: tensor.T if name.endswith(("c_attn.weight", "c_proj.weight", "c_fc.weight")) else tensor
        for name, tensor in tensors.items()
    }  # fmt: skip
    biased = {name.removesuffix("weight") for name in found if re.search(r"\.(ln_\w|c_\w+)\.weight$", name)}
    for name in biased:  # as many numbers as the matrix has columns, or the gain has
        found.setdefault(f"{name}bias", np.zeros(found[f"{name}weight"].shape[-1:], dtype))
    return gpt2.parameters(path, found, config, dtype)
