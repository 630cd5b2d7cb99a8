"""Families whose matrices are torch.nn.Linear's, (d_out, d_in), with separate ones for queries, keys and values.

Ours are (d_in, d_out), with queries, keys and values side by side in one matrix, as in GPT-2.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ...arrays import AnyArray
from ...config import GPTConfig
from ...parameters import check_array, parameter_shapes
from ...sixteen_bits import LARGEST_FLOAT16, copy_into, is_sixteen_bits, widened
from ..errors import CheckpointError
from ..formats.tensor_file import release
from .common import INSIDE, Tensors

EMBEDDINGS = ("wte", "wpe")


def renamed(
    path: Path, tensors: Tensors, prefix: re.Pattern[str], block: re.Pattern[str], modules: Mapping[str, str]
) -> Tensors:
    """Rename the tensors to our names, and transpose matrices to (d_in, d_out); others keep their names.

    Parameters
    ----------
    path : Path
        The file, for messages.
    tensors : dict of name -> array
    prefix : pattern
        An optional beginning of a name: it depends on the class from which a model was saved.
    block : pattern
        The beginning of the names of a block's modules; its group is the layer's number.
    modules : dict of their name -> ours
        Without a block's beginning and without ".weight" or ".bias"; a block's modules begin with "*.".

    Raises
    ------
    CheckpointError
        If a name in a block is none of these, or one occurs with and without its prefix.
    """
    found: Tensors = {}
    for name, tensor in tensors.items():
        module, _, kind = prefix.sub("", name).rpartition(".")
        layer = block.match(module)
        ours = modules.get("*." + module[layer.end() :] if layer else module)
        if ours is None and (INSIDE.fullmatch(name) or name in found):
            raise CheckpointError(path, f"{name} is not a parameter of such a model")
        if ours is None:
            found[name] = tensor
            continue
        new_name = f"{ours.replace('*', f'h.{layer[1]}', 1) if layer else ours}.{kind}"
        if new_name in found:
            raise CheckpointError(path, f"{name} occurs twice, with and without its prefix")
        found[new_name] = tensor.T if tensor.ndim == 2 and ours not in EMBEDDINGS else tensor
    return found


def take_qkv(path: Path, found: Tensors, config: GPTConfig, *, biased: bool) -> Tensors:
    """Take each layer's q_proj, k_proj and v_proj out of `found`, checked: with biases, if the family has any."""
    D, A = config.d_model, config.d_attention
    shapes = {"weight": (D, A), **({"bias": (A,)} if biased else {})}
    return {
        name: _take(path, found, name, shape)
        for layer in range(min(config.n_layer, len(found)))  # a forged file may claim any number
        for kind, shape in shapes.items()
        for name in [f"h.{layer}.attn.{one}_proj.{kind}" for one in "qkv"]
    }


def other_shapes(config: GPTConfig) -> dict[str, tuple[int, ...]]:
    """Return name -> shape of all parameters but c_attn, which is still apart."""
    return {name: shape for name, shape in parameter_shapes(config).items() if ".c_attn." not in name}


def joined_qkv(qkv: Tensors, dtype: npt.DTypeLike | None, *, query_scale: float = 1.0) -> Tensors:
    """Return each layer's c_attn, joined from its q_proj, k_proj and v_proj.

    The arrays are made in the dtype that the model computes in, so that scaling the queries is as exact as everything
    else; or, if that is None, in the 16 bits of the file where nothing is lost by that, and in float32 elsewhere. If
    there are no biases, they are zero.
    """
    joined: Tensors = {}
    wide = np.dtype(np.float32 if dtype is None else dtype)
    for name, queries in qkv.items():
        layer, _, kind = name.partition(".attn.q_proj.")
        if kind != "weight":
            continue
        D, A = queries.shape
        parts = [qkv[f"{layer}.attn.{one}_proj.weight"] for one in "qkv"]
        weight = np.empty((D, 3 * A), _exact_in(parts, query_scale) if dtype is None else wide)
        for n, part in enumerate(parts):
            scaled = part if n or query_scale == 1 else widened(part).astype(wide) * query_scale
            copy_into(weight[:, n * A : (n + 1) * A], scaled)
            release(part)
        bias = np.zeros(3 * A, wide)
        if f"{layer}.attn.q_proj.bias" in qkv:
            bias[:] = np.concatenate([widened(qkv[f"{layer}.attn.{one}_proj.bias"]) for one in "qkv"])
            bias[:A] *= query_scale
        joined |= {f"{layer}.attn.c_attn.weight": weight, f"{layer}.attn.c_attn.bias": bias}
    return joined


def _exact_in(parts: list[AnyArray], query_scale: float) -> np.dtype[Any]:
    """Return the dtype of 16 bits that the parts have, if it also holds the scaled queries; otherwise float32."""
    queries = parts[0]
    is_of_one_kind = is_sixteen_bits(queries) and all(part.dtype == queries.dtype for part in parts)
    is_power_of_2 = query_scale >= 1 and math.frexp(query_scale)[0] == 0.5
    if not is_of_one_kind or not is_power_of_2:
        return np.dtype(np.float32)
    largest = float(np.abs(widened(queries)).max(initial=0)) * query_scale
    return queries.dtype if largest <= LARGEST_FLOAT16 else np.dtype(np.float32)


def _take(path: Path, found: Tensors, name: str, shape: tuple[int, ...]) -> npt.NDArray[np.floating]:
    if name not in found:
        raise CheckpointError(path, f"{name} is missing")
    array = found.pop(name)
    try:
        check_array(name, array, shape)
    except ValueError as error:
        raise CheckpointError(path, str(error)) from None
    return array
