"""Who takes the sides of a comparison: models, each loaded once, changed, and with options of its own if need be.

A side is given as a model, as a pair of a model and its options, or as a string that says both:
`nano-gpt2@temperature=0.5`, or `nano-gpt2@without=1.2`, which leaves out head 2 of layer 1.
"""

from __future__ import annotations

import os
import re
import secrets
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any, TypeAlias

from ..checks import did_you_mean, shown
from ..generation import GenerationOptions, LanguageModel, Sampling, load
from ..inspection import without_heads
from ..presets import EMBEDDED_PAIR

Given: TypeAlias = "str | os.PathLike[str] | LanguageModel"
Entry: TypeAlias = "Given | tuple[Given, Mapping[str, Any]] | Writer"
Models: TypeAlias = "Sequence[Entry] | Mapping[str, Entry]"

SEED, WITHOUT = "seed", "without"
OWN_OPTIONS = (*(option.name for option in fields(Sampling)), SEED, WITHOUT)
KINDS = {option.name: option.type for option in fields(GenerationOptions)}
WHAT_IS_A_SIDE = "a name, a folder, a LanguageModel, or a pair of one of these and a dict of its options"


@dataclass(frozen=True)
class Writer:
    """A model that takes a side.

    Attributes
    ----------
    lm : LanguageModel
    options : dict of name -> value
        The options that it has for itself: some fields of `Sampling`, and the seed.
    """

    lm: LanguageModel
    options: dict[str, Any] = field(default_factory=dict)


def options_of_all(
    options: GenerationOptions, writers: Iterable[Writer]
) -> tuple[GenerationOptions, list[GenerationOptions]]:
    """Return the options of a comparison, and those of each side, which differ from them where it has its own.

    If a side draws tokens and neither it nor the comparison has a seed, the comparison gets one, for all such sides.
    """
    own = [replace(options, **writer.options) for writer in writers]
    if any(of_side.temperature != 0 and of_side.seed is None for of_side in own):
        options = replace(options, seed=secrets.randbelow(2**32))
    return options, [replace(options, **writer.options) for writer in writers]


def load_models(models: Models, **how: Any) -> dict[str, LanguageModel]:
    """Return name -> model of all sides, as `load_sides` does, for a text that is read.

    Raises
    ------
    ValueError
        If a side has options of its own, which have no meaning where nothing is written.
    """
    sides = load_sides(models, **how)
    for name, side in sides.items():
        if side.options:
            raise ValueError(
                f"{name} has {', '.join(side.options)} of its own: that is for a prompt that is continued, and a text "
                f"is only read; give the model alone, or {WITHOUT}=LAYER.HEAD"
            )
    return {name: side.lm for name, side in sides.items()}


def load_sides(models: Models, **how: Any) -> dict[str, Writer]:
    """Return name -> side, loading each name or folder once; a model given without a name is named by its number.

    `how` are further arguments of `gptcompare.load`, for all that are loaded.

    Raises
    ------
    TypeError, ValueError
        If a side is none of those that `gptcompare.compare` takes, or an option is unknown or wrong; also what
        `gptcompare.load` raises.
    """
    if isinstance(models, (str, os.PathLike, LanguageModel)) or not isinstance(models, (Sequence, Mapping)):
        raise TypeError(f"models must be a list of models, such as {EMBEDDED_PAIR}, got {models!r}")
    if isinstance(models, Mapping):
        sides = [_Side.of(entry, f"models[{name!r}]", f"model {name}", str(name)) for name, entry in models.items()]
    else:
        sides = [_Side.of(entry, f"models[{n}]", f"model {n + 1}") for n, entry in enumerate(models)]
    if not sides:
        raise ValueError("models is empty: give at least one")
    loaded: dict[str, LanguageModel] = {}
    writers: dict[str, Writer] = {}
    for side in sides:
        if isinstance(side.model, str):
            lm = loaded.get(side.model) or load(side.model, **how)
            loaded[side.model] = lm
        else:
            lm = side.model
        writers[free_name(side.name, writers)] = Writer(_without(lm, side.heads, side.name), side.options)
    return writers


def free_name(name: str, taken: Mapping[str, object]) -> str:
    """Return the name, followed by a number if the name is taken."""
    names = [name, *(f"{name} ({n})" for n in range(2, len(taken) + 2))]
    return next(free for free in names if free not in taken)


