"""Named places in the forward pass where the array there can be read or replaced.

The names are the ones that users of TransformerLens know (github.com/TransformerLensOrg, HookedTransformer), and so
are the arrays, as of its version 3:

    hook_embed, hook_pos_embed                        (B, T, D)
    blocks.N.hook_resid_pre, hook_resid_mid, hook_resid_post    (B, T, D)   residual stream before, between and after
    blocks.N.ln1.hook_normalized, ln2.hook_normalized           (B, T, D)   before the layer norm's gain and bias
    blocks.N.attn.hook_q, hook_k, hook_v              (B, T, H, K)
    blocks.N.attn.hook_pattern                        (B, H, T, T)    each query's weights over the keys, summing to 1
    blocks.N.attn.hook_z                              (B, T, H, K)    what each head gives to the output matrix
    blocks.N.hook_attn_out, hook_mlp_out              (B, T, D)       what the layer adds to the residual stream
    blocks.N.mlp.hook_pre, mlp.hook_post              (B, T, M)       before and after the activation
    ln_final.hook_normalized                          (B, T, D)       before the last gain and bias

A hook is a function of such a name and the array there. The forward pass continues with the array that it returns, and
later steps may write to that array. `trace` and `changing` make the two most useful hooks; `gptcompare.inspection`
computes further quantities from a trace.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import ClassVar, Protocol, TypeAlias

import numpy as np
import numpy.typing as npt

from ..arrays import Array, Ids
from ..checks import brief, integer, some
from ..config import GPTConfig
from ..patterns import Pattern
from .attention import attention_pattern

Hook: TypeAlias = Callable[[str, Array], Array]  # the name of a place, the array there -> the array to continue with
Change: TypeAlias = Callable[[Array], Array]

EVERYTHING = ("*",)
LAST_PLACE = "ln_final.hook_normalized"


class Readable(Protocol):
    """The part of a model that a trace uses."""

    config: GPTConfig

    def __call__(self, ids: npt.ArrayLike, *, hook: Hook | None = None) -> Array: ...
    def parameters(self) -> dict[str, Array]: ...
    def unembed(self, x: Array) -> Array: ...


def no_hook(name: str, array: Array) -> Array:
    """Return the array unchanged: the hook that does nothing."""
    return array


def hook_in_block(hook: Hook | None, layer: int) -> Hook | None:
    """Return the hook for the places inside a block, which puts the block's name before theirs."""
    return None if hook is None else lambda name, array: hook(f"blocks.{layer}.{name}", array)


def attend_with_hooks(qkv: Array, pattern: Pattern, hook: Hook) -> Array:
    """Attend within whole sequences with the full (B, H, T, T) weights, so that a hook can read or replace them.

    (B, T, 3, H, K) -> (B, T, H K)
    """
    queries, keys, values = (hook(f"attn.hook_{name}", qkv[:, :, n]) for n, name in enumerate("qkv"))
    queries, keys = queries.swapaxes(1, 2), keys.swapaxes(1, 2)  # (B, T, H, K) -> (B, H, T, K)
    weights = np.stack([attention_pattern(*of_row, pattern) for of_row in zip(queries, keys, strict=True)])
    mixed = hook("attn.hook_pattern", weights) @ values.swapaxes(1, 2)
    heads = hook("attn.hook_z", mixed.swapaxes(1, 2))  # (B, T, H, K)
    return heads.reshape(*heads.shape[:2], -1)


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


