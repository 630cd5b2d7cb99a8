"""The arithmetic of the model: pure functions on arrays.

Each works on the last axis of an array of any rank, in float32 or float64, and returns the dtype that it was given.
Scalars come from `math`, not from NumPy: `np.sqrt(2)` is a float64 that would promote a whole float32 array.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from ..arrays import Array, Integers
from .products import product


def linear(x: Array, weight: Array, bias: Array) -> Array:
    """Return x @ weight + bias: (..., d_in) -> (..., d_out), weight (d_in, d_out), bias (d_out,)."""
    y = product(x, weight)
    y += bias
    return y


def layer_norm(
    x: Array, gain: Array, bias: Array, eps: float, between: Callable[[Array], Array] | None = None
) -> Array:
    """Normalise each vector, then apply gain and bias (Ba et al. 2016, arXiv:1607.06450).

    `between` gets the normalised vectors, and returns those to which gain and bias are applied.
    """
    y, _ = normalise(x, eps)
    if between is not None:
        y = between(y)
    y *= gain
    y += bias
    return y


def normalise(x: Array, eps: float) -> tuple[Array, Array]:
    """Shift each vector to mean 0 and scale it to variance 1: (..., D), with its standard deviation (..., 1)."""
    width = x.shape[-1]
    centred: Array = x - np.add.reduce(x, axis=-1, keepdims=True) / width
    variance = np.vecdot(centred, centred)[..., None] / width
    deviation: Array = np.sqrt(variance + eps)
    centred /= deviation
    return centred, deviation


def gelu_tanh(x: Array) -> Array:
    """Apply GPT-2's tanh approximation of GELU (openai/gpt-2, src/model.py; arXiv:1606.08415, section 2)."""
    divisor = gelu_tanh_divisor(x)
    return np.divide(x, divisor, out=divisor)


def gelu_tanh_divisor(x: Array) -> Array:
    """Return 1 + exp(-2u) with u = sqrt(2/pi) (x + 0.044715 x^3): x divided by this is x (1 + tanh u) / 2.

    The exponential was measured to take half the time of the hyperbolic tangent.
    """
    divisor: Array = x * x
    divisor *= -2 * math.sqrt(2 / math.pi) * 0.044715
    divisor -= 2 * math.sqrt(2 / math.pi)
    with np.errstate(over="ignore"):  # where 2u or exp(-2u) is infinite, the quotient is still x or 0
        divisor *= x
        np.exp(divisor, out=divisor)
    divisor += 1
    return divisor


def gelu_erf(x: Array) -> Array:
    """Apply exact GELU: x times the normal distribution function (Hendrycks and Gimpel 2016, arXiv:1606.08415)."""
    y = normal_cdf(x)
    y *= x
    return y


def normal_cdf(x: Array) -> Array:
    """Return the normal distribution function, (1 + erf(x / sqrt 2)) / 2."""
    y = erf(x * math.sqrt(0.5))
    y += 1
    y *= 0.5
    return y


def relu(x: Array) -> Array:
    """Return the larger of x and 0."""
    return np.maximum(x, 0)


ACTIVATION: dict[str, Callable[[Array], Array]] = {"gelu_tanh": gelu_tanh, "gelu_erf": gelu_erf, "relu": relu}

# erf is the one function in a GPT that NumPy lacks. A Taylor series around the nearest multiple of 1/64, where the
# standard library gives the value, is exact to 2e-14; beyond 6, erf is 1 to the last bit of a float64.
_ERF_STEP, _ERF_END = 1 / 64, 6.0
_ERF_NODES = [k * _ERF_STEP for k in range(round(_ERF_END / _ERF_STEP) + 1)]
_ERF = np.array([math.erf(node) for node in _ERF_NODES])
_ERF_SLOPE = np.array([2 / math.sqrt(math.pi) * math.exp(-node * node) for node in _ERF_NODES])


def erf(x: Array) -> Array:
    """Return the error function, 2/sqrt(pi) times the integral of exp(-t^2) from 0 to x.

    It is exact to 2e-14 or to the dtype's precision.

    The derivatives at a node a are the slope exp(-a^2) 2/sqrt(pi) times the Hermite polynomials
    1, -2a, 4a^2 - 2, -8a^3 + 12a, 16a^4 - 48a^2 + 12 (Abramowitz and Stegun, 7.1.19).
    """
    distance = np.minimum(np.abs(x), _ERF_END)
    with np.errstate(invalid="ignore"):  # any node will do for NaN, which h passes on
        node = np.nan_to_num(distance / _ERF_STEP + 0.5).astype(np.intp)
    a = (node * _ERF_STEP).astype(x.dtype)
    h = distance - a
    a2 = a * a
    series = 1 + h * (-a + h * ((4 * a2 - 2) / 6 + h * (a * (12 - 8 * a2) / 24 + h * ((16 * a2 - 48) * a2 + 12) / 120)))
    y = _ERF.astype(x.dtype)[node] + _ERF_SLOPE.astype(x.dtype)[node] * h * series
    return np.copysign(y, x)


def softmax(x: Array) -> Array:
    """Return exp(x) scaled to sum 1. Entries of -inf become 0; at least one entry of each row must be finite.

    >>> import numpy as np
    >>> softmax(np.array([0.0, 0.0, -np.inf]))
    array([0.5, 0.5, 0. ])
    """
    y: Array = np.exp(x - x.max(axis=-1, keepdims=True))
    y /= y.sum(axis=-1, keepdims=True)
    return y


def log_softmax(x: Array) -> Array:
    """Return the logarithm of the softmax, without overflow or underflow."""
    shifted: Array = x - x.max(axis=-1, keepdims=True)
    shifted -= np.log(np.exp(shifted).sum(axis=-1, keepdims=True))
    return shifted


def cross_entropy(logits: Array, targets: Integers) -> Array:
    """Return -log p(target) in nats at each position: logits (..., V), targets (...) -> (...)."""
    picked = np.take_along_axis(log_softmax(logits), targets[..., None], axis=-1)
    return -picked[..., 0]
