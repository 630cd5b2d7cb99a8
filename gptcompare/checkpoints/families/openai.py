"""GPT-2 as OpenAI published it: hparams.json and TensorFlow variables (github.com/openai/gpt-2, src/model.py)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy.typing as npt

from ...config import GPTConfig
from ...parallel import WHOLE, Share
from ..errors import CheckpointError
from .common import Tensors, checked, cut, make_config

# Variables that training adds to a checkpoint: Adam's moments beside each variable, counters outside model/.
TRAINING_STATE = re.compile(r"(?!model/).*|.*/Adam(_1)?")


def config(path: Path, hparams: Mapping[str, Any]) -> GPTConfig:
    """Read a hparams.json."""
    names = {"n_layer": "n_layer", "n_head": "n_head", "d_model": "n_embd", "n_ctx": "n_ctx", "n_vocab": "n_vocab"}
    if missing := [theirs for theirs in names.values() if theirs not in hparams]:
        raise CheckpointError(path, f"{', '.join(missing)} missing")
    return make_config(path, **{ours: hparams[theirs] for ours, theirs in names.items()})


def parameters(
    path: Path, tensors: Tensors, config: GPTConfig, dtype: npt.DTypeLike | None, share: Share = WHOLE
) -> tuple[GPTConfig, Tensors]:
    """Rename "model/h0/attn/c_attn/w" and the like to ours; matrices lose a leading axis of 1."""
    found = {}
    for name, tensor in tensors.items():
        if TRAINING_STATE.fullmatch(name):
            continue
        parts = re.sub(r"^model/(h)(?=\d)", "h/", name).removeprefix("model/").split("/")
        suffix = {"w": "weight", "g": "weight", "b": "bias"}.get(parts[-1])
        ours = ".".join([*parts[:-1], suffix] if suffix else [*parts, "weight"])
        if ours in found:
            raise CheckpointError(path, f"{name} occurs twice")
        found[ours] = tensor[0] if tensor.ndim == 3 and len(tensor) == 1 else tensor
    return config, cut(share, checked(path, found, config), config)
