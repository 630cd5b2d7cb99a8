"""How probable a model finds a continuation behind its context: what every multiple choice stands on.

Two texts become ids as EleutherAI's lm-evaluation-harness makes them (lm_eval/api/model.py, `_encode_pair`, version
0.4), so that numbers can stand beside those that others publish. What contexts have in common is read once.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from ..arrays import Array, Mask
from ..generation import LanguageModel
from ..generation.sampling import finite
from ..model import GPT, KVCache
from ..model.gpt import CHUNK
from ..model.ops import cross_entropy

MEMORY = 2**28  # bytes of keys and values that continuations read together may take


@dataclass(frozen=True)
class LogLikelihood:
    """How probable a model finds a continuation.

    Attributes
    ----------
    logprob : float
        Of the whole continuation given its context, in nats: the sum over its tokens.
    n_tokens : int
        Of the continuation, at least one.
    n_bytes : int
        Of the continuation's text in UTF-8.
    is_greedy : bool
        Whether each of its tokens is the likeliest one: what greedy decoding would write.
    n_cut : int
        Tokens of the context, from its beginning, for which the model had no room.
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
        """The log-probability for each byte of the text, in nats."""
        return self.logprob / self.n_bytes


@dataclass(frozen=True)
class _Request:
    """A context and a continuation as ids that fit into the model together."""

    context: tuple[int, ...]
    continuation: tuple[int, ...]
    n_bytes: int
    n_cut: int

    @property
    def read(self) -> tuple[int, ...]:
        """What the model reads for it: all but the last token, which is only predicted."""
        return self.context + self.continuation[:-1]

    def found(self, logprobs: Array, likeliest: Mask) -> LogLikelihood:
        total = float(logprobs.sum(dtype=np.float64))
        return LogLikelihood(total, len(logprobs), self.n_bytes, bool(likeliest.all()), self.n_cut)


def encode_pair(lm: LanguageModel, context: str, continuation: str) -> tuple[list[int], list[int]]:
    """The ids of a context and of its continuation.

    White space at the end of the context belongs to the continuation, since a token is a word with the space before
    it. Both together are encoded, and cut where the context alone ends. In place of an empty context the model reads
    the token that begins or separates texts (`LanguageModel.prompt_ids`).

    Raises
    ------
    ValueError
        If no token is left for the continuation, because it is empty or its beginning goes on with a word of the
        context in such a way that both are the same tokens.
    """
    kept = context.rstrip()
    whole = lm.tokenizer.encode(context + continuation)
    ids = whole[len(lm.tokenizer.encode(kept)) :]
    if not continuation or not ids:
        raise ValueError(
            f"the continuation {continuation!r} has no token of its own behind {context[-20:]!r}: give it at least one "
            "character, and let it begin with a space if it begins a word"
        )
    return lm.prompt_ids(kept), ids


def log_likelihoods(lm: LanguageModel, pairs: Sequence[tuple[str, str]]) -> list[LogLikelihood]:
    """How probable each continuation is behind its context.

    Equal contexts are read once, and what all contexts begin with, such as the examples of a few-shot prompt, too;
    continuations of one context, and pairs that have each its own, are read together. If context and continuation are
    longer together than the model's context and one, the beginning of the context is not read.

    Parameters
    ----------
    lm : LanguageModel
    pairs : sequence of (context, continuation)
        Such as ("The dog began to", " bark").

    Returns
    -------
    list of LogLikelihood
        In the order of the pairs.

    Raises
    ------
    TypeError, ValueError
        If a text is not a str, a continuation has no token of its own (`encode_pair`), or more of them than the
        model's context.
    """
    return _found(lm, [_request(lm, *pair) for pair in pairs])


def log_likelihoods_of_ids(
    lm: LanguageModel, pairs: Sequence[tuple[Sequence[int], Sequence[int]]]
) -> list[LogLikelihood]:
    """The same for contexts and continuations that are ids already, each of at least one."""
    return _found(lm, [_request_of_ids(lm, *pair) for pair in pairs])


def _found(lm: LanguageModel, requests: Sequence[_Request]) -> list[LogLikelihood]:
    """Equal ones get equal numbers: in two places of a batch the last bits would differ, and decide between them."""
    if not requests:
        return []
    distinct = list(dict.fromkeys(requests))
    predicted = _predict(lm.model, _streams(lm.model, distinct), distinct)
    found = {request: request.found(*of_one) for request, of_one in zip(distinct, predicted, strict=True)}
    return [found[request] for request in requests]


def _request(lm: LanguageModel, context: str, continuation: str) -> _Request:
    """The ids of both, the context cut from the left until they fit; the last token is only predicted, not read."""
    if not isinstance(context, str) or not isinstance(continuation, str):
        raise TypeError(f"a pair must be two texts, got {type(context).__name__} and {type(continuation).__name__}")
    return _request_of_ids(lm, *encode_pair(lm, context, continuation), len(continuation.encode()))


