"""Scoring a text: the windows in which it is read, and the measures computed from its tokens' log-probabilities."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from ..arrays import Array, Float64, Integers
from ..checks import brief, integer
from ..model import GPT
from ..model.inputs import CHUNK
from ..model.ops import cross_entropy, log_softmax
from ..tokenizer import Tokenizer
from .sampling import finite


def exponential(value: float) -> float:
    """Return exp(value), or infinity if a float cannot hold it."""
    try:
        return math.exp(value)
    except OverflowError:
        return math.inf


def perplexity(logprobs: Sequence[float]) -> float:
    """Return exp of the mean negative log-probability of at least one token, or infinity if a float cannot hold it.

    >>> import math
    >>> perplexity([math.log(0.5), math.log(0.125)])
    4.0
    """
    return exponential(-sum(logprobs) / len(logprobs))


@dataclass(frozen=True, eq=False)
class Alternatives:
    """What could have come at each of T positions of a text, by one model's own distribution.

    Temperature, top-k and the other options of sampling are not applied.

    Attributes
    ----------
    ids : (T, k) int
        The likeliest tokens, the likeliest first; of equally likely ones the lower id.
    probabilities : (T, k) float64
    ranks : (T,) int
        The place of the token that came in this order: 1 for the likeliest.
    entropies : (T,) float64
        Of the whole distribution, in bits.
    texts : dict of id -> bytes
        The bytes of each of the ids; of an id that the tokenizer does not have, none.
    """

    ids: Integers
    probabilities: Float64
    ranks: Integers
    entropies: Float64
    texts: dict[int, bytes]

    @classmethod
    def joined(cls, parts: Sequence[Part], tokenizer: Tokenizer) -> Alternatives:
        """Put the parts together that `alternatives_part` has returned for chunks of a text, at least one."""
        ids, probabilities, ranks, entropies = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
        texts = {id_: tokenizer.bytes_of(id_) for id_ in np.unique(ids).tolist()}
        return cls(ids, probabilities, ranks, entropies, texts)

    def __repr__(self) -> str:
        return brief(self, f"{self.ids.shape[1]} at each of {len(self)} positions")

    def __len__(self) -> int:
        return len(self.ranks)

    def at(self, position: int) -> list[tuple[bytes, float]]:
        """Return the bytes and the probability of each of the likeliest tokens at a position."""
        pairs = zip(self.ids[position].tolist(), self.probabilities[position].tolist(), strict=True)
        return [(self.texts[id_], probability) for id_, probability in pairs]

    def to_dict(self) -> list[dict[str, Any]]:
        """Return plain values that JSON can hold, for each position; U+FFFD stands for part of a character."""
        columns = (self.ids.tolist(), self.probabilities.tolist(), self.ranks.tolist(), self.entropies.tolist())
        return [
            {
                "rank": rank, "entropy": entropy, "ids": ids, "probabilities": probabilities,
                "tokens": [self.texts[id_].decode(errors="replace") for id_ in ids],
            }
            for ids, probabilities, rank, entropy in zip(*columns, strict=True)
        ]  # fmt: skip

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Alternatives):
            return NotImplemented
        pairs = ((self.ids, other.ids), (self.probabilities, other.probabilities), (self.ranks, other.ranks))
        return all(np.array_equal(a, b) for a, b in (*pairs, (self.entropies, other.entropies)))

    __hash__ = None  # type: ignore[assignment]  # like its arrays


Part: TypeAlias = "tuple[Integers, Float64, Integers, Float64]"  # ids, probabilities, ranks, entropies of a chunk


def alternatives_part(logits: Array, ids: Integers, k: int) -> Part:
    """Return the fields of `Alternatives` for the logits (n, V) of n positions, and the ids (n,) that came."""
    n_vocab = logits.shape[-1]
    k = min(k, n_vocab)
    logprobs = log_softmax(logits.astype(np.float64))
    probabilities = np.exp(logprobs)
    entropies = -(probabilities * np.where(probabilities > 0, logprobs, 0)).sum(axis=-1) / math.log(2)
    least = np.partition(logits, n_vocab - k, axis=-1)[:, n_vocab - k]
    likeliest = np.empty((len(logits), k), np.int64)
    ranks = np.empty(len(logits), np.int64)
    for n, (row, id_) in enumerate(zip(logits, ids.tolist(), strict=True)):
        candidates = np.flatnonzero(row >= least[n])
        likeliest[n] = candidates[np.lexsort((candidates, -row[candidates]))][:k]
        ranks[n] = 1 + np.count_nonzero(row > row[id_]) + np.count_nonzero(row[:id_] == row[id_])
    return likeliest, np.take_along_axis(probabilities, likeliest, axis=-1), ranks, entropies


class Measures:
    """The log-probabilities of a text's ids, and k alternatives of each, as their logits arrive in chunks."""

    def __init__(self, ids: Sequence[int], k: int) -> None:
        self._ids, self._k = ids, k
        self._parts: list[Part] = []
        self.logprobs: list[float] = []

    def add(self, logits: Array) -> None:
        """Measure the next n ids by their logits (n, V)."""
        first = len(self.logprobs)
        came = np.array(self._ids[first : first + len(logits)])
        self.logprobs += (-cross_entropy(logits, came)).tolist()
        if self._k:
            self._parts.append(alternatives_part(logits, came, self._k))

    def alternatives(self, tokenizer: Tokenizer) -> Alternatives | None:
        """Return what could have come instead; None if nothing was measured, or none are wanted."""
        return Alternatives.joined(self._parts, tokenizer) if self._parts else None


