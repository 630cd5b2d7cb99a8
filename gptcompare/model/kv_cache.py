"""The memory of attention: each layer's keys and values of the tokens so far.

A banded layer keeps only its band, every other layer all of them. Each sequence of a batch has a cache of its own, so
prompts of different lengths need no padding.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import numpy.typing as npt

from ..arrays import Array
from ..checks import brief, integer, some
from ..config import GPTConfig
from ..patterns import DENSE, Pattern
from .inputs import check_room

# The number of tokens that can always be taken back, as many as a draft may guess wrongly: a banded layer keeps the
# keys that it would then need again.
MAX_ROLLBACK = 16
MOVE_EVERY = 8  # tokens, after which a banded layer moves what it keeps back to the start of its buffer
BAND_SLACK = MAX_ROLLBACK + MOVE_EVERY  # spare room in that buffer


class LayerCache:
    """Keys and values of one layer of one sequence, in the order of their positions.

    Parameters
    ----------
    n_head, d_head : int
    capacity : int
        Length of the longest sequence that must fit, in tokens.
    pattern : Pattern
        Determines how many keys must be kept.
    dtype : float32 or float64
    """

    def __init__(
        self, n_head: int, d_head: int, capacity: int, pattern: Pattern = DENSE, dtype: npt.DTypeLike = np.float32
    ) -> None:
        self.n_before = pattern.keys_kept(capacity + 1) - 1  # the keys before its own that a query may need
        size = min(capacity, self.n_before + BAND_SLACK)
        # Left uninitialised: the operating system provides a page only when it is written to.
        self.keys, self.values = np.empty((2, n_head, size, d_head), dtype)
        self.first = 0  # position in the sequence of the buffer's first slot

    def extend(self, n_past: int, keys: Array, values: Array) -> tuple[Array, Array]:
        """Add the keys and values, each (n_head, T, d_head), of the positions n_past ... n_past + T - 1.

        Returns the keys and values, each (n_head, S, d_head), that at least one of these positions may see; the last T
        are their own. They are views of the cache where possible, valid until the next call.
        """
        T, size = keys.shape[1], self.keys.shape[1]
        n_seen = min(n_past, self.n_before)
        n_kept = min(n_past - self.first, self.n_before + MAX_ROLLBACK)
        end = n_past - self.first
        if end + T > size:  # a banded layer's buffer is full
            kept = slice(end - n_kept, end)
            if n_kept + T > size:
                keys = np.concatenate([self.keys[:, kept], keys], axis=1)
                values = np.concatenate([self.values[:, kept], values], axis=1)
                self._keep_last(n_past + T, keys, values)
                return keys[:, n_kept - n_seen :], values[:, n_kept - n_seen :]
            self.keys[:, :n_kept] = self.keys[:, kept]
            self.values[:, :n_kept] = self.values[:, kept]
            self.first, end = n_past - n_kept, n_kept
        new = slice(end, end + T)
        self.keys[:, new] = keys
        self.values[:, new] = values
        return self.keys[:, end - n_seen : new.stop], self.values[:, end - n_seen : new.stop]

    def _keep_last(self, n_tokens: int, keys: Array, values: Array) -> None:
        """Fill the buffer with the last of the keys and values, of which there are more than it can hold."""
        n_kept = min(keys.shape[1], self.n_before + MAX_ROLLBACK)
        self.keys[:, :n_kept] = keys[:, -n_kept:]
        self.values[:, :n_kept] = values[:, -n_kept:]
        self.first = n_tokens - n_kept

    def can_resume_at(self, n_tokens: int) -> bool:
        """Return whether all keys that a token at this position may see are still here."""
        return self.first <= max(n_tokens - self.n_before, 0)

    def copy_from(self, other: LayerCache, n_tokens: int) -> None:
        """Copy the keys and values of the first n_tokens tokens from another cache of the same size."""
        used = n_tokens - other.first
        self.keys[:, :used] = other.keys[:, :used]
        self.values[:, :used] = other.values[:, :used]
        self.first = other.first

    @property
    def nbytes(self) -> int:
        return self.keys.nbytes + self.values.nbytes


class SequenceCache:
    """The layers' caches of one sequence, and the number of its tokens that have been seen."""

    def __init__(self, config: GPTConfig, capacity: int, dtype: npt.DTypeLike) -> None:
        self.config = config
        self.dtype = np.dtype(dtype)
        self.n_tokens = 0
        self.broken = False  # a call that was extending it has failed
        self.capacity = capacity
        self.layers = [
            LayerCache(config.n_head, config.d_head, capacity, config.pattern_of(layer), dtype)
            for layer in range(config.n_layer)
        ]

    def copy(self) -> SequenceCache:
        """Return a cache of the same tokens in separate memory."""
        copy = SequenceCache(self.config, self.capacity, self.dtype)
        copy.n_tokens, copy.broken = self.n_tokens, self.broken
        for new, old in zip(copy.layers, self.layers, strict=True):
            new.copy_from(old, self.n_tokens)
        return copy


