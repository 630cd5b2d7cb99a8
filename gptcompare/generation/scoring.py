"""How probable a text is to a model: in which windows it is read, and what is made of its tokens' log-probabilities."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple


def exponential(value: float) -> float:
    """exp, infinite if that is beyond a float."""
    try:
        return math.exp(value)
    except OverflowError:
        return math.inf


def perplexity(logprobs: Sequence[float]) -> float:
    """exp of the mean negative log-probability of one token or more; infinite if that is beyond a float."""
    return exponential(-sum(logprobs) / len(logprobs))


@dataclass(frozen=True)
class Score:
    """How probable a model finds a text.

    Attributes
    ----------
    ids : list of int
        The text's tokens, behind the tokenizer's `bos_id` if it has one: every token of the text then has a logprob.
    logprobs : list of float
        Of every token but the first, given those before it, in nats: one fewer than ids.
    n_bytes : int
        Of the text, in UTF-8, that these tokens stand for.
    """

    ids: list[int]
    logprobs: list[float]
    n_bytes: int

    @property
    def perplexity(self) -> float:
        """exp of the mean negative log-probability; infinite if that is beyond a float."""
        return perplexity(self.logprobs)

    @property
    def bits_per_byte(self) -> float:
        """Negative log-probability to the base of 2 for each byte: unlike perplexity, comparable across tokenizers."""
        return -sum(self.logprobs) / math.log(2) / self.n_bytes


class Window(NamedTuple):
    """A part of a text that the model reads at once: the ids [start:end - 1], to predict the ids [first:end]."""

    start: int
    first: int
    end: int


def windows(n_ids: int, n_ctx: int, stride: int | None = None) -> Iterator[Window]:
    """How n_ids ids are read so that each but the first is predicted once.

    The first window predicts as many ids as the model can read, each later one `stride` more, and the last what is
    left. Every window but the first reads as much before the ids that it predicts as the context has room for, so that
    each of them is predicted from at least n_ctx - stride + 1 ids.

    Parameters
    ----------
    n_ids, n_ctx : int
    stride : int, optional
        Between 1 and n_ctx: a short one sees more and takes longer. Half of n_ctx if not given; with n_ctx the windows
        have no token in common, which is what EleutherAI's lm-evaluation-harness does.

    Raises
    ------
    ValueError
        If the stride is not between 1 and n_ctx.

    References
    ----------
    lm-evaluation-harness 0.4.13, lm_eval/utils.py, `get_rolling_token_windows`, with context_len = n_ctx - stride + 1.
    """
    stride = max(n_ctx // 2, 1) if stride is None else stride
    if not 1 <= stride <= n_ctx:
        raise ValueError(f"stride must be between 1 and the model's context of {n_ctx} tokens, got {stride}")
    end = 1
    while end < n_ids:
        first, end = end, min(end + stride if end > 1 else n_ctx + 1, n_ids)
        yield Window(max(end - 1 - n_ctx, 0), first, end)
