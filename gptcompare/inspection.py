"""What happens inside: attention, the residual stream, what each part contributes, and what if it did not.

`trace` and the hooks are those of `gptcompare.model.hooks`, which lists the places of the forward pass by name; here is
what can be computed from a trace.
"""

from __future__ import annotations

import math

import numpy as np

from .arrays import Array
from .model.hooks import Change, Hook, Trace, changing, patched, trace, without_heads
from .model.ops import log_softmax

__all__ = [
    "Change",
    "Hook",
    "Trace",
    "attention_entropy",
    "changing",
    "contributions",
    "logit_lens",
    "patched",
    "trace",
    "without_heads",
]


def logit_lens(of: Trace) -> Array:
    """What the model would predict if it ended after each block: log-probabilities, (..., L + 1, T, V).

    The residual stream before the first block and after each, through the final layer norm and the output matrix
    (nostalgebraist 2020, "interpreting GPT: the logit lens"). The last is the model's own prediction.
    """
    return log_softmax(of.model.unembed(of.residual_stream()))


def attention_entropy(of: Trace) -> Array:
    """How widely each query looks, in bits: (..., L, H, T); 0 if at one key, log2 of n if evenly at n."""
    weights = of.patterns()
    with np.errstate(divide="ignore", invalid="ignore"):
        parts = np.where(weights > 0, -weights * np.log2(weights), 0)
    entropy: Array = parts.sum(axis=-1)
    return entropy


def contributions(of: Trace, position: int, token: int) -> dict[str, float]:
    """What each part of the model adds to the logit of a token at a position; all together are the logit.

    The residual stream is a sum, and the final layer norm is linear but for the division by the deviation, which is
    that of the whole (Elhage et al. 2021, "A Mathematical Framework for Transformer Circuits", direct path).

    Parameters
    ----------
    of : Trace
        Of one sequence, with everything recorded.
    position : int
        Index of the token behind which the model predicts.
    token : int
        The id whose logit it is.

    Returns
    -------
    dict of name -> float
        "embedding", "position", "blocks.N.head.H", "blocks.N.attn.bias", "blocks.N.mlp" and "ln_final.bias".

    Raises
    ------
    ValueError
        If the trace is of a batch.
    """
    config, p = of.model.config, of.model.parameters()
    if np.ndim(of.ids) != 1:
        raise ValueError("contributions are of one sequence: trace it alone")
    output = p["wte.weight"][token] if config.tied_embeddings else p["lm_head.weight"][:, token]
    last = of[f"blocks.{config.n_layer - 1}.hook_resid_post"][position].astype(np.float64)
    direction = (p["ln_f.weight"].astype(np.float64) * output) / math.sqrt(last.var() + config.layer_norm_eps)
    direction -= direction.mean()  # of each part, only what differs from its mean reaches the norm's output

    parts: dict[str, Array] = {"embedding": of["hook_embed"][position], "position": of["hook_pos_embed"][position]}
    for layer in range(config.n_layer):
        here = f"blocks.{layer}"
        heads = of[f"{here}.attn.hook_z"][position]  # (H, K)
        weight = p[f"h.{layer}.attn.c_proj.weight"].reshape(config.n_head, config.d_head, -1)
        parts |= {f"{here}.head.{head}": heads[head] @ weight[head] for head in range(config.n_head)}
        parts[f"{here}.attn.bias"] = p[f"h.{layer}.attn.c_proj.bias"]
        parts[f"{here}.mlp"] = of[f"{here}.hook_mlp_out"][position]
    added = {name: float(part.astype(np.float64) @ direction) for name, part in parts.items()}
    return {**added, "ln_final.bias": float(p["ln_f.bias"].astype(np.float64) @ output)}
