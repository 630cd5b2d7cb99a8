"""Which of several labels a text has: by a prompt, without training.

Labels are treated like the answers of a multiple choice, under names that mean something (Brown et al. 2020,
section 2.4). What decides then is often not the text: the label that is the more frequent word, that more examples
have, or that the last one has, wins. So a label's probability is by default divided by the one that it has where the
text is nothing ("content_free", Zhao et al. 2021, arXiv:2102.09690): unlike the division by the probability behind
"Answer: ", this takes away the examples' part in it, too, and for labels of any length.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ..arrays import Float64
from ..generation import LanguageModel
from .multiple_choice import Questionnaire, probabilities, rate
from .templates import CLASSIFICATION, SENTIMENT, SENTIMENT_WORDS, Example, Query, Template, checked_examples, several


@dataclass(frozen=True)
class Classification:
    """The labels of some texts.

    Attributes
    ----------
    labels : list of str
        Of each text, the most probable one.
    probabilities : (n_texts, n_classes) float64
        Each row has sum 1.
    classes : tuple of str
        The labels that there were to choose from: the columns of `probabilities`.
    prompts : list of str
        What the model read for each text.
    """

    labels: list[str]
    probabilities: Float64
    classes: tuple[str, ...]
    prompts: list[str]


def classify(
    lm: LanguageModel,
    texts: Query | Sequence[Query],
    labels: Sequence[str] | Mapping[str, str],
    examples: Sequence[Example] = (),
    *,
    template: Template = CLASSIFICATION,
    normalisation: str = "content_free",
) -> Classification:
    """Give each text one of several labels.

    Of a prompt that is longer than the model's context, the beginning is not read.

    Parameters
    ----------
    lm : LanguageModel
    texts : str, or a sequence of them
        Or, for a template of several fields, a dict of field -> str, or a sequence of those.
    labels : sequence of str, or dict of label -> words
        At least two. The words are what stands in the prompt; the label itself if not given.
    examples : sequence of (text, label)
        None is zero-shot, one is one-shot, more are few-shot.
    template : Template
    normalisation : str
        One of `multiple_choice.NORMALISATIONS`.

    Returns
    -------
    Classification

    Raises
    ------
    TypeError, ValueError
        If a text is no text, an example has another label, or there are fewer than two different labels.
    """
    queries, words = several(texts), _words(labels)
    questionnaire = Questionnaire(lm, template, _shown(examples, words), tuple(words.values()))
    each = probabilities(rate(questionnaire, queries, normalisation))
    classes = tuple(words)
    best = [classes[column] for column in each.argmax(axis=-1)]
    return Classification(best, each, classes, questionnaire.prompts(queries))


def sentiment(
    lm: LanguageModel,
    texts: str | Sequence[str],
    examples: Sequence[Example] = (),
    *,
    labels: Sequence[str] | Mapping[str, str] = SENTIMENT_WORDS,
    template: Template = SENTIMENT,
    normalisation: str = "content_free",
) -> Classification:
    """Whether each text is positive or negative: `classify` with labels and a template for it.

    Parameters
    ----------
    lm : LanguageModel
    texts : str, or a sequence of them
    examples : sequence of (text, label), optional
        `SENTIMENT_EXAMPLES` are four that are ready.
    labels : dict of label -> words, or sequence of str
        Other words, or other labels.
    template, normalisation
        As `classify` takes them.

    Returns
    -------
    Classification

    Raises
    ------
    TypeError, ValueError
        As `classify`.
    """
    return classify(lm, texts, labels, examples, template=template, normalisation=normalisation)


def classification_prompts(
    texts: Query | Sequence[Query],
    labels: Sequence[str] | Mapping[str, str],
    examples: Sequence[Example] = (),
    template: Template = CLASSIFICATION,
) -> list[str]:
    """What the model reads for each text when `classify` is called with these arguments."""
    shown = _shown(examples, _words(labels))
    return [template.prompt(text, shown) for text in several(texts)]


def _words(labels: Sequence[str] | Mapping[str, str]) -> dict[str, str]:
    """Label -> what stands for it in the text."""
    if isinstance(labels, str) or not isinstance(labels, (Sequence, Mapping)):
        raise TypeError(f"labels must be several, or a dict of label -> words, got {labels!r}")
    words = dict(labels) if isinstance(labels, Mapping) else {label: label for label in labels}
    if len(words) < len(labels):
        raise ValueError(f"labels must be different, got {list(labels)}")
    return words


def _shown(examples: Sequence[Example], words: Mapping[str, str]) -> list[Example]:
    """The examples with the words in place of their labels."""
    if unknown := [label for _, label in checked_examples(examples) if label not in words]:
        raise ValueError(f"an example has the label {unknown[0]!r}: the labels are {', '.join(words)}")
    return [(text, words[label]) for text, label in examples]