class KVCache:
    """The caches of a batch of sequences, which may differ in length.

    `model.new_cache(batch)` makes one, and `model(ids, cache=cache)` extends it by the tokens of `ids`. If that call
    fails or is interrupted, the cache cannot be used again.
    """

    def __init__(self, sequences: list[SequenceCache]) -> None:
        self.sequences = sequences

    @classmethod
    def empty(cls, config: GPTConfig, batch: int, capacity: int, dtype: npt.DTypeLike = np.float32) -> KVCache:
        """Return a cache of `batch` empty sequences, each with room for `capacity` tokens."""
        if not 1 <= integer("capacity", capacity) <= config.n_ctx:
            raise ValueError(
                f"capacity must be between 1 and the model's context of {config.n_ctx} tokens, got {capacity}"
            )
        return cls([SequenceCache(config, capacity, dtype) for _ in range(integer("batch", batch, at_least=0))])

    def __repr__(self) -> str:
        lengths = [f"{sequence.n_tokens} of {sequence.capacity}" for sequence in self.sequences]
        return brief(self, f"tokens of {len(self)} sequences: {some(lengths)}")

    def __len__(self) -> int:
        """Return the number of sequences."""
        return len(self.sequences)

    def select(self, rows: list[int]) -> KVCache:
        """Return a cache of some of the sequences, sharing their memory; raise ValueError if one is named twice."""
        if len(set(rows)) < len(rows):
            raise ValueError(f"rows {rows} name a sequence twice: two continuations cannot share one memory")
        return KVCache(self._named(rows))

    def _named(self, rows: list[int]) -> list[SequenceCache]:
        return [self.sequences[integer("a row", row, at_least=0, at_most=len(self) - 1)] for row in rows]

    def check_room(self, batch: int, n_new: int, config: GPTConfig, dtype: npt.DTypeLike) -> None:
        """Raise ValueError if a model cannot extend it by n_new tokens of each of `batch` sequences."""
        if len(self) != batch:
            raise ValueError(f"the cache holds {len(self)} sequences, ids has {batch} rows")
        for sequence in self.sequences:
            if sequence.broken:
                raise ValueError("a call of the model that was extending this cache failed: make a new one")
            if (sequence.config, sequence.dtype) != (config, dtype):
                raise ValueError("the cache belongs to another model: make one with this model's new_cache()")
            check_room(sequence.n_tokens, n_new, min(sequence.capacity, config.n_ctx), config)

    @contextmanager
    def extended_by(self, n: int) -> Iterator[None]:
        """Count n more tokens per sequence when the `with` block has added them; if it fails, leave all broken."""
        for sequence in self.sequences:
            sequence.broken = True
        yield
        for sequence in self.sequences:
            sequence.broken = False
            sequence.n_tokens += n

    def take_back(self, n: int) -> None:
        """Forget the last n tokens of each sequence.

        A model without banded layers can go back to any length; with banded layers, a sequence can go back to at least
        16 tokens below its greatest length.

        Raises
        ------
        ValueError
            If a sequence has fewer tokens, or a banded layer has already dropped keys that would be needed again.
        """
        integer("n", n)
        for sequence in self.sequences:
            left = sequence.n_tokens - n
            if not 0 <= n <= sequence.n_tokens:
                raise ValueError(f"{n} tokens cannot be taken back from a sequence of {sequence.n_tokens}")
            if not all(layer.can_resume_at(left) for layer in sequence.layers):
                raise ValueError(f"{n} tokens are too many to take back: a banded layer keeps only its band")
        for sequence in self.sequences:
            sequence.n_tokens -= n

    def copies(self, rows: list[int]) -> KVCache:
        """Return a cache of independent copies of some of the sequences, which may be named more than once."""
        return KVCache([sequence.copy() for sequence in self._named(rows)])

    @property
    def n_tokens(self) -> list[int]:
        """Tokens seen so far, per sequence."""
        return [sequence.n_tokens for sequence in self.sequences]

    @property
    def nbytes(self) -> int:
        """Bytes reserved for keys and values."""
        return sum(layer.nbytes for sequence in self.sequences for layer in sequence.layers)
