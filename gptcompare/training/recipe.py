"""A training run as a table of numbers, and the learning rate that follows from it."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, fields
from typing import Any

from ..checks import integer, number, one_text, shown
from ..presets import published

OPTIMIZERS = ("adamw", "muon")


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """The numbers of a training run; the defaults are GPT-3's (Brown et al. 2020, Appendix B).

    Parameters
    ----------
    n_steps : int
        Number of updates of the parameters.
    batch : int
        Sequences per step.
    context : int
        Tokens per sequence.
    learning_rate : float
        The peak learning rate; Table 2.1's for the smallest model if not given.
    final_learning_rate : float
        The last learning rate, as a fraction of the peak.
    warmup_steps : int
        Number of steps over which the learning rate rises.
    optimizer : str
        "adamw", as for GPT-3, or "muon", which orthogonalises the steps of the blocks' matrices (`Muon`) and leaves the
        rest to AdamW. Its steps are scaled so that the same learning rate serves both.
    betas, eps, weight_decay : float
        AdamW's constants; only matrices decay, those of Muon, too.
    gradient_clip : float
        Largest norm of the whole gradient; 0 for no clipping.
    accumulation : int
        Number of parts in which a batch is computed, each on one core, to save memory; divides `batch`.
    dropout : float
        Probability of dropout, in GPT-2's three places.
    seed : int
        Seed of the order of the data and of dropout.

    Raises
    ------
    TypeError, ValueError
        If a number is of the wrong kind or makes no sense.
    """

    n_steps: int
    batch: int = 8
    context: int = 512
    learning_rate: float = 6.0e-4
    final_learning_rate: float = 0.1
    warmup_steps: int = 100
    optimizer: str = "adamw"
    betas: tuple[float, float] = (0.9, 0.95)
    eps: float = 1e-8
    weight_decay: float = 0.1
    gradient_clip: float = 1.0
    accumulation: int = 1
    dropout: float = 0.0
    seed: int = 0

    def __post_init__(self) -> None:
        if not isinstance(self.betas, Iterable) or len(betas := tuple(self.betas)) != 2:
            raise ValueError(f"betas must be two numbers, got {shown(self.betas)}")
        for name, least in {
            "n_steps": 1,
            "batch": 1,
            "context": 1,
            "warmup_steps": 0,
            "accumulation": 1,
            "seed": 0,
        }.items():
            object.__setattr__(self, name, integer(name, getattr(self, name), at_least=least))
        for name in ("learning_rate", "final_learning_rate", "eps", "weight_decay", "gradient_clip", "dropout"):
            self._check_number(name, getattr(self, name))
            object.__setattr__(self, name, float(getattr(self, name)))
        if self.eps == 0:
            raise ValueError("eps must be above 0: AdamW divides by it where a gradient has always been 0")
        object.__setattr__(self, "optimizer", one_text("optimizer", self.optimizer))
        if self.optimizer not in OPTIMIZERS:
            raise ValueError(f"optimizer must be one of {', '.join(OPTIMIZERS)}, got {shown(self.optimizer)}")
        for beta in (*betas, self.dropout):
            self._check_number("betas and dropout", beta)
            if beta >= 1:
                raise ValueError(f"betas and dropout must be below 1, got {beta}")
        object.__setattr__(self, "betas", tuple(map(float, betas)))
        if self.batch % self.accumulation:
            raise ValueError(f"accumulation {self.accumulation} does not divide the batch of {self.batch} sequences")

    @staticmethod
    def _check_number(name: str, value: object) -> None:
        if not 0 <= number(name, value) < math.inf:
            raise ValueError(f"{name} must be finite and not negative, got {value}")

    @classmethod
    def preset(cls, name: str, **numbers: Any) -> Recipe:
        """Return the published numbers of a model's training, replaced by the given numbers where there are any.

        Its steps, batch and context are not taken over: they suit a supercomputer. All were trained with Adam; Muon, if
        asked for, takes their learning rate and weight decay.

        >>> Recipe.preset("gpt3-175b", n_steps=1000).learning_rate
        6e-05

        Raises
        ------
        TypeError, ValueError
            If the name is unknown, or a number does not belong to a recipe or makes no sense.
        """
        known = {field.name for field in fields(cls)}
        if unknown := sorted(set(numbers) - known):
            raise TypeError(f"a recipe has no {', '.join(unknown)}: it has {', '.join(sorted(known))}")
        training = published(name).training
        theirs = {
            "learning_rate": training.learning_rate,
            "final_learning_rate": training.final_learning_rate,
            "betas": training.adam_betas,
            "eps": training.adam_eps,
            "weight_decay": training.weight_decay,
            "gradient_clip": training.gradient_clip,
        }
        return cls(**{**{key: value for key, value in theirs.items() if value is not None}, **numbers})

    @property
    def tokens_per_step(self) -> int:
        """The number of tokens in a batch."""
        return self.batch * self.context

    def learning_rate_at(self, step: int) -> float:
        """Return the learning rate of a step, counted from 0: a line up to the peak, half a cosine down to the last."""
        peak, last = self.learning_rate, self.learning_rate * self.final_learning_rate
        if step < self.warmup_steps:
            return peak * (step + 1) / self.warmup_steps
        top = max(self.warmup_steps - 1, 0)  # the step with the peak learning rate
        progress = min((step - top) / max(self.n_steps - 1 - top, 1), 1.0)
        height = 0.5 * (1 + math.cos(math.pi * progress))
        return last * (1 - height) + peak * height
