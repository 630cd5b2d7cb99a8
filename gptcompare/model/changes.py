"""Changes of what happens inside a model: a hook made of functions for single places, and of a model that has hooks.

`changing` makes a hook of a dict of place -> function, `without_heads` and `patched` make such functions. A model that
was given hooks by `GPT.changed` calls them in everything it computes; the other functions of this module serve it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Protocol, TypeAlias

import numpy as np

from ..arrays import Array
from ..checks import did_you_mean, integer, shown
from ..config import GPTConfig
from ..parallel import Ranks
from .hooks import BLOCK_PLACES, FIRST_PLACES, LAST_PLACE, Hook, places

Change: TypeAlias = Callable[[Array], Array]


@dataclass(frozen=True)
class Changing:
    """A hook that replaces the array at each named place by what a function makes of it: see `changing`."""

    changes: dict[str, Change]

    def __call__(self, name: str, array: Array) -> Array:
        change = self.changes.get(name)
        if change is None:
            return array
        changed = change(array.copy())
        if np.shape(changed) != array.shape:
            raise ValueError(f"the array at {name} must have shape {array.shape}, got {np.shape(changed)}")
        return np.array(changed, array.dtype)

    def check(self, config: GPTConfig) -> None:
        """Raise ValueError if a model has no such place, or no such head."""
        there = places(config)
        for name, change in self.changes.items():
            if name not in there:
                raise _no_such_place(name, there)
            if isinstance(change, _WithoutHeads):
                check_index("head", change.heads, config.n_head)

    @property
    def is_of_whole_sequences(self) -> bool:
        """Whether a change counts positions from the beginning of what is read, so that it must be all of a text."""
        return any(isinstance(change, _Patched) for change in self.changes.values())


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
        For `model(ids, hook=...)` and `model.changed(...)`.

    Raises
    ------
    TypeError
        If they are no dict, or a change is not a function.
    ValueError
        If no model has such a place, or heads or positions are to be changed at a place that is not made of them. When
        it is given to a model: if that has no such layer or head. When the model is called: if a function returns an
        array of another shape, or there is a cache and a function is `patched`.
    """
    if not isinstance(changes, Mapping):
        raise TypeError(f"changes must be a dict of place -> function, got {shown(changes)}")
    known = {*FIRST_PLACES, *BLOCK_PLACES, LAST_PLACE}
    for name, change in changes.items():
        if not isinstance(name, str):
            raise TypeError(f"a place must be a str, got {shown(name)}")
        if (name.split(".", 2)[-1] if name.startswith("blocks.") else name) not in known:
            raise _no_such_place(name, known)
        if not callable(change):
            raise TypeError(f"the change at {name} must be a function of an array, got {shown(change)}")
        if isinstance(change, _WithoutHeads | _Patched):
            change.check_place(name)
    return Changing(dict(changes))


def _no_such_place(name: str, known: Iterable[str]) -> ValueError:
    return ValueError(f"no place is called {name!r}: {did_you_mean(name, known)}`trace` returns a dict of all places")


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


class Changed(Protocol):
    """A model that may have hooks of its own, be one of the parts that ranks have of one, or be kept in 16 bits."""

    hooks: tuple[Hook, ...]
    ranks: Ranks
    kept_in: str | None


def checked_hook(changes: Hook | Mapping[str, Change], config: GPTConfig) -> Hook:
    """Return a hook that is given, or made of changes, if it fits a model; TypeError or ValueError if not."""
    if isinstance(changes, _WithoutHeads | _Patched):
        raise TypeError('a change needs a place: give a dict, such as {"blocks.0.attn.hook_z": without_heads([2])}')
    if not isinstance(changes, Mapping) and not callable(changes):
        raise TypeError(f"changes must be a hook or a dict of place -> function, got {shown(changes)}")
    hook = changing(changes) if isinstance(changes, Mapping) else changes
    if isinstance(hook, Changing):
        hook.check(config)
    return hook


def one_after_another(own: Sequence[Hook], given: Hook | None, *, position_by_position: bool = False) -> Hook | None:
    """Return one hook for those of a model and the one of a call, or None if there are none.

    Raises
    ------
    ValueError
        If it must work position by position, but contains a change of whole sequences.
    """
    hooks = [*own, *([] if given is None else [given])]
    if position_by_position and any(isinstance(hook, Changing) and hook.is_of_whole_sequences for hook in hooks):
        raise ValueError(
            "what is patched belongs to the positions of one whole sequence: call the model without a cache; no text "
            "can be written or scored with this change"
        )
    if len(hooks) < 2:
        return hooks[0] if hooks else None

    def hook_of_all(name: str, array: Array) -> Array:
        for hook in hooks:
            array = hook(name, array)
        return array

    return hook_of_all


def check_unchanged(model: Changed, done: str) -> None:
    """Raise ValueError if a model has hooks, which are no parameters and would be lost where it is `done` something.

    And if it is only a part of a model.
    """
    check_whole(model, done)
    if model.hooks:
        words = "; ".join(map(in_words, model.hooks))
        raise ValueError(f"a changed model cannot be {done} ({words}): give the model that it was made from")


def check_trainable(model: Changed, done: str) -> None:
    """Do the same, and raise ValueError also if the parameters are kept in 16 bits, in which no step can be taken."""
    check_unchanged(model, done)
    if model.kept_in is not None:
        raise ValueError(f"a model that is kept in {model.kept_in} cannot be {done}: load it without `keep`")


def check_whole(model: Changed, done: str) -> None:
    """Raise ValueError if a model is cut among ranks, none of which has all that must be `done` something."""
    if model.ranks.share.n > 1:
        raise ValueError(
            f"a model that is cut among {model.ranks.share.n} ranks cannot be {done}: load it on one of them"
        )


def said_in_full(hook: Hook) -> bool:
    """Return whether `in_words` says all that a hook does: it leaves heads out."""
    return isinstance(hook, Changing) and all(isinstance(change, _WithoutHeads) for change in hook.changes.values())


def in_words(hook: Hook) -> str:
    """Say what a hook changes.

    >>> in_words(changing({"blocks.1.attn.hook_z": without_heads([2]), "hook_embed": np.negative}))
    'without head 2 of layer 1; hook_embed changed by negative'
    """
    if not isinstance(hook, Changing):
        return f"changed by {_name_of(hook)}"
    return "; ".join(_change_in_words(name, change) for name, change in hook.changes.items())


def _change_in_words(place: str, change: Change) -> str:
    if isinstance(change, _WithoutHeads):
        heads = f"head{'s' if len(change.heads) > 1 else ''} {' and '.join(map(str, change.heads))}"
        _, layer, name = place.split(".", 2)
        at = "" if name == "attn.hook_z" else f" at {name}"
        return f"without {heads} of layer {layer}{at}"
    return f"{place} {'patched' if isinstance(change, _Patched) else f'changed by {_name_of(change)}'}"


def _name_of(function: object) -> str:
    name = getattr(function, "__name__", type(function).__name__)
    return "a function" if name == "<lambda>" else str(name)
