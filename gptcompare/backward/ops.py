"""The arithmetic of `gptcompare.model.ops` backwards: pure functions on arrays.

With L the loss, `dy` is dL/dy, shaped like y; a function `f_backward` turns the dy of y = f(x, ...) into the gradients
with respect to f's arguments, in the same order. Where the gradient needs more than x, f is defined here as well, and
returns y and what `f_backward` needs. N counts vectors: all axes but the last are merged into one.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from ..arrays import Array, Ids
from ..model.ops import gelu_tanh_divisor, normal_cdf, normalise


def embedding_backward(dy: Array, ids: Ids, d_table: Array) -> None:
    """Undo y = table[ids]: add each row of dy, (N, D), to the row of `d_table`, (V, D), that it was copied from.

    The ids, (N,), may repeat, and `d_table[ids] += dy` would add only the last row for each id. `np.add.at` was
    measured to take twice as long as this loop.
    """
    for row, d in zip(ids.tolist(), dy, strict=True):
        d_table[row] += d


def linear_backward(dy: Array, x: Array, weight: Array) -> tuple[Array, Array, Array]:
    """Undo y = x @ weight + bias: dy (N, d_out) -> dx (N, d_in), d_weight (d_in, d_out), d_bias (d_out,).

    `d_weight` has the memory order of the weight: adding matrices of different orders was measured to take a hundred
    times as long as adding two of the same order.
    """
    return dy @ weight.T, np.matmul(x.T, dy, out=np.empty_like(weight)), sum_of_rows(dy)


def sum_of_rows(x: Array) -> Array:
    """Sum the rows: (N, D) -> (D,). As a vector-matrix product it runs at the speed of memory."""
    total: Array = np.ones(len(x), x.dtype) @ x
    return total


def layer_norm(x: Array, gain: Array, bias: Array, eps: float) -> tuple[Array, tuple[Array, Array]]:
    """Apply `gptcompare.model.ops.layer_norm`, and keep the normalised vectors and the standard deviations (N, 1)."""
    normed, deviation = normalise(x, eps)
    y = normed * gain
    y += bias
    return y, (normed, deviation)


def layer_norm_backward(dy: Array, kept: tuple[Array, Array], gain: Array) -> tuple[Array, Array, Array]:
    """Undo y = normed * gain + bias with normed = (x - mean) / deviation: dy (N, D) -> dx, d_gain (D,), d_bias (D,).

    Normalised vectors have mean 0 and variance 1 whatever x is, so the parts of d_normed along the constant vector and
    along `normed` cannot reach x: dx is the rest, divided by the deviation.
    """
    normed, deviation = kept
    width = normed.shape[-1]
    d_gain, d_bias = np.einsum("nd,nd->d", dy, normed), sum_of_rows(dy)

    dx = dy * gain  # d_normed, to begin with
    along_normed = np.einsum("nd,nd->n", dx, normed)[:, None] / width
    dx -= np.add.reduce(dx, axis=-1, keepdims=True) / width
    dx -= normed * along_normed
    dx /= deviation
    return dx, d_gain, d_bias


ACTIVATION_NUMBERS = 2**16  # numbers that go through an activation together


def gelu_tanh(x: Array) -> tuple[Array, Array]:
    """Return `gptcompare.model.ops.gelu_tanh` and its slope dy/dx.

    y = x g(x) with the gate g = 1 / (1 + exp(-2u)), u = c (x + a x^3), whose slope is g (1 - g) 2u':
    dy/dx = g + x g (1 - g) 2c (1 + 3a x^2).
    """
    c, a = math.sqrt(2 / math.pi), 0.044715
    divisor = gelu_tanh_divisor(x)
    y = x / divisor
    gate = np.divide(1, divisor, out=divisor)
    slope = x * x
    slope *= 6 * c * a
    slope += 2 * c
    slope *= 1 - gate  # before y: where both are large this is 0, and infinity times 0 would not be
    slope *= y
    slope += gate
    return y, slope


def gelu_erf(x: Array) -> tuple[Array, Array]:
    """Return `gptcompare.model.ops.gelu_erf` and its slope.

    The slope of y = x P(x) is P(x) + x P'(x) with P' = exp(-x^2 / 2) / sqrt(2 pi).
    """
    slope = normal_cdf(x)
    y = x * slope
    density = np.exp(x * x * -0.5)
    density *= 1 / math.sqrt(2 * math.pi)
    density *= x
    slope += density
    return y, slope


def relu(x: Array) -> tuple[Array, Array]:
    """Return `gptcompare.model.ops.relu` and its slope: 1 where x is positive, else 0."""
    return np.maximum(x, 0), (x > 0).astype(x.dtype)


ACTIVATION: dict[str, Callable[[Array], tuple[Array, Array]]] = {
    "gelu_tanh": gelu_tanh,
    "gelu_erf": gelu_erf,
    "relu": relu,
}


def activation(x: Array, name: str) -> tuple[Array, Array]:
    """Return the named activation of x, (N, M), and its slope, which overwrites x.

    A few vectors are computed at a time: the dozen elementwise operations were measured to take half the time if the
    temporaries stay in the processor's cache.
    """
    y, rows = np.empty_like(x), max(1, ACTIVATION_NUMBERS // x.shape[-1])
    for start in range(0, len(x), rows):
        few = slice(start, start + rows)
        y[few], x[few] = ACTIVATION[name](x[few])
    return y, x


def activation_backward(dy: Array, slope: Array) -> Array:
    """Undo an activation, which works on each number by itself: dy -> dx, of any shape, in place."""
    dy *= slope
    return dy


def cross_entropy(logits: Array, targets: Ids) -> tuple[Array, Array]:
    """Return -log p(target) in nats of each row, logits (N, V), targets (N,) -> (N,), and its gradient (N, V).

    The gradient overwrites the logits: -log p(t) = log sum_v exp(x_v) - x_t, whose derivative with respect to x_v is
    exp(x_v) / sum, minus 1 where v is the target.
    """
    rows = np.arange(len(logits))
    logits -= logits.max(axis=-1, keepdims=True)
    losses = -logits[rows, targets]
    probabilities = np.exp(logits, out=logits)
    totals = probabilities.sum(axis=-1)
    losses += np.log(totals)
    probabilities /= totals[:, None]
    probabilities[rows, targets] -= 1
    return losses, probabilities


class Dropout(NamedTuple):
    """The probability p of dropping a number, and the generator that draws which to drop."""

    p: float
    rng: np.random.Generator | None


NO_DROPOUT = Dropout(0.0, None)


def dropout(x: Array, p: float, rng: np.random.Generator | None) -> tuple[Array, Array | None]:
    """Set each number to 0 with probability p, else divide it by 1 - p (Srivastava et al. 2014); keep the factors.

    With p = 0, x is returned unchanged, the factors are None, and no random numbers are drawn.
    """
    if p == 0 or rng is None:
        return x, None
    factors = (rng.random(x.shape, x.dtype.type) >= p).astype(x.dtype)
    factors *= 1 / (1 - p)
    return x * factors, factors


def dropout_backward(dy: Array, factors: Array | None) -> Array:
    """Undo y = x * factors: dy -> dx."""
    return dy if factors is None else dy * factors
