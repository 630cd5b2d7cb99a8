"""Aggregation of the results of many items into a metric with a 95% confidence interval.

The interval comes from sampling the items, not the model: with other questions of the same kind, 95 of 100 such
intervals would contain the true value.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from ..arrays import Float64, Integers
from ..checks import brief

Z = 1.959963984540054  # 95% of a normal distribution lie within this many standard deviations
RESAMPLES = 2000


@dataclass(frozen=True)
class Metric:
    """One number of an evaluation.

    Attributes
    ----------
    name : str
        As the published results name it (`gptcompare.presets`), with the unit.
    value : float
    low, high : float, optional
        The ends of the 95% confidence interval; None if the bootstrap has only one item to draw from. For a handful of
        items its interval is too narrow.
    """

    name: str
    value: float
    low: float | None
    high: float | None


class Units(Protocol):
    """What a metric aggregates: a number, or two, of each item, document or window."""

    @property
    def name(self) -> str:
        """The name of the metric."""

    def __len__(self) -> int: ...

    def chosen(self, numbers: Sequence[int]) -> Units:
        """Return the units with these numbers only."""

    def metric(self, seed: int) -> Metric:
        """Aggregate them; the seed is for the bootstrap."""


@dataclass(frozen=True, repr=False)
class Rights:
    """Which items are right; the metric is their percentage."""

    name: str
    is_right: tuple[bool, ...]

    def __repr__(self) -> str:
        return brief(self, f"{self.name}, {sum(self.is_right)} of {len(self)}")

    def __len__(self) -> int:
        return len(self.is_right)

    def chosen(self, numbers: Sequence[int]) -> Rights:
        """Return the units with these numbers only."""
        return Rights(self.name, tuple(self.is_right[number] for number in numbers))

    def metric(self, seed: int) -> Metric:
        """Return the percentage, with Wilson's interval."""
        return percentage(self.name, self.is_right)


@dataclass(frozen=True, eq=False, repr=False)
class Ratio:
    """Two numbers of each unit; the metric is the ratio of their sums, and `then`, a non-decreasing function, of it."""

    name: str
    numerators: Float64
    denominators: Float64
    then: Callable[[float], float] = float

    def __repr__(self) -> str:
        return brief(self, f"{self.name}, {self.of():.4g} over {len(self)}")

    def __len__(self) -> int:
        return len(self.numerators)

    def chosen(self, numbers: Sequence[int]) -> Ratio:
        """Return the units with these numbers only."""
        some = np.array(numbers, np.intp)
        return Ratio(self.name, self.numerators[some], self.denominators[some], self.then)

    def metric(self, seed: int) -> Metric:
        """Return the ratio, with the bootstrap's interval."""
        return ratio(self.name, self.numerators, self.denominators, seed, self.then)

    def of(self, drawn: Integers | None = None) -> float:
        """Return the metric's value for all units, or for those that were drawn."""
        chosen = slice(None) if drawn is None else drawn
        return self.then(float(self.numerators[chosen].sum() / self.denominators[chosen].sum()))


def percentage(name: str, is_right: Sequence[bool]) -> Metric:
    """Compute the percentage of items that are right, with Wilson's interval, which also holds at 0 and 100.

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
    numerators: Sequence[float] | Float64,
    denominators: Sequence[float] | Float64,
    seed: int,
    then: Callable[[float], float] = float,
) -> Metric:
    """Divide the sum of the numerators by the sum of the denominators, and apply `then`, a non-decreasing function.

    The interval is found by the bootstrap: the items are resampled, with replacement, 2,000 times.

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


def as_in_json(value: Any) -> Any:
    """Return plain values as JSON can hold them: None for a number that is infinite, or none.

    >>> as_in_json({"value": float("inf"), "ends": [1.0, float("nan")]})
    {'value': None, 'ends': [1.0, None]}
    """
    if isinstance(value, dict):
        return {key: as_in_json(one) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [as_in_json(one) for one in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
