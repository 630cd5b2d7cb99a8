"""Speculative decoding: a draft guesses how the text goes on, and the model checks several guesses in one pass.

Writing one token means reading all parameters from memory; reading them for eight tokens at once takes twice the time
of one, not eight times. So what a cheap draft guesses is read together, and as far as it is what the model would have
written itself, it is kept (Leviathan et al. 2023, arXiv:2211.17192; Chen et al. 2023, arXiv:2302.01318).

Those papers accept a guess at random, such that the distribution of the text remains the model's. Here the text itself
remains: the model chooses every token as it does without a draft, with the random number that it would draw, and the
draft, which may look at that number too, has to hit the token. So a draft decides how long it takes and nothing else.
(The logits of several tokens read together may differ in their last bits from those of one: tokens that are equally
likely to the precision of the dtype can change places, as they do between machines.)
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

from ..model import GPT
from ..model.ops import log_softmax
from .completion import Continuation
from .sampling import RandomNumbers, Sampling

# What reading so many tokens at once costs, in passes over one: measured with a model of GPT-2's 124M shape
# (benchmarks/RESULTS.md). A smaller one, or a processor with more cores, pays less for many, so guesses pay even more.
# All of them but one can be wrong: a cache must be able to take back so many (kv_cache.MAX_ROLLBACK).
READING_COST = {1: 1.0, 2: 1.6, 8: 2.1, 16: 2.9}
# Guesses are read if they promise so much: the hit rate is only an estimate, and what is lost is lost for certain.
MIN_SPEEDUP = 1.2
# How much of the estimated hit rate a new observation is.
HIT_RATE_STEP = 0.1
# A draft that costs something and does not pay is tried again once in so many steps.
RETRY = 16
# Lengths of the runs of tokens whose repetition is noticed, the longest first.
RUNS = (3, 2)


class Draft(Protocol):
    """Something that guesses the next tokens of a text."""

    @property
    def cost(self) -> float:
        """Of one guess, in passes of the model over one token."""

    def guess(self, ids: list[int], n: int) -> list[int]:
        """At most n tokens that may follow `ids`: what it was given the last time, and what has come since."""


class Repetitions:
    """Guesses that the text goes on as it did when its last tokens occurred before (prompt lookup)."""

    cost = 0.0

    def __init__(self) -> None:
        self._ends: dict[tuple[int, ...], int] = {}  # a run of tokens -> the position behind its last occurrence
        self._n_indexed = 0

    def guess(self, ids: list[int], n: int) -> list[int]:
        """How it went on the last time; nothing if the last tokens are new."""
        for end in range(self._n_indexed, len(ids)):
            for length in RUNS:
                self._ends[tuple(ids[max(end - length, 0) : end])] = end
        self._n_indexed = len(ids)
        for length in RUNS:
            end = self._ends.get(tuple(ids[-length:]), -1)
            if end >= length:
                text = ids.copy()
                for position in range(end, end + n):  # may run into the guesses themselves: a period goes on
                    text.append(text[position])
                return text[len(ids) :]
        return []


class SmallerModel:
    """Guesses what a smaller model of the same vocabulary would write, given the same random numbers."""

    def __init__(self, model: GPT, of: GPT, sampling: Sampling, numbers: RandomNumbers) -> None:
        self.cost = model.config.n_params / of.config.n_params
        self._n_vocab = min(model.config.n_vocab, of.config.n_vocab)  # one of them may be padded
        self._model = model
        self._sampling = sampling
        self._numbers = numbers
        self._cache = model.new_cache()
        self._seen: list[int] = []  # the tokens in the cache

    def guess(self, ids: list[int], n: int) -> list[int]:
        """What the smaller model writes; nothing where its context ends."""
        n = min(n, self._model.config.n_ctx - len(ids) + 1)
        if n < 1 or max(ids) >= self._n_vocab:
            return []
        both = zip(self._seen, ids, strict=False)
        right = next((i for i, (seen, id_) in enumerate(both) if seen != id_), len(self._seen))
        self._cache.take_back(len(self._seen) - right)
        del self._seen[right:]
        text = ids.copy()
        for u in self._numbers.ahead(n):
            new = text[len(self._seen) :]
            logits = self._model(new, self._cache, last_only=True)
            self._seen += new
            guess = self._sampling.choose_at(logits, u, text)
            if guess >= self._n_vocab:
                break
            text.append(guess)
        return text[len(ids) :]


class DraftLength:
    """How many guesses are worth reading, from how often they were right so far."""

    def __init__(self, cost: float) -> None:
        self.cost = cost
        self.hit_rate = 0.9 if cost else 0.5  # a model that costs something is tried, until it turns out not to pay
        self._steps = 0
        self._can_pay = any(
            n_read > MIN_SPEEDUP * self._time(n_read) for n_read in READING_COST
        )  # if every guess were right

    def note(self, hit: bool) -> None:
        """A guess was the token that came, or was not."""
        self.hit_rate += HIT_RATE_STEP * (hit - self.hit_rate)

    def next_guesses(self) -> int:
        """How many in the next step make the most tokens in the time; 0 if hardly more, now and then 1, to try."""
        self._steps += 1
        best = max(READING_COST, key=self.gain)
        if self.gain(best) < MIN_SPEEDUP:
            best = 1
        if best == 1 and self.cost and self._can_pay and self._steps % RETRY == 0:
            return 1
        return best - 1

    def gain(self, n_read: int) -> float:
        """Expected tokens in the time of one without guesses, if all but the first of the tokens read are guessed."""
        expected = sum(self.hit_rate**n_hits for n_hits in range(n_read))
        return expected / self._time(n_read)

    def _time(self, n_read: int) -> float:
        """Of guessing and reading, in passes of the model over one token."""
        return READING_COST[n_read] + (n_read - 1) * self.cost


def speculate(
    model: GPT, draft: Draft, continuation: Continuation, sampling: Sampling, eot_id: int | None
) -> Iterator[str]:
    """Write a continuation to its end; gives the new text after each token."""
    n_ctx, prompt_ids = model.config.n_ctx, continuation.prompt_ids
    cache = model.new_cache(capacity=min(len(prompt_ids) + continuation.options.max_new_tokens, n_ctx))
    draft_length = DraftLength(draft.cost)
    guesses: list[int] = []
    logits = model(prompt_ids, cache, last_only=True)[None]  # (1 + guesses that were read, V)
    while True:
        for row, guess in zip(logits, [*guesses, None], strict=False):
            id_ = sampling.choose(row, continuation.rng, continuation.read_ids)
            yield continuation.accept(id_, float(log_softmax(row)[id_]), n_ctx, eot_id)
            if continuation.finish_reason:
                return
            if guess is not None:
                draft_length.note(guess == id_)
            if guess != id_:
                break
        ids = continuation.read_ids
        cache.take_back(cache.n_tokens[0] - (len(ids) - 1))  # the last token has not been read yet
        room = min(n_ctx - len(ids), continuation.options.max_new_tokens - len(continuation.ids) - 1)
        wanted = min(draft_length.next_guesses(), room)
        # A draft that costs nothing guesses even if its guess is not read, to learn how often it is right.
        guesses = draft.guess(ids, wanted or (1 if draft.cost == 0 else 0))
        logits = model([ids[-1], *guesses[:wanted]], cache)
