"""What was recorded of models: for each quantity a function from a model and what it was given to numbers.

Numbers are computed from the model's logits in float64, so that nothing but the forward pass rounds to float32. Ids are
read as they are: nothing is put before them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from typing import Any

import numpy as np

from ..arrays import Array
from ..generation import LanguageModel
from ..inspection import changing, without_heads
from ..model import GPT, KVCache
from ..model.hooks import LAST_PLACE, Hook
from ..model.ops import log_softmax
from ..parameters import output_matrix
from ..training import AdamW, Recipe, loss_and_grads
from ..training.optimizer import clip_

Ids = Sequence[int]
Numbers = list[float]


def all_logits(lm: LanguageModel, ids: Ids, hook: Hook | None = None) -> Array:
    """Return the logits after each id, (T, V), in float64."""
    return lm.model(ids, hook=hook).astype(np.float64)


def log_probabilities(lm: LanguageModel, ids: Ids, first: int) -> Numbers:
    """Return the log-probability of each id from the one with the index `first`, which is at least 1, in nats."""
    return _log_probabilities(lm, ids, first)


def _log_probabilities(lm: LanguageModel, ids: Ids, first: int, hook: Hook | None = None) -> Numbers:
    predictions = log_softmax(all_logits(lm, ids[:-1], hook))[first - 1 :]
    return _list(predictions[np.arange(len(ids) - first), ids[first:]])


def logits(lm: LanguageModel, ids: Ids, positions: Ids, tokens: Ids) -> Numbers:
    """Return the logits of some tokens at some positions, position by position."""
    return _list(all_logits(lm, ids)[np.ix_(positions, tokens)])


def centred_logits(lm: LanguageModel, ids: Ids, tokens: Ids) -> Numbers:
    """Return the logits of some tokens after the last id, minus the mean over the vocabulary."""
    last = all_logits(lm, ids)[-1]
    return _list((last - last.mean())[tokens])


def logit_differences(lm: LanguageModel, texts: Sequence[Ids], pairs: Sequence[Ids]) -> Numbers:
    """Return for each text the logit of a token minus that of another, after its last id."""
    return [
        float(np.subtract(*all_logits(lm, ids)[-1][list(pair)])) for ids, pair in zip(texts, pairs, strict=True)
    ]  # fmt: skip


def hidden_state(lm: LanguageModel, ids: Ids, positions: Ids, dimensions: Ids) -> Numbers:
    """Return some dimensions of the last hidden state, which is what the output matrix reads: after the final norm."""
    p = lm.model.parameters()
    normed = lm.model.trace(ids, [LAST_PLACE])[LAST_PLACE].astype(np.float64) * p["ln_f.weight"] + p["ln_f.bias"]
    return _list(normed[np.ix_(positions, dimensions)])


def likeliest_tokens(lm: LanguageModel, ids: Ids, positions: Ids) -> list[int]:
    """Return the token with the largest logit at each of some positions."""
    return [int(token) for token in all_logits(lm, ids)[list(positions)].argmax(axis=-1)]


def percentages(lm: LanguageModel, ids: Ids, tokens: Ids) -> Numbers:
    """Return the probabilities of some tokens after the last id, in percent."""
    return _list(_last_percentages(lm, ids)[tokens])


def largest_percentages(lm: LanguageModel, ids: Ids, n: int) -> Numbers:
    """Return the n largest probabilities after the last id, whatever the tokens, in percent."""
    return _list(np.sort(_last_percentages(lm, ids))[: -n - 1 : -1])


def _last_percentages(lm: LanguageModel, ids: Ids) -> Array:
    return 100 * np.exp(log_softmax(all_logits(lm, ids)[-1]))


def probabilities(lm: LanguageModel, ids: Ids, first: int) -> Numbers:
    """Return the probability of each id from the one with the index `first`."""
    return _list(np.exp(log_probabilities(lm, ids, first)))


def sum_of_log_probabilities(lm: LanguageModel, ids: Ids, first: int) -> Numbers:
    """Return the log-probability of all ids from the one with the index `first` together, in nats."""
    return [math.fsum(log_probabilities(lm, ids, first))]


def surprisal(lm: LanguageModel, ids: Ids, first: int) -> Numbers:
    """Return the same with the other sign."""
    return [-math.fsum(log_probabilities(lm, ids, first))]


def log_probabilities_in_windows(lm: LanguageModel, windows: Sequence[Ids], first: Ids) -> Numbers:
    """Return the log-probabilities of the ids of each window from an index of its own, one window after the other."""
    return [one for ids, start in zip(windows, first, strict=True) for one in log_probabilities(lm, ids, start)]


def loss(lm: LanguageModel, texts: Sequence[Ids]) -> Numbers:
    """Return the mean over the texts of the mean cross-entropy of each, whose first id is not predicted, in nats."""
    return [_mean([_loss(lm, ids) for ids in texts])]


def loss_without_a_head(lm: LanguageModel, texts: Sequence[Ids], layer: int, head: int) -> Numbers:
    """Return the same loss with the value vectors of a head set to 0."""
    hook = changing({f"blocks.{layer}.attn.hook_v": without_heads([head])})
    return [_mean([_loss(lm, ids, hook) for ids in texts])]


def perplexity(lm: LanguageModel, texts: Sequence[Ids]) -> Numbers:
    """Return the mean of the perplexities of some texts, whose first ids are not predicted."""
    return [_mean([float(np.exp(_loss(lm, ids))) for ids in texts])]


def _loss(lm: LanguageModel, ids: Ids, hook: Hook | None = None) -> float:
    return -_mean(_log_probabilities(lm, ids, 1, hook))


def greedy(lm: LanguageModel, ids: Ids, n: int) -> tuple[list[int], Array]:
    """Return the n tokens that the model writes greedily after some ids, and the logits of which each is the largest.

    Nothing ends the text: not even the end-of-text token.
    """
    rows = list(islice(_greedy_logits(lm, ids, lm.model.new_cache(capacity=len(ids) + n - 1)), n))
    return [int(row.argmax()) for row in rows], np.array(rows)


def _greedy_logits(lm: LanguageModel, ids: Ids, cache: KVCache) -> Iterator[Array]:
    """Yield the logits (V,) of one token after the other, without an end; the cache must have room for what is read."""
    read = ids
    while True:
        logits = lm.model(read, cache, last_only=True).astype(np.float64)
        yield logits
        read = [int(logits.argmax())]


def greedy_tokens(lm: LanguageModel, ids: Ids, n: int) -> list[int]:
    """Return the n tokens that the model writes greedily after some ids."""
    return greedy(lm, ids, n)[0]


def greedy_text(lm: LanguageModel, prompt: str, n_characters: int) -> str:
    """Return the first characters that the model writes greedily after a prompt, which it reads as `generate` does."""
    logits = _greedy_logits(lm, lm.prompt_ids(prompt), lm.model.new_cache())
    decoder, text = lm.tokenizer.stream_decoder(), ""
    while len(text) < n_characters:
        text += decoder.push(int(next(logits).argmax()))
    return text[:n_characters]


def is_greedy(lm: LanguageModel, ids: Ids, continuations: Sequence[Ids]) -> list[int]:
    """Return for each continuation of some ids 1 if the model would write it greedily, else 0."""
    written = greedy_tokens(lm, ids, max(map(len, continuations)))
    return [int(written[: len(one)] == list(one)) for one in continuations]


def logits_of_greedy_tokens(lm: LanguageModel, ids: Ids, n: int) -> Numbers:
    """Return the logits of the n tokens that the model writes greedily."""
    return _list(greedy(lm, ids, n)[1].max(axis=-1))


def log_probabilities_of_greedy_tokens(lm: LanguageModel, ids: Ids, n: int) -> Numbers:
    """Return their log-probabilities, in nats."""
    return _list(log_softmax(greedy(lm, ids, n)[1]).max(axis=-1))


def training_losses(
    lm: LanguageModel,
    texts: Sequence[Ids],
    n: int,
    learning_rate: float,
    betas: Sequence[float],
    eps: float,
    weight_decay: float,
    gradient_clip: float,
) -> Numbers:
    """Return the loss before each of n steps of AdamW on the same texts, all of one length; 0 is for no clipping.

    A copy of the model is trained, which takes five times the memory of the model.
    """
    recipe = Recipe(n_steps=n, betas=(betas[0], betas[1]), eps=eps, weight_decay=weight_decay)
    copies = {name: value.copy(order="K") for name, value in lm.model.parameters().items()}
    model = GPT(lm.config, copies, dtype=lm.model.dtype)
    optimizer = AdamW(model.parameters(), recipe)
    batch, losses = np.array(texts), []
    for _ in range(n):
        now, gradients = loss_and_grads(model, batch[:, :-1], batch[:, 1:])
        losses.append(now)
        if gradient_clip:
            clip_(gradients, gradient_clip)
        optimizer.update(gradients, learning_rate)
    return losses


def final_bias(lm: LanguageModel, tokens: Ids) -> Numbers:
    """Return what the bias of the final layer norm adds to the logits of some tokens, minus the vocabulary's mean."""
    p = lm.model.parameters()
    output = output_matrix(p, lm.config).T  # (V, D)
    added = output.astype(np.float64) @ p["ln_f.bias"].astype(np.float64)
    return _list((added - added.mean())[tokens])


def _mean(values: Sequence[float]) -> float:
    return math.fsum(values) / len(values)


def _list(values: Any) -> Numbers:
    return [float(value) for value in np.ravel(values)]


QUANTITIES: dict[str, Callable[..., list[Any] | str]] = {
    "logits": logits,
    "centred logits": centred_logits,
    "logit differences": logit_differences,
    "hidden state": hidden_state,
    "likeliest tokens": likeliest_tokens,
    "percentages": percentages,
    "largest percentages": largest_percentages,
    "probabilities": probabilities,
    "log-probabilities": log_probabilities,
    "sum of log-probabilities": sum_of_log_probabilities,
    "surprisal": surprisal,
    "log-probabilities in windows": log_probabilities_in_windows,
    "loss": loss,
    "loss without a head": loss_without_a_head,
    "perplexity": perplexity,
    "greedy tokens": greedy_tokens,
    "greedy text": greedy_text,
    "is greedy": is_greedy,
    "logits of greedy tokens": logits_of_greedy_tokens,
    "log-probabilities of greedy tokens": log_probabilities_of_greedy_tokens,
    "training losses": training_losses,
    "final bias": final_bias,
}
