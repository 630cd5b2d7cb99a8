"""Functions that several families share: checked configurations and parameters, activations, the output matrix."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ...arrays import AnyArray
from ...checks import shown
from ...config import GPTConfig
from ...parameters import check_parameters
from ..errors import CheckpointError

Tensors = dict[str, AnyArray]

# Names in Hugging Face's config.json -> ours. "gelu" there is the erf form.
ACTIVATIONS = {
    "gelu_new": "gelu_tanh", "gelu_pytorch_tanh": "gelu_tanh", "gelu_fast": "gelu_tanh",
    "gelu": "gelu_erf", "gelu_python": "gelu_erf", "relu": "relu",
}  # fmt: skip


def make_config(path: Path, /, **values: Any) -> GPTConfig:
    """Make a GPTConfig of these fields, raising its errors as CheckpointError."""
    try:
        return GPTConfig.from_dict(values)
    except (TypeError, ValueError) as error:
        raise CheckpointError(path, str(error)) from None


def require(path: Path, values: Mapping[str, Any], settings: Mapping[str, Any]) -> None:
    """Raise CheckpointError if a setting that changes the function of the model does not have its required value."""
    for name, required in settings.items():
        if values.get(name, required) is not required:
            raise CheckpointError(path, f"{name} {shown(values[name])} is not supported, only {required}")


def activation(path: Path, name: object) -> str:
    """Return our name for an activation.

    >>> activation(Path("config.json"), "gelu_new")
    'gelu_tanh'
    """
    if not isinstance(name, str) or name not in ACTIVATIONS:
        raise CheckpointError(path, f"activation {shown(name)} is not supported: known are {', '.join(ACTIVATIONS)}")
    return ACTIVATIONS[name]


def checked(path: Path, parameters: Tensors, config: GPTConfig) -> Tensors:
    """Return the parameters after checking that they are those that the configuration requires."""
    if config.n_layer > len(parameters):  # checked first, before making a table as large as a forged number asks for
        raise CheckpointError(path, "the configuration asks for more layers than there are tensors")
    try:
        check_parameters(parameters, config)
    except ValueError as error:
        raise CheckpointError(path, str(error)) from None
    return parameters


def with_output(path: Path, parameters: Tensors, config: GPTConfig) -> tuple[GPTConfig, Tensors]:
    """Return the configuration, which the file may untie, and the checked parameters.

    As in transformers (since 5.0: modeling_utils.py, tie_weights), the file has the last word: a model that its
    configuration calls tied is untied if the file has an output matrix that differs from the embedding.
    """
    if config.tied_embeddings and "lm_head.weight" in parameters:
        if np.array_equal(parameters["lm_head.weight"].T, parameters.get("wte.weight", ())):
            del parameters["lm_head.weight"]
        else:
            config = dataclasses.replace(config, tied_embeddings=False)
    return config, checked(path, parameters, config)
