"""Which keys a query may see: the attention patterns, by definition and by what they cost.

Position i is that of a query, j that of a key; both count from 0. GPT-3 alternates dense and locally banded layers
"similar to the Sparse Transformer" (Brown et al. 2020, section 2.1), which is Child et al. 2019 (arXiv:1904.10509).
The definitions are those of its code, github.com/openai/sparse_attention, attention.py. How each pattern is computed
without looking at the keys that it hides is in `attention.py`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Positions = npt.NDArray[np.integer[Any]]
Mask = npt.NDArray[np.bool_]


class Pattern(ABC):
    """Which keys a query sees, its own among them and none after it."""

    @abstractmethod
    def sees(self, query: Positions, key: Positions, head: int = 0) -> Mask:
        """Whether the queries at some positions see the keys at others: two arrays that broadcast, one of booleans."""

    @abstractmethod
    def keys_seen(self, n_tokens: int) -> int:
        """How many keys the last of `n_tokens` tokens sees, itself included."""

    def keys_kept(self, n_tokens: int) -> int:
        """How many keys of the latest of `n_tokens` tokens a cache must hold."""
        return n_tokens


@dataclass(frozen=True)
class Dense(Pattern):
    """Every position: j <= i."""

    def sees(self, query: Positions, key: Positions, head: int = 0) -> Mask:
        return key <= query

    def keys_seen(self, n_tokens: int) -> int:
        return n_tokens


DENSE = Dense()


@dataclass(frozen=True)
class Banded(Pattern):
    """The latest `width` positions: i - width < j <= i. The Sparse Transformer's code calls it "local".

    Parameters
    ----------
    width : int
    """

    width: int

    def sees(self, query: Positions, key: Positions, head: int = 0) -> Mask:
        return (key <= query) & (key > query - self.width)

    def keys_seen(self, n_tokens: int) -> int:
        return min(n_tokens, self.width)

    def keys_kept(self, n_tokens: int) -> int:
        return min(n_tokens, self.width)


@dataclass(frozen=True)
class Strided(Pattern):
    """Every `stride`-th position, backwards from the query's: (i - j) mod stride = 0.

    Parameters
    ----------
    stride : int
    """

    stride: int

    def sees(self, query: Positions, key: Positions, head: int = 0) -> Mask:
        visible: Mask = (key <= query) & ((query - key) % self.stride == 0)
        return visible

    def keys_seen(self, n_tokens: int) -> int:
        return -(-n_tokens // self.stride)


@dataclass(frozen=True)
class Fixed(Pattern):
    """The query's block of `stride` positions, and of each block before it the `summary_width` that sum it up.

    These are the last ones of the block or, where there are several variants, another stretch for each: head h sees
    the (h mod summary_variants)-th from the end.

    Parameters
    ----------
    stride, summary_width, summary_variants : int

    Raises
    ------
    ValueError
        If the stretches together are longer than a block.
    """

    stride: int
    summary_width: int
    summary_variants: int = 1

    def __post_init__(self) -> None:
        if self.summary_width * self.summary_variants > self.stride:
            raise ValueError(
                f"summary_width {self.summary_width} times summary_variants {self.summary_variants} is more than "
                f"stride {self.stride}, the length of a block"
            )

    def sees(self, query: Positions, key: Positions, head: int = 0) -> Mask:
        column, summary = key % self.stride, self.summary(head % self.summary_variants)
        in_own_block = query // self.stride == key // self.stride
        visible: Mask = (key <= query) & (in_own_block | ((summary.start <= column) & (column < summary.stop)))
        return visible

    def keys_seen(self, n_tokens: int) -> int:
        blocks_before, before_in_own_block = divmod(n_tokens - 1, self.stride)
        return blocks_before * self.summary_width + before_in_own_block + 1

    def summary(self, variant: int) -> slice:
        """The stretch of a block that the heads of a variant see from later blocks."""
        end = self.stride - variant * self.summary_width
        return slice(end - self.summary_width, end)
