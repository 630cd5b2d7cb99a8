"""Protocols score the items of a task: from a model and some items to a row of numbers for each.

A row holds what was measured for one item, as plain values that JSON can hold. The metrics of a task are computed from
its rows and nothing else, so rows can be kept on disk, or come from other machines.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, is_dataclass
from typing import Any, ClassVar, TypeAlias

import numpy as np

from ...generation import LanguageModel
from ...generation.scoring import exponential, windows
from ...presets.record import ACCURACY, BITS_PER_BYTE, HARNESS_PERPLEXITY, PER_CHARACTER, PER_TOKEN, PERPLEXITY
from ...uses.answers import answer
from ...uses.likelihood import LogLikelihood, log_likelihoods, log_likelihoods_of_ids
from ...uses.templates import COMPLETION
from ..metrics import Metric, Ratio, Rights, Units
from .items import Document, Item

Row: TypeAlias = dict[str, Any]

TOKEN_PERPLEXITY = "perplexity (per token)"


class Protocol(ABC):
    """One way of scoring items.

    Attributes
    ----------
    kept_as : str
        The name by which kept rows are known, with the protocol's fields if it is a dataclass. It stays when a class is
        renamed, and is another one for another way of scoring. A class that gives none is known by its own name.
    """

    kept_as: ClassVar[str]

    def __init_subclass__(cls) -> None:
        if "kept_as" not in vars(cls):
            cls.kept_as = cls.__qualname__

    def described(self) -> dict[str, Any]:
        """Return what identifies the protocol: its name and its fields."""
        fields: dict[str, Any] = asdict(self) if is_dataclass(self) else {}
        return {"protocol": self.kept_as, **fields}

    @abstractmethod
    def rows(self, lm: LanguageModel, items: Sequence[Any]) -> list[Row]:
        """Score some items, and return a row for each."""

    @abstractmethod
    def units(self, rows: Sequence[Row]) -> list[Units]:
        """Return what each metric aggregates, from the rows of all items."""

    def metrics(self, rows: Sequence[Row], seed: int) -> list[Metric]:
        """Aggregate the rows of all items; the seed is for the bootstrap."""
        return [units.metric(seed) for units in self.units(rows)]


def protocol_described(described: dict[str, Any], name: str) -> Protocol:
    """Return the protocol of which `Protocol.described` said this; `name` says where it stands.

    Raises
    ------
    ValueError
        If it is none of those in this module.
    """
    known: dict[str, Callable[..., Protocol]] = {one.kept_as: one for one in (Choosing, LastWord, Writing, EveryToken)}
    fields = {
        field: tuple(value) if isinstance(value, list) else value
        for field, value in described.items()
        if field != "protocol"
    }
    try:
        return known[described["protocol"]](**fields)
    except (KeyError, TypeError):
        raise ValueError(
            f"{name}: gptcompare does not have the protocol that scored this evaluation: {described}"
        ) from None


def scored(protocol: Protocol, lm: LanguageModel, items: Sequence[Any]) -> list[Row]:
    """Score some items; if the model cannot read one of them, the ValueError names its place in the task's file."""
    try:
        return protocol.rows(lm, items)
    except ValueError:
        for item in items:
            try:
                protocol.rows(lm, [item])
            except ValueError as error:
                place = getattr(item, "place", "")  # a window of a text has none
                raise ValueError(f"{place}: {error}" if place else str(error)) from None
        raise


@dataclass(frozen=True)
class Choosing(Protocol):
    """A multiple choice: the model's answer is the one with the highest probability.

    Parameters
    ----------
    normalised : bool
        True if the answers differ in length, so that probabilities per token and per character can lead to another
        choice: there is then an accuracy for each.

    References
    ----------
    Brown et al. 2020 (arXiv:2005.14165), section 2.4, for the comparison per token; EleutherAI's
    lm-evaluation-harness 0.4.13 for the other two, its acc and acc_norm.
    """

    kept_as = "choosing"

    normalised: bool

    def rows(self, lm: LanguageModel, items: Sequence[Item]) -> list[Row]:
        found = iter(log_likelihoods(lm, [pair for item in items for pair in item.pairs]))
        return [self._row(item, [next(found) for _ in item.pairs]) for item in items]

    def _row(self, item: Item, found: Sequence[LogLikelihood]) -> Row:
        return {
            "right": item.right,
            "logprobs": [one.logprob for one in found],
            "n_tokens": [one.n_tokens for one in found],
            # without the leading space, as the harness counts
            "n_characters": [len(continuation.removeprefix(" ")) for _, continuation in item.pairs],
            "n_cut": max(one.n_cut for one in found),
        }

    def units(self, rows: Sequence[Row]) -> list[Units]:
        wanted = {ACCURACY: "", PER_TOKEN: "n_tokens", PER_CHARACTER: "n_characters"}
        return [
            Rights(name, tuple(_is_right(row, lengths) for row in rows))
            for name, lengths in wanted.items()
            if self.normalised or not lengths
        ]


def _is_right(row: Row, lengths: str) -> bool:
    """Tell whether the right answer has the highest log-probability, divided by the named length if there is one."""
    ratings = np.array(row["logprobs"]) / (np.maximum(row[lengths], 1) if lengths else 1)
    return bool(ratings.argmax() == row["right"])


