"""Each publisher's fields and tensor names, translated into ours.

All that differs between publishers ends here, so that the forward pass stays one. A family of models is a module with
`config` (its description -> GPTConfig) and `parameters` (its tensors -> ours); what would be another function than the
forward pass computes is refused by its name.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy.typing as npt

from ...config import GPTConfig
from ..errors import CheckpointError
from . import gpt2, gpt_neo, openai, opt, ours
from .common import Tensors


class Family(NamedTuple):
    """How to read the models that share an architecture."""

    config: Callable[[Path, Mapping[str, Any]], GPTConfig]
    parameters: Callable[[Path, Tensors, GPTConfig, npt.DTypeLike], tuple[GPTConfig, Tensors]]


OPENAI = Family(openai.config, openai.parameters)
# By the model_type in config.json.
FAMILIES = {
    "gpt2": Family(gpt2.config, gpt2.parameters),
    "gpt_neo": Family(gpt_neo.config, gpt_neo.parameters),
    "opt": Family(opt.config, opt.parameters),
    ours.MODEL_TYPE: Family(ours.config, gpt2.parameters),
}


def family_of(path: Path, values: Mapping[str, Any]) -> Family:
    """The family that a config.json names. CheckpointError if it is none of those that the forward pass computes."""
    model_type = values.get("model_type", "gpt2" if "n_embd" in values else None)  # GPT-2's first files had none
    if not isinstance(model_type, str) or model_type not in FAMILIES:
        raise CheckpointError(path, f"model_type {model_type!r} is not supported: known are {', '.join(FAMILIES)}")
    return FAMILIES[model_type]


def to_files(config: GPTConfig, parameters: Tensors) -> tuple[dict[str, Any], Tensors]:
    """What config.json and the tensor file hold: as Hugging Face's GPT-2 if it computes the same, else as ours."""
    return gpt2.config_to_hf(config) or ours.config_to_file(config), gpt2.parameters_to_hf(parameters)