def changing(changes: Mapping[str, Change]) -> Hook:
    """Return a hook that replaces the array at each named place by what a function makes of it.

    The function gets a copy, which it may change in place.

        model(ids, hook=changing({"blocks.0.attn.hook_z": without_heads([2])}))

    Parameters
    ----------
    changes : dict of name -> function
        Array -> array of the same shape, with the axis B even for a single sequence.

    Returns
    -------
    function of a name and an array
        For `model(ids, hook=...)`.

    Raises
    ------
    ValueError
        If heads or positions are to be changed at a place that is not made of them. When the model is called: if a
        function returns an array of another shape, or a name matches no place.
    """
    for name, change in changes.items():
        if isinstance(change, _WithoutHeads | _Patched):
            change.check_place(name)
    seen: set[str] = set()

    def hook(name: str, array: Array) -> Array:
        seen.add(name)
        if name == LAST_PLACE and (unknown := [place for place in changes if place not in seen]):
            raise ValueError(f"no place is called {unknown[0]!r}: `trace` returns a dict of all places")
        change = changes.get(name)
        if change is None:
            return array
        changed = change(array.copy())
        if np.shape(changed) != array.shape:
            raise ValueError(f"the array at {name} must have shape {array.shape}, got {np.shape(changed)}")
        return np.array(changed, array.dtype)

    return hook


@dataclass(frozen=True)
class _WithoutHeads:
    heads: list[int]

    PLACES: ClassVar[tuple[str, ...]] = ("attn.hook_q", "attn.hook_k", "attn.hook_v", "attn.hook_z")

    def check_place(self, name: str) -> None:
        if not name.endswith(self.PLACES):
            raise ValueError(f"at {name} no heads can be left out: give one of {', '.join(self.PLACES)}")

    def __call__(self, array: Array) -> Array:
        check_index("head", self.heads, array.shape[2])
        array[:, :, self.heads] = 0
        return array


def without_heads(heads: Iterable[int]) -> Change:
    """Return a change that sets some heads to 0: for "attn.hook_z" and "attn.hook_q", "hook_k", "hook_v".

    Parameters
    ----------
    heads : integers
        Counted from 0.

    Returns
    -------
    function of an array
        For `changing`: (B, T, H, K) -> (B, T, H, K), with zeros for these heads.

    Raises
    ------
    TypeError, ValueError
        If a head is not an integer from 0; when the model is called, if it has no such head.
    """
    return _WithoutHeads([integer("a head", head, at_least=0) for head in _several("heads", heads)])


def patched(source: Array, positions: Iterable[int] | None = None) -> Change:
    """Return a change that copies an array of another trace, at some or all positions: activation patching.

    Meng et al. 2022 (arXiv:2202.05262), section 2.

    Parameters
    ----------
    source : (T, ...) or (B, T, ...)
        From a trace of as many tokens.
    positions : integers, optional
        Positions of the tokens, from the end if negative; all of them if not given.

    Returns
    -------
    function of an array
        For `changing`: (B, T, ...) -> (B, T, ...).

    Raises
    ------
    TypeError
        If a position is not an integer.
    ValueError
        When the model is called: if the source does not fit the array at that place, or a position is none of its own.
    """
    if positions is not None:
        positions = [integer("a position", position) for position in _several("positions", positions)]
    return _Patched(np.asarray(source), positions)


@dataclass(frozen=True, eq=False)
class _Patched:
    source: Array
    positions: list[int] | None

    def check_place(self, name: str) -> None:
        if self.positions is not None and name.endswith("attn.hook_pattern"):
            raise ValueError(f"at {name} no positions can be patched, whose weights are not all at one of them")

    def __call__(self, array: Array) -> Array:
        try:
            source = np.broadcast_to(self.source, array.shape)
        except ValueError:
            shapes = f"{self.source.shape} does not fit an array of {array.shape}"
            raise ValueError(f"a source of shape {shapes}: trace as many tokens") from None
        if self.positions is not None:
            check_index("position", self.positions, array.shape[1])
        chosen = slice(None) if self.positions is None else self.positions
        array[:, chosen] = source[:, chosen]
        return array


def _several(name: str, indices: Iterable[int]) -> Iterable[int]:
    if not isinstance(indices, Iterable):
        raise TypeError(f"{name} must be a list of integers, such as [{indices!r}], got {indices!r}")
    return indices


def check_index(what: str, indices: Iterable[int], n: int) -> None:
    """Raise ValueError if there is no position or head with one of these numbers among n."""
    if wrong := [index for index in indices if not -n <= index < n]:
        raise ValueError(f"there is no {what} {wrong[0]}: there are 0 ... {n - 1}")
