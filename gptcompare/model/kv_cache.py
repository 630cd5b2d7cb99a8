"""What attention remembers: each layer's keys and values of the tokens so far.

A banded layer keeps its band, every other layer all of them. The sequences of a batch have caches of their own, so
that prompts of different lengths stand side by side without padding.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import numpy.typing as npt

from ..arrays import Array
from ..config import GPTConfig
from ..patterns import DENSE, Pattern

# So many of the last tokens can be taken back, as many as a draft may have guessed wrongly: a banded layer keeps the
# keys that it then needs again.
MAX_ROLLBACK = 16
MOVE_EVERY = 8  # tokens: then what a banded layer keeps is moved back to its buffer's start
BAND_SLACK = MAX_ROLLBACK + MOVE_EVERY  # spare room of its buffer


class LayerCache:
    """Keys and values of one layer of one sequence, in the order of their positions.

    Parameters
    ----------
    n_head, d_head : int
    capacity : int
        Longest sequence that must fit.
    pattern : Pattern
        Says how many keys must be kept.
    dtype : float32 or float64
    """

    def __init__(
        self, n_head: int, d_head: int, capacity: int, pattern: Pattern = DENSE, dtype: npt.DTypeLike = np.float32
    ) -> None:
        self.n_before = pattern.keys_kept(capacity + 1) - 1  # the keys before its own that a query may need
        size = min(capacity, self.n_before + BAND_SLACK)
        # Not filled: the operating system gives a page only when it is written to.
        self.keys, self.values = np.empty((2, n_head, size, d_head), dtype)
        self.first = 0  # position in the sequence of the buffer's first slot

    def extend(self, n_past: int, keys: Array, values: Array) -> tuple[Array, Array]:
        """Add the keys and values, each (n_head, T, d_head), of the positions n_past ... n_past + T - 1.

        Returns the keys and values, each (n_head, S, d_head), that these positions may see between them; the last T
        are their own. Views of the cache where possible: they hold until the next call.
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
        """Fill the buffer with the last of keys and values that are more than it can hold."""
        n_kept = min(keys.shape[1], self.n_before + MAX_ROLLBACK)
        self.keys[:, :n_kept] = keys[:, -n_kept:]
        self.values[:, :n_kept] = values[:, -n_kept:]
        self.first = n_tokens - n_kept

    def can_go_on_at(self, n_tokens: int) -> bool:
        """Whether the keys that the token at this position may see are all here."""
        return self.first <= max(n_tokens - self.n_before, 0)

    def copy_from(self, other: LayerCache, n_tokens: int) -> None:
        """Remember what another cache of the same size remembers of n_tokens tokens."""
        used = n_tokens - other.first
        self.keys[:, :used] = other.keys[:, :used]
        self.values[:, :used] = other.values[:, :used]
        self.first = other.first

    @property
    def nbytes(self) -> int:
        return self.keys.nbytes + self.values.nbytes


class SequenceCache:
    """The layers' caches of one sequence, and how many of its tokens have been seen."""

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
        """The same tokens in a memory of their own."""
        copy = SequenceCache(self.config, self.capacity, self.dtype)
        copy.n_tokens = self.n_tokens
        for new, old in zip(copy.layers, self.layers, strict=True):
            new.copy_from(old, self.n_tokens)
        return copy


class KVCache:
    """The caches of a batch of sequences, which may differ in length.

    `model.new_cache(batch)` makes one, `model(ids, cache=cache)` extends it by the tokens of `ids`. A cache that a call
    of the model was extending when it failed or was interrupted cannot be used again.
    """

    def __init__(self, sequences: list[SequenceCache]) -> None:
        self.sequences = sequences

    @classmethod
    def empty(cls, config: GPTConfig, batch: int, capacity: int, dtype: npt.DTypeLike = np.float32) -> KVCache:
        """A cache of `batch` sequences, none of which has seen a token; each has room for `capacity` tokens."""
        return cls([SequenceCache(config, capacity, dtype) for _ in range(batch)])

    def __len__(self) -> int:
        """Number of sequences."""
        return len(self.sequences)

    def select(self, rows: list[int]) -> KVCache:
        """A cache of some of the sequences: the same memory, not a copy. ValueError if one is named twice."""
        if len(set(rows)) < len(rows):
            raise ValueError(f"rows {rows} name a sequence twice: it cannot go on in two ways in one memory")
        return KVCache([self.sequences[row] for row in rows])

    @contextmanager
    def extended_by(self, n: int) -> Iterator[None]:
        """While each layer's cache of each sequence is extended by n tokens; if that fails they are of no use."""
        for sequence in self.sequences:
            sequence.broken = True
        yield
        for sequence in self.sequences:
            sequence.broken = False
            sequence.n_tokens += n

    def take_back(self, n: int) -> None:
        """Forget the last n tokens of each sequence.

        A model without banded layers can go back to any length, one with them at least to 16 tokens less than the most
        that a sequence has had.

        Raises
        ------
        ValueError
            If a sequence has fewer tokens, or a banded layer has already dropped keys that would be needed again.
        """
        for sequence in self.sequences:
            left = sequence.n_tokens - n
            if not 0 <= n <= sequence.n_tokens:
                raise ValueError(f"{n} tokens cannot be taken back from a sequence of {sequence.n_tokens}")
            if not all(layer.can_go_on_at(left) for layer in sequence.layers):
                raise ValueError(f"{n} tokens are too many to take back: a banded layer keeps only its band")
        for sequence in self.sequences:
            sequence.n_tokens -= n

    def copies(self, rows: list[int]) -> KVCache:
        """A cache of copies of some of the sequences: each goes on for itself, also one that is named twice."""
        return KVCache([self.sequences[row].copy() for row in rows])

    @property
    def n_tokens(self) -> list[int]:
        """Tokens seen so far, per sequence."""
        return [sequence.n_tokens for sequence in self.sequences]

    @property
    def nbytes(self) -> int:
        """Bytes reserved for keys and values."""
        return sum(layer.nbytes for sequence in self.sequences for layer in sequence.layers)