@dataclass(frozen=True)
class Score:
    """The probability that a model gives a text, token by token.

    Attributes
    ----------
    ids : list of int
        The text's tokens, after the tokenizer's `bos_id` if it has one; then every token of the text has a logprob.
    logprobs : list of float
        The log-probability of every id but the first, given those before it, in nats: one fewer than ids.
    n_bytes : int
        The number of UTF-8 bytes of text in the ids that have a logprob.
    alternatives : Alternatives, optional
        What could have come instead of each id but the first, if it was asked for.
    """

    ids: list[int]
    logprobs: list[float]
    n_bytes: int
    alternatives: Alternatives | None = None

    def __repr__(self) -> str:
        n = len(self.logprobs)
        return brief(self, f"{n} tokens, perplexity {self.perplexity:.2f}, {self.bits_per_byte:.3f} bits per byte")

    @property
    def perplexity(self) -> float:
        """The exponential of the mean negative log-probability; infinite if a float cannot hold it."""
        return perplexity(self.logprobs)

    @property
    def bits_per_byte(self) -> float:
        """The negative base-2 log-probability per byte; unlike perplexity, comparable across tokenizers."""
        return -sum(self.logprobs) / math.log(2) / self.n_bytes

    def to_dict(self) -> dict[str, Any]:
        """Return plain values that JSON can hold."""
        return {
            "ids": self.ids,
            "logprobs": self.logprobs,
            "n_bytes": self.n_bytes,
            "perplexity": self.perplexity if math.isfinite(self.perplexity) else None,
            "bits_per_byte": self.bits_per_byte,
            "alternatives": None if self.alternatives is None else self.alternatives.to_dict(),
        }


class Window(NamedTuple):
    """A part of a text that is read at once: ids[start : end - 1] are read to predict ids[first:end]."""

    start: int
    first: int
    end: int


def windows(n_ids: int, n_ctx: int, stride: int | None = None) -> Iterator[Window]:
    """Yield windows over n_ids ids that together predict each id but the first exactly once.

    The first window predicts as many ids as the model can read, each later one predicts `stride` more, and the last
    predicts the rest. Every window but the first reads as many earlier ids as fit into the context, so that each of its
    ids is predicted from at least n_ctx - stride + 1 others.

    Parameters
    ----------
    n_ids, n_ctx : int
    stride : int, optional
        Between 1 and n_ctx; half of n_ctx if not given. A shorter stride gives each prediction more context and takes
        longer. With n_ctx the windows do not overlap, which is what EleutherAI's lm-evaluation-harness does.

    Raises
    ------
    TypeError, ValueError
        If the stride is not an integer between 1 and n_ctx.

    References
    ----------
    lm-evaluation-harness 0.4.13, lm_eval/utils.py, `get_rolling_token_windows`, with context_len = n_ctx - stride + 1.

    Examples
    --------
    >>> [(window.start, window.first, window.end) for window in windows(10, n_ctx=4)]
    [(0, 1, 5), (2, 5, 7), (4, 7, 9), (5, 9, 10)]
    """
    stride = max(n_ctx // 2, 1) if stride is None else integer("stride", stride)
    if not 1 <= stride <= n_ctx:
        raise ValueError(f"stride must be between 1 and the model's context of {n_ctx} tokens, got {stride}")
    end = 1
    while end < n_ids:
        first, end = end, min(end + stride if end > 1 else n_ctx + 1, n_ids)
        yield Window(max(end - 1 - n_ctx, 0), first, end)


def predictions(model: GPT, ids: Sequence[int], stride: int | None = None) -> Iterator[Array]:
    """Yield the logits of each id but the first, given those before it, in chunks (n, V), len(ids) - 1 rows in all.

    More than n_ctx + 1 ids are read in `windows`. The logits of a whole context are never held at once.

    Raises
    ------
    TypeError
        If the ids are no list.
    ValueError
        If the stride is not between 1 and the context, or a damaged parameter makes the logits infinite or NaN.
    """
    if isinstance(ids, (str, bytes)) or not isinstance(ids, (Sequence, np.ndarray)):
        raise TypeError(f"ids must be a list of ids, got {type(ids).__name__}")
    for start, first, end in windows(len(ids), model.config.n_ctx, stride):
        window, unwanted = np.array(ids[start : end - 1]), first - start - 1
        cache = model.new_cache(capacity=len(window))
        for done in range(0, len(window), CHUNK):
            read = window[done : done + CHUNK]
            logits = model(read, cache)
            if done + len(read) > unwanted:
                yield finite(logits[max(unwanted - done, 0) :])
