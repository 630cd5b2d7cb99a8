"""The log-likelihood of a continuation after its context: the basis of every multiple choice.

Contexts and continuations are encoded as in EleutherAI's lm-evaluation-harness (lm_eval/api/model.py, `_encode_pair`,
version 0.4), so that the numbers can be compared with published ones. What contexts have in common is read once.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

import numpy as np

from ..arrays import Array, Mask
from ..checks import elements, instance, one_text
from ..generation import LanguageModel
from ..generation.sampling import finite
from ..model import GPT, KVCache
from ..model.inputs import CHUNK
from ..model.kv_cache import MAX_ROLLBACK
from ..model.ops import cross_entropy
from ..tokenizer import AllowedSpecial

MEMORY = 2**28  # bytes: the most that the keys and values of continuations that are read together may take


@dataclass(frozen=True)
class LogLikelihood:
    """The log-likelihood of a continuation.

    Attributes
    ----------
    logprob : float
        Log-probability of the whole continuation given its context, in nats: the sum over its tokens.
    n_tokens : int
        Length of the continuation, at least one.
    n_bytes : int
        Length of the continuation's text in UTF-8.
    is_greedy : bool
        Whether each of its tokens is the likeliest one, as in greedy decoding.
    n_cut : int
        Number of tokens cut from the beginning of the context because the model had no room for them.
    """

    logprob: float
    n_tokens: int
    n_bytes: int
    is_greedy: bool
    n_cut: int

    @property
    def per_token(self) -> float:
        """The mean log-probability of a token, in nats."""
        return self.logprob / self.n_tokens

    @property
    def per_byte(self) -> float:
        """The log-probability per byte of the text, in nats."""
        return self.logprob / self.n_bytes


@dataclass(frozen=True)
class Request:
    """A context and a continuation as ids that fit into the model together."""

    context: tuple[int, ...]
    continuation: tuple[int, ...]
    n_bytes: int
    n_cut: int

    @property
    def read(self) -> tuple[int, ...]:
        """The tokens that the model reads: all but the last, which is only predicted."""
        return self.context + self.continuation[:-1]

    def found(self, logprobs: Array, likeliest: Mask) -> LogLikelihood:
        total = float(logprobs.sum(dtype=np.float64))
        return LogLikelihood(total, len(logprobs), self.n_bytes, bool(likeliest.all()), self.n_cut)


def encode_pair(lm: LanguageModel, context: str, continuation: str) -> tuple[list[int], list[int]]:
    """Encode a context and its continuation.

    White space at the end of the context is moved to the continuation, since a token is a word with the space before
    it. The two texts are encoded together, and the ids are split where those of the context by itself would end.
    Instead of an empty context the model reads the token that begins or separates texts (`LanguageModel.prompt_ids`).

    Parameters
    ----------
    lm : LanguageModel
    context, continuation : str

    Returns
    -------
    (list of int, list of int)

    Raises
    ------
    ValueError
        If no token is left for the continuation, because it is empty or joins the last word of the context without
        adding a token.

    Examples
    --------
    >>> import gptcompare as gc
    >>> lm = gc.load("nano-gpt2")
    >>> [lm.tokenizer.decode(ids) for ids in encode_pair(lm, "Once upon a ", "time")]
    ['Once upon a', ' time']
    """
    instance("lm", lm, LanguageModel)
    kept = one_text("context", context).rstrip()
    whole = lm.encode(context + one_text("continuation", continuation))
    ids = whole[len(lm.encode(kept)) :]
    if not continuation or not ids:
        raise ValueError(
            f"the continuation {continuation!r} has no token of its own after {context[-20:]!r}: give it at least one "
            "character, and let it begin with a space if it begins a word"
        )
    return lm.prompt_ids(kept), ids


def log_likelihoods(
    lm: LanguageModel, pairs: Sequence[tuple[str, str]], *, allowed_special: AllowedSpecial = ()
) -> list[LogLikelihood]:
    """Compute the log-likelihood of each continuation after its context.

    Equal contexts are read once, and so is what all contexts begin with, such as the examples of a few-shot prompt.
    Continuations of one context are read together, and so are pairs that each have a context of their own. If a context
    and its continuation together have more than n_ctx + 1 tokens, the beginning of the context is not read.

    Parameters
    ----------
    lm : LanguageModel
    pairs : sequence of (context, continuation)
        Such as ("The dog began to", " bark").
    allowed_special
        As for `LanguageModel.generate`.

    Returns
    -------
    list of LogLikelihood
        In the order of the pairs.

    Raises
    ------
    TypeError, ValueError
        If a text is not a str, or a continuation has no token of its own (`encode_pair`) or more tokens than the
        model's context.
    """
    lm = instance("lm", lm, LanguageModel).allowing(allowed_special)
    return _found(lm, [request(lm, *checked_pair(n, pair)) for n, pair in enumerate(elements("pairs", pairs))])


def checked_pair(number: int, pair: Any) -> tuple[str, str]:
    if isinstance(pair, str) or not isinstance(pair, Sequence) or len(pair) != 2:
        raise TypeError(f"pairs[{number}] must be a pair of a context and its continuation, got {pair!r}")
    context, continuation = (one_text(f"pairs[{number}]", text) for text in pair)
    return context, continuation


def log_likelihoods_of_ids(
    lm: LanguageModel, pairs: Sequence[tuple[Sequence[int], Sequence[int]]]
) -> list[LogLikelihood]:
    """Compute the same for contexts and continuations given as ids, at least one each."""
    return _found(lm, [request_of_ids(lm, *pair) for pair in pairs])


def _found(lm: LanguageModel, requests: Sequence[Request]) -> list[LogLikelihood]:
    """Compute each distinct request once: at two places of a batch the last bits would differ, and decide a choice."""
    if not requests:
        return []
    distinct = list(dict.fromkeys(requests))
    predicted = _predict(lm.model, _streams(lm.model, distinct), distinct)
    found = {request: request.found(*of_one) for request, of_one in zip(distinct, predicted, strict=True)}
    return [found[request] for request in requests]


def request(lm: LanguageModel, context: str, continuation: str) -> Request:
    """Encode both texts, and cut the context from the left until they fit; the last token is predicted, not read."""
    return request_of_ids(lm, *encode_pair(lm, context, continuation), len(continuation.encode()))


def request_of_ids(
    lm: LanguageModel, context: Sequence[int], ids: Sequence[int], n_bytes: int | None = None
) -> Request:
    n_ctx = lm.config.n_ctx
    if len(ids) > n_ctx:
        raise ValueError(f"the continuation has {len(ids)} tokens, the model's context is {n_ctx}: shorten it")
    n_cut = max(len(context) + len(ids) - 1 - n_ctx, 0)
    n_bytes = len(lm.tokenizer.decode_bytes(ids)) if n_bytes is None else n_bytes
    return Request(tuple(context[n_cut:]), tuple(ids), n_bytes, n_cut)


def _n_shared(contexts: Sequence[tuple[int, ...]]) -> int:
    """Count the ids that all contexts begin with, but never a whole context: its last id is still to be read."""
    if len(contexts) == 1:
        return 0
    first, last = min(contexts), max(contexts)  # first and last in lexicographic order have the least in common
    n_most = min(map(len, contexts)) - 1
    return next((n for n in range(n_most) if first[n] != last[n]), n_most)


def _streams(model: GPT, requests: Sequence[Request]) -> list[Array]:
    """Return, for each request, the residual stream (n, D) where the n tokens of its continuation are predicted."""
    with_context: dict[tuple[int, ...], list[int]] = {}  # context -> numbers of the requests that have it
    for number, request in enumerate(requests):
        with_context.setdefault(request.context, []).append(number)
    n_shared = _n_shared(list(with_context))
    beginning = model.new_cache(capacity=max(len(request.read) for request in requests))
    if n_shared:
        model.residual_stream(requests[0].context[:n_shared], beginning)

    streams: dict[int, Array] = {}
    own = [numbers[0] for numbers in with_context.values() if len(numbers) == 1]
    for batch in _batches([len(requests[number].read) - n_shared for number in own], beginning):
        read = [requests[own[place]].read[n_shared:] for place in batch]
        for place, stream in zip(batch, _read(model, beginning.copies([0] * len(batch)), read), strict=True):
            streams[own[place]] = stream[-len(requests[own[place]].continuation) :].copy()
    several = [(context[n_shared:], numbers) for context, numbers in with_context.items() if len(numbers) > 1]
    for batch in _batches([len(context) for context, _ in several], beginning, longest_padding=MAX_ROLLBACK):
        contexts, numbers_of = zip(*(several[place] for place in batch), strict=True)
        continuations = [[requests[number].continuation for number in numbers] for numbers in numbers_of]
        read_after = _read_after(model, beginning.copies([0] * len(batch)), contexts, continuations)
        streams.update(zip(chain.from_iterable(numbers_of), read_after, strict=True))
    return [streams[number] for number in range(len(requests))]


def _read(model: GPT, cache: KVCache, texts: Sequence[tuple[int, ...]]) -> Iterator[Array]:
    """Yield the residual stream (n, D) of each of several texts of n tokens, read in one pass.

    The shorter texts are padded on the right, with tokens that no token before them sees.
    """
    ids = np.zeros((len(texts), max(map(len, texts))), np.intp)
    for row, of_one in zip(ids, texts, strict=True):
        row[: len(of_one)] = of_one
    for stream, of_one in zip(model.residual_stream(ids, cache), texts, strict=True):
        yield stream[: len(of_one)]


def _read_after(
    model: GPT, caches: KVCache, contexts: Sequence[tuple[int, ...]], continuations: Sequence[list[tuple[int, ...]]]
) -> list[Array]:
    """Return the residual stream (n, D) where each continuation's n tokens are predicted, context by context.

    All contexts are read together, each once, and then the continuations of all of them.
    """
    last = [stream[-1:] for stream in _read(model, caches, contexts)]  # each (1, D)
    longest = max(map(len, contexts))
    for row, context in enumerate(contexts):
        caches.select([row]).take_back(longest - len(context))  # the padding
    all_of_them = [(row, ids) for row, of_one in enumerate(continuations) for ids in of_one]
    streams = [last[row] for row, _ in all_of_them]
    n_before = [caches.n_tokens[row] for row, _ in all_of_them]
    for batch in _batches([len(ids) - 1 for _, ids in all_of_them], caches.select([0]), n_before):
        of_contexts = caches.copies([all_of_them[place][0] for place in batch])
        texts = [all_of_them[place][1][:-1] for place in batch]
        for place, stream in zip(batch, _read(model, of_contexts, texts), strict=True):
            streams[place] = np.concatenate([streams[place], stream])
    return streams


def _predict(model: GPT, streams: Sequence[Array], requests: Sequence[Request]) -> Iterator[tuple[Array, Mask]]:
    """Yield the log-probability of each token of each continuation, and whether it is the likeliest one: (n,) each."""
    stream = np.concatenate(streams)  # of all continuations, one after the other
    targets = np.concatenate([request.continuation for request in requests])
    logprobs: Array = np.empty(len(targets), model.dtype)
    likeliest = np.empty(len(targets), np.bool_)
    for start in range(0, len(targets), CHUNK):
        chunk = slice(start, start + CHUNK)
        logits = finite(model.unembed(stream[chunk]))  # (n, V)
        logprobs[chunk] = -cross_entropy(logits, targets[chunk])
        likeliest[chunk] = logits.argmax(axis=-1) == targets[chunk]
    ends = np.cumsum([len(request.continuation) for request in requests])[:-1]
    yield from zip(np.split(logprobs, ends), np.split(likeliest, ends), strict=True)


def _batches(
    lengths: Sequence[int], cache: KVCache, n_before: Sequence[int] | None = None, longest_padding: int = CHUNK
) -> Iterator[list[int]]:
    """Yield batches of the indices whose length is not 0, similar lengths together.

    A batch of several has at most CHUNK tokens, padding included, pads none by more than `longest_padding`, fits into
    the capacity of copies of the cache behind the `n_before` tokens of each, and its copies take at most MEMORY.
    """
    capacity = cache.sequences[0].capacity
    room = [capacity - n for n in n_before or [cache.n_tokens[0]] * len(lengths)]
    waiting = sorted((number for number, length in enumerate(lengths) if length), key=lengths.__getitem__)
    while waiting:
        batch = [waiting.pop(0)]
        while waiting:
            n, padded = len(batch) + 1, lengths[waiting[0]]
            fits = padded <= min(room[number] for number in [*batch, waiting[0]])
            if (
                not fits
                or n * padded > CHUNK
                or padded - lengths[batch[0]] > longest_padding
                or n * cache.nbytes > MEMORY
            ):
                break
            batch.append(waiting.pop(0))
        yield batch
