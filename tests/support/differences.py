"""Central finite differences: what a gradient is by definition, to about the square of the step."""

import numpy as np

STEP = 1e-6
CLOSE = {"rel": 1e-6, "abs": 1e-7}  # in float64, for functions and arguments around 1


def gradient(function, x):
    """d function(x) / dx, number by number; the function gives one number."""
    grad = np.empty_like(x)
    for index in np.ndindex(x.shape):
        above, below = x.copy(), x.copy()
        above[index] += STEP
        below[index] -= STEP
        grad[index] = (function(above) - function(below)) / (2 * STEP)
    return grad
