"""This library's own description of a model, for models that Hugging Face's GPT-2 cannot represent."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ...config import GPTConfig
from .common import make_config

MODEL_TYPE = "gptcompare"  # in config.json


def config(path: Path, values: Mapping[str, Any]) -> GPTConfig:
    """Read a config.json that this library wrote for itself."""
    return make_config(path, **{name: value for name, value in values.items() if name != "model_type"})


def config_to_file(config: GPTConfig) -> dict[str, Any]:
    """Make the config.json that `config` reads."""
    return {"model_type": MODEL_TYPE, **config.to_dict()}
