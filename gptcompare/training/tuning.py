"""Tuning a model to write answers: of a prompt and its answer, only the answer's tokens count.

A classifier is a model that writes a text's label. This is GPT-1's way of use (Radford et al. 2018, section 3.2) with
the model's own output matrix in the place of a new one: what was tuned is asked as a prompt asks (`uses.classify`), so
that both ways of use can be compared with nothing else between them.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from ..arrays import Float64, Ids
from ..backward.gradients import check_ignore
from ..checks import brief, each_text, elements, instance, integer, some
from ..generation import LanguageModel
from ..model import GPT
from ..model.changes import check_trainable
from ..uses import CLASSIFICATION, Classification, Query, Template, classify
from ..uses.likelihood import checked_pair, request
from ..uses.templates import several
from .loop import train
from .metrics import Metrics
from .recipe import Recipe

IGNORE = -100  # the mark of PyTorch's cross entropy


def completion_rows(lm: LanguageModel, pairs: Sequence[tuple[str, str]], *, ignore: int = IGNORE) -> tuple[Ids, Ids]:
    """Encode prompts with their completions as whole sequences in which only the completions count, for `train`.

        ids, targets = completion_rows(lm, [("The dog began to", " bark"), ...])
        train(lm.model, ids, Recipe(..., context=ids.shape[1]), targets=targets, ignore=-100)

    A pair is encoded as `uses.log_likelihoods` reads it, its beginning is left out if it is longer than the model's
    context, and shorter ones are padded at the end, which no token before it sees. A completion that should end the
    text has its end in it: a line end at which writing stops, or the end-of-text token of an `lm.allowing("all")`.

    Parameters
    ----------
    lm : LanguageModel
    pairs : sequence of (prompt, completion)
        Such as ("The dog began to", " bark").
    ignore : int
        The mark of targets that do not count, which is no token.

    Returns
    -------
    ids, targets : (n_pairs, T) intp
        T is the length of the longest pair.

    Raises
    ------
    TypeError, ValueError
        If there are no pairs, the mark is a token, a text is not a str, or a completion has no token of its own
        (`uses.encode_pair`) or more tokens than the model's context.
    """
    instance("lm", lm, LanguageModel)
    integer("ignore", ignore)
    check_ignore(ignore)
    if 0 <= ignore < lm.config.n_vocab:
        raise ValueError(f"ignore {ignore} is a token of the vocabulary, and could be one of an answer: take -100")
    requests = [request(lm, *checked_pair(n, pair)) for n, pair in enumerate(elements("pairs", pairs))]
    if not requests:
        raise ValueError("there are no pairs: give at least one prompt and its completion")
    ids = np.zeros((len(requests), max(len(one.read) for one in requests)), np.intp)
    targets = np.full_like(ids, ignore)
    for row, of_row, one in zip(ids, targets, requests, strict=True):
        end = len(one.read)
        row[:end] = one.read
        of_row[end - len(one.continuation) : end] = one.continuation
    return ids, targets


@dataclass(frozen=True)
class TunedClassifier:
    """A language model that was tuned to write a text's label.

    Attributes
    ----------
    lm : LanguageModel
        The tuned model.
    classes : tuple of str
        The labels, in alphabetical order: the columns of `probabilities`.
    template : Template
        How a text is put to it.
    metrics : list of Metrics
        What was measured in each step of the tuning.
    """

    lm: LanguageModel
    classes: tuple[str, ...]
    template: Template
    metrics: list[Metrics]

    def __repr__(self) -> str:
        return brief(self, f"{some(self.classes)}, after {len(self.metrics)} steps, loss {self.metrics[-1].loss:.3f}")

    def classify(self, texts: Query | Iterable[Query]) -> Classification:
        """Give each text its label, as `uses.classify` does without dividing by what it says of no text."""
        return classify(self.lm, texts, self.classes, template=self.template, normalisation="sum")

    def predict(self, texts: Query | Iterable[Query]) -> list[str]:
        """Return the most probable label of each text."""
        return self.classify(texts).labels

    def probabilities(self, texts: Query | Iterable[Query]) -> Float64:
        """Return how probable each label is for each text, (n_texts, n_classes); each row sums to 1."""
        return self.classify(texts).probabilities


def tune_classifier(
    lm: LanguageModel,
    texts: Iterable[Query],
    labels: Iterable[str],
    recipe: Recipe,
    *,
    template: Template = CLASSIFICATION,
) -> TunedClassifier:
    """Tune a copy of a model to write the label of a text after it.

    Only the label's tokens count. The same arguments give the same classifier.

    Parameters
    ----------
    lm : LanguageModel
        It is not changed.
    texts : list of str, or of dict of the template's fields
    labels : list of str
        One for each text, at least two different ones.
    recipe : Recipe
        Its context is not used: a sequence is as long as the longest text with its label.
    template : Template
        How a text is put to the model.

    Returns
    -------
    TunedClassifier

    Raises
    ------
    TypeError, ValueError
        If a text or label is not a str, their numbers differ, there is only one label, the tokens of one label begin
        those of another, or the model is a changed one.
    DivergedError
        As `train`.

    References
    ----------
    Radford et al. 2018, "Improving language understanding by generative pre-training", section 3.2.
    """
    check_trainable(instance("lm", lm, LanguageModel).model, "tuned")
    instance("recipe", recipe, Recipe)
    instance("template", template, Template)
    queries, answers = several("texts", texts), list(each_text("labels", labels))
    classes = _classes(lm, template, len(queries), answers)
    pairs = [(template.prompt(query), template.answered(label)) for query, label in zip(queries, answers, strict=True)]
    ids, targets = completion_rows(lm, pairs)
    model = GPT(lm.config, {name: value.copy() for name, value in lm.model.parameters().items()}, dtype=lm.model.dtype)
    fitting = dataclasses.replace(recipe, context=ids.shape[1])
    metrics = train(model, ids, fitting, targets=targets, ignore=IGNORE)
    tuned = LanguageModel(model, lm.tokenizer, lm.end_ids, lm.allowed_special)
    return TunedClassifier(tuned, classes, template, metrics)


def _classes(lm: LanguageModel, template: Template, n_texts: int, labels: Sequence[str]) -> tuple[str, ...]:
    """Return the different labels, checked.

    One that begins another would be at least as probable after any text, so it could not be told from it.
    """
    if len(labels) != n_texts:
        raise ValueError(f"there are {n_texts} texts and {len(labels)} labels: give one for each")
    classes = tuple(sorted(set(labels)))
    if len(classes) < 2:
        raise ValueError(f"there must be at least two different labels, got {list(classes)}")
    written = {label: lm.encode(template.answered(label)) for label in classes}
    for one in classes:
        for other in classes:
            if one != other and written[other][: len(written[one])] == written[one]:
                raise ValueError(f"the label {one!r} is how {other!r} begins: give labels that begin differently")
    return classes
