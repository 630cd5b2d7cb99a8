"""AdamW: Loshchilov and Hutter 2019 (arXiv:1711.05101), algorithm 2, and clipping of the gradient by its norm."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from ..arrays import Array
from .recipe import Recipe

BLOCK = 1 << 15  # numbers that are updated together: five arrays of them fit into a core's cache


def global_norm(gradients: Mapping[str, Array]) -> float:
    """The Euclidean norm of all gradients as one vector."""
    return math.sqrt(sum(float(np.vdot(gradient, gradient)) for gradient in gradients.values()))


def clip_(gradients: Mapping[str, Array], largest: float) -> float:
    """Scale all gradients, in place, so that their norm is at most `largest`; returns what it was.

    As torch.nn.utils.clip_grad_norm_: by largest / (norm + 1e-6), never up.
    """
    norm = global_norm(gradients)
    scale = largest / (norm + 1e-6)
    if scale < 1 and math.isfinite(norm):
        for gradient in gradients.values():
            gradient *= gradient.dtype.type(scale)
    return norm


class AdamW:
    """Decoupled weight decay, on matrices only, and Adam's moments.

    Parameters
    ----------
    parameters : dict of name -> array
        Changed in place.
    recipe : Recipe
        Of which betas, eps and weight_decay are used.

    Attributes
    ----------
    step : int
        Updates so far.
    first, second : dict of name -> array
        The moving averages of the gradients and of their squares, in the parameters' shapes and memory orders.
    """

    def __init__(self, parameters: Mapping[str, Array], recipe: Recipe) -> None:
        self.step = 0
        self.first = {name: np.zeros_like(value) for name, value in parameters.items()}
        self.second = {name: np.zeros_like(value) for name, value in parameters.items()}
        self._parameters = parameters
        self._recipe = recipe

    def update(self, gradients: Mapping[str, Array], learning_rate: float) -> None:
        """One step down the gradients, shaped as the parameters; their memory serves for the intermediate results."""
        self.step += 1
        for name, parameter in self._parameters.items():
            decay = self._recipe.weight_decay if parameter.ndim > 1 else 0.0
            p, g = _flat(parameter, parameter), _flat(gradients[name], parameter)
            m, v = _flat(self.first[name], parameter), _flat(self.second[name], parameter)
            for start in range(0, parameter.size, BLOCK):
                block = slice(start, start + BLOCK)
                self._update_block(p[block], g[block], m[block], v[block], learning_rate, decay)

    def _update_block(self, p: Array, g: Array, m: Array, v: Array, learning_rate: float, decay: float) -> None:
        """Algorithm 2, lines 6 to 12, for one-dimensional arrays."""
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


def _flat(array: Array, like: Array) -> Array:
    """One-dimensional, in the memory order of another array of the same shape; a view where the orders agree."""
    transposed = like.ndim == 2 and like.flags.f_contiguous and not like.flags.c_contiguous
    return (array.T if transposed else array).reshape(-1)
