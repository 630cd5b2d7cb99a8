"""Functions that several families share: fields and activations, the names in a file, checked parameters."""

from __future__ import annotations

import dataclasses
import re
import warnings
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from ...arrays import AnyArray
from ...checks import shown, some
from ...config import GPTConfig
from ...parallel import Share
from ...parameters import check_parameters, parameter_shapes
from ...sixteen_bits import widened
from ..errors import CheckpointError
from ..formats.tensor_file import release

Tensors = dict[str, AnyArray]
Shapes: TypeAlias = Callable[[GPTConfig], dict[str, tuple[int, ...]]]

INSIDE = re.compile(r"(.*\.)?(h|layers)\.\d+\..*|lm_head\.weight")  # of a block, or of the path to the logits
GPT2_EMBEDDING = r"(transformer\.)?wte\.weight"  # the name of the token embedding, with and without a beginning
ADAPTER = re.compile(r"lora_|\.base_layer\.|adapter")  # of peft, loralib and adapters

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


def field(path: Path, values: Mapping[str, Any], name: str, other: str, default: Any) -> Any:
    """Return a field that has two names in transformers (a configuration's `attribute_map`), or its default."""
    if name in values and other in values and values[name] != values[other]:
        raise CheckpointError(
            path, f"{name} {shown(values[name])} and {other} {shown(values[other])} are two names of one number"
        )
    return values.get(name, values.get(other, default))


def without_prefix(path: Path, tensors: Tensors, embedding: str) -> tuple[Tensors, str]:
    """Return the tensors without what stands before their family's names in a file, and that beginning.

    A model that was saved from inside another one, such as torch.compile's or a trainer's, has its name before all of
    them: "_orig_mod.", "module.". What does not begin so is left as it is.

    Parameters
    ----------
    path : Path
        The file, for messages.
    tensors : dict of name -> array
    embedding : str
        A regular expression for the name of the token embedding in this family, with all beginnings of its own.

    Raises
    ------
    CheckpointError
        If the file has several such models.
    """
    # A tied model may be stored under the name of its output alone.
    found = _prefixes(tensors, embedding) or _prefixes(tensors, r"lm_head\.weight")
    if not found or "" in found:
        return tensors, ""
    if len(found) > 1:
        raise CheckpointError(path, f"has several models, under the names {', '.join(map(shown, sorted(found)))}")
    prefix = found.pop()
    if twice := [name for name in tensors if name.startswith(prefix) and name.removeprefix(prefix) in tensors]:
        raise CheckpointError(path, f"{shown(twice[0])} is there without {shown(prefix)}, too")
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items()}, prefix


def _prefixes(names: Collection[str], pattern: str) -> set[str]:
    """Return what stands before a pattern in the names that end with it."""
    return {match[1] for name in names if (match := re.fullmatch(f"(|.*?\\.){pattern}", name))}


def checked(path: Path, parameters: Tensors, config: GPTConfig, shapes: Shapes = parameter_shapes) -> Tensors:
    """Return the parameters of the configuration, which must all be there, without what a file has beside them.

    `shapes` gives their names and shapes.

    What is left out is named in a warning: other heads, a trainer's counters. What belongs to a block would change the
    result: it is refused, be it another block, another part of one, or an adapter that is not merged.
    """
    if config.n_layer > len(parameters):  # checked first, before making a table as large as a forged number asks for
        raise CheckpointError(path, "the configuration asks for more layers than there are tensors")
    expected = shapes(config)
    others = {name: tensor for name, tensor in parameters.items() if name not in expected}
    _refuse_adapters(path, others)
    own = {name: tensor for name, tensor in parameters.items() if name in expected}
    try:
        check_parameters(own, config, expected)
    except ValueError as error:
        also = f"; it has {len(others)} other tensors, among them {some(others)}" if others else ""
        raise CheckpointError(path, f"{error}{also}") from None
    if inside := [name for name in others if INSIDE.fullmatch(name) and not ADAPTER.search(name)]:
        raise CheckpointError(path, f"{len(inside)} parameters are not part of this model, among them {some(inside)}")
    if others:
        warnings.warn(
            f"{path}: {len(others)} of its tensors are not part of the model and were left out: {some(others)}",
            stacklevel=2,
        )
    return own


def _refuse_adapters(path: Path, others: Tensors) -> None:
    """Raise CheckpointError if there are low-rank adapters that are not merged and not all zero, as untrained ones."""
    adapters = [name for name in others if ADAPTER.search(name)]
    untrained = [name for name in adapters if "lora_B" in name or "lora_embedding_B" in name]
    if adapters and not (untrained and all(not widened(others[name]).any() for name in untrained)):
        raise CheckpointError(
            path,
            f"has {len(adapters)} tensors of adapters that change the result, among them {some(adapters)}: merge them "
            "into the model and save it again (peft: model.merge_and_unload().save_pretrained(FOLDER))",
        )


def cut(share: Share, tensors: Tensors, config: GPTConfig) -> Tensors:
    """Return a rank's part of checked tensors, whole ones that were copied from dropped from memory."""
    parts: Tensors = {}
    for name, whole in tensors.items():
        parts[name] = share.cut(name, whole, config)
        if not np.may_share_memory(parts[name], whole):
            release(whole)
    return parts


def with_output(
    path: Path, parameters: Tensors, config: GPTConfig, shapes: Shapes = parameter_shapes
) -> tuple[GPTConfig, Tensors]:
    """Return the configuration, which the file may untie, and the checked parameters.

    As in transformers (since 5.0: modeling_utils.py, tie_weights), the file has the last word: a model that its
    configuration calls tied is untied if the file has an output matrix that differs from the embedding. If it has only
    one of the two, that is both.
    """
    if config.tied_embeddings and "lm_head.weight" in parameters:
        if "wte.weight" not in parameters:
            parameters["wte.weight"] = parameters.pop("lm_head.weight").T
        elif _same_numbers(parameters["lm_head.weight"].T, parameters["wte.weight"]):
            del parameters["lm_head.weight"]
        else:
            config = dataclasses.replace(config, tied_embeddings=False)
    return config, checked(path, parameters, config, shapes)


def _same_numbers(a: AnyArray, b: AnyArray) -> bool:
    return np.array_equal(a, b) if a.dtype == b.dtype else np.array_equal(widened(a), widened(b))
