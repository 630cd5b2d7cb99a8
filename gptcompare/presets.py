"""The published models as data, each number beside its source."""

from __future__ import annotations

import difflib
from typing import Any

# Radford et al. 2019, "Language Models are Unsupervised Multitask Learners", Table 2 (layers, width) and section 2.3
# (context 1024, vocabulary 50,257). The heads, which the paper does not print, are those of the published hparams.json
# files. The paper's own names (117M, 345M, 762M, 1542M) miscount: github.com/openai/gpt-2, README.md.
GPT2 = {
    "gpt2": {"n_layer": 12, "n_head": 12, "d_model": 768},
    "gpt2-medium": {"n_layer": 24, "n_head": 16, "d_model": 1024},
    "gpt2-large": {"n_layer": 36, "n_head": 20, "d_model": 1280},
    "gpt2-xl": {"n_layer": 48, "n_head": 25, "d_model": 1600},
    # Sanh et al. 2019 distilled GPT-2's smallest model into half its layers: config.json of distilbert/distilgpt2.
    "distilgpt2": {"n_layer": 6, "n_head": 12, "d_model": 768},
}

# OpenAI's own folder names: github.com/openai/gpt-2, DEVELOPERS.md.
ALIASES = {"124M": "gpt2", "355M": "gpt2-medium", "774M": "gpt2-large", "1558M": "gpt2-xl"}


def presets() -> tuple[str, ...]:
    """The names that `GPTConfig.preset` knows, smallest model of each family first; aliases are not repeated."""
    return tuple(GPT2)


def canonical_name(name: str) -> str:
    """A model's name as `presets()` has it, from that name or an alias of it.

    Raises
    ------
    ValueError
        If the name is unknown; the message gives the nearest names.
    """
    name = ALIASES.get(name, name)
    if name not in GPT2:
        near = difflib.get_close_matches(name, [*GPT2, *ALIASES], n=3, cutoff=0.5)
        hint = f"did you mean {' or '.join(near)}? " if near else ""
        raise ValueError(f"unknown model {name!r}: {hint}known are {', '.join([*GPT2, *ALIASES])}")
    return name


def hyperparameters(name: str) -> dict[str, Any]:
    """The arguments of `GPTConfig` for a published model; what is not named has its default, which is GPT-2's."""
    return dict(GPT2[canonical_name(name)])
