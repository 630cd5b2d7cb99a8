"""AdamW (Loshchilov and Hutter 2019, arXiv:1711.05101, algorithm 2), and clipping of the gradient by its norm.

`Optimizer` says what the training loop asks of an optimizer; the other one is in `muon`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Protocol

import numpy as np

from ..arrays import Array
from ..checks import brief
from .recipe import Recipe

SLICE = 1 << 15  # numbers that are updated together: five arrays of this size fit into a core's cache


def global_norm(gradients: Mapping[str, Array]) -> float:
    """Return the Euclidean norm of all gradients as one vector."""
    return math.sqrt(sum(float(np.vdot(gradient, gradient)) for gradient in gradients.values()))


def clip_(gradients: Mapping[str, Array], largest: float) -> float:
    """Scale all gradients, in place, so that their norm is at most `largest`; return the norm before.

    Like torch.nn.utils.clip_grad_norm_, it multiplies by largest / (norm + 1e-6), and never scales up.
    """
    norm = global_norm(gradients)
    scale = largest / (norm + 1e-6)
    if scale < 1 and math.isfinite(norm):
        for gradient in gradients.values():
            gradient *= gradient.dtype.type(scale)
    return norm


class Optimizer(Protocol):
    """What changes parameters in place by their gradients, and can be saved and restored.

    Attributes
    ----------
    step : int
        Number of updates so far.
    state : dict of name -> array
        All that further updates depend on beside the step; the arrays are changed in place, and stay the same ones.
    """

    step: int

    @property
    def state(self) -> dict[str, Array]: ...

    def update(self, gradients: Mapping[str, Array], learning_rate: float) -> None: ...


class AdamW:
    """Adam with decoupled weight decay, which applies to matrices only.

    Parameters
    ----------
    parameters : dict of name -> array
        Changed in place.
    recipe : Recipe
        Only its betas, eps and weight_decay are used.

    Attributes
    ----------
    step : int
        Number of updates so far.
    first, second : dict of name -> array
        The moving averages of the gradients and of their squares, in the parameters' shapes and memory orders.
    """

    def __init__(self, parameters: Mapping[str, Array], recipe: Recipe) -> None:
        check_parameters(parameters)
        self.step = 0
        self.first = {name: np.zeros_like(value) for name, value in parameters.items()}
        self.second = {name: np.zeros_like(value) for name, value in parameters.items()}
        self._parameters = parameters
        self._recipe = recipe

    def __repr__(self) -> str:
        n = sum(parameter.size for parameter in self._parameters.values())
        return brief(self, f"of {n} numbers in {len(self._parameters)} parameters, after {self.step} steps")

    @property
    def state(self) -> dict[str, Array]:
        """Both moving averages: "first.NAME" and "second.NAME" for each parameter."""
        kinds = {"first": self.first, "second": self.second}
        return {f"{kind}.{name}": array for kind, arrays in kinds.items() for name, array in arrays.items()}

    def update(self, gradients: Mapping[str, Array], learning_rate: float) -> None:
        """Take one step down the gradients, shaped like the parameters; their memory is reused as work space."""
        self.step += 1
        for name, parameter in self._parameters.items():
            decay = self._recipe.weight_decay if parameter.ndim > 1 else 0.0
            p, g = _flat(parameter, parameter), _flat(gradients[name], parameter)
            m, v = _flat(self.first[name], parameter), _flat(self.second[name], parameter)
            for start in range(0, parameter.size, SLICE):
                part = slice(start, start + SLICE)
                self._update_slice(p[part], g[part], m[part], v[part], learning_rate, decay)

    def _update_slice(self, p: Array, g: Array, m: Array, v: Array, learning_rate: float, decay: float) -> None:
        """Apply algorithm 2, lines 6 to 12, to one-dimensional arrays."""
        beta1, beta2 = self._recipe.betas
        correction1, correction2 = 1 - beta1**self.step, 1 - beta2**self.step
        p *= 1 - learning_rate * decay
        m *= beta1
        m += (1 - beta1) * g
        g *= g
        g *= 1 - beta2
        v *= beta2
        v += g
        np.sqrt(v, out=g)
        g /= math.sqrt(correction2)
        g += self._recipe.eps
        np.divide(m, g, out=g)
        g *= learning_rate / correction1
        p -= g


def check_parameters(parameters: object) -> None:
    """Raise TypeError if the parameters are not a dict."""
    if not isinstance(parameters, Mapping):
        raise TypeError(f"parameters must be a dict of name -> array, got {type(parameters).__name__}")


def _flat(array: Array, like: Array) -> Array:
    """Flatten an array in the memory order of another of the same shape; the result is a view if the orders agree."""
    transposed = like.ndim == 2 and like.flags.f_contiguous and not like.flags.c_contiguous
    return (array.T if transposed else array).reshape(-1)
