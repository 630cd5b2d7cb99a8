"""The difference of two models in one metric of one task."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, replace
from typing import Any

from ...checks import brief
from ..metrics import Metric, as_in_json
from .statistics import LEVEL


@dataclass(frozen=True, repr=False)
class Difference:
    """How much one model's metric differs from another's, over the same items.

    Attributes
    ----------
    task : str
    models : tuple of str
        The names of the two.
    values : tuple of Metric
        Of each by itself.
    low, high : float, optional
        The ends of the paired 95% interval of the difference, the first's value less the second's; None for a single
        unit, or if a value is infinite.
    p_value : float
        Of the exact McNemar test for what is right or wrong, else of the paired bootstrap.
    n : int
        The number of items, documents or windows.
    n_needed : int, optional
        How many of them would show the present difference with a probability of 80%; None if there is none.
    only : tuple of int, optional
        At how many items only the first is right, and only the second; None if nothing is right or wrong.
    adjusted : float, optional
        The p-value after Holm's correction for all differences that are shown together.
    """

    task: str
    models: tuple[str, str]
    values: tuple[Metric, Metric]
    low: float | None
    high: float | None
    p_value: float
    n: int
    n_needed: int | None
    only: tuple[int, int] | None = None
    adjusted: float | None = None

    def __repr__(self) -> str:
        words = f"{self.task}, {self.metric}: {' less '.join(self.models)} is {self.value:+.{self.n_digits}f}"
        return brief(self, f"{words} ({self.interval or 'no interval'}, p {self.p_value:.2g})")

    @property
    def metric(self) -> str:
        """The name of the metric, with its unit."""
        return self.values[0].name

    @property
    def value(self) -> float:
        """The first model's value less the second's."""
        return self.values[0].value - self.values[1].value

    @property
    def n_digits(self) -> int:
        """How many decimals show two digits of half the interval."""
        half = abs(self.value) if self.low is None or self.high is None else (self.high - self.low) / 2
        return min(max(1 - math.floor(math.log10(half)), 2), 6) if 0 < half < math.inf else 2

    @property
    def interval(self) -> str:
        """The interval in words; "" if there is none."""
        if self.low is None or self.high is None:
            return ""
        return f"{self.low:+.{self.n_digits}f} to {self.high:+.{self.n_digits}f}"

    @property
    def is_real(self) -> bool:
        """True if a difference as large would be an accident in fewer than 5% of cases, after the correction."""
        return (self.p_value if self.adjusted is None else self.adjusted) < LEVEL

    def corrected(self, p_value: float) -> Difference:
        """Return the same with the p-value that Holm's correction gives."""
        return replace(self, adjusted=p_value)

    def to_dict(self) -> dict[str, Any]:
        """Return plain values that JSON can hold: None for a number that is infinite, or none."""
        found: dict[str, Any] = as_in_json(asdict(self))
        return {"metric": self.metric, "value": as_in_json(self.value), "is_real": self.is_real, **found}