def _request_of_ids(
    lm: LanguageModel, context: Sequence[int], ids: Sequence[int], n_bytes: int | None = None
) -> _Request:
    n_ctx = lm.config.n_ctx
    if len(ids) > n_ctx:
        raise ValueError(f"the continuation has {len(ids)} tokens, the model's context is {n_ctx}: shorten it")
    n_cut = max(len(context) + len(ids) - 1 - n_ctx, 0)
    n_bytes = len(lm.tokenizer.decode_bytes(ids)) if n_bytes is None else n_bytes
    return _Request(tuple(context[n_cut:]), tuple(ids), n_bytes, n_cut)


def _n_shared(contexts: Sequence[tuple[int, ...]]) -> int:
    """How many ids several contexts begin with in common, short of a whole context: its last one is yet to be read."""
    if len(contexts) == 1:
        return 0
    first, last = min(contexts), max(contexts)  # in alphabetical order these two have the least in common
    n_most = min(map(len, contexts)) - 1
    return next((n for n in range(n_most) if first[n] != last[n]), n_most)


def _streams(model: GPT, requests: Sequence[_Request]) -> list[Array]:
    """For each request, the residual stream (n, D) where the n tokens of its continuation are predicted."""
    with_context: dict[tuple[int, ...], list[int]] = {}  # context -> numbers of the requests that have it
    for number, request in enumerate(requests):
        with_context.setdefault(request.context, []).append(number)
    n_shared = _n_shared(list(with_context))
    beginning = model.new_cache(capacity=max(len(request.read) for request in requests))
    if n_shared:
        model.residual_stream(requests[0].context[:n_shared], beginning)

    streams: dict[int, Array] = {}
    own = [numbers[0] for numbers in with_context.values() if len(numbers) == 1]
    for batch in _batches([len(requests[number].read) - n_shared for number in own], beginning.nbytes):
        read = [requests[own[place]].read[n_shared:] for place in batch]
        for place, stream in zip(batch, _read(model, beginning.copies([0] * len(batch)), read), strict=True):
            streams[own[place]] = stream[-len(requests[own[place]].continuation) :].copy()
    for context, numbers in with_context.items():
        if len(numbers) > 1:
            continuations = [requests[number].continuation for number in numbers]
            behind = _read_behind_one(model, beginning.copies([0]), context[n_shared:], continuations)
            streams.update(zip(numbers, behind, strict=True))
    return [streams[number] for number in range(len(requests))]


def _read(model: GPT, cache: KVCache, texts: Sequence[tuple[int, ...]]) -> Iterator[Array]:
    """The residual stream (n, D) of each of several texts of n tokens, read in one pass.

    The shorter ones are filled up on their right, with tokens that nothing before them sees.
    """
    ids = np.zeros((len(texts), max(map(len, texts))), np.intp)
    for row, of_one in zip(ids, texts, strict=True):
        row[: len(of_one)] = of_one
    for stream, of_one in zip(model.residual_stream(ids, cache), texts, strict=True):
        yield stream[: len(of_one)]


def _read_behind_one(
    model: GPT, cache: KVCache, context: tuple[int, ...], continuations: Sequence[tuple[int, ...]]
) -> list[Array]:
    """The residual stream (n, D) where the n tokens of each continuation are predicted; the context is read once."""
    last = model.residual_stream(context, cache)[-1:]  # (1, D)
    streams = [last] * len(continuations)
    for batch in _batches([len(ids) - 1 for ids in continuations], cache.nbytes):
        texts = [continuations[number][:-1] for number in batch]
        for number, stream in zip(batch, _read(model, cache.copies([0] * len(batch)), texts), strict=True):
            streams[number] = np.concatenate([last, stream])
    return streams


def _predict(model: GPT, streams: Sequence[Array], requests: Sequence[_Request]) -> Iterator[tuple[Array, Mask]]:
    """The log-probability of each token of each continuation, and whether it is the likeliest one: (n,) each."""
    stream = np.concatenate(streams)  # of all together
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


def _batches(lengths: Sequence[int], cache_bytes: int) -> Iterator[list[int]]:
    """Numbers of those that have a length, the like together: at most CHUNK tokens in a batch, if it is not just one.

    Their copies of the cache take no more than MEMORY, either.
    """
    waiting = sorted((number for number, length in enumerate(lengths) if length), key=lengths.__getitem__)
    while waiting:
        n = 1
        while n < len(waiting) and (n + 1) * lengths[waiting[n]] <= CHUNK and (n + 1) * cache_bytes <= MEMORY:
            n += 1
        yield waiting[:n]
        del waiting[:n]
