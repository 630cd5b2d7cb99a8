"""The main job: several models, one prompt or one text, and what can truthfully be said about the difference."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, overload

from ..checks import each_text, integer
from ..generation.options import GenerationOptions, takes_generation_options
from ..presets import EMBEDDED_PAIR
from ..tokenizer import AllowedSpecial
from .reading import ALTERNATIVES, read
from .result import Comparison, TextComparison
from .stream import ComparisonStream
from .writers import Models, load_models, load_sides


@overload
def compare(prompt: str, models: Models = ..., **options: Any) -> Comparison: ...
@overload
def compare(prompt: Iterable[str], models: Models = ..., **options: Any) -> list[Comparison]: ...
@takes_generation_options
def compare(
    prompt: str | Iterable[str],
    models: Models = EMBEDDED_PAIR,
    *,
    allowed_special: AllowedSpecial = (),
    alternatives: int = ALTERNATIVES,
    **options: Any,
) -> Comparison | list[Comparison]:
    """Let several models continue a prompt, or each of several prompts, and compare what they write.

    The noise with which tokens are drawn is the same for all models, token by token (`gptcompare.generation.noise`), so
    that they draw the same token nearly as often as their distributions allow. The readings say how often.

    Parameters
    ----------
    prompt : str, or a list of them
        Each prompt is compared as it would be by itself.
    models : sequence of sides, or dict of name -> side
        At least one; the pair in the package if not given. A side is the name or folder of a model, a LanguageModel
        (also a changed one: `LanguageModel.changed`), or a pair of one of these and a dict of options that only this
        side has: the fields of `Sampling`, and the seed. A string can say both, "nano-gpt2@temperature=0.5@top_k=40",
        and leave heads out, "nano-gpt2@without=1.2+1.3": heads 2 and 3 of layer 1. Each name is loaded once.
    alternatives : int
        How many tokens that could have come instead to record for each token and model (`Reading.alternatives`).
    allowed_special, temperature, top_k, top_p, min_p, repetition_penalty, max_new_tokens, seed, stop
        As for `LanguageModel.generate`. If tokens are drawn at random and no seed is given, one is chosen and recorded
        in the result's options.

    Returns
    -------
    Comparison, or a list of them for a list of prompts

    Raises
    ------
    TypeError, ValueError, FileNotFoundError
        As for `gptcompare.load` and `LanguageModel.generate`.

    Examples
    --------
    >>> import gptcompare as gc
    >>> [side.text for side in gc.compare("Once upon a time", max_new_tokens=3).sides]
    [', a little', ' there was a']
    >>> comparison = gc.compare("Once upon a time", ["nano-gpt2", "nano-gpt2@without=0.3"], max_new_tokens=3)
    >>> [side.text for side in comparison.sides]
    [', a little', ' there was a']
    """
    checked = GenerationOptions.of(**options)
    sides = load_sides(models)
    if not isinstance(prompt, str):
        same = {"allowed_special": allowed_special, "alternatives": alternatives, **options}
        return [compare(one, sides, **same) for one in each_text("prompt", prompt)]
    stream = ComparisonStream(prompt, sides, checked, allowed_special, alternatives)
    for _ in stream:
        pass
    return stream.comparison()


@overload
def compare_text(  # type: ignore[overload-overlap]  # a str is one text, though it can be iterated
    text: str, models: Models = ..., *, allowed_special: AllowedSpecial = ..., alternatives: int = ...
) -> TextComparison: ...
@overload
def compare_text(
    text: Iterable[str], models: Models = ..., *, allowed_special: AllowedSpecial = ..., alternatives: int = ...
) -> list[TextComparison]: ...
def compare_text(
    text: str | Iterable[str],
    models: Models = EMBEDDED_PAIR,
    *,
    allowed_special: AllowedSpecial = (),
    alternatives: int = ALTERNATIVES,
) -> TextComparison | list[TextComparison]:
    """Let several models read a text, or each of several, and compare how probable they find it.

    Before the text, each model reads the token that begins or separates its texts, so that the whole text counts
    whatever the vocabulary. A text longer than a model's context is read as described in `LanguageModel.predictions`.

    Parameters
    ----------
    text : str, or a list of them
    models, allowed_special, alternatives
        As for `compare`, except that no side has options for writing.

    Returns
    -------
    TextComparison, or a list of them for a list of texts

    Raises
    ------
    TypeError, ValueError, FileNotFoundError
        As for `gptcompare.load`; also if the text is empty.

    Examples
    --------
    >>> import gptcompare as gc
    >>> [f"{bits:.2f}" for bits in gc.compare_text("Once upon a time").reading.bits_per_byte]
    ['0.65', '0.65']
    """
    several = {name: lm.allowing(allowed_special) for name, lm in load_models(models).items()}
    if not isinstance(text, str):
        return [compare_text(one, several, alternatives=alternatives) for one in each_text("text", text)]
    if not text:
        raise ValueError("the text is empty: there is nothing to compare")
    lms = list(several.values())
    ids = [lm.encode(text) for lm in lms]
    k = integer("alternatives", alternatives, at_least=0)
    reading = read(lms, text, [lm.prompt_ids("") for lm in lms], ids, alternatives=k)
    return TextComparison(tuple(several), tuple(lm.config for lm in lms), reading, several)
