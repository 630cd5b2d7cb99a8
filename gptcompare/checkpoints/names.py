"""Each family's configuration and tensor names, translated into ours.

All that differs between publishers ends here, so that the forward pass stays one.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ..config import GPTConfig
from ..parameters import check_parameters
from .errors import CheckpointError

Tensors = dict[str, npt.NDArray[Any]]

# Names in Hugging Face's config.json -> ours. "gelu" there is the erf form.
HF_ACTIVATIONS = {
    "gelu_new": "gelu_tanh", "gelu_pytorch_tanh": "gelu_tanh", "gelu_fast": "gelu_tanh",
    "gelu": "gelu_erf", "gelu_python": "gelu_erf", "relu": "relu",
}  # fmt: skip
# Settings of Hugging Face's GPT-2 that would make another function of it, with the value that is GPT-2's.
HF_FIXED = {"scale_attn_weights": True, "scale_attn_by_inverse_layer_idx": False, "add_cross_attention": False}
# The causal mask that old exports carry along: transformers/models/gpt2/modeling_gpt2.py.
HF_MASKS = re.compile(r"h\.\d+\.attn\.(bias|masked_bias)")
# What a training run adds to OpenAI's names: Adam's moments beside each variable, counters outside of model/.
TF_TRAINING_STATE = re.compile(r"(?!model/).*|.*/Adam(_1)?")

OUR_MODEL_TYPE = "gptcompare"  # in config.json, for what Hugging Face's GPT-2 cannot represent


def config_from_hf(path: Path, values: Mapping[str, Any]) -> GPTConfig:
    """The configuration of a Hugging Face config.json of a GPT-2; a missing field has transformers' default."""
    model_type = values.get("model_type", "gpt2" if "n_embd" in values else None)
    if model_type != "gpt2":
        raise CheckpointError(path, f"model_type {model_type!r} is not supported: known are 'gpt2', {OUR_MODEL_TYPE!r}")
    for name, required in HF_FIXED.items():
        if values.get(name, required) is not required:
            raise CheckpointError(path, f"{name} {values[name]} is not supported: GPT-2 has {required}")
    activation = values.get("activation_function", "gelu_new")
    if not isinstance(activation, str) or activation not in HF_ACTIVATIONS:
        raise CheckpointError(
            path, f"activation {activation!r} is not supported: known are {', '.join(HF_ACTIVATIONS)}"
        )
    return _config(
        path,
        n_layer=values.get("n_layer", 12),
        n_head=values.get("n_head", 12),
        d_model=values.get("n_embd", 768),
        d_mlp=values.get("n_inner"),
        n_ctx=values.get("n_positions", 1024),
        n_vocab=values.get("vocab_size", 50257),
        activation=HF_ACTIVATIONS[activation],
        layer_norm_eps=values.get("layer_norm_epsilon", 1e-5),
        tied_embeddings=values.get("tie_word_embeddings", True),
    )


def config_to_hf(config: GPTConfig) -> dict[str, Any] | None:
    """The config.json with which transformers computes the same function, or None if its GPT-2 cannot."""
    if any(config.band_of(layer) for layer in range(config.n_layer)) or config.d_attention != config.d_model:
        return None
    eot = min(50256, config.n_vocab - 1)  # GPT-2's end of text; the last token of a vocabulary that is learned here
    activations = {ours: theirs for theirs, ours in reversed(HF_ACTIVATIONS.items())}
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
        "bos_token_id": eot,
        "eos_token_id": eot,
    }


def config_from_openai(path: Path, hparams: Mapping[str, Any]) -> GPTConfig:
    """The configuration of OpenAI's hparams.json."""
    names = {"n_layer": "n_layer", "n_head": "n_head", "d_model": "n_embd", "n_ctx": "n_ctx", "n_vocab": "n_vocab"}
    if missing := [theirs for theirs in names.values() if theirs not in hparams]:
        raise CheckpointError(path, f"{', '.join(missing)} missing")
    return _config(path, **{ours: hparams[theirs] for ours, theirs in names.items()})


def config_from_ours(path: Path, values: Mapping[str, Any]) -> GPTConfig:
    """The configuration of a config.json that this library wrote for itself."""
    return _config(path, **{name: value for name, value in values.items() if name != "model_type"})


def _config(path: Path, /, **values: Any) -> GPTConfig:
    try:
        return GPTConfig.from_dict(values)
    except (TypeError, ValueError) as error:
        raise CheckpointError(path, str(error)) from None


def parameters_from_hf(path: Path, tensors: Tensors, config: GPTConfig) -> tuple[GPTConfig, Tensors]:
    """Hugging Face's names: with or without "transformer.", without the masks, the output matrix as (d_in, d_out).

    As in transformers (since 5.0: modeling_utils.py, tie_weights), the file has the last word: a model that its
    configuration calls tied is untied if the file has an output matrix that is not the embedding.
    """
    parameters = {}
    for name, tensor in tensors.items():
        short = name.removeprefix("transformer.")
        if HF_MASKS.fullmatch(short):
            continue
        if short in parameters:
            raise CheckpointError(path, f"{short} occurs with and without its prefix")
        parameters[short] = tensor.T if short == "lm_head.weight" else tensor
    if config.tied_embeddings and "lm_head.weight" in parameters:
        if np.array_equal(parameters["lm_head.weight"].T, parameters.get("wte.weight", ())):
            del parameters["lm_head.weight"]
        else:
            config = dataclasses.replace(config, tied_embeddings=False)
    return config, _checked(path, parameters, config)


def parameters_to_hf(parameters: Mapping[str, npt.NDArray[Any]]) -> Tensors:
    """The names under which GPT2LMHeadModel saves its parameters."""
    return {
        name if name == "lm_head.weight" else f"transformer.{name}": value.T if name == "lm_head.weight" else value
        for name, value in parameters.items()
    }


def parameters_from_openai(path: Path, tensors: Tensors, config: GPTConfig) -> Tensors:
    """OpenAI's names, "model/h0/attn/c_attn/w", and matrices, which have a leading axis of 1."""
    parameters = {}
    for name, tensor in tensors.items():
        if TF_TRAINING_STATE.fullmatch(name):
            continue
        parts = re.sub(r"^model/(h)(?=\d)", "h/", name).removeprefix("model/").split("/")
        suffix = {"w": "weight", "g": "weight", "b": "bias"}.get(parts[-1])
        ours = ".".join([*parts[:-1], suffix] if suffix else [*parts, "weight"])
        if ours in parameters:
            raise CheckpointError(path, f"{name} occurs twice")
        parameters[ours] = tensor[0] if tensor.ndim == 3 and len(tensor) == 1 else tensor
    return _checked(path, parameters, config)


def _checked(path: Path, parameters: Tensors, config: GPTConfig) -> Tensors:
    if config.n_layer > len(parameters):  # before a table of all that a forged number asks for is made
        raise CheckpointError(path, "the configuration asks for more layers than there are tensors")
    try:
        check_parameters(parameters, config)
    except ValueError as error:
        raise CheckpointError(path, str(error)) from None
    return parameters
