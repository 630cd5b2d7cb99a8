"""What can be read from a trace: the prediction after each block, how widely heads look, what each part contributes."""

from __future__ import annotations

import math

import numpy as np

from ..arrays import Array
from ..checks import instance, integer
from ..model.changes import check_index
from ..model.hooks import Trace
from ..model.inputs import check_token
from ..model.ops import log_softmax
from ..parameters import output_matrix


def logit_lens(of: Trace) -> Array:
    """Return what the model would predict if it ended after each block: log-probabilities, (..., L + 1, T, V).

    The residual stream before the first block and after each block goes through the final layer norm and the output
    matrix (nostalgebraist 2020, "interpreting GPT: the logit lens"). The last entry is the model's own prediction.
    """
    return log_softmax(instance("of", of, Trace).model.unembed(of.residual_stream()))


def attention_entropy(of: Trace) -> Array:
    """Return how widely each query spreads its attention, in bits, (..., L, H, T): log2 of n if evenly over n keys."""
    weights = instance("of", of, Trace).patterns()
    with np.errstate(divide="ignore", invalid="ignore"):
        parts = np.where(weights > 0, -weights * np.log2(weights), 0)
    entropy: Array = parts.sum(axis=-1)
    return entropy


def contributions(of: Trace, position: int, token: int) -> dict[str, float]:
    """Return what each part of the model adds to the logit of a token at a position; together they sum to the logit.

    The residual stream is a sum, and the final layer norm is linear apart from dividing by the standard deviation,
    which is computed from the whole stream (Elhage et al. 2021, "A Mathematical Framework for Transformer Circuits",
    direct path).

    Parameters
    ----------
    of : Trace
        A trace of one sequence, with everything recorded.
    position : int
        Index of the token after which the model predicts, from the end if it is negative.
    token : int
        The id whose logit is split into parts.

    Returns
    -------
    dict of name -> float
        "embedding", "position", "blocks.N.head.H", "blocks.N.attn.bias", "blocks.N.mlp" and "ln_final.bias"; of a
        changed model also "changes", what its hooks add where no part does.

    Raises
    ------
    TypeError, ValueError
        If the trace covers a batch, or the position or the token is not one of its own.
    """
    model = instance("of", of, Trace).model
    config, p = model.config, model.parameters()
    if np.ndim(of.ids) != 1:
        raise ValueError("contributions need a trace of one sequence, not of a batch")
    check_index("position", [integer("position", position)], len(of.ids))
    token = check_token("token", token, config)
    output = output_matrix(p, config)[:, token]
    last = of[f"blocks.{config.n_layer - 1}.hook_resid_post"][position].astype(np.float64)
    direction = (p["ln_f.weight"].astype(np.float64) * output) / math.sqrt(last.var() + config.layer_norm_eps)
    direction -= direction.mean()  # the norm subtracts each part's mean, so only the rest reaches its output

    parts: dict[str, Array] = {"embedding": of["hook_embed"][position], "position": of["hook_pos_embed"][position]}
    for layer in range(config.n_layer):
        here = f"blocks.{layer}"
        heads = of[f"{here}.attn.hook_z"][position]  # (H, K)
        weight = p[f"h.{layer}.attn.c_proj.weight"].reshape(config.n_head, config.d_head, -1)
        parts |= {f"{here}.head.{head}": heads[head] @ weight[head] for head in range(config.n_head)}
        parts[f"{here}.attn.bias"] = p[f"h.{layer}.attn.c_proj.bias"]
        parts[f"{here}.mlp"] = of[f"{here}.hook_mlp_out"][position]
    added = {name: float(part.astype(np.float64) @ direction) for name, part in parts.items()}
    added["ln_final.bias"] = float(p["ln_f.bias"].astype(np.float64) @ output)
    if model.hooks:
        added["changes"] = float(of.logits[position, token]) - sum(added.values())
    return added
