"""Multiple choice: which of several answers does the model find most probable?

A long answer is less probable than a short one, and a rare word less than a frequent one, whatever the question. So
answers can be compared by more than their plain probability:

    sum             log P(answer | prompt), as it is
    per_token       its mean over the answer's tokens: "for most tasks" of GPT-3's paper
    per_byte        its mean over the answer's bytes: independent of the vocabulary
    unconditional   log P(answer | prompt) - log P(answer | answer_context), where answer_context is "Answer: " or
                    "A: ": the paper's choice for ARC, OpenBookQA and RACE
    content_free    log P(answer | prompt) - log P(answer | prompt without content), both made to sum to 1 over the
                    answers: "contextual calibration"; the latter is the mean over "N/A", "[MASK]" and "" as the query

References: Brown et al. 2020 (arXiv:2005.14165), section 2.4, for the second and the fourth; Zhao et al. 2021
(arXiv:2102.09690) for the last.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from ..arrays import Float64
from ..checks import brief, each_text, instance, shown
from ..generation import LanguageModel
from ..model.ops import log_softmax, softmax
from ..tokenizer import AllowedSpecial
from .likelihood import LogLikelihood, log_likelihoods
from .templates import QUESTION, Example, Query, Template, checked_examples

CONTENT_FREE = ("N/A", "[MASK]", "")


@dataclass(frozen=True)
class Questionnaire:
    """The part of a multiple choice that is the same for every query: template, examples and answers.

    Parameters
    ----------
    lm : LanguageModel
    template : Template
    examples : sequence of (query, answer)
    answers : sequence of str
        As they are written in the text.
    """

    lm: LanguageModel
    template: Template
    examples: Sequence[Example]
    answers: Sequence[str]

    def __post_init__(self) -> None:
        instance("lm", self.lm, LanguageModel)
        instance("template", self.template, Template)

    def prompts(self, queries: Sequence[Query]) -> list[str]:
        return [self.template.prompt(query, self.examples) for query in queries]

    def rated(self, contexts: Sequence[str], by: Callable[[LogLikelihood], float]) -> Float64:
        """Return a number for each answer after each context: (n_contexts, n_answers)."""
        answers = [self.template.answered(answer) for answer in self.answers]
        found = log_likelihoods(self.lm, [(context, answer) for context in contexts for answer in answers])
        return np.array([by(one) for one in found], np.float64).reshape(len(contexts), len(answers))


def _logprob(found: LogLikelihood) -> float:
    return found.logprob


def _sum(questionnaire: Questionnaire, queries: Sequence[Query]) -> Float64:
    return questionnaire.rated(questionnaire.prompts(queries), _logprob)


def _per_token(questionnaire: Questionnaire, queries: Sequence[Query]) -> Float64:
    return questionnaire.rated(questionnaire.prompts(queries), lambda found: found.per_token)


def _per_byte(questionnaire: Questionnaire, queries: Sequence[Query]) -> Float64:
    return questionnaire.rated(questionnaire.prompts(queries), lambda found: found.per_byte)


def _unconditional(questionnaire: Questionnaire, queries: Sequence[Query]) -> Float64:
    template = questionnaire.template
    context = template.answer_context
    if template.answer.startswith(" "):  # the paper's "Answer: " ends with the space that begins the answer here
        context = context.rstrip(" ")
    return _sum(questionnaire, queries) - questionnaire.rated([context], _logprob)


def _content_free(questionnaire: Questionnaire, queries: Sequence[Query]) -> Float64:
    nothing: list[Query] = [dict.fromkeys(questionnaire.template.fields, text) for text in CONTENT_FREE]
    biases = log_softmax(_sum(questionnaire, nothing))  # (n_nothing, n_answers)
    bias = np.logaddexp.reduce(biases, axis=0) - math.log(len(nothing))  # the logarithm of their mean
    ratings: Float64 = log_softmax(_sum(questionnaire, queries)) - bias
    return ratings


NORMALISATIONS: dict[str, Callable[[Questionnaire, Sequence[Query]], Float64]] = {
    "sum": _sum,
    "per_token": _per_token,
    "per_byte": _per_byte,
    "unconditional": _unconditional,
    "content_free": _content_free,
}


def rate(questionnaire: Questionnaire, queries: Sequence[Query], normalisation: str) -> Float64:
    """Rate each answer to each query, (n_queries, n_answers), in nats: only differences within a row matter.

    Raises
    ------
    ValueError
        If there is no normalisation of this name, or fewer than two different answers.
    """
    if not isinstance(normalisation, str) or normalisation not in NORMALISATIONS:
        raise ValueError(f"normalisation must be one of {', '.join(NORMALISATIONS)}, got {normalisation!r}")
    if len(questionnaire.answers) < 2 or len({*questionnaire.answers}) < len(questionnaire.answers):
        raise ValueError(f"there must be at least two answers, all different, got {list(questionnaire.answers)}")
    return NORMALISATIONS[normalisation](questionnaire, queries)


def probabilities(ratings: Float64) -> Float64:
    """Return exp of the ratings (..., n), divided by its sum in each row."""
    return softmax(ratings).astype(np.float64, copy=False)


@dataclass(frozen=True)
class Choice:
    """A model's choice among several answers.

    Attributes
    ----------
    prompt : str
        What the model read.
    choices : tuple of str
    probabilities : (n_choices,) float64
        They sum to 1: exp of the normalised log-probabilities, divided by its sum.
    """

    prompt: str
    choices: tuple[str, ...]
    probabilities: Float64

    def __repr__(self) -> str:
        return brief(self, f"{shown(self.best, 60)} {self.probabilities.max():.3f}, of {len(self.choices)} choices")

    @property
    def index(self) -> int:
        """The index of the best choice."""
        return int(self.probabilities.argmax())

    @property
    def best(self) -> str:
        """The choice that the model finds most probable."""
        return self.choices[self.index]


def choose(
    lm: LanguageModel,
    question: Query,
    choices: Iterable[str],
    examples: Sequence[Example] = (),
    *,
    template: Template = QUESTION,
    normalisation: str = "per_token",
    allowed_special: AllowedSpecial = (),
) -> Choice:
    """Answer a question with one of several choices.

    If a prompt is longer than the model's context, its beginning is not read.

    Parameters
    ----------
    lm : LanguageModel
    question : str, or dict of the template's fields
    choices : list of str
        At least two.
    examples : sequence of (question, answer)
        No example is zero-shot, one is one-shot, more are few-shot.
    template : Template
        With `COMPLETION`, the choices continue the text itself.
    normalisation : str
        One of `NORMALISATIONS`; the default is the one that GPT-3's paper uses for most tasks.
    allowed_special
        As for `LanguageModel.generate`.

    Returns
    -------
    Choice

    Raises
    ------
    TypeError, ValueError
        If a text is missing or not a str, or there are fewer than two different choices.

    References
    ----------
    Brown et al. 2020 (arXiv:2005.14165), section 2.4.
    """
    answers = tuple(each_text("choices", choices))
    shown = checked_examples(examples)
    lm = instance("lm", lm, LanguageModel).allowing(allowed_special)
    questionnaire = Questionnaire(lm, template, shown, answers)
    (ratings,) = rate(questionnaire, [question], normalisation)
    return Choice(template.prompt(question, shown), answers, probabilities(ratings))
