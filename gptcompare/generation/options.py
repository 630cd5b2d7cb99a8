"""The options for writing a text: one list for `generate`, `compare` and the command line."""

from __future__ import annotations

import dataclasses
import inspect
import secrets
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, TypeVar

from ..checks import did_you_mean, each_text, integer
from .sampling import Sampling, option

Function = TypeVar("Function", bound=Callable[..., Any])


@dataclass(frozen=True)
class GenerationOptions(Sampling):
    """The options for writing a text: how tokens are chosen, how many at most, and what ends the text.

    They are checked, immutable, and plain Python values.

    Parameters
    ----------
    temperature, top_k, top_p, min_p, repetition_penalty
        See `Sampling`.
    max_new_tokens : int
        The most tokens to write.
    seed : int, optional
        Seed of the noise with which tokens are drawn; without one, every call draws different tokens.
    stop : str, or a list of them
        The text ends where it would contain one of these strings. None means no such string.

    Raises
    ------
    TypeError, ValueError
        If a value is of the wrong kind or out of range; the message names the option.
    """

    max_new_tokens: int = option(40, "N", "stop after N tokens")
    seed: int | None = option(None, "N", "the same seed gives the same text")
    stop: tuple[str, ...] = option((), "TEXT", "end before TEXT; may be repeated")

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "max_new_tokens", integer("max_new_tokens", self.max_new_tokens, at_least=0))
        if self.seed is not None:
            object.__setattr__(self, "seed", integer("seed", self.seed, at_least=0))
        object.__setattr__(self, "stop", _stop_strings(self.stop))

    @classmethod
    def of(cls, **options: Any) -> GenerationOptions:
        """Return options given by name; for an unknown name, raise a TypeError that suggests the closest one."""
        names = [field.name for field in dataclasses.fields(cls)]
        if unknown := [name for name in options if name not in names]:
            hint = did_you_mean(unknown[0], names)
            raise TypeError(f"there is no option {unknown[0]!r}: {hint}the options are {', '.join(names)}")
        return cls(**options)

    def seeded(self) -> GenerationOptions:
        """Return the same options with a seed, chosen at random if tokens are drawn and there is none.

        >>> GenerationOptions(temperature=0.8, seed=1).seeded().seed, GenerationOptions().seeded().seed
        (1, None)
        """
        if self.temperature == 0 or self.seed is not None:
            return self
        return dataclasses.replace(self, seed=secrets.randbelow(2**32))

    def to_dict(self) -> dict[str, Any]:
        """Return name -> value, as plain values that JSON can hold."""
        return {**dataclasses.asdict(self), "stop": list(self.stop)}


def _stop_strings(stop: str | Iterable[str] | None) -> tuple[str, ...]:
    stops = tuple(each_text("stop", () if stop is None else (stop,) if isinstance(stop, str) else stop))
    if "" in stops:
        raise ValueError("a stop string must not be empty: it would stop everything")
    return stops


def takes_generation_options(function: Function) -> Function:
    """Show the fields of `GenerationOptions` instead of `**options` in help(), in editors and in the API pages."""
    signature = inspect.signature(function)
    own = [one for one in signature.parameters.values() if one.kind is not inspect.Parameter.VAR_KEYWORD]
    fields = [
        inspect.Parameter(field.name, inspect.Parameter.KEYWORD_ONLY, default=field.default, annotation=field.type)
        for field in dataclasses.fields(GenerationOptions)
    ]
    function.__signature__ = signature.replace(parameters=[*own, *fields])  # type: ignore[attr-defined]
    return function


# What `gptcompare compare` begins with. The likeliest token every time soon goes round in circles; drawing from all
# tokens leads into the distribution's unreliable tail (Holtzman et al. 2020, arXiv:1904.09751).
# `weights/sampling.py` measures it.
SAMPLED = GenerationOptions(temperature=0.8, top_p=0.9)
