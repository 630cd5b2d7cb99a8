"""Named places in the forward pass where the array there can be read or replaced.

The names are the ones that users of TransformerLens know (github.com/TransformerLensOrg, HookedTransformer), and so
are the arrays, as of its version 3:

    hook_embed, hook_pos_embed                        (B, T, D)
    blocks.N.hook_resid_pre, hook_resid_mid, hook_resid_post    (B, T, D)   residual stream before, between and after
    blocks.N.ln1.hook_normalized, ln2.hook_normalized           (B, T, D)   before the layer norm's gain and bias
    blocks.N.attn.hook_q, hook_k, hook_v              (B, T, H, K)
    blocks.N.attn.hook_pattern                        (B, H, T, S)    each query's weights over the keys, summing to 1
    blocks.N.attn.hook_z                              (B, T, H, K)    what each head gives to the output matrix
    blocks.N.hook_attn_out, hook_mlp_out              (B, T, D)       what the layer adds to the residual stream
    blocks.N.mlp.hook_pre, mlp.hook_post              (B, T, M)       before and after the activation
    ln_final.hook_normalized                          (B, T, D)       before the last gain and bias

With `last_only`, ln_final.hook_normalized is that of the last position alone, (B, 1, D).

A hook is a function of such a name and the array there. The forward pass continues with the array that it returns, and
later steps may write to that array. `trace` and `changing` (`changes`) make the two most useful hooks;
`gptcompare.inspection` computes further quantities from a trace.

Without a cache, the T positions are whole sequences, and S is T. With a cache they are the new tokens, the keys and
values are remembered as the hook returned them, and S counts all positions of the longest sequence: those that a band
has left behind, or that a shorter sequence does not have, have the weight 0 and must keep it. So a hook that treats
each position by itself (leaves heads out, adds a vector, scales) makes the same of a text that is written token by
token as of one that is read whole. One that mixes positions, counts them, or remembers earlier calls does not, in
general. Evaluation calls it from several threads.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Protocol, TypeAlias

import numpy as np
import numpy.typing as npt

from ..arrays import Array, Ids
from ..checks import brief, some
from ..config import GPTConfig

Hook: TypeAlias = Callable[[str, Array], Array]  # the name of a place, the array there -> the array to continue with

EVERYTHING = ("*",)
FIRST_PLACES = ("hook_embed", "hook_pos_embed")
BLOCK_PLACES = (
    "hook_resid_pre", "ln1.hook_normalized", "attn.hook_q", "attn.hook_k", "attn.hook_v", "attn.hook_pattern",
    "attn.hook_z", "hook_attn_out", "hook_resid_mid", "ln2.hook_normalized", "mlp.hook_pre", "mlp.hook_post",
    "hook_mlp_out", "hook_resid_post",
)  # fmt: skip
LAST_PLACE = "ln_final.hook_normalized"


def places(config: GPTConfig) -> list[str]:
    """Return the names of all places of a model, in the order of the forward pass."""
    blocks = [f"blocks.{layer}.{name}" for layer in range(config.n_layer) for name in BLOCK_PLACES]
    return [*FIRST_PLACES, *blocks, LAST_PLACE]


class Readable(Protocol):
    """The part of a model that a trace uses."""

    config: GPTConfig
    hooks: tuple[Hook, ...]

    def __call__(self, ids: npt.ArrayLike, *, hook: Hook | None = None) -> Array: ...
    def parameters(self) -> Mapping[str, Array]: ...
    def unembed(self, x: Array) -> Array: ...


def no_hook(name: str, array: Array) -> Array:
    """Return the array unchanged: the hook that does nothing."""
    return array


def hook_in_block(hook: Hook | None, layer: int) -> Hook | None:
    """Return the hook for the places inside a block, which puts the block's name before theirs."""
    return None if hook is None else lambda name, array: hook(f"blocks.{layer}.{name}", array)


def hook_at_last_place(hook: Hook | None) -> Callable[[Array], Array] | None:
    """Return the hook for the vectors (..., D) of the last place, which it gets as (B, T, D)."""
    if hook is None:
        return None
    return lambda x: hook(LAST_PLACE, x.reshape(-1, *np.atleast_2d(x).shape[-2:])).reshape(x.shape)


@dataclass(frozen=True)
class Trace(Mapping[str, Array]):
    """The recorded arrays by the name of their place; for a single sequence, without the axis B.

    Attributes
    ----------
    model : GPT
    ids : integers, (T,) or (B, T)
    logits : (T, V) or (B, T, V)
    arrays : dict of name -> array
        The recorded arrays.

    Raises
    ------
    KeyError
        On access, by name or by a method or function that needs it, to a place that was not recorded.
    """

    model: Readable
    ids: Ids
    logits: Array
    arrays: dict[str, Array]

    def __getitem__(self, name: str) -> Array:
        try:
            return self.arrays[name]
        except KeyError:
            recorded = ", ".join(self.arrays) or "nothing"
            raise KeyError(f"{name} is not in the trace, which recorded {recorded}") from None

    def __repr__(self) -> str:
        return brief(self, f"{len(self)} arrays of {np.size(self.ids)} tokens: {some(self)}")

    def __iter__(self) -> Iterator[str]:
        return iter(self.arrays)

    def __len__(self) -> int:
        return len(self.arrays)

    def patterns(self) -> Array:
        """Return the attention weights of all layers: (..., L, H, T, T)."""
        return self._of_layers("attn.hook_pattern", axis=-4)

    def residual_stream(self) -> Array:
        """Return the residual stream before the first block and after each block: (..., L + 1, T, D)."""
        first = self["blocks.0.hook_resid_pre"]
        return np.concatenate([np.expand_dims(first, -3), self._of_layers("hook_resid_post", axis=-3)], axis=-3)

    def _of_layers(self, name: str, axis: int) -> Array:
        layers = range(self.model.config.n_layer)
        return np.stack([self[f"blocks.{layer}.{name}"] for layer in layers], axis=axis)


def trace(model: Readable, ids: npt.ArrayLike, record: Iterable[str] = EVERYTHING) -> Trace:
    """Let a model read, and record the arrays at the named places.

    Parameters
    ----------
    model : GPT
    ids : integers, (T,) or (B, T)
    record : names, in which `*` stands for anything
        For example `["*.attn.hook_pattern"]`; everything if not given: about L (16 D + 2 M + H T) numbers per token.

    Returns
    -------
    Trace

    Raises
    ------
    TypeError, ValueError
        As the model does; also if a name matches no place.
    """
    if isinstance(record, str):
        raise TypeError(f"record must be a list of names, such as [{record!r}], got {record!r}")
    wanted = list(record)
    arrays: dict[str, Array] = {}
    seen: list[str] = []

    def keep(name: str, array: Array) -> Array:
        seen.append(name)
        if any(fnmatchcase(name, pattern) for pattern in wanted):
            arrays[name] = array.copy() if np.ndim(ids) == 2 else array[0].copy()
        return array

    logits = model(ids, hook=keep)
    for pattern in wanted:
        if not any(fnmatchcase(name, pattern) for name in seen):
            raise ValueError(f"no place is called {pattern!r}: there are {', '.join(seen)}")
    return Trace(model, np.asarray(ids, np.intp), logits, arrays)
