"""Free answers to questions, and how they are compared with the right ones."""

from __future__ import annotations

import re
import string
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, overload

from ..checks import each_text, instance, integer, one_text
from ..generation import LanguageModel
from ..tokenizer import AllowedSpecial
from ..tokenizer.vocabulary import BYTE_TO_CHAR
from .beam import WIDTH, beam_search
from .templates import QUESTION, Example, Query, Template, checked_examples, several

NEWLINE = BYTE_TO_CHAR[ord("\n")]


@overload
def answer(lm: LanguageModel, question: Query, examples: Sequence[Example] = ..., **options: Any) -> str: ...
@overload
def answer(
    lm: LanguageModel, question: Iterable[Query], examples: Sequence[Example] = ..., **options: Any
) -> list[str]: ...
def answer(  # type: ignore[misc]  # the overloads leave the names of the options to this signature
    lm: LanguageModel,
    question: Query | Iterable[Query],
    examples: Sequence[Example] = (),
    *,
    template: Template = QUESTION,
    max_new_tokens: int = 40,
    beams: int = WIDTH,
    allowed_special: AllowedSpecial = (),
) -> str | list[str]:
    """Answer a question, or each of several, with what the model writes up to the end of the line.

    Parameters
    ----------
    lm : LanguageModel
    question : str, or dict of the template's fields, or a list of them
    examples : sequence of (question, answer)
        No example is zero-shot, one is one-shot, more are few-shot.
    template : Template
    max_new_tokens : int
        At least 1.
    beams : int
        Width of the beam search; the default is the width in GPT-3's paper, with its length penalty. 1 is the greedy
        answer, in a quarter of the time.
    allowed_special
        As for `LanguageModel.generate`.

    Returns
    -------
    str, or a list of them for a list of questions
        Without white space at its ends; it may be empty.

    Raises
    ------
    TypeError, ValueError
        If a text is missing or not a str, or the prompt is longer than the model's context.

    References
    ----------
    Brown et al. 2020 (arXiv:2005.14165), section 2.4.
    """
    lm = instance("lm", lm, LanguageModel).allowing(allowed_special)
    instance("template", template, Template)
    shown = checked_examples(examples)
    prompts = [template.prompt(one, shown) for one in several("question", question)]
    max_new_tokens, beams = integer("max_new_tokens", max_new_tokens, at_least=1), integer("beams", beams, at_least=1)
    if beams == 1:
        written = [one.text for one in lm.generate(prompts, max_new_tokens=max_new_tokens, stop="\n")]
    else:
        ends = _ends(lm)
        found = (beam_search(lm, prompt, ends, width=beams, max_new_tokens=max_new_tokens) for prompt in prompts)
        written = [_text_of(lm, beam.ids) for beam in found]
    answers = [text.strip() for text in written]
    return answers[0] if isinstance(question, (str, Mapping)) else answers


def _text_of(lm: LanguageModel, ids: Sequence[int]) -> str:
    decoder = lm.tokenizer.stream_decoder()
    return "".join(map(decoder.push, ids)) + decoder.finish()


def _ends(lm: LanguageModel) -> list[int]:
    """Return the tokens of the model that end a line or a text."""
    ends = [id_ for token, id_ in lm.tokenizer.vocabulary.ids.items() if NEWLINE in token] + sorted(lm.end_ids)
    return [id_ for id_ in ends if 0 <= id_ < lm.config.n_vocab]


def exact_match(answer: str, right: str | Iterable[str]) -> bool:
    """Tell whether an answer is one of the right ones after both are normalised.

    Parameters
    ----------
    answer : str
    right : str, or a list of them

    References
    ----------
    Rajpurkar et al. 2016 (arXiv:1606.05250); SQuAD's evaluate-v2.0.py.

    Examples
    --------
    >>> exact_match("The Danube.", ["Danube", "Donau"])
    True
    """
    one_text("answer", answer)
    return any(normalised(answer) == normalised(one) for one in _all_right(right))


def f1(answer: str, right: str | Iterable[str]) -> float:
    """Compare the words of an answer with those of each right one, and return the best F1, from 0 to 1.

    F1 is the harmonic mean of precision (the fraction of the answer's words that are right) and recall (the fraction of
    the right words that the answer has). If one of the two has no words, F1 is 1 if the other has none either, else 0.

    Parameters
    ----------
    answer : str
    right : str, or a list of them

    References
    ----------
    As for `exact_match`.

    Examples
    --------
    >>> f1("old Mr. Brown", ["Mr. Brown", "Brown"])
    0.8
    """
    one_text("answer", answer)
    return max(_f1(normalised(answer).split(), normalised(one).split()) for one in _all_right(right))


def normalised(text: str) -> str:
    """Lower the case, remove ASCII punctuation and the articles a, an, the, and leave one space between words.

    This is `normalize_answer` of SQuAD's evaluate-v2.0.py, with the same `re`: another has other borders of words.

    >>> normalised("The  Danube, a river.")
    'danube river'
    """
    kept = "".join(character for character in text.lower() if character not in string.punctuation)
    return " ".join(re.sub(r"\b(a|an|the)\b", " ", kept).split())


def _f1(given: list[str], right: list[str]) -> float:
    if not given or not right:
        return float(given == right)
    n_common = sum((Counter(given) & Counter(right)).values())
    return 2 * n_common / (len(given) + len(right))


def _all_right(right: str | Iterable[str]) -> list[str]:
    answers = [right] if isinstance(right, str) else [*each_text("right", right)]
    if not answers:
        raise ValueError("there is no right answer to compare with")
    return answers