@dataclass(frozen=True)
class _Side:
    """A side as it was given, checked as far as it can be before its model is loaded."""

    name: str
    model: str | LanguageModel
    options: dict[str, Any]
    heads: list[tuple[int, int]]  # layer and head of those that are left out

    @classmethod
    def of(cls, entry: Any, place: str, of_a_model: str, name: str | None = None) -> _Side:
        """Check what was given at a place; without a name, it is called as it was written, or `of_a_model`."""
        given, own = entry, {}
        if isinstance(entry, Writer):
            given, own = entry.lm, entry.options
        elif isinstance(entry, tuple) and len(entry) == 2 and isinstance(entry[1], Mapping):
            given, own = entry[0], dict(entry[1])
        model, written = _model_of(given)
        if model is None:
            raise TypeError(f"{place} must be {WHAT_IS_A_SIDE}, got {shown(entry)}")
        its_name = model.name or of_a_model if isinstance(model, LanguageModel) else os.fspath(given)
        name = name or "@".join([its_name, *(f"{option}={value}" for option, value in own.items())])
        options = _own_options(name, written, own)
        return cls(name, model, options, _heads(name, options.pop(WITHOUT, None)))


def _model_of(given: Any) -> tuple[LanguageModel | str | None, dict[str, str]]:
    """Return a model, or the name or folder of one, and the options written behind it; None for anything else."""
    if isinstance(given, str):
        return _split(given)
    if isinstance(given, os.PathLike):
        return os.fspath(given), {}
    return given if isinstance(given, LanguageModel) else None, {}


def _split(given: str) -> tuple[str, dict[str, str]]:
    """Split NAME@option=value@... into the name, which may end in @revision, and the options."""
    if os.path.exists(given):  # a folder of this name
        return given, {}
    model, *parts = given.split("@")
    first = next((n for n, part in enumerate(parts) if "=" in part), len(parts))
    options: dict[str, str] = {}
    for part in parts[first:]:
        option, equals, value = part.partition("=")
        option = option.strip().replace("-", "_")
        if not equals or option in options:
            why = "is there twice" if equals else "has no value"
            raise ValueError(f"{given!r}: {option!r} {why}; a side is written NAME@option=value@option=value")
        options[option] = value
    if options and not model:
        raise ValueError(f"{given!r} has no model: a side is written NAME@option=value")
    return "@".join([model, *parts[:first]]), options


def _own_options(name: str, written: Mapping[str, str], own: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options of a side, checked: those written in its name, and those given beside it."""
    for option in (*written, *own):
        if option not in OWN_OPTIONS:
            raise ValueError(
                f"{name}: a side has no option {option!r} of its own: {did_you_mean(str(option), OWN_OPTIONS)}"
                f"there are {', '.join(OWN_OPTIONS)}"
            )
        if option in written and option in own:
            raise ValueError(f"{name}: {option} is given twice, in the name and beside it")
    options = {option: _number(name, option, value) for option, value in written.items()} | dict(own)
    try:
        checked = GenerationOptions(**{option: value for option, value in options.items() if option != WITHOUT})
    except (TypeError, ValueError) as error:
        raise type(error)(f"{name}: {error}") from None
    options |= {option: getattr(checked, option) for option in options if option != WITHOUT}
    return {option: value for option, value in options.items() if (option, value) != (SEED, None)}


def _number(name: str, option: str, value: str) -> Any:
    """Return the number that is written in a side's name; the heads that are left out stay text."""
    if option == WITHOUT:
        return value
    kind = {"int": int, "float": float}[str(KINDS[option]).removesuffix(" | None")]
    try:
        return kind(value)
    except ValueError:
        what = "an integer" if kind is int else "a number"
        raise ValueError(f"{name}: {option} must be {what}, got {shown(value)}") from None


def _heads(name: str, written: object) -> list[tuple[int, int]]:
    """Return the layer and the number of each head in LAYER.HEAD+LAYER.HEAD..."""
    if written is None:
        return []
    parts = written.split("+") if isinstance(written, str) else [""]
    if not all(re.fullmatch("[0-9]{1,6}[.][0-9]{1,6}", part) for part in parts):
        raise ValueError(
            f"{name}: {WITHOUT} must be LAYER.HEAD, counted from 0, or several with + between them, such as 1.2+1.3, "
            f"got {shown(written)}"
        )
    return [(int(layer), int(head)) for layer, head in (part.split(".") for part in parts)]


def _without(lm: LanguageModel, heads: list[tuple[int, int]], name: str) -> LanguageModel:
    """Return the model with these heads left out."""
    n_layer, n_head = lm.config.n_layer, lm.config.n_head
    for layer, head in heads:
        if layer >= n_layer or head >= n_head:
            there = f"the layers are 0 ... {n_layer - 1}, the heads of each 0 ... {n_head - 1}"
            raise ValueError(f"{name}: there is no head {layer}.{head}: {there}")
    layers = sorted({layer for layer, _ in heads})
    changes = {
        f"blocks.{layer}.attn.hook_z": without_heads(sorted({head for of, head in heads if of == layer}))
        for layer in layers
    }
    return lm.changed(changes) if changes else lm
