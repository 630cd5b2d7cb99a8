"""Scoring a text: the windows in which it is read, and the measures computed from its tokens' log-probabilities."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from ..arrays import Array
from ..checks import integer
from ..model import GPT
from ..model.gpt import CHUNK
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
    """

    ids: list[int]
    logprobs: list[float]
    n_bytes: int

    @property
    def perplexity(self) -> float:
        """The exponential of the mean negative log-probability; infinite if a float cannot hold it."""
        return perplexity(self.logprobs)

    @property
    def bits_per_byte(self) -> float:
        """The negative base-2 log-probability per byte; unlike perplexity, comparable across tokenizers."""
        return -sum(self.logprobs) / math.log(2) / self.n_bytes


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
    ValueError
        If the stride is not between 1 and the context, or a damaged parameter makes the logits infinite or NaN.
    """
    for start, first, end in windows(len(ids), model.config.n_ctx, stride):
        window, unwanted = np.array(ids[start : end - 1]), first - start - 1
        cache = model.new_cache(capacity=len(window))
        for done in range(0, len(window), CHUNK):
            read = window[done : done + CHUNK]
            logits = model(read, cache)
            if done + len(read) > unwanted:
                yield finite(logits[max(unwanted - done, 0) :])
