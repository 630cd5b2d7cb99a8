"""Beam search: find the text that is most probable as a whole, following only a few attempts at a time.

The attempts, the `width` most probable beginnings, grow by one token at a time, and the best `width` of all their
continuations are kept. An attempt that may end at a step also becomes a candidate for the result as it is. Since every
token makes a text less probable, the log-probability of n tokens is divided by ((5 + n) / 6)^alpha before texts of
different lengths are compared (Wu et al. 2016, arXiv:1609.08144, equation 14). GPT-3's paper uses width 4 and alpha 0.6
for free answers (section 2.4).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from ..arrays import Float64
from ..checks import instance, integer, number
from ..generation import LanguageModel
from ..generation.sampling import finite
from ..model.inputs import check_token
from ..model.ops import log_softmax

WIDTH, ALPHA = 4, 0.6
LARGEST_ALPHA = 10.0  # beyond it, the penalty of a long text would soon be no number any more


@dataclass(frozen=True)
class Beam:
    """An attempt.

    Attributes
    ----------
    ids : list of int
        Its tokens, without the one that ended it.
    logprob : float
        Log-probability of all its tokens, including the one that ended it, in nats.
    n_tokens : int
        The number of tokens that `logprob` covers.
    """

    ids: list[int]
    logprob: float
    n_tokens: int

    def score(self, alpha: float) -> float:
        return self.logprob / math.pow((5 + self.n_tokens) / 6, alpha)


def beam_search(
    lm: LanguageModel,
    prompt: str,
    ends: Sequence[int],
    *,
    width: int = WIDTH,
    alpha: float = ALPHA,
    max_new_tokens: int = 40,
) -> Beam:
    """Find the best continuation of a prompt, up to one of the tokens `ends` or at most `max_new_tokens` long.

    Parameters
    ----------
    lm : LanguageModel
    prompt : str
    ends : ids
        Tokens of the model that end a continuation, and do not belong to it.
    width : int
        Number of attempts at a time.
    alpha : float
        Exponent of the length penalty, from -10 to 10; 0 compares the probabilities as they are, and below 0 a short
        text is preferred.
    max_new_tokens : int
        Fewer if the model's context ends before.

    Raises
    ------
    TypeError, ValueError
        If an id is not of the model's vocabulary, alpha is not from -10 to 10, width or max_new_tokens is below 1, or
        the prompt is longer than the model's context.
    """
    instance("lm", lm, LanguageModel)
    width, max_new_tokens = integer("width", width, at_least=1), integer("max_new_tokens", max_new_tokens, at_least=1)
    if not abs(alpha := number("alpha", alpha)) <= LARGEST_ALPHA:
        raise ValueError(f"alpha must be from {-LARGEST_ALPHA:g} to {LARGEST_ALPHA:g}, got {alpha}")
    if not isinstance(ends, Iterable):
        raise TypeError(f"ends must be a list of ids, got {ends!r}")
    ends = [check_token("an id of ends", id_, lm.config) for id_ in ends]
    prompt_ids, n_ctx = lm.prompt_ids(prompt), lm.config.n_ctx
    n_most = min(max_new_tokens, n_ctx - len(prompt_ids))
    if n_most < 0:
        raise ValueError(f"the prompt has {len(prompt_ids)} tokens, the model's context is {n_ctx}: shorten it")

    def rank(beam: Beam) -> float:
        return beam.score(alpha)

    cache = lm.model.new_cache(capacity=len(prompt_ids) + n_most)
    logits = lm.model([prompt_ids], cache, last_only=True)  # (1, V)
    live, best = [Beam([], 0.0, 0)], Beam([], -math.inf, 1)
    for n in range(1, n_most + 1):
        totals = np.array([[beam.logprob] for beam in live]) + log_softmax(finite(logits)).astype(np.float64)
        best = max([best, *_ended(live, totals, ends)], key=rank)
        totals[:, ends] = -math.inf
        live, parents = _grown(live, totals, width)
        if n == n_most:
            break
        n_best = n_most if alpha >= 0 else n + 1  # with this length, an attempt would rank highest
        if rank(best) >= max((Beam(beam.ids, beam.logprob, n_best).score(alpha) for beam in live), default=-math.inf):
            return best
        cache = cache.select(parents) if len({*parents}) == len(parents) else cache.copies(parents)
        logits = lm.model([beam.ids[-1:] for beam in live], cache, last_only=True)  # (B, V)
    return max([best, *live], key=rank)


def _ended(live: Sequence[Beam], totals: Float64, ends: Sequence[int]) -> list[Beam]:
    """Return each attempt as if it ended here, with the likeliest of the tokens `ends`; totals (B, V)."""
    if not ends:
        return []
    best = totals[:, ends].max(axis=-1)
    return [Beam(beam.ids, float(logprob), beam.n_tokens + 1) for beam, logprob in zip(live, best, strict=True)]


def _grown(live: Sequence[Beam], totals: Float64, width: int) -> tuple[list[Beam], list[int]]:
    """Return the best one-token continuations of all attempts, and the attempt that each continues; totals (B, V)."""
    flat = totals.ravel()
    n = min(width, int(np.isfinite(flat).sum()))
    chosen = np.argpartition(-flat, n - 1)[:n] if n else np.array([], np.intp)
    chosen = chosen[np.argsort(-flat[chosen], kind="stable")]
    parents, ids = np.divmod(chosen, totals.shape[1])
    grown = [
        Beam([*live[parent].ids, int(id_)], float(totals[parent, id_]), live[parent].n_tokens + 1)
        for parent, id_ in zip(parents, ids, strict=True)
    ]
    return grown, parents.tolist()
