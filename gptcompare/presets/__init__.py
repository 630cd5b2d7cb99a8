"""The published models as data, each number beside its source: a module per family, and functions that find a model."""

from __future__ import annotations

import sys
from typing import Any

from ..callable_module import CallableModule
from ..checks import did_you_mean
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
    """Return the names that `GPTConfig.preset` knows, the smallest model of each family first, without aliases.

    Returns
    -------
    tuple of str

    Examples
    --------
    >>> presets()[:3]
    ('gpt2', 'gpt2-medium', 'gpt2-large')
    """
    return tuple(MODELS)


def canonical_name(name: str) -> str:
    """Return a model's name as in `presets()`, given that name or an alias of it, in upper or lower case.

    Raises
    ------
    TypeError, ValueError
        If the name is not a string, or unknown; the message gives the nearest names.

    Examples
    --------
    >>> canonical_name("GPT3-125M")
    'gpt3-small'
    """
    if not isinstance(name, str):
        raise TypeError(f"a model's name is a string, got {name!r}")
    spelling = SPELLINGS.get(name.lower())
    if spelling is None:
        hint = did_you_mean(name, SPELLINGS.values())
        lists = "`gptcompare models` lists those that can be loaded, gptcompare.presets() all that are described"
        raise ValueError(f"unknown model {name!r}: {hint}{lists}")
    return ALIASES.get(spelling, spelling)


def hyperparameters(name: str) -> dict[str, Any]:
    """Return the arguments of `GPTConfig` for a published model; those left out have their defaults, which are GPT-2's.

    Raises
    ------
    TypeError, ValueError
        As `canonical_name`.

    Examples
    --------
    >>> hyperparameters("gpt2")
    {'n_layer': 12, 'n_head': 12, 'd_model': 768}
    """
    return dict(published(name).hyperparameters)


def published(name: str) -> Published:
    """Return what is published about a model: its hyperparameters, training and results, each beside its source.

    Raises
    ------
    TypeError, ValueError
        If the name is not a string, or unknown; the message gives the nearest names.

    Examples
    --------
    >>> published("gpt3-xl").name_in_paper
    'GPT-3 XL'
    """
    return MODELS[canonical_name(name)]


sys.modules[__name__].__class__ = CallableModule  # gptcompare.presets() is presets.presets()
