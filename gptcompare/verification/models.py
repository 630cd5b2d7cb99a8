"""Whose records a model is compared with: found by its name or, for a folder, by its configuration."""

from __future__ import annotations

import os
from collections.abc import Iterable
from contextlib import suppress

from ..checks import did_you_mean, one_text, some
from ..config import GPTConfig
from ..presets import canonical_name, presets, published

# Models with records that are no presets -> their repository, and the preset whose configuration they have.
OTHERS = {"DialoGPT-medium": ("microsoft/DialoGPT-medium", "gpt2-medium")}


def model_named(name: str, recorded: Iterable[str]) -> str:
    """Return the name of a model as the records have it, given in upper or lower case, or an alias of a preset.

    Raises
    ------
    TypeError, ValueError
        If there are no records of it; the message gives the nearest names.
    """
    spellings = {one.lower(): one for one in recorded}
    given = one_text("the name of the recorded model", name).lower()
    with suppress(ValueError):
        given = canonical_name(given).lower()
    if given not in spellings:
        hint = did_you_mean(name, spellings.values())
        known = some(spellings.values(), most=5)
        raise ValueError(f"there are no recorded outputs of {name!r}: {hint}there are some of {known}")
    return spellings[given]


def model_of_name(name: str, recorded: Iterable[str]) -> str | None:
    """Return the recorded model that a name or a repository stands for; None if it is a repository of someone else.

    Raises
    ------
    ValueError
        If it is the name of a model of which there are no records.
    """
    base = name.partition("@")[0]
    if "/" not in base:
        return model_named(base, recorded)
    repositories = {published(preset).repository: preset for preset in presets()}
    repositories |= {repository: other for other, (repository, _) in OTHERS.items()}
    found = {repository.lower(): model for repository, model in repositories.items() if repository}.get(base.lower())
    return None if found is None else model_named(found, recorded)


def model_of_config(config: GPTConfig, recorded: Iterable[str]) -> str:
    """Return the only recorded model that has a configuration.

    Raises
    ------
    ValueError
        If there is none, or more than one: then the name must be given.
    """
    found = [name for name in dict.fromkeys(recorded) if _config_of(name) == config]
    if len(found) == 1:
        return found[0]
    if found:
        raise ValueError(f"this model has the configuration of {' and of '.join(found)}: say whose records it is to be "
                         f"compared with (--as {found[0]}, or name={found[0]!r})")  # fmt: skip
    raise ValueError(
        "no model of this configuration has recorded outputs: say whose it is to be compared with "
        f"(--as gpt2, or name='gpt2'); there are some of {some(dict.fromkeys(recorded), most=5)}"
    )


def _config_of(name: str) -> GPTConfig | None:
    preset = OTHERS[name][1] if name in OTHERS else name
    return GPTConfig.preset(preset) if preset in presets() else None


def is_folder(model: str) -> bool:
    """Tell a folder from a name, as `load` does: the models in the package take precedence over folders."""
    with suppress(ValueError):
        if published(model).embedded:
            return False
    return os.path.isdir(model)
