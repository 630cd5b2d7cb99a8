"""One text read by several models: how probable each finds it, and how far their predictions agree along the way."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..arrays import Array, Float64
from ..checks import brief, shown, together
from ..generation import GenerationOptions, LanguageModel, Sampling
from ..generation.noise import Noise
from ..generation.scoring import Alternatives, Measures, perplexity

ALTERNATIVES = 10  # that are recorded for each token
ROWS = 32  # positions whose distributions are compared together: some megabytes for GPT-2's vocabulary


@dataclass(frozen=True)
class Reading:
    """The probability that each of several models gives the tokens of one text, after the context it read first.

    Attributes
    ----------
    text : str
    n_bytes : tuple of int
        For each model, the number of UTF-8 bytes of text that its tokens stand for.
    tokens : tuple of list of bytes
        For each model, the bytes of each of its tokens; the same for all models that share a vocabulary.
    logprobs : tuple of list of float
        For each model, the log-probability of each of its tokens, in nats.
    divergence : list of float, optional
        At each token, the Jensen-Shannon divergence of the models' distributions in bits: 0 where they are the same,
        log2 of their number where they have nothing in common (Lin 1991, equation 5.1, with equal weights). None for a
        single model, and if the models do not share a vocabulary.
    same_top : list of bool, optional
        At each token, True if all models' likeliest token is the same. None if the divergence is.
    overlap : list of float, optional
        At each token, the sum over the vocabulary of the smallest probability with which any of the models would draw
        that token, each with its own options (a greedy one with certainty): the probability that all draw the same one,
        if chance favours it as much as possible. For two models it is 1 less their total variation distance. None if
        the divergence is, or if no model draws its tokens.
    same_choice : list of bool, optional
        At each token, True if all models would draw the same one with the noise of that position. None if the overlap
        is.
    choices : tuple of list of int, optional
        For each model, the token that it would choose itself at each place, with its own options and the noise of that
        position; its likeliest where nothing is written. None if the divergence is.
    alternatives : tuple of Alternatives, optional
        For each model, what could have come instead of each of its tokens.
    """

    text: str
    n_bytes: tuple[int, ...]
    tokens: tuple[list[bytes], ...]
    logprobs: tuple[list[float], ...]
    divergence: list[float] | None = None
    same_top: list[bool] | None = None
    overlap: list[float] | None = None
    same_choice: list[bool] | None = None
    choices: tuple[list[int], ...] | None = None
    alternatives: tuple[Alternatives, ...] | None = None

    def __repr__(self) -> str:
        measured = ["nothing" if value is None else f"{value:.2f}" for value in self.perplexity]
        return brief(self, f"{shown(self.text, 60)} by {len(measured)} models, perplexity {together(measured)}")

    @property
    def perplexity(self) -> tuple[float | None, ...]:
        """For each model, exp of the mean negative log-probability; None without tokens, infinite beyond a float."""
        return tuple(perplexity(logprobs) if logprobs else None for logprobs in self.logprobs)

    @property
    def bits_per_byte(self) -> tuple[float | None, ...]:
        """For each model, the negative base-2 log-probability per byte; comparable across vocabularies."""
        return tuple(
            -sum(logprobs) / math.log(2) / n_bytes if n_bytes else None
            for logprobs, n_bytes in zip(self.logprobs, self.n_bytes, strict=True)
        )

    def to_dict(self) -> dict[str, Any]:
        """Return plain values that JSON can hold; U+FFFD stands for part of a character, None for infinity."""
        return {
            "text": self.text,
            "n_bytes": list(self.n_bytes),
            "tokens": [[token.decode(errors="replace") for token in tokens] for tokens in self.tokens],
            "logprobs": [list(logprobs) for logprobs in self.logprobs],
            "perplexity": [value if value is None or math.isfinite(value) else None for value in self.perplexity],
            "bits_per_byte": list(self.bits_per_byte),
            "divergence": self.divergence,
            "same_top": self.same_top,
            "overlap": self.overlap,
            "same_choice": self.same_choice,
            "choices": None if self.choices is None else [list(of_model) for of_model in self.choices],
            "alternatives": None if self.alternatives is None else [of.to_dict() for of in self.alternatives],
        }


def share_vocabulary(models: Sequence[LanguageModel]) -> bool:
    """Return whether every id is the same token in all models."""
    return all(lm.tokenizer.vocabulary == models[0].tokenizer.vocabulary for lm in models[1:])


def read(
    models: Sequence[LanguageModel],
    text: str,
    contexts: Sequence[Sequence[int]],
    ids: Sequence[Sequence[int]],
    options: Sequence[GenerationOptions] | None = None,
    alternatives: int = ALTERNATIVES,
) -> Reading:
    """Let each model read its ids of a text after its context, which has at least one id.

    Parameters
    ----------
    models : sequence of LanguageModel
    text : str
    contexts, ids : sequence of sequence of int
        One for each model; if all share a vocabulary, they must be equal.
    options : sequence of GenerationOptions, optional
        For each model, those with which it writes: it is also compared which token each would choose.
    alternatives : int
        How many tokens that could have come instead to record.
    """
    measures = [Measures(of_model, alternatives) for of_model in ids]
    shared = len(models) > 1 and share_vocabulary(models)
    agreement = _Agreement([*contexts[0]], ids[0], options)
    # 1. The logits of each model, computed as they are read.
    predictions = [
        _rows_after(len(context) - 1, lm.predictions([*context, *wanted]))
        for lm, context, wanted in zip(models, contexts, ids, strict=True)
    ]
    # 2. Models that share a vocabulary are compared position by position; others are read one after the other.
    for several in _in_step(predictions) if shared else _one_after_the_other(predictions):
        for n, logits in several.items():
            measures[n].add(logits)
        if shared:
            agreement.add([*several.values()])
    # 3. The bytes that each model's tokens stand for.
    tokens = tuple([lm.tokenizer.decode_bytes([id_]) for id_ in wanted] for lm, wanted in zip(models, ids, strict=True))
    n_bytes = tuple(sum(map(len, of_model)) for of_model in tokens)
    found = [of_one.alternatives(lm.tokenizer) for lm, of_one in zip(models, measures, strict=True)]
    return Reading(
        text, n_bytes, tokens, tuple(of_one.logprobs for of_one in measures), **(agreement.found() if shared else {}),
        alternatives=tuple(one for one in found if one is not None) or None,
    )  # fmt: skip


class _Agreement:
    """How far models that share a vocabulary agree, from one position of a text to the next."""

    def __init__(self, context: list[int], ids: Sequence[int], options: Sequence[GenerationOptions] | None) -> None:
        self._context, self._ids, self._options = context, ids, options
        self._noises = [Noise(of_model.seed) for of_model in options or ()]
        self._divergence: list[float] = []
        self._same_top: list[bool] = []
        self._overlap: list[float] = []
        self._choices: list[tuple[int, ...]] = []

    def add(self, logits: Sequence[Array]) -> None:
        """Add positions, with the logits (n, V) of each model."""
        self._divergence += jensen_shannon(logits).tolist()
        likeliest = np.array([of_model.argmax(axis=-1) for of_model in logits])  # (models, n)
        self._same_top += (likeliest == likeliest[0]).all(axis=0).tolist()
        if self._options is None:
            self._choices += [tuple(at) for at in likeliest.T.tolist()]
            return
        for rows in zip(*logits, strict=True):
            before = [*self._context, *self._ids[: len(self._overlap)]]
            overlap, chosen = chosen_by_all(rows, self._options, self._noises, before)
            self._overlap.append(overlap)
            self._choices.append(chosen)

    def found(self) -> dict[str, Any]:
        """Return the fields of the reading."""
        found: dict[str, Any] = {"divergence": self._divergence, "same_top": self._same_top}
        if self._choices:
            found["choices"] = tuple(list(of_model) for of_model in zip(*self._choices, strict=True))
        if any(of_model.temperature != 0 for of_model in self._options or ()):
            found["overlap"] = self._overlap
            found["same_choice"] = [len({*at}) == 1 for at in self._choices]
        return found


def chosen_by_all(
    logits: Sequence[Array], samplings: Sequence[Sampling], noises: Sequence[Noise], previous: Sequence[int]
) -> tuple[float, tuple[int, ...]]:
    """Return the largest probability with which several models can choose the same token, and what each chooses.

    The logits (V,) of each model, with its own sampling and noise, are those after the ids `previous`; the sizes V may
    differ.

    >>> even, sure = np.array([0.0, 0.0]), np.array([0.0, -np.inf])
    >>> chosen_by_all([even, sure], [Sampling(1.0)] * 2, [Noise(1)] * 2, [])
    (0.5, (0, 0))
    """
    probabilities = [
        probabilities_of(sampling, of_model, previous) for sampling, of_model in zip(samplings, logits, strict=True)
    ]
    n_vocab = min(map(len, probabilities))
    overlap = np.minimum.reduce([of_model[:n_vocab] for of_model in probabilities]).sum()
    chosen = [
        noise.draw(of_model, len(previous)) if sampling.temperature != 0 else int(of_model.argmax())
        for sampling, noise, of_model in zip(samplings, noises, probabilities, strict=True)
    ]
    return float(overlap), tuple(chosen)


def probabilities_of(sampling: Sampling, logits: Array, previous: Sequence[int]) -> Float64:
    """Return the probability with which each token is chosen, (V,): a greedy choice is certain."""
    if sampling.temperature != 0:
        return sampling.probabilities(logits, previous)
    certain = np.zeros(len(logits))
    certain[sampling.choose(logits, None, previous)] = 1
    return certain


def jensen_shannon(logits: Sequence[Array]) -> Array:
    """Return the divergence of several distributions at each of n positions, in bits: each (n, V) -> (n,).

    The sizes V may differ. The entropy of the mean distribution less the mean of the entropies is computed as the mean
    of the divergences from the mean distribution.

    >>> import numpy as np
    >>> jensen_shannon([np.array([[9.0, -np.inf]]), np.array([[-np.inf, 9.0]])])
    array([1.])
    """
    n_vocab = max(of_model.shape[-1] for of_model in logits)
    p = np.zeros((len(logits), len(logits[0]), n_vocab))
    for row, of_model in zip(p, logits, strict=True):
        exponentials = np.exp(of_model.astype(np.float64) - of_model.max(axis=-1, keepdims=True))
        row[:, : of_model.shape[-1]] = exponentials / exponentials.sum(axis=-1, keepdims=True)
    mean = p.sum(axis=0) / len(p)
    with np.errstate(divide="ignore", invalid="ignore"):  # where p is 0, its part is 0
        parts = np.where(p > 0, p * np.log2(p / mean), 0)
    divergence: Array = np.maximum(parts.sum(axis=-1).mean(axis=0), 0)
    return divergence


def _rows_after(skipped: int, chunks: Iterator[Array]) -> Iterator[Array]:
    """Yield the rows of all chunks after the first `skipped` rows, a few at a time."""
    for chunk in chunks:
        rows = chunk[skipped:]
        skipped = max(skipped - len(chunk), 0)
        for start in range(0, len(rows), ROWS):
            yield rows[start : start + ROWS]


def _in_step(predictions: Sequence[Iterator[Array]]) -> Iterator[dict[int, Array]]:
    """Yield the rows of all models together, cut at the same positions."""
    waiting = [next(rows, None) for rows in predictions]
    while all(rows is not None for rows in waiting):
        n = min(len(rows) for rows in waiting if rows is not None)
        yield {number: rows[:n] for number, rows in enumerate(waiting) if rows is not None}
        waiting = [
            rows[n:] if rows is not None and len(rows) > n else next(more, None)
            for rows, more in zip(waiting, predictions, strict=True)
        ]


def _one_after_the_other(predictions: Sequence[Iterator[Array]]) -> Iterator[dict[int, Array]]:
    """Yield the rows of one model after those of another."""
    for number, of_model in enumerate(predictions):
        for rows in of_model:
            yield {number: rows}


def predictions_in_step(
    models: Sequence[LanguageModel], contexts: Sequence[Sequence[int]], ids: Sequence[Sequence[int]]
) -> Iterator[list[Array]]:
    """Yield the logits (n, V) of each model for a few ids of a text, the same ids for all, until all ids are read."""
    predictions = [
        _rows_after(len(context) - 1, lm.predictions([*context, *wanted]))
        for lm, context, wanted in zip(models, contexts, ids, strict=True)
    ]
    for several in _in_step(predictions):
        yield [*several.values()]
