"""What attention remembers: each layer's keys and values of the tokens so far.

A banded layer keeps its band, every other layer all of them. The sequences of a batch have caches of their own, so
that prompts of different lengths stand side by side without padding.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from .config import GPTConfig
from .patterns import DENSE, Pattern

Array = npt.NDArray[np.floating[Any]]

# Spare room of a banded layer's buffer: the band is moved back to the buffer's start once in so many tokens.
BAND_SLACK = 16


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
        n_kept = min(n_past, self.n_before)
        start = n_past - n_kept - self.first
        if start + n_kept + T > size:  # a banded layer's buffer is full: only the band stays
            kept = slice(start, start + n_kept)
            if n_kept + T > size:
                return self._replace(
                    n_past + T,
                    np.concatenate([self.keys[:, kept], keys], axis=1),
                    np.concatenate([self.values[:, kept], values], axis=1),
                )
            self.keys[:, :n_kept] = self.keys[:, kept]
            self.values[:, :n_kept] = self.values[:, kept]
            self.first, start = n_past - n_kept, 0
        new = slice(start + n_kept, start + n_kept + T)
        self.keys[:, new] = keys
        self.values[:, new] = values
        return self.keys[:, start : new.stop], self.values[:, start : new.stop]

    def _replace(self, n_tokens: int, keys: Array, values: Array) -> tuple[Array, Array]:
        """Keep the end of a chunk that is longer than the buffer, and hand the whole chunk on."""
        n_kept = min(n_tokens, self.n_before)
        if n_kept:
            self.keys[:, :n_kept] = keys[:, -n_kept:]
            self.values[:, :n_kept] = values[:, -n_kept:]
        self.first = n_tokens - n_kept
        return keys, values

    @property
    def nbytes(self) -> int:
        return self.keys.nbytes + self.values.nbytes


class SequenceCache:
    """The layers' caches of one sequence, and how many of its tokens have been seen."""

    def __init__(self, config: GPTConfig, capacity: int, dtype: npt.DTypeLike) -> None:
        self.config = config
        self.dtype = np.dtype(dtype)
        self.n_tokens = 0
        self.capacity = capacity
        self.layers = [
            LayerCache(config.n_head, config.d_head, capacity, config.pattern_of(layer), dtype)
            for layer in range(config.n_layer)
        ]


class KVCache:
    """The caches of a batch of sequences, which may differ in length.

    `model.new_cache(batch)` makes one, `model(ids, cache=cache)` extends it by the tokens of `ids`. If a call of the
    model is interrupted, the cache that it was extending must not be used again.
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
        """A cache of some of the sequences: the same memory, not a copy, so none may be named twice."""
        if len(set(rows)) < len(rows):
            raise ValueError(f"rows {rows} name a sequence twice: it cannot go on in two ways in one memory")
        return KVCache([self.sequences[row] for row in rows])

    @property
    def n_tokens(self) -> list[int]:
        """Tokens seen so far, per sequence."""
        return [sequence.n_tokens for sequence in self.sequences]

    @property
    def nbytes(self) -> int:
        """Bytes reserved for keys and values."""
        return sum(layer.nbytes for sequence in self.sequences for layer in sequence.layers)
