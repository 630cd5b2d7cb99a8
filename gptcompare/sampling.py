"""From logits to one token: greedy, temperature, top-k, top-p."""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass
from itertools import islice
from numbers import Integral, Real
from typing import Any

import numpy as np
import numpy.typing as npt

from .ops import softmax

Logits = npt.NDArray[np.floating[Any]]
Probabilities = npt.NDArray[np.float64]


class RandomNumbers:
    """A generator's numbers from [0, 1), which can be looked at before they are drawn."""

    def __init__(self, seed: int | None) -> None:
        self._rng = np.random.default_rng(seed)
        self._ahead: deque[float] = deque()

    def random(self) -> float:
        """The next number."""
        return self._ahead.popleft() if self._ahead else self._rng.random()

    def ahead(self, n: int) -> list[float]:
        """The next n numbers, which `random` will give."""
        while len(self._ahead) < n:
            self._ahead.append(self._rng.random())
        return list(islice(self._ahead, n))


@dataclass(frozen=True)
class Sampling:
    """How a token is chosen.

    Parameters
    ----------
    temperature : float
        0 takes the likeliest token (greedy); otherwise the logits are divided by it before the softmax.
    top_k : int, optional
        Only the k likeliest tokens, and what is as likely as the k-th (Fan et al. 2018, arXiv:1805.04833).
    top_p : float, optional
        Only the fewest likeliest tokens that have probability p together, after temperature and top-k: nucleus
        sampling (Holtzman et al. 2020, arXiv:1904.09751).

    Raises
    ------
    TypeError, ValueError
        For a value of the wrong kind or out of range. At temperature 0, top-k and top-p change nothing.
    """

    temperature: float = 0.0
    top_k: int | None = None
    top_p: float | None = None

    def __post_init__(self) -> None:
        _check_number("temperature", self.temperature)
        if not 0 <= self.temperature < math.inf:
            raise ValueError(f"temperature must be 0 (greedy) or a positive finite number, got {self.temperature}")
        if self.top_k is not None:
            if isinstance(self.top_k, bool) or not isinstance(self.top_k, Integral):
                raise TypeError(f"top_k must be an integer, got {self.top_k!r}")
            if self.top_k < 1:
                raise ValueError(f"top_k must be at least 1, got {self.top_k}")
        if self.top_p is not None:
            _check_number("top_p", self.top_p)
            if not 0 < self.top_p <= 1:
                raise ValueError(f"top_p must be above 0 and at most 1, got {self.top_p}")

    def choose(self, logits: Logits, rng: np.random.Generator | RandomNumbers) -> int:
        """The id of one token from the logits (V,) of one position. ValueError if they are NaN or infinite."""
        return self.chosen(logits, rng.random() if self.temperature else 0.0)

    def chosen(self, logits: Logits, u: float) -> int:
        """The token that a random number from [0, 1) chooses; at temperature 0 the likeliest, whatever the number."""
        finite(logits)
        if self.temperature == 0:
            return int(logits.argmax())
        return draw(self.probabilities(logits), u)

    def probabilities(self, logits: Logits) -> Probabilities:
        """The distribution (V,) that a token is drawn from; the temperature must not be 0."""
        scaled = logits.astype(np.float64)
        scaled -= scaled.max()
        with np.errstate(over="ignore"):  # a tiny temperature takes all but the likeliest to -inf, which is right
            scaled /= self.temperature
        if self.top_k is not None and self.top_k < len(scaled):
            scaled[scaled < np.partition(scaled, -self.top_k)[-self.top_k]] = -np.inf
        probabilities: Probabilities = softmax(scaled).astype(np.float64, copy=False)
        if self.top_p is not None and self.top_p < 1:
            probabilities = nucleus(probabilities, self.top_p)
        return probabilities


def finite(logits: Logits) -> Logits:
    """The logits themselves. ValueError if one of them is NaN or infinite."""
    if not math.isfinite(logits.max()):  # NaN is the maximum of whatever it is among
        raise ValueError("the logits are not finite numbers: the model's parameters must be damaged")
    return logits


def nucleus(probabilities: Probabilities, top_p: float) -> Probabilities:
    """The fewest likeliest tokens that have probability `top_p` together, scaled to sum 1; the others become 0."""
    # All tokens below (1 - p) / V together have less than 1 - p, so the others suffice: few need to be sorted.
    candidates = np.flatnonzero(probabilities >= (1 - top_p) / len(probabilities))
    likeliest_first = candidates[np.argsort(-probabilities[candidates], kind="stable")]
    before = np.cumsum(probabilities[likeliest_first]) - probabilities[likeliest_first]
    kept = likeliest_first[before < top_p]
    result = np.zeros_like(probabilities)
    result[kept] = probabilities[kept] / probabilities[kept].sum()
    return result


def draw(probabilities: Probabilities, u: float) -> int:
    """The index at which the cumulative distribution passes `u`, a number from [0, 1)."""
    cumulative = np.cumsum(probabilities)
    last = np.searchsorted(cumulative, cumulative[-1])  # the last token with a probability, should the product round up
    return int(min(np.searchsorted(cumulative, u * cumulative[-1], side="right"), last))


def _check_number(name: str, value: object) -> None:
    if isinstance(value, bool) or not isinstance(value, Real):
        raise TypeError(f"{name} must be a number, got {value!r}")
