"""The published models as data, each number beside its source: a module per family, and here what finds a model."""

from __future__ import annotations

import difflib
import sys
from typing import Any

from ..callable_module import CallableModule
from . import cerebras_gpt, gpt2, gpt3, gpt_neo, nano, opt
from .record import DataSource, Published, Result, Training

__all__ = [
    "EMBEDDED_PAIR",
    "DataSource",
    "Published",
    "Result",
    "Training",
    "canonical_name",
    "hyperparameters",
    "presets",
    "published",
]

MODELS = gpt2.MODELS | gpt3.MODELS | nano.MODELS | gpt_neo.MODELS | cerebras_gpt.MODELS | opt.MODELS
ALIASES = gpt2.ALIASES | gpt3.ALIASES
EMBEDDED_PAIR = tuple(name for name, model in MODELS.items() if model.embedded)  # their weights are in the package
SPELLINGS = {name.lower(): name for name in (*MODELS, *ALIASES)}


def presets() -> tuple[str, ...]:
    """The names that `GPTConfig.preset` knows, smallest model of each family first; aliases are not repeated."""
    return tuple(MODELS)


def canonical_name(name: str) -> str:
    """A model's name as `presets()` has it, from that name or an alias of it, in upper or lower case.

    Raises
    ------
    TypeError, ValueError
        If the name is not a string, or unknown; the message gives the nearest names.
    """
    if not isinstance(name, str):
        raise TypeError(f"a model's name is a string, got {name!r}")
    spelling = SPELLINGS.get(name.lower())
    if spelling is None:
        near = [SPELLINGS[key] for key in difflib.get_close_matches(name.lower(), SPELLINGS, n=3, cutoff=0.5)]
        hint = f"did you mean {' or '.join(near)}? " if near else ""
        raise ValueError(f"unknown model {name!r}: {hint}known are {', '.join(SPELLINGS.values())}")
    return ALIASES.get(spelling, spelling)


def hyperparameters(name: str) -> dict[str, Any]:
    """The arguments of `GPTConfig` for a published model; what is not named has its default, which is GPT-2's.

    Raises
    ------
    TypeError, ValueError
        As `canonical_name`.
    """
    return dict(published(name).hyperparameters)


def published(name: str) -> Published:
    """What is published about a model: its hyperparameters, training and results, each beside its source.

    Raises
    ------
    TypeError, ValueError
        If the name is not a string, or unknown; the message gives the nearest names.
    """
    return MODELS[canonical_name(name)]


sys.modules[__name__].__class__ = CallableModule  # gptcompare.presets() is presets.presets()
