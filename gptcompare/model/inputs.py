"""What a forward pass is given: checks of token ids, of the room for them and of a dtype; and chunks of tokens."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ..arrays import Ids
from ..checks import integer, one_text, shown
from ..config import GPTConfig
from ..sixteen_bits import KEEP
from .threads import n_threads, shares

# Tokens of each sequence that go through the layers together: enough for matrix products at full speed, few enough that
# the temporaries stay in the processor's cache and little of the score matrix is computed only to be masked.
CHUNK = 256
LEAST_CHUNK = 64  # the fewest, when the tokens are shared among threads


def check_ids(ids: npt.ArrayLike, config: GPTConfig, name: str = "ids", ignore: int | None = None) -> Ids:
    """Return the ids as (B, T), checked against the vocabulary: NumPy would let a negative id count from the end.

    Ids equal to `ignore`, if it is given, are allowed, too.
    """
    try:
        array = np.asarray(ids)
    except ValueError:
        raise ValueError(f"{name} must have shape (T,) or (B, T): the rows differ in length") from None
    if array.ndim not in (1, 2):
        raise ValueError(f"{name} must have shape (T,) or (B, T), got {array.shape}")
    if array.size == 0:
        raise ValueError(f"{name} has shape {array.shape}: give at least one token")
    if not np.issubdtype(array.dtype, np.integer):
        raise TypeError(f"{name} must be integers, got {array.dtype}")
    outside = (array < 0) | (array >= config.n_vocab)
    wrong = np.argwhere(outside if ignore is None else outside & (array != ignore))
    if len(wrong):
        where = tuple(int(i) for i in wrong[0])
        raise ValueError(
            f"id {array[where]} at index {where if array.ndim == 2 else where[0]} is not in the vocabulary: "
            f"{name} are 0 ... {config.n_vocab - 1}{'' if ignore is None else f', or {ignore}, which does not count'}"
        )
    return np.atleast_2d(array).astype(np.intp, copy=False)


def check_token(name: str, token: object, config: GPTConfig) -> int:
    """Return the id of a single token, checked against the vocabulary."""
    checked = integer(name, token, at_least=0)
    if checked >= config.n_vocab:
        raise ValueError(f"there is no token {checked}: the vocabulary has {config.n_vocab}")
    return checked


def check_room(n_past: int, n_new: int, room: int, config: GPTConfig) -> None:
    """Raise ValueError if the new tokens do not fit after the past ones in `room`, the context or a smaller cache."""
    if n_past + n_new > room:
        raise ValueError(
            f"{n_past} tokens in the cache and {n_new} new ones do not fit into the "
            f"{'context' if room == config.n_ctx else 'cache'} of {room} tokens"
        )


def check_dtype(dtype: npt.DTypeLike) -> None:
    """Raise TypeError if it is no dtype, and ValueError if the dtype is neither float32 nor float64."""
    try:
        given = np.dtype(dtype)
    except TypeError:
        given = None
    if dtype is None or given is None:  # None is float64 to NumPy
        raise TypeError(f"dtype must be float32 or float64, got {dtype!r}")
    if given not in (np.float32, np.float64):
        raise ValueError(f"dtype must be float32 or float64, got {given.name}")


def check_keep(keep: object, dtype: npt.DTypeLike) -> None:
    """Raise TypeError or ValueError if weights cannot be kept so: in 16 bits, for a model that computes in float32."""
    if keep is not None and one_text("keep", keep) not in KEEP:
        raise ValueError(f"keep must be one of {', '.join(map(repr, KEEP))} or None, got {shown(keep)}")
    if keep is not None and np.dtype(dtype) != np.float32:
        raise ValueError(f"weights that are kept are multiplied in float32, not in {np.dtype(dtype).name}")


def chunks(n_new: int) -> list[slice]:
    """Split `n_new` tokens into chunks that go through the layers together.

    If there are enough tokens, each thread gets as many chunks as the others: with three on two threads, one thread
    would wait while the other works on the third.
    """
    for_each = -(-n_new // (CHUNK * n_threads()))
    fewest, most = -(-n_new // CHUNK), n_new // LEAST_CHUNK
    return shares(n_new, max(fewest, min(for_each * n_threads(), most)))
