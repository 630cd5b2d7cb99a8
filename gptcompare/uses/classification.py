"""Classification of texts by a prompt, without training.

Labels are treated like the answers of a multiple choice, under names that mean something (Brown et al. 2020,
section 2.4). Often it is not the text that decides: the label wins that is the more frequent word, or that most of the
examples or the last one has. So by default a label's probability is divided by its probability for a text without
content ("content_free", Zhao et al. 2021, arXiv:2102.09690). Unlike division by the probability after "Answer: ", this
removes the influence of the examples, too, and for labels of any length.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from ..arrays import Float64
from ..checks import brief, each_text, instance, one_text, some
from ..generation import LanguageModel
from ..tokenizer import AllowedSpecial
from .multiple_choice import Questionnaire, probabilities, rate
from .templates import CLASSIFICATION, SENTIMENT, SENTIMENT_WORDS, Example, Query, Template, checked_examples, several


@dataclass(frozen=True)
class Classification:
    """The labels of some texts.

    Attributes
    ----------
    labels : list of str
        The most probable label of each text.
    probabilities : (n_texts, n_classes) float64
        Each row sums to 1.
    classes : tuple of str
        The labels to choose from: the columns of `probabilities`.
    prompts : list of str
        What the model read for each text.
    """

    labels: list[str]
    probabilities: Float64
    classes: tuple[str, ...]
    prompts: list[str]

    def __repr__(self) -> str:
        return brief(self, f"{some(self.labels)} for {len(self.labels)} texts, out of {some(self.classes)}")


def classify(
    lm: LanguageModel,
    texts: Query | Iterable[Query],
    labels: Iterable[str] | Mapping[str, str],
    examples: Sequence[Example] = (),
    *,
    template: Template = CLASSIFICATION,
    normalisation: str = "content_free",
    allowed_special: AllowedSpecial = (),
) -> Classification:
    """Give each text one of several labels.

    If a prompt is longer than the model's context, its beginning is not read.

    Parameters
    ----------
    lm : LanguageModel
    texts : str, or a list of them
        Or, for a template of several fields, a dict of field -> str, or a list of those.
    labels : list of str, or dict of label -> words
        At least two. The words stand for the label in the prompt; without them the label itself does.
    examples : sequence of (text, label)
        No example is zero-shot, one is one-shot, more are few-shot.
    template : Template
    normalisation : str
        One of `multiple_choice.NORMALISATIONS`.
    allowed_special
        As for `LanguageModel.generate`.

    Returns
    -------
    Classification

    Raises
    ------
    TypeError, ValueError
        If a text is not a str, an example has a label that is not in `labels`, or there are fewer than two different
        labels.
    """
    queries, words = several("texts", texts), _words(labels)
    lm = instance("lm", lm, LanguageModel).allowing(allowed_special)
    questionnaire = Questionnaire(lm, template, _shown(examples, words), tuple(words.values()))
    each = probabilities(rate(questionnaire, queries, normalisation))
    classes = tuple(words)
    best = [classes[column] for column in each.argmax(axis=-1)]
    return Classification(best, each, classes, questionnaire.prompts(queries))


def sentiment(
    lm: LanguageModel,
    texts: str | Iterable[str],
    examples: Sequence[Example] = (),
    *,
    labels: Iterable[str] | Mapping[str, str] = SENTIMENT_WORDS,
    template: Template = SENTIMENT,
    normalisation: str = "content_free",
    allowed_special: AllowedSpecial = (),
) -> Classification:
    """Label each text positive or negative: `classify` with labels and a template for sentiment.

    Parameters
    ----------
    lm : LanguageModel
    texts : str, or a list of them
    examples : sequence of (text, label), optional
        `SENTIMENT_EXAMPLES` holds four.
    labels : dict of label -> words, or list of str
        Other words, or other labels.
    template, normalisation, allowed_special
        As `classify` takes them.

    Returns
    -------
    Classification

    Raises
    ------
    TypeError, ValueError
        As `classify`.
    """
    return classify(
        lm, texts, labels, examples, template=template, normalisation=normalisation, allowed_special=allowed_special
    )


def classification_prompts(
    texts: Query | Iterable[Query],
    labels: Iterable[str] | Mapping[str, str],
    examples: Sequence[Example] = (),
    template: Template = CLASSIFICATION,
) -> list[str]:
    """Return what the model reads for each text when `classify` is called with these arguments.

    Parameters
    ----------
    texts, labels, examples, template
        As `classify` takes them.

    Returns
    -------
    list of str

    Raises
    ------
    TypeError, ValueError
        As `classify`.

    Examples
    --------
    >>> (prompt,) = classification_prompts("The hens slept.", ["animals", "weather"], [("It rained.", "weather")])
    >>> print(prompt)
    Text: It rained.
    Label: weather
    <BLANKLINE>
    Text: The hens slept.
    Label:
    """
    instance("template", template, Template)
    shown = _shown(examples, _words(labels))
    return [template.prompt(text, shown) for text in several("texts", texts)]


def _words(labels: Iterable[str] | Mapping[str, str]) -> dict[str, str]:
    """Return label -> the words that stand for it in the prompt."""
    if isinstance(labels, Mapping):
        return {one_text("a label", label): one_text(f"labels[{label!r}]", words) for label, words in labels.items()}
    several = list(each_text("labels", labels))
    words = {label: label for label in several}
    if len(words) < len(several):
        raise ValueError(f"labels must be different, got {several}")
    return words


def _shown(examples: Sequence[Example], words: Mapping[str, str]) -> list[Example]:
    """Return the examples with the words instead of their labels."""
    several = checked_examples(examples)
    if unknown := [label for _, label in several if not isinstance(label, str) or label not in words]:
        raise ValueError(f"an example has the label {unknown[0]!r}: the labels are {', '.join(words)}")
    return [(text, words[label]) for text, label in several]
