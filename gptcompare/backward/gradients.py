"""The forward pass of the model, then the same backwards.

`loss_and_grads` is for training: the gradient of the loss with respect to every parameter. `score_and_input_grads` is
for looking inside: the gradient of a number that is computed from the last logits, with respect to the embeddings.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from ..arrays import Array, Ids, Integers, Mask
from ..checks import instance, integer
from ..config import GPTConfig
from ..model import GPT
from ..model.changes import check_trainable
from ..model.inputs import check_ids, check_room
from ..parameters import block_shapes, output_matrix
from .block import KeptBlock, block, block_backward
from .ops import (
    NO_DROPOUT,
    Dropout,
    cross_entropy,
    dropout,
    dropout_backward,
    embedding_backward,
    layer_norm,
    layer_norm_backward,
    sum_of_rows,
)

Parameters: TypeAlias = Mapping[str, Array]
Gradients = dict[str, Array]
# Logits (B, V) -> a number for each row (B,), and its derivatives with respect to the logits of the row (B, V).
Score: TypeAlias = Callable[[Array], tuple[Array, Array]]

# Tokens whose logits are in memory at once: enough for matrix products at full speed, few enough that the logits of a
# small vocabulary stay in the processor's cache, and that a large vocabulary's do not dominate the memory.
LOGIT_ROWS = 256


def loss_and_grads(
    model: GPT,
    ids: npt.ArrayLike,
    targets: npt.ArrayLike,
    *,
    ignore: int | None = None,
    p_drop: float = 0.0,
    rng: np.random.Generator | None = None,
) -> tuple[float, Gradients]:
    """Compute the mean loss of a batch and its gradient.

    Parameters
    ----------
    model : GPT
        It is not changed.
    ids : integers, (T,) or (B, T)
        Whole sequences, at most as long as the model's context.
    targets : integers, shaped like `ids`
        The token that follows each of `ids`, or `ignore`.
    ignore : int, optional
        Targets equal to it do not count: the loss is the mean over the others, as PyTorch's cross entropy computes it
        with `ignore_index`. Often -100, which is no token.
    p_drop : float
        Probability of dropping a number, in GPT's three places: in the sum of the embeddings, in the attention weights,
        and in what a layer adds to the residual stream (Radford et al. 2018, section 4.1).
    rng : numpy.random.Generator
        Draws which numbers to drop; required if `p_drop` is not 0.

    Returns
    -------
    loss : float
        The mean of -log p(target), in nats.
    grads : dict of name -> array
        d loss / d parameter, in the parameter's shape, dtype and memory order.

    Raises
    ------
    TypeError, ValueError
        As the model does; also if `targets` and `ids` differ in shape, no target counts, a required generator is
        missing, or the model is a changed one, or one that is kept in 16 bits.
    """
    check_trainable(instance("model", model, GPT), "trained")
    checked, checked_targets, counted = _check_batch(ids, targets, model.config, ignore)
    drop = _check_dropout(p_drop, rng)
    p, config, (B, T) = model.parameters(), model.config, checked.shape
    # 1. Forwards to the residual stream after the last block.
    embedded = p["wte.weight"][checked] + p["wpe.weight"][:T]
    x, dropped = dropout(embedded.reshape(B * T, -1), *drop)
    x, kept = _through_blocks(x, p, config, B, drop)
    # 2. Where a target counts, forwards to the loss, and back to that residual stream; elsewhere its gradient is 0.
    loss, d_counted, grads = _loss_and_backward(x[counted], p, checked_targets[counted], config)
    dx = np.zeros_like(x)
    dx[counted] = d_counted
    # 3. Backwards to the embeddings.
    _backward(dx, p, checked, config, dropped, kept, grads)
    return loss, {name: grads[name] for name in p}


def score_and_input_grads(model: GPT, embedded: Array, score: Score) -> tuple[Array, Array]:
    """Compute a number from the last logits of each sequence, and its gradient with respect to the tokens' embeddings.

    Parameters
    ----------
    model : GPT
    embedded : (B, T, D)
        What stands where the embeddings of the tokens would; the positions are added to it.
    score : function
        Logits (B, V) -> the numbers (B,) and their derivatives with respect to the logits (B, V).

    Returns
    -------
    scores : (B,)
    gradient : (B, T, D)
        d score / d embedded, in the model's dtype.

    Raises
    ------
    TypeError, ValueError
        If the model is a changed one, or kept in 16 bits, or the sequences are longer than its context.
    """
    check_trainable(instance("model", model, GPT), "differentiated")
    p, config, (B, T, D) = model.parameters(), model.config, embedded.shape
    check_room(0, T, config.n_ctx, config)
    x, kept = _through_blocks((embedded + p["wpe.weight"][:T]).reshape(B * T, D), p, config, B, NO_DROPOUT)
    last = slice(T - 1, None, T)  # the last row of each sequence
    normed, norm = layer_norm(x[last], p["ln_f.weight"], p["ln_f.bias"], config.layer_norm_eps)
    output = output_matrix(p, config)
    scores, d_logits = score(normed @ output)
    dx = np.zeros_like(x)
    dx[last], *_ = layer_norm_backward(d_logits @ output.T, norm, p["ln_f.weight"])
    for layer in reversed(range(config.n_layer)):
        dx, _ = block_backward(dx, kept.pop(), _of_layer(p, layer, config), config, B)
    return scores, dx.reshape(B, T, D)


def _through_blocks(
    x: Array, p: Parameters, config: GPTConfig, batch: int, drop: Dropout
) -> tuple[Array, list[KeptBlock]]:
    """Return the residual stream after the last block, (N, D), and what is kept of each block."""
    kept = []
    for layer in range(config.n_layer):
        x, of_block = block(x, _of_layer(p, layer, config), config.pattern_of(layer), config, batch, drop)
        kept.append(of_block)
    return x, kept


def _loss_and_backward(x: Array, p: Parameters, targets: Ids, config: GPTConfig) -> tuple[float, Array, Gradients]:
    """Apply the final layer norm, the output matrix and the loss, and go back: (N, D) -> loss, (N, D), gradients.

    The targets are (N,), one for each row of x.
    """
    normed, norm = layer_norm(x, p["ln_f.weight"], p["ln_f.bias"], config.layer_norm_eps)
    output = output_matrix(p, config)
    d_output, d_normed, loss = np.zeros_like(output), np.empty_like(normed), 0.0
    for start in range(0, len(x), LOGIT_ROWS):
        rows = slice(start, start + LOGIT_ROWS)
        losses, d_logits = cross_entropy(normed[rows] @ output, targets[rows])
        loss += float(losses.sum(dtype=np.float64))
        d_normed[rows] = d_logits @ output.T
        d_output += normed[rows].T @ d_logits
    d_normed /= len(x)  # the loss is the mean
    d_output /= len(x)
    grads = {"wte.weight": d_output.T} if config.tied_embeddings else {"lm_head.weight": d_output}
    dx, grads["ln_f.weight"], grads["ln_f.bias"] = layer_norm_backward(d_normed, norm, p["ln_f.weight"])
    return loss / len(x), dx, grads


def _backward(
    dx: Array, p: Parameters, ids: Ids, config: GPTConfig, dropped: Array | None, kept: list[KeptBlock],
    grads: Gradients,
) -> None:  # fmt: skip
    """Go back from the residual stream after the last block to the embeddings, adding gradients to `grads`."""
    B, T = ids.shape
    for layer in reversed(range(config.n_layer)):
        dx, of_block = block_backward(dx, kept.pop(), _of_layer(p, layer, config), config, B)
        grads |= {f"h.{layer}.{name}": gradient for name, gradient in of_block.items()}
    dx = dropout_backward(dx, dropped)
    grads["wpe.weight"] = np.zeros_like(p["wpe.weight"])
    grads["wpe.weight"][:T] = sum_of_rows(dx.reshape(B, -1)).reshape(T, -1)
    grads.setdefault("wte.weight", np.zeros_like(p["wte.weight"]))  # a tied one has the output's gradient already
    embedding_backward(dx, ids.ravel(), grads["wte.weight"])


def _of_layer(p: Parameters, layer: int, config: GPTConfig) -> dict[str, Array]:
    return {name: p[f"h.{layer}.{name}"] for name in block_shapes(config)}


def check_ignore(ignore: int | None) -> None:
    """Raise TypeError or ValueError if it is no integer of 32 bits."""
    if ignore is not None:
        integer("ignore", ignore, at_least=-(2**31), at_most=2**31 - 1)


def counted_targets(targets: Integers, ignore: int | None) -> Mask:
    """Return where a target counts, shaped like the targets."""
    return np.ones(targets.shape, np.bool_) if ignore is None else np.not_equal(targets, ignore)


def _check_batch(
    ids: npt.ArrayLike, targets: npt.ArrayLike, config: GPTConfig, ignore: int | None
) -> tuple[Ids, Ids, Mask]:
    """Return ids (B, T), targets (N,), and which of these count, checked."""
    check_ignore(ignore)
    checked, checked_targets = check_ids(ids, config), check_ids(targets, config, "targets", ignore)
    if np.shape(targets) != np.shape(ids):
        raise ValueError(f"targets has shape {np.shape(targets)}, ids {np.shape(ids)}: each id needs the one after it")
    checked_targets = checked_targets.ravel()
    counted = counted_targets(checked_targets, ignore)
    if not counted.any():
        raise ValueError(f"no target counts, all are {ignore}: give at least one that does")
    check_room(0, checked.shape[1], config.n_ctx, config)
    return checked, checked_targets, counted


def _check_dropout(p_drop: float, rng: np.random.Generator | None) -> Dropout:
    if not 0 <= p_drop < 1:
        raise ValueError(f"p_drop must be at least 0 and less than 1, got {p_drop!r}")
    if p_drop == 0:
        return NO_DROPOUT
    if not isinstance(rng, np.random.Generator):
        raise TypeError(f"p_drop {p_drop} needs rng, a generator such as numpy.random.default_rng(0), got {rng!r}")
    return Dropout(p_drop, rng)
