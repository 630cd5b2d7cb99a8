"""Two optimizers, and clipping of the gradient by its norm.

`AdamW` (Loshchilov and Hutter 2019, arXiv:1711.05101, algorithm 2) is what GPT-3 was trained with. `Muon` takes steps
of the same size in all directions of the blocks' matrices, and leaves everything else to AdamW. The method is Keller
Jordan's (Jordan et al. 2024, kellerjordan.github.io/posts/muon). The scale of a step is that of Liu et al. 2025
(arXiv:2502.16982, section 2.2), with which AdamW's learning rate and weight decay serve both. The constants, and how
the momentum is counted, are those of torch.optim.Muon. `Optimizer` says what the training loop asks of either.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Protocol

import numpy as np

from ..arrays import Array
from ..checks import brief
from .recipe import Recipe

SLICE = 1 << 15  # numbers that are updated together: five arrays of this size fit into a core's cache

# Muon's.
MOMENTUM = 0.95
COEFFICIENTS = (3.4445, -4.7750, 2.0315)  # of X, of the third and of the fifth power: Jordan's
ITERATIONS = 5
LEAST_NORM = 1e-7  # below it a matrix counts as zero, and is not scaled up
STEP_SIZE = 0.2  # root mean square of a step's numbers, in learning rates: about that of AdamW's (Liu et al. 2025)


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
        _check_parameters(parameters)
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
            for p, g, m, v in _parts(parameter, gradients[name], self.first[name], self.second[name]):
                self._update_part(p, g, m, v, learning_rate, decay)

    def _update_part(self, p: Array, g: Array, m: Array, v: Array, learning_rate: float, decay: float) -> None:
        """Apply algorithm 2, lines 6 to 12, to arrays of one shape."""
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


class Muon:
    """Momentum that is orthogonalised, for the matrices of the blocks; AdamW for all other parameters.

    A few directions in the gradient of a matrix are much stronger than all others. Muon keeps the directions and makes
    them about equally strong, so that the weak ones are learned, too: Jordan et al. suppose that this is why it needs
    fewer steps. It keeps one moving average where AdamW keeps two. Embeddings, positions and an output matrix of its
    own stay with AdamW, as Jordan et al. found best.

    Parameters
    ----------
    parameters : dict of name -> array
        Changed in place. Matrices whose names begin with "h." are Muon's.
    recipe : Recipe
        Its weight_decay is used for all matrices, its betas and eps for AdamW's parameters.

    Attributes
    ----------
    step : int
        Number of updates so far.
    momentum : dict of name -> array
        The moving averages of the gradients of Muon's matrices, in their shapes and memory orders.
    adamw : AdamW
        The optimizer of all other parameters.

    Raises
    ------
    TypeError
        If the parameters are not a dict.
    """

    def __init__(self, parameters: Mapping[str, Array], recipe: Recipe) -> None:
        _check_parameters(parameters)
        self._matrices = {name: p for name, p in parameters.items() if name.startswith("h.") and p.ndim == 2}
        self._recipe = recipe
        self.momentum = {name: np.zeros_like(matrix) for name, matrix in self._matrices.items()}
        self.adamw = AdamW({name: p for name, p in parameters.items() if name not in self._matrices}, recipe)

    def __repr__(self) -> str:
        n = sum(matrix.size for matrix in self._matrices.values())
        return brief(self, f"of {n} numbers in {len(self._matrices)} matrices, after {self.step} steps; {self.adamw}")

    @property
    def step(self) -> int:
        """Number of updates so far."""
        return self.adamw.step

    @step.setter
    def step(self, step: int) -> None:
        self.adamw.step = step

    @property
    def state(self) -> dict[str, Array]:
        """The momentum as "momentum.NAME" for each of Muon's matrices, and AdamW's state for the others."""
        return {**{f"momentum.{name}": array for name, array in self.momentum.items()}, **self.adamw.state}

    def update(self, gradients: Mapping[str, Array], learning_rate: float) -> None:
        """Take one step down the gradients, shaped like the parameters; their memory is reused as work space."""
        self.adamw.update(gradients, learning_rate)
        for name, weight in self._matrices.items():
            self._update_matrix(name, weight, gradients[name], learning_rate)

    def _update_matrix(self, name: str, weight: Array, gradient: Array, learning_rate: float) -> None:
        """Update the momentum and the weight. The look-ahead of Nesterov counts the new gradient a second time."""
        momentum = self.momentum[name]
        gradient *= 1 - MOMENTUM
        momentum *= MOMENTUM
        momentum += gradient
        ahead = MOMENTUM * momentum
        ahead += gradient
        weight *= 1 - learning_rate * self._recipe.weight_decay
        for part, ahead_of_part in zip(_maps(name, weight), _maps(name, ahead), strict=True):
            step = orthogonalised(ahead_of_part)
            step *= learning_rate * STEP_SIZE * math.sqrt(max(part.shape))
            part -= step


def _maps(name: str, weight: Array) -> list[Array]:
    """Return the linear maps in a weight, as views: queries, keys and values are three, side by side.

    As one matrix, its strongest part would take most of the step. Each by itself has a full step, however small its
    gradient is beside the others' (Jordan et al. 2024 found that this trains better).
    """
    return np.split(weight, 3, axis=1) if name.endswith(".c_attn.weight") else [weight]


def orthogonalised(matrix: Array) -> Array:
    """Return the nearest matrix, about, whose rows (or columns, the fewer of both) are orthogonal and of length 1.

    If U S V^T is the matrix's singular value decomposition, that is U V^T: the same directions, each of strength 1.
    Newton-Schulz iteration comes near it by matrix products alone. The odd polynomial a X + b X X^T X + c (X X^T)^2 X
    has the same U and V, and the singular values a s + b s^3 + c s^5. So what brings numbers between 0 and 1 towards 1,
    when repeated, does so with all singular values at once. These coefficients lift small ones fast, at the price that
    none settles at 1: those of at least a 500th of the norm come between 0.68 and 1.21.

    Parameters
    ----------
    matrix : (n, m)

    Returns
    -------
    (n, m), of the same dtype, in memory of its own

    References
    ----------
    Jordan et al. 2024, kellerjordan.github.io/posts/muon.
    """
    a, b, c = COEFFICIENTS
    is_tall = matrix.shape[0] > matrix.shape[1]
    x = matrix.T if is_tall else matrix  # so that X X^T is the smaller of both squares
    x = x / max(float(np.linalg.norm(x)), LEAST_NORM)  # no singular value is larger than this norm
    for _ in range(ITERATIONS):
        square = x @ x.T
        polynomial = square @ square
        polynomial *= c
        square *= b
        polynomial += square
        polynomial.flat[:: len(polynomial) + 1] += a  # the diagonal
        x = polynomial @ x
    return x.T if is_tall else x


def _check_parameters(parameters: object) -> None:
    """Raise TypeError if the parameters are not a dict."""
    if not isinstance(parameters, Mapping):
        raise TypeError(f"parameters must be a dict of name -> array, got {type(parameters).__name__}")


def _parts(*arrays: Array) -> Iterator[Sequence[Array]]:
    """Yield the same part of arrays of one shape, one part after the other, as views that are small enough for a cache.

    Arrays that do not all lie in memory in one row, and in the same order, are yielded as they are.
    """
    for turned in (arrays, [array.T for array in arrays]):
        if all(array.flags.c_contiguous for array in turned):
            rows = [array.reshape(-1) for array in turned]
            yield from ([row[start : start + SLICE] for row in rows] for start in range(0, rows[0].size, SLICE))
            return
    yield arrays
