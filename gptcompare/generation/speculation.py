"""Speculative decoding: a draft guesses how the text continues, and the model checks several guesses in one pass.

Writing one token means reading all parameters from memory; a pass over eight tokens takes only twice the time of a pass
over one. So the guesses of a cheap draft are read together, and kept as far as they are what the model would have
written itself (Leviathan et al. 2023, arXiv:2211.17192; Chen et al. 2023, arXiv:2302.01318).

In those papers a guess is accepted at random, so that the distribution of the text stays the model's. Here the text
itself stays the same: the model chooses every token as it would without a draft, with the same noise, and a guess
counts only if it is that token. A smaller model guesses with that noise, too, so it is right nearly as often as the two
distributions allow (`noise`). So a draft affects the time and nothing else.

Several texts are written in step: a pass reads as many guesses of each, and each keeps those that were right.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from ..arrays import Array
from ..model import GPT, KVCache
from .completion import Continuation, prefill, write_in_step
from .noise import Noise
from .sampling import Sampling

REPETITIONS = "repetitions"  # the draft that needs no model
# Number of tokens read at once -> the cost, in passes over one token: measured with a model of GPT-2's 124M shape
# (benchmarks/RESULTS.md). With a smaller model, or on more cores, many tokens cost less, so guesses pay even more. All
# tokens but one can be wrong: a cache must be able to take back that many (kv_cache.MAX_ROLLBACK).
READING_COST = {1: 1.0, 2: 1.6, 4: 1.8, 8: 2.2, 16: 3.1}
# The smallest expected speedup for which guesses are read: the hit rate is only an estimate, the cost is certain.
MIN_SPEEDUP = 1.2
# The weight of a new observation in the estimated hit rate.
HIT_RATE_STEP = 0.1
# Steps after which a draft that costs something and does not pay is tried again: half as many after each hit, twice as
# many after each miss, within these bounds.
RETRY_SOON, RETRY = 4, 16
# Lengths of the runs of tokens whose repetition is noticed, longest first.
RUNS = (3, 2)


class Draft(Protocol):
    """A way to guess the next tokens of a text."""

    @property
    def cost(self) -> float:
        """The cost of one guess, in passes of the model over one token."""

    def guess(self, ids: list[int], n: int) -> list[int]:
        """Return at most n tokens that may follow `ids`, which extend the accepted ids of the previous call."""


class Repetitions:
    """Guesses that the text continues as it did after the previous occurrence of its last tokens (prompt lookup).

    >>> Repetitions().guess([5, 6, 7, 8, 5, 6], 3)
    [7, 8, 5]
    """

    cost = 0.0

    def __init__(self) -> None:
        self._ends: dict[tuple[int, ...], int] = {}  # a run of tokens -> the position after its last occurrence
        self._n_indexed = 0

    def guess(self, ids: list[int], n: int) -> list[int]:
        """Return what followed the last tokens the previous time; nothing if these tokens are new."""
        # 1. Index the runs that have ended since the last call, but for the one at the very end.
        for end in range(self._n_indexed, len(ids)):
            for length in RUNS:
                self._ends[tuple(ids[max(end - length, 0) : end])] = end
        self._n_indexed = len(ids)
        # 2. Copy what followed the longest run that has occurred before.
        for length in RUNS:
            end = self._ends.get(tuple(ids[-length:]), -1)
            if end >= length:
                text = ids.copy()
                for position in range(end, end + n):  # may reach the guesses themselves: a period repeats
                    text.append(text[position])
                return text[len(ids) :]
        return []


class SmallerModel:
    """Guesses what a smaller model with the same vocabulary would write, given the same noise."""

    def __init__(self, model: GPT, of: GPT, sampling: Sampling, noise: Noise) -> None:
        self.cost = model.config.n_params / of.config.n_params
        self._n_vocab = min(model.config.n_vocab, of.config.n_vocab)  # either vocabulary may be padded
        self._model = model
        self._sampling = sampling
        self._noise = noise
        self._cache = model.new_cache()
        self._seen: list[int] = []  # the tokens in the cache

    def guess(self, ids: list[int], n: int) -> list[int]:
        """Return what the smaller model writes; nothing beyond the end of its context."""
        n = min(n, self._model.config.n_ctx - len(ids) + 1)
        if n < 1 or max(ids) >= self._n_vocab:
            return []
        # 1. Forget the earlier guesses that were wrong.
        both = zip(self._seen, ids, strict=False)
        right = next((i for i, (seen, id_) in enumerate(both) if seen != id_), len(self._seen))
        self._cache.take_back(len(self._seen) - right)
        del self._seen[right:]
        # 2. Write n tokens, with the noise that the model will use.
        text = ids.copy()
        for _ in range(n):
            new = text[len(self._seen) :]
            logits = self._model(new, self._cache, last_only=True)
            self._seen += new
            guess = self._sampling.choose(logits, self._noise, text)
            if guess >= self._n_vocab:
                break
            text.append(guess)
        return text[len(ids) :]


def reading_cost(n: int) -> float:
    """Return the cost of reading n tokens at once, of one text or of several, in passes over one token."""
    numbers, costs = list(READING_COST), list(READING_COST.values())
    slope = max(0.0, (costs[-1] - costs[-2]) / (numbers[-1] - numbers[-2]))  # beyond the table
    return float(np.interp(n, numbers, costs)) + slope * max(0, n - numbers[-1])


class DraftLength:
    """The number of guesses worth reading, estimated from how often earlier guesses were right.

    Parameters
    ----------
    cost : float
        Of one guess, in passes of the model over one token.
    n_texts : int
        Texts that are written in step, as many guesses read of each.
    """

    def __init__(self, cost: float, n_texts: int = 1) -> None:
        self.cost, self.n_texts = cost, n_texts
        self.hit_rate = 0.9 if cost else 0.5  # a draft with a cost is tried until it turns out not to pay
        self._wait, self._waited = RETRY_SOON, 0

    def note(self, hit: bool) -> None:
        """Record whether a guess was right."""
        self.hit_rate += HIT_RATE_STEP * (hit - self.hit_rate)
        self._wait = max(self._wait // 2, RETRY_SOON) if hit else min(2 * self._wait, RETRY)

    def next_guesses(self) -> int:
        """Return how many guesses to read next to write fastest: 0 if none pay, but 1 now and then."""
        best = max(READING_COST, key=self.gain)
        if self.gain(best) >= MIN_SPEEDUP:
            self._waited = 0
            return best - 1
        self._waited += 1
        if not (self.cost and self._can_pay()) or self._waited < self._wait:
            return 0
        self._waited = 0
        return 1

    def gain(self, n_read: int) -> float:
        """Return the expected speedup of a pass over `n_read` tokens, all but the first of which are guesses."""
        expected = sum(self.hit_rate**n_hits for n_hits in range(n_read))
        return expected / self._time(n_read)

    def _can_pay(self) -> bool:
        """Return whether guesses would pay if every one were right."""
        return any(n_read > MIN_SPEEDUP * self._time(n_read) for n_read in READING_COST)

    def _time(self, n_read: int) -> float:
        """Return the time to guess and read `n_read` tokens of each text, in passes over one token of each."""
        guessing = (n_read - 1) * self.n_texts * self.cost  # one text after the other
        return (reading_cost(self.n_texts * n_read) + guessing) / reading_cost(self.n_texts)


@dataclass
class _Text:
    """A text that is written with a draft: its row of the cache, and what the last pass has read of it."""

    continuation: Continuation
    draft: Draft
    cache: KVCache
    logits: Array  # (1 + tokens that were read after the last one, V)
    guesses: list[int] = field(default_factory=list)

    def accept(self, pace: DraftLength, sampling: Sampling, n_ctx: int, end_ids: Collection[int]) -> Iterator[str]:
        """Choose a token from each row of logits, up to and including the one at the first wrong guess."""
        for row, guess in zip(self.logits, [*self.guesses, None], strict=False):
            id_ = sampling.choose(row, self.continuation.noise, self.continuation.read_ids)
            yield self.continuation.accept(id_, row, n_ctx, end_ids)
            if self.continuation.finish_reason:
                return
            if guess is not None:
                pace.note(guess == id_)
            if guess != id_:
                break
        # The wrong guesses leave the cache; the last token has not been read yet.
        self.cache.take_back(self.cache.n_tokens[0] - (len(self.continuation.read_ids) - 1))

    def room(self, n_ctx: int) -> int:
        """Return how many guesses may be read: one token more is written in any case."""
        left = self.continuation.options.max_new_tokens - len(self.continuation.ids) - 1
        return min(n_ctx - len(self.continuation.read_ids), left)

    def guess(self, wanted: int) -> None:
        """Let the draft guess; one that costs nothing does it in any case, to learn how often it is right."""
        self.guesses = self.draft.guess(self.continuation.read_ids, wanted or (1 if self.draft.cost == 0 else 0))

    def next_ids(self, n: int) -> list[int]:
        """Return the last token and n guesses; where there are fewer, the last token again stands for them."""
        last = self.continuation.read_ids[-1]
        return [last, *self.guesses[:n], *[last] * (n - len(self.guesses))]


def speculate(
    model: GPT, drafts: Sequence[Draft], continuations: Sequence[Continuation], sampling: Sampling,
    end_ids: Collection[int],
) -> Iterator[str]:  # fmt: skip
    """Write all continuations to their ends, with drafts of one kind; yield the new text after each token."""
    n_ctx = model.config.n_ctx
    # 1. Prefill: read the prompts.
    cache, of_prompts = prefill(model, continuations)
    texts = [
        _Text(continuation, draft, cache.select([row]), logits[None])
        for row, (continuation, draft, logits) in enumerate(zip(continuations, drafts, of_prompts, strict=True))
    ]
    pace = DraftLength(drafts[0].cost if drafts else 0.0)
    while True:
        # 2. Choose the next tokens of each text, and drop those that have ended.
        for text in texts:
            yield from text.accept(pace, sampling, n_ctx, end_ids)
        rows = [row for row, text in enumerate(texts) if not text.continuation.finish_reason]
        if not rows:
            return
        cache, texts = cache.select(rows), [texts[row] for row in rows]
        # 3. Let the drafts guess again, as many tokens of each text as are worth reading.
        pace.n_texts = len(texts)
        wanted = min(pace.next_guesses(), *(text.room(n_ctx) for text in texts))
        for text in texts:
            text.guess(wanted)
        # 4. Read the last token and the guesses of all texts in one pass.
        n = min(wanted, max(len(text.guesses) for text in texts))
        for text, logits in zip(texts, model([text.next_ids(n) for text in texts], cache), strict=True):
            text.logits = logits


def write(
    model: GPT,
    continuations: Sequence[Continuation],
    sampling: Sampling,
    end_ids: Collection[int],
    draft: GPT | str | None = None,
) -> Iterator[str]:
    """Write all continuations to their ends, with the draft if there is one; yield the new text after each token."""
    for continuation in continuations:
        continuation.check_room(model.config.n_ctx)
        continuation.noise = model.ranks.broadcast(continuation.noise)  # without a seed, it is the first rank's
    writing = [continuation for continuation in continuations if not continuation.finish_reason]
    if draft is None:
        yield from write_in_step(model, writing, sampling, end_ids)
        return
    drafts: list[Draft] = [
        SmallerModel(draft, model, sampling, one.noise) if isinstance(draft, GPT) else Repetitions() for one in writing
    ]
    yield from speculate(model, drafts, writing, sampling, end_ids)
