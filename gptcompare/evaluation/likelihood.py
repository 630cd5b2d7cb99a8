"""How probable a model finds a continuation behind its context: what every multiple choice stands on.

Two texts become ids as EleutherAI's lm-evaluation-harness makes them (lm_eval/api/model.py, `_encode_pair`, version
0.4), so that numbers can stand beside those that others publish. What contexts have in common is read once.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ..generation import LanguageModel
from ..kv_cache import KVCache
from ..model import CHUNK
from ..ops import cross_entropy, log_softmax
from ..sampling import finite

Array = npt.NDArray[np.floating[Any]]
Flags = npt.NDArray[np.bool_]
Ids = npt.NDArray[np.intp]

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

    Equal contexts are read once, and what all contexts begin with, such as the examples of a few-shot prompt, too. If
    context and continuation are longer together than the model's context and one, the beginning of the context is not
    read.

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
    requests = [_request(lm, *pair) for pair in pairs]
    with_context: dict[tuple[int, ...], list[int]] = {}  # context -> numbers of the requests that have it
    for number, request in enumerate(requests):
        with_context.setdefault(request.context, []).append(number)
    if not requests:
        return []

    room = max(len(request.context) + len(request.continuation) - 1 for request in requests)
    n_shared = _n_shared(list(with_context))
    beginning = lm.model.new_cache(capacity=room)
    if n_shared:
        lm.model(requests[0].context[:n_shared], beginning, last_only=True)
    found: dict[int, LogLikelihood] = {}
    for context, numbers in with_context.items():
        cache = beginning.copies([0]) if n_shared else lm.model.new_cache(capacity=room)
        first = lm.model(context[n_shared:], cache, last_only=True)  # (V,)
        continuations = [requests[number].continuation for number in numbers]
        for number, (logprobs, likeliest) in zip(numbers, _read(lm, cache, first, continuations), strict=True):
            total, n_tokens = float(logprobs.sum(dtype=np.float64)), len(logprobs)
            request = requests[number]
            found[number] = LogLikelihood(total, n_tokens, request.n_bytes, bool(likeliest.all()), request.n_cut)
    return [found[number] for number in range(len(requests))]


def _request(lm: LanguageModel, context: str, continuation: str) -> _Request:
    """The ids of both, the context cut from the left until they fit; the last token is only predicted, not read."""
    if not isinstance(context, str) or not isinstance(continuation, str):
        raise TypeError(f"a pair must be two texts, got {type(context).__name__} and {type(continuation).__name__}")
    n_ctx = lm.config.n_ctx
    context_ids, ids = encode_pair(lm, context, continuation)
    if len(ids) > n_ctx:
        raise ValueError(f"the continuation has {len(ids)} tokens, the model's context is {n_ctx}: shorten it")
    n_cut = max(len(context_ids) + len(ids) - 1 - n_ctx, 0)
    return _Request(tuple(context_ids[n_cut:]), tuple(ids), len(continuation.encode()), n_cut)


def _n_shared(contexts: Sequence[tuple[int, ...]]) -> int:
    """How many ids several contexts begin with in common, short of a whole context: its last one is yet to be read."""
    if len(contexts) == 1:
        return 0
    first, last = min(contexts), max(contexts)  # in alphabetical order these two have the least in common
    n_most = min(map(len, contexts)) - 1
    return next((n for n in range(n_most) if first[n] != last[n]), n_most)


def _read(
    lm: LanguageModel, cache: KVCache, first: Array, continuations: Sequence[tuple[int, ...]]
) -> list[tuple[Array, Flags]]:
    """For each continuation, the log-probability of each of its n tokens and whether it is the likeliest: (n,) each.

    The cache has read the context, and `first` (V,) are the logits behind it.
    """
    logprobs, top = log_softmax(finite(first)), int(first.argmax())
    found: list[tuple[Array, Flags]] = [(logprobs[[ids[0]]], np.array([ids[0] == top])) for ids in continuations]
    for batch in _batches([len(ids) - 1 for ids in continuations], cache.nbytes):
        rows = cache if len(continuations) == 1 else cache.copies([0] * len(batch))
        behind = _read_behind_first(lm, rows, [continuations[number] for number in batch])
        for number, parts in zip(batch, behind, strict=True):
            before = found[number]
            found[number] = np.concatenate([before[0], parts[0]]), np.concatenate([before[1], parts[1]])
    return found


def _read_behind_first(
    lm: LanguageModel, cache: KVCache, continuations: Sequence[tuple[int, ...]]
) -> Iterator[tuple[Array, Flags]]:
    """The same for all their tokens but the first, in one pass for all.

    The shorter ones are filled up on their right, with tokens that nothing before them sees.
    """
    T = max(map(len, continuations)) - 1
    ids: Ids = np.zeros((len(continuations), T + 1), np.intp)
    for row, of_one in zip(ids, continuations, strict=True):
        row[: len(of_one)] = of_one
    logprobs: Array = np.empty((len(ids), T), lm.model.dtype)
    likeliest: Flags = np.empty((len(ids), T), np.bool_)
    for start in range(0, T, CHUNK):
        chunk, targets = slice(start, start + CHUNK), ids[:, start + 1 : start + 1 + CHUNK]
        logits = finite(lm.model(ids[:, :-1][:, chunk], cache))  # (B, T, V)
        logprobs[:, chunk] = -cross_entropy(logits, targets)
        likeliest[:, chunk] = logits.argmax(axis=-1) == targets
    for row, of_one in enumerate(continuations):
        yield logprobs[row, : len(of_one) - 1], likeliest[row, : len(of_one) - 1]


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
