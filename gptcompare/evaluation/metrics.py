"""What becomes of many items' results: one number with the interval that it could as well have come out in.

The interval is that of drawing the items, not the model: with other questions of the same kind, 95 of 100 such
intervals would have the true value in them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

Z = 1.959963984540054  # of the normal distribution, 95% lie within so many standard deviations
RESAMPLES = 2000


@dataclass(frozen=True)
class Metric:
    """One number of an evaluation.

    Attributes
    ----------
    name : str
        As the published results name it (`gptcompare.presets`), unit included.
    value : float
    low, high : float, optional
        The ends of the 95% confidence interval; None if there is only one item to draw from. Of a handful of items it
        is too narrow.
    """

    name: str
    value: float
    low: float | None
    high: float | None


def percentage(name: str, is_right: Sequence[bool]) -> Metric:
    """How many of n items are right, in percent, with Wilson's interval, which holds for 0 and for 100 as well.

    References
    ----------
    Wilson 1927, "Probable inference, the law of succession, and statistical inference".
    """
    n, p = len(is_right), sum(is_right) / len(is_right)
    centre = (p + Z**2 / (2 * n)) / (1 + Z**2 / n)
    half = Z / (1 + Z**2 / n) * math.sqrt(p * (1 - p) / n + Z**2 / (4 * n**2))
    return Metric(name, 100 * p, 100 * min(centre - half, p), 100 * max(centre + half, p))


def ratio(
    name: str,
    numerators: Sequence[float],
    denominators: Sequence[float],
    seed: int,
    then: Callable[[float], float] = float,
) -> Metric:
    """The sum of the first over that of the second, and what `then`, which must not fall, makes of it.

    The interval is the bootstrap's: the items are drawn anew, with replacement, 2,000 times.

    References
    ----------
    Efron 1979, "Bootstrap methods: another look at the jackknife": the percentile interval.
    """
    above, below = np.asarray(numerators, np.float64), np.asarray(denominators, np.float64)
    value = then(float(above.sum() / below.sum()))
    if len(above) < 2:
        return Metric(name, value, None, None)
    rng = np.random.default_rng(seed)
    drawn = np.empty(RESAMPLES)
    for number in range(RESAMPLES):
        items = rng.integers(len(above), size=len(above))
        drawn[number] = above[items].sum() / below[items].sum()
    low, high = np.quantile(drawn, [0.025, 0.975])
    return Metric(name, value, then(float(low)), then(float(high)))
