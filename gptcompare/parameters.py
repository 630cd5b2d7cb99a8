"""The table of parameter names and shapes that initialisation, loading, counting and training all read.

The names are the ones in the published GPT-2 checkpoints as Hugging Face stores them, so that a tensor in a file and an
array in the model have the same name. Every linear layer's weight has the logical shape (d_in, d_out).
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from .arrays import BFLOAT16, AnyArray, Array
from .checks import integer, some
from .config import GPTConfig

__all__ = [
    "block_shapes",
    "check_array",
    "check_parameters",
    "digest_of",
    "initial_parameters",
    "parameter_shapes",
]


def block_shapes(config: GPTConfig) -> dict[str, tuple[int, ...]]:
    """Return name -> shape of one block's parameters."""
    D, A, M = config.d_model, config.d_attention, config.d_mlp
    return {
        "ln_1.weight": (D,),
        "ln_1.bias": (D,),
        "attn.c_attn.weight": (D, 3 * A),  # queries, keys and values side by side
        "attn.c_attn.bias": (3 * A,),
        "attn.c_proj.weight": (A, D),
        "attn.c_proj.bias": (D,),
        "ln_2.weight": (D,),
        "ln_2.bias": (D,),
        "mlp.c_fc.weight": (D, M),
        "mlp.c_fc.bias": (M,),
        "mlp.c_proj.weight": (M, D),
        "mlp.c_proj.bias": (D,),
    }


def parameter_shapes(config: GPTConfig) -> dict[str, tuple[int, ...]]:
    """Return name -> shape of all parameters, from the embeddings to the output."""
    shapes: dict[str, tuple[int, ...]] = {
        "wte.weight": (config.n_vocab, config.d_model),
        "wpe.weight": (config.n_ctx, config.d_model),
    }
    for layer in range(config.n_layer):
        shapes |= {f"h.{layer}.{name}": shape for name, shape in block_shapes(config).items()}
    shapes |= {"ln_f.weight": (config.d_model,), "ln_f.bias": (config.d_model,)}
    if not config.tied_embeddings:
        shapes["lm_head.weight"] = (config.d_model, config.n_vocab)
    return shapes


def output_matrix(parameters: Mapping[str, Array], config: GPTConfig) -> Array:
    """Return the matrix that makes logits of the last normalised vectors, (D, V), as a view."""
    return parameters["wte.weight"].T if config.tied_embeddings else parameters["lm_head.weight"]


def initial_parameters(config: GPTConfig, seed: int, dtype: npt.DTypeLike = np.float32) -> dict[str, Array]:
    """Return random parameters, initialised as in the papers, in float32 or float64.

    Weights are normal with standard deviation 0.02, positions with 0.01 (openai/gpt-2, src/model.py); biases are
    zero and gains one. The two projections into the residual stream of each block are scaled by 1/sqrt(N), N being the
    number of such projections (Radford et al. 2019, section 2.3).
    """
    rng = np.random.default_rng(integer("seed", seed, at_least=0))
    residual_scale = 1 / math.sqrt(2 * config.n_layer)
    parameters: dict[str, Array] = {}
    for name, shape in parameter_shapes(config).items():
        if name.endswith(".bias"):
            parameters[name] = np.zeros(shape, dtype)
        elif len(shape) == 1:
            parameters[name] = np.ones(shape, dtype)
        else:
            deviation = 0.01 if name == "wpe.weight" else 0.02
            if name.endswith("c_proj.weight"):
                deviation *= residual_scale
            weight = rng.standard_normal(shape, np.float64 if np.dtype(dtype) == np.float64 else np.float32)
            weight *= deviation
            parameters[name] = weight
    return parameters


def check_parameters(
    parameters: Mapping[str, Array], config: GPTConfig, shapes: Mapping[str, tuple[int, ...]] | None = None
) -> None:
    """Raise ValueError if a parameter is missing, unknown, of another shape, or not floating-point.

    The shapes are `parameter_shapes(config)`, if others are not given.
    """
    expected = parameter_shapes(config) if shapes is None else shapes
    if missing := [name for name in expected if name not in parameters]:
        raise ValueError(f"{len(missing)} parameters are missing, among them {some(missing)}")
    if extra := [name for name in parameters if name not in expected]:
        raise ValueError(f"{len(extra)} parameters are not part of this model, among them {some(extra)}")
    for name, shape in expected.items():
        check_array(name, parameters[name], shape)


def check_array(name: str, array: AnyArray, shape: tuple[int, ...]) -> None:
    """Raise ValueError if an array has another shape or does not hold floating-point numbers."""
    if array.shape != shape:
        raise ValueError(f"{name} has shape {array.shape}, the configuration asks for {shape}")
    if array.dtype.kind != "f" and array.dtype != BFLOAT16:
        raise ValueError(f"{name} holds {array.dtype} numbers, not floating-point ones")


def digest_of(parameters: Mapping[str, Array]) -> str:
    """Return the hexadecimal SHA-256 of the parameters' names and numbers, whatever file they were read from."""
    hasher = hashlib.sha256()
    for name in sorted(parameters):
        hasher.update(name.encode())
        hasher.update(np.ascontiguousarray(parameters[name]).data)
    return hasher.hexdigest()
