"""The main job: several models, one prompt, and what can truthfully be said about the difference.

`stream.py` lets the models write and reads what they wrote, `result.py` is what comes of it.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias, overload

from ..generation import LanguageModel, load
from ..reading import read
from .result import Comparison, Parting, Side, TextComparison
from .stream import ComparisonStream

__all__ = ["Comparison", "ComparisonStream", "Parting", "Side", "TextComparison", "compare", "compare_text", "named"]

EMBEDDED_PAIR = ("nano-gpt2", "nano-gpt3")
Models: TypeAlias = "Sequence[str | os.PathLike[str] | LanguageModel] | Mapping[str, LanguageModel]"


@overload
def compare(prompt: str, models: Models = ..., **options: Any) -> Comparison: ...
@overload
def compare(prompt: list[str] | tuple[str, ...], models: Models = ..., **options: Any) -> list[Comparison]: ...
def compare(
    prompt: str | list[str] | tuple[str, ...], models: Models = EMBEDDED_PAIR, **options: Any
) -> Comparison | list[Comparison]:
    """Let several models continue a prompt, or each of several prompts, and compare what they write.

    Each of them draws the same random numbers, so that a difference is the models' and not the dice's.

    Parameters
    ----------
    prompt : str, or a list of them
        Each is compared as it would be alone.
    models : sequence of names, folders or LanguageModels; or dict of name -> LanguageModel
        At least one; the pair in the package if not given.
    **options
        As `LanguageModel.generate` takes them: max_new_tokens, temperature, top_k, top_p, seed, stop. If there are dice
        to throw and no seed, one is drawn, and stands in the result's options.

    Returns
    -------
    Comparison, or a list of them for a list of prompts

    Raises
    ------
    TypeError, ValueError, FileNotFoundError
        As `gptcompare.load` and `LanguageModel.generate`.
    """
    lms = named(models)
    if isinstance(prompt, (list, tuple)):
        return [compare(one, lms, **options) for one in prompt]
    stream = ComparisonStream(prompt, lms, **options)
    for _ in stream:
        pass
    return stream.comparison()


def compare_text(text: str, models: Models = EMBEDDED_PAIR) -> TextComparison:
    """Let several models read a text, and compare how probable they find it.

    Every model reads the token that begins or separates its texts in front of it, so that the whole text counts,
    whatever the vocabulary. A text longer than a model's context is read as `LanguageModel.predictions` says.

    Parameters
    ----------
    text : str
    models
        As `compare` takes them.

    Returns
    -------
    TextComparison

    Raises
    ------
    TypeError, ValueError, FileNotFoundError
        As `gptcompare.load`; or if the text is empty.
    """
    several = named(models)
    if not isinstance(text, str):
        raise TypeError(f"text must be a str, got {text!r}")
    if not text:
        raise ValueError("the text is empty: there is nothing to compare")
    lms = list(several.values())
    ids = [lm.tokenizer.encode(text) for lm in lms]
    reading = read(lms, text, [lm.prompt_ids("") for lm in lms], ids)
    return TextComparison(tuple(several), tuple(lm.config for lm in lms), reading)


def named(models: Models) -> dict[str, LanguageModel]:
    """Name -> model, each loaded once; one that is given without a name is called by its number."""
    if isinstance(models, (str, os.PathLike, LanguageModel)) or not isinstance(models, (Sequence, Mapping)):
        raise TypeError(f"models must be several, such as {EMBEDDED_PAIR}, got {models!r}")
    if isinstance(models, Mapping):
        given = dict(models)
        if wrong := [(name, lm) for name, lm in given.items() if not isinstance(lm, LanguageModel)]:
            raise TypeError(f"models must be a dict of name -> LanguageModel, got {wrong[0][0]!r}: {wrong[0][1]!r}")
        given = {str(name): lm for name, lm in given.items()}
    else:
        given = {}
        loaded: dict[str, LanguageModel] = {}
        for number, model in enumerate(models, 1):
            if isinstance(model, LanguageModel):
                given[_free_name(f"model {number}", given)] = model
                continue
            name = os.fspath(model)
            loaded[name] = loaded.get(name) or load(name)
            given[_free_name(name, given)] = loaded[name]
    if not given:
        raise ValueError("models is empty: give at least one")
    return given


def _free_name(name: str, taken: Mapping[str, object]) -> str:
    """The name, with a number behind it if it is taken."""
    names = [name, *(f"{name} ({n})" for n in range(2, len(taken) + 2))]
    return next(free for free in names if free not in taken)
