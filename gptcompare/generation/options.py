"""What may be said about a text that is to be written: one list, for `generate`, `compare` and the command line."""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from ..checks import did_you_mean, integer
from .sampling import Sampling, option

Function = TypeVar("Function", bound=Callable[..., Any])


@dataclass(frozen=True)
class GenerationOptions(Sampling):
    """How tokens are chosen, how many at most, and what ends a text: checked, immutable, and plain values.

    Parameters
    ----------
    temperature, top_k, top_p, min_p, repetition_penalty
        As of `Sampling`.
    max_new_tokens : int
        So many tokens at most.
    seed : int, optional
        Of the random numbers; without one, every call draws others.
    stop : str, or a sequence of them
        The text ends where it would contain one of them. None is the same as none of them.

    Raises
    ------
    TypeError, ValueError
        For a value of the wrong kind or out of range; the message names the option.
    """

    max_new_tokens: int = option(40, "N", "stop after N tokens (default: 40)")
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
        """The options of these names. TypeError that names the nearest for one that does not exist."""
        names = [field.name for field in dataclasses.fields(cls)]
        if unknown := [name for name in options if name not in names]:
            hint = did_you_mean(unknown[0], names)
            raise TypeError(f"there is no option {unknown[0]!r}: {hint}there are {', '.join(names)}")
        return cls(**options)

    def to_dict(self) -> dict[str, Any]:
        """Name -> value, as plain values that JSON can hold."""
        return {**dataclasses.asdict(self), "stop": list(self.stop)}


def _stop_strings(stop: str | Sequence[str] | None) -> tuple[str, ...]:
    stops = (stop,) if isinstance(stop, str) else tuple(() if stop is None else stop)
    if not all(isinstance(text, str) for text in stops):
        raise TypeError(f"stop must be a string or several, got {stop!r}")
    if "" in stops:
        raise ValueError("a stop string must not be empty: it would stop everything")
    return tuple(map(str, stops))  # also of NumPy's strings


def takes_generation_options(function: Function) -> Function:
    """Show the fields of `GenerationOptions` in the place of `**options`: in help(), in editors and on the API page."""
    signature = inspect.signature(function)
    own = [one for one in signature.parameters.values() if one.kind is not inspect.Parameter.VAR_KEYWORD]
    fields = [
        inspect.Parameter(field.name, inspect.Parameter.KEYWORD_ONLY, default=field.default, annotation=field.type)
        for field in dataclasses.fields(GenerationOptions)
    ]
    function.__signature__ = signature.replace(parameters=[*own, *fields])  # type: ignore[attr-defined]
    return function