@dataclass(frozen=True)
class LastWord(Protocol):
    """The last word of each text is predicted: it is right if each of its tokens is the likeliest one.

    The perplexity is per word, not per token.

    References
    ----------
    EleutherAI's lm-evaluation-harness 0.4.13, lambada_openai.
    """

    kept_as = "last word"

    def rows(self, lm: LanguageModel, items: Sequence[Item]) -> list[Row]:
        found = log_likelihoods(lm, [(item.context, item.answer) for item in items])
        return [asdict(one) for one in found]

    def units(self, rows: Sequence[Row]) -> list[Units]:
        losses = np.array([-row["logprob"] for row in rows])
        return [
            Rights(ACCURACY, tuple(row["is_greedy"] for row in rows)),
            Ratio(HARNESS_PERPLEXITY, losses, np.ones(len(rows)), exponential),
        ]


@dataclass(frozen=True)
class Writing(Protocol):
    """The model writes up to the end of the line, and is right if that is the answer.

    Parameters
    ----------
    beams : int
        Width of the beam search; 1 is greedy.
    max_new_tokens : int

    References
    ----------
    Brown et al. 2020 (arXiv:2005.14165), section 2.4: beam search with a width of 4 and a length penalty of 0.6.
    """

    kept_as = "writing"

    beams: int
    max_new_tokens: int = 16

    def rows(self, lm: LanguageModel, items: Sequence[Item]) -> list[Row]:
        contexts = [item.context for item in items]
        written = answer(lm, contexts, template=COMPLETION, max_new_tokens=self.max_new_tokens, beams=self.beams)
        return [{"answer": one, "right": item.answer.strip()} for one, item in zip(written, items, strict=True)]

    def units(self, rows: Sequence[Row]) -> list[Units]:
        return [Rights(ACCURACY, tuple(row["answer"] == row["right"] for row in rows))]


@dataclass(frozen=True)
class Window:
    """A part of a document that the model reads at once, as ids: a context, and the tokens predicted after it."""

    document: int  # its number
    context: tuple[int, ...]
    predicted: tuple[int, ...]


@dataclass(frozen=True)
class EveryToken(Protocol):
    """Every token of some documents is predicted, in windows of the context's length.

    Parameters
    ----------
    n_bytes : tuple of int
        The number of bytes of each document as it is published.
    n_words : tuple of int, optional
        The number of words of each; if given, there is also a perplexity per word.

    References
    ----------
    Radford et al. 2019, section 3.1: the log-probability of a data set divided by the number of its units, whatever the
    model's tokens are. EleutherAI's lm-evaluation-harness 0.4.13, wikitext, with a stride of the context's length.
    """

    kept_as = "every token"

    n_bytes: tuple[int, ...]
    n_words: tuple[int, ...] | None = None

    def rows(self, lm: LanguageModel, items: Sequence[Window]) -> list[Row]:
        found = log_likelihoods_of_ids(lm, [(item.context, item.predicted) for item in items])
        return [
            {"document": item.document, "logprob": one.logprob, "n_tokens": one.n_tokens, "n_bytes": one.n_bytes}
            for item, one in zip(items, found, strict=True)
        ]

    def units(self, rows: Sequence[Row]) -> list[Units]:
        losses, n_tokens, n_bytes, n_words = np.array([*self._parts(rows)]).T
        units: list[Units] = [
            Ratio(TOKEN_PERPLEXITY, losses, n_tokens, exponential),
            Ratio(BITS_PER_BYTE, losses, n_bytes, lambda loss: loss / math.log(2)),
        ]
        return units if self.n_words is None else [Ratio(PERPLEXITY, losses, n_words, exponential), *units]

    def _parts(self, rows: Sequence[Row]) -> Iterator[tuple[float, float, float, float]]:
        """Yield loss, tokens, bytes and words of each bootstrap unit: a document, or a window of the only one."""
        of_document: dict[int, list[Row]] = {}
        for row in rows:
            of_document.setdefault(row["document"], []).append(row)
        for document, windows_of_it in of_document.items():
            sizes = self.n_bytes[document], self.n_words[document] if self.n_words else 0
            n_read = sum(row["n_bytes"] for row in windows_of_it)
            together = [windows_of_it] if len(of_document) > 1 else [[row] for row in windows_of_it]
            for some in together:
                share = sum(row["n_bytes"] for row in some) / n_read
                loss, n_tokens = -sum(row["logprob"] for row in some), sum(row["n_tokens"] for row in some)
                yield loss, n_tokens, sizes[0] * share, sizes[1] * share


def in_windows(lm: LanguageModel, documents: Sequence[Document], stride: int) -> list[Window]:
    """Cut each document into windows; before a document stands the token that begins or separates texts.

    Raises
    ------
    ValueError
        If the model has no such token: the first token of a text could then not be predicted.
    """
    if not lm.beginning:
        raise ValueError(
            "the model has no token that begins or ends a text, so a text's first token cannot be predicted"
        )
    found = []
    for number, document in enumerate(documents):
        ids = [*lm.beginning, *lm.encode(document.text)]
        for start, first, end in windows(len(ids), lm.config.n_ctx, stride):
            found.append(Window(number, tuple(ids[start:first]), tuple(ids[first:end])))
    return found
