"""From logits to one token: greedy, temperature, top-k, top-p, min-p, and a penalty for repetitions."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..arrays import Array, Float64
from ..checks import integer, number
from .noise import Noise


def option(default: Any, metavar: str, help: str) -> Any:
    """Return a field that is an option of `generate` and of the command line, whose help shows `metavar` and `help`."""
    return field(default=default, metadata={"metavar": metavar, "help": help})


@dataclass(frozen=True)
class Sampling:
    """The way in which a token is chosen.

    Every field is an option of `LanguageModel.generate` and `stream`, of `compare` and of the command line, and appears
    in their JSON.

    Parameters
    ----------
    temperature : float
        0 takes the likeliest token (greedy); otherwise the logits are divided by it before the softmax.
    top_k : int, optional
        Keep only the k likeliest tokens, and those as likely as the k-th (Fan et al. 2018, arXiv:1805.04833).
    top_p : float, optional
        Keep only the fewest likeliest tokens that together have probability p, after temperature and top-k: nucleus
        sampling (Holtzman et al. 2020, arXiv:1904.09751).
    min_p : float, optional
        Keep only the tokens that are at least p times as probable as the likeliest, after the temperature (Nguyen et
        al. 2024, arXiv:2407.01082).
    repetition_penalty : float
        The logit of every token that the model has read or written is divided by it where it is positive, and
        multiplied by it where it is negative, before everything else: above 1, repetitions become less likely (Keskar
        et al. 2019, arXiv:1909.05858, section 4.1, which only divides; this is the rule of Hugging Face transformers).
        It also affects greedy choices.

    Raises
    ------
    TypeError, ValueError
        If a value is of the wrong kind or out of range. At temperature 0, top-k, top-p and min-p have no effect.

    Examples
    --------
    >>> import numpy as np
    >>> Sampling(temperature=1.0, top_k=2).probabilities(np.array([0.0, 1.0, 1.0])).tolist()
    [0.0, 0.5, 0.5]
    """

    temperature: float = option(
        0.0, "T", "0 always takes the likeliest token; 1 draws from the model's own distribution"
    )
    top_k: int | None = option(None, "K", "draw from the K likeliest tokens only")
    top_p: float | None = option(None, "P", "draw from the likeliest tokens with probability P together")
    min_p: float | None = option(None, "P", "draw from the tokens at least P times as probable as the likeliest")
    repetition_penalty: float = option(
        1.0, "R", "above 1, tokens that the model has read or written become less likely; 1 is no penalty"
    )

    def __post_init__(self) -> None:
        temperature = self._normalise("temperature", number)
        if not 0 <= temperature < math.inf:
            raise ValueError(f"temperature must be 0 (greedy) or a positive finite number, got {self.temperature}")
        if self.top_k is not None:
            object.__setattr__(self, "top_k", integer("top_k", self.top_k, at_least=1))
        for name, value in (("top_p", self.top_p), ("min_p", self.min_p)):
            if value is not None and not 0 < self._normalise(name, number) <= 1:
                raise ValueError(f"{name} must be above 0 and at most 1, got {value}")
        if not 0 < self._normalise("repetition_penalty", number) < math.inf:
            raise ValueError(f"repetition_penalty must be a positive finite number, got {self.repetition_penalty}")

    def _normalise(self, name: str, kind: Any) -> Any:
        """Check a field, and store it as a Python number."""
        value = kind(name, getattr(self, name))
        object.__setattr__(self, name, value)
        return value

    def choose(self, logits: Array, noise: Noise | None = None, previous: Sequence[int] = ()) -> int:
        """Choose the id of a token from the logits (V,) of one position.

        Parameters
        ----------
        logits : array (V,)
        noise : Noise, optional
            The random numbers. At temperature 0, none are drawn.
        previous : sequence of int
            The ids before that position. Their number is the position whose random numbers are taken.

        Raises
        ------
        ValueError
            If a logit is NaN or plus infinity, all are minus infinity, or there is no noise and the temperature is not
            0. A token whose logit is minus infinity never comes.
        """
        finite(logits)
        if self.temperature == 0:
            return int(self.penalised(logits, previous).argmax())
        if noise is None:
            raise ValueError(f"to choose at temperature {self.temperature}, noise must be given")
        return noise.draw(self.probabilities(logits, previous), len(previous))

    def probabilities(self, logits: Array, previous: Sequence[int] = ()) -> Float64:
        """Return the distribution (V,) that a token is drawn from; the temperature must not be 0."""
        # 1. Repetition penalty and temperature.
        scaled: Float64 = self.penalised(logits, previous).astype(np.float64)
        scaled -= scaled.max()
        with np.errstate(over="ignore"):  # a tiny temperature correctly takes all but the likeliest to -inf
            scaled /= self.temperature
        # 2. Top-k.
        if self.top_k is not None and self.top_k < len(scaled):
            scaled[scaled < np.partition(scaled, -self.top_k)[-self.top_k]] = -np.inf
        probabilities = np.exp(scaled, out=scaled)  # in place: fresh memory for a vocabulary costs more than this
        probabilities /= probabilities.sum()
        # 3. Top-p.
        if self.top_p is not None and self.top_p < 1:
            probabilities = nucleus(probabilities, self.top_p)
        # 4. Min-p.
        if self.min_p is not None:
            probabilities = np.where(probabilities >= self.min_p * probabilities.max(), probabilities, 0)
            probabilities /= probabilities.sum()
        return probabilities

    def penalised(self, logits: Array, previous: Sequence[int]) -> Array:
        """Return the logits (V,) with the penalty for the ids before them, copied if there is a penalty."""
        if self.repetition_penalty == 1:
            return logits
        penalised: Array = logits.copy()
        repeated = np.unique(np.asarray(previous, np.intp))
        seen = logits[repeated].astype(np.float64)
        with np.errstate(over="ignore"):  # a large penalty may take a logit to -inf, which is right
            penalised[repeated] = np.where(seen > 0, seen / self.repetition_penalty, seen * self.repetition_penalty)
        if not math.isfinite(penalised.max()):
            raise ValueError(f"repetition_penalty {self.repetition_penalty} takes the logits beyond the largest number")
        return penalised


def finite(logits: Array) -> Array:
    """Return the logits unchanged; raise ValueError if the largest is no finite number, or one is NaN."""
    if not math.isfinite(logits.max()):  # the maximum is NaN if any logit is
        raise ValueError("the logits are not finite numbers: the model's parameters must be damaged")
    return logits


def nucleus(probabilities: Float64, top_p: float) -> Float64:
    """Keep the fewest likeliest tokens that together have probability `top_p`, scaled to sum 1; set the rest to 0.

    Of equally likely ones, those of lower ids stay.

    >>> import numpy as np
    >>> nucleus(np.array([0.5, 0.125, 0.375]), 0.8).tolist()
    [0.5714285714285714, 0.0, 0.42857142857142855]
    """
    # Tokens below (1 - p) / V together have less than 1 - p, so the others are enough, and only those few are sorted.
    candidates = np.flatnonzero(probabilities >= (1 - top_p) / len(probabilities))
    likeliest_first = candidates[np.argsort(-probabilities[candidates], kind="stable")]
    before = np.cumsum(probabilities[likeliest_first]) - probabilities[likeliest_first]
    kept = likeliest_first[before < top_p]
    result = np.zeros_like(probabilities)
    result[kept] = probabilities[kept] / probabilities[kept].sum()
    return result
