"""Attention patterns: which keys a query may see, what that costs, and how to split it into dense parts.

In the definitions, i is the position of a query and j the position of a key, both counted from 0. GPT-3 alternates
dense and locally banded layers "similar to the Sparse Transformer" (Brown et al. 2020, section 2.1), which is Child et
al. 2019 (arXiv:1904.10509). The definitions follow its code, github.com/openai/sparse_attention, attention.py.

A pattern is a frozen dataclass with one required method, `sees`; every other method has a default derived from it. A
pattern may override `parts` to skip the keys that it hides, by splitting itself into dense attentions over fewer keys.
The table `PATTERNS` at the end gives each pattern its name in a configuration; the pattern's parameters are the
configuration's fields of the same names.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from dataclasses import Field, dataclass, fields, is_dataclass
from typing import Any, ClassVar, NamedTuple

import numpy as np

from .arrays import Ids, Integers, Mask

__all__ = [
    "DENSE",
    "PATTERNS",
    "Banded",
    "Dense",
    "Fixed",
    "Part",
    "Pattern",
    "Strided",
    "visible_keys",
]

# Queries that share their keys. With fewer, fewer scores are computed only to be masked; with more, the matrix products
# are faster. A query of a banded layer sees `band_width` of the band_width + QUERIES - 1 keys that it shares.
QUERIES = 64

ALL = slice(None)


class Part(NamedTuple):
    """Queries that share the same keys, so that together they form one dense attention."""

    queries: tuple[slice, slice]  # heads and positions: q[part.queries]
    keys: tuple[slice, slice | Ids]  # heads and positions of the keys and values: k[part.keys]
    # Covers the last n keys: (queries, n), or (heads, queries, n) where heads differ; True where a query sees a key.
    # Every query sees all earlier keys, and all keys if the mask is None.
    mask: Mask | None


class Pattern(ABC):
    """The rule for which keys a query sees: always its own, never a later one."""

    in_words: ClassVar[str]  # completes "a query sees ..."
    heads_differ = False  # whether `sees` depends on the head

    @abstractmethod
    def sees(self, query: Integers, key: Integers, head: int = 0) -> Mask:
        """Return True where a query position sees a key position; the two arrays are broadcast against each other."""

    @classmethod
    def parameters(cls) -> tuple[Field[Any], ...]:
        """Return the fields of the pattern; `GPTConfig` has a field of the same name for each."""
        return fields(cls) if is_dataclass(cls) else ()

    def shrunk(self, factor: float) -> Pattern:
        """Return the same pattern with its sizes multiplied by a factor, for a drawing."""
        sizes = {field.name: max(2, round(getattr(self, field.name) * factor)) for field in self.parameters()}
        return type(self)(**sizes)

    def keys_seen(self, n_tokens: int) -> int:
        """Return the number of keys that the last of `n_tokens` tokens sees in one head, its own included."""
        return int(self.sees(np.array(n_tokens - 1), np.arange(n_tokens)).sum())

    def keys_kept(self, n_tokens: int) -> int:
        """Return how many of the latest keys a cache of `n_tokens` tokens must hold.

        That is all of them, unless no later token sees the older ones.
        """
        return n_tokens

    def parts(self, T: int, S: int, n_head: int) -> Iterable[Part]:
        """Split the attention of the last T of S positions into parts that cover each query and head once.

        This default is correct for every pattern. It takes a few queries at a time, and computes the scores of all keys
        up to the last of these queries.
        """
        for start in range(0, T, QUERIES):
            stop = min(start + QUERIES, T)
            n_keys = S - T + stop
            by_head = np.stack([visible_keys(stop - start, n_keys, self, head) for head in range(n_head)])
            mask = by_head[0] if (by_head == by_head[0]).all() else by_head
            yield Part((ALL, slice(start, stop)), (ALL, slice(0, n_keys)), mask)


def visible_keys(T: int, S: int, pattern: Pattern, head: int = 0) -> Mask:
    """Return the mask of T queries over S keys, (T, S): True where a query sees a key.

    The queries are the last T of the S positions, so the diagonal ends in the lower right corner, in prefill and
    decode alike.

    >>> visible_keys(2, 4, Banded(3)).astype(int)
    array([[1, 1, 1, 0],
           [0, 1, 1, 1]])
    """
    return pattern.sees(np.arange(S - T, S)[:, None], np.arange(S), head)


@dataclass(frozen=True)
class Dense(Pattern):
    """Every position: j <= i."""

    in_words = "every position up to its own"
    DECODE = (Part((ALL, ALL), (ALL, ALL), None),)

    def sees(self, query: Integers, key: Integers, head: int = 0) -> Mask:
        return key <= query

    def keys_seen(self, n_tokens: int) -> int:
        return n_tokens

    def parts(self, T: int, S: int, n_head: int) -> Iterable[Part]:
        """Yield a few queries at a time with all keys up to the last of them; a mask hides what comes after a query."""
        if T == 1:
            return self.DECODE  # building an equal part for every token would slow down decoding with a small model
        return self._parts(T, S)

    @staticmethod
    def _parts(T: int, S: int) -> Iterator[Part]:
        n_past = S - T
        for start in range(0, T, QUERIES):
            stop = min(start + QUERIES, T)
            yield Part((ALL, slice(start, stop)), (ALL, slice(0, n_past + stop)), _causal_mask(stop - start))


DENSE = Dense()


@dataclass(frozen=True)
class Banded(Pattern):
    """The latest `band_width` positions: i - band_width < j <= i. The Sparse Transformer's code calls it "local".

    Parameters
    ----------
    band_width : int
    """

    band_width: int
    in_words = "the latest positions, its own among them"

    def sees(self, query: Integers, key: Integers, head: int = 0) -> Mask:
        return (key <= query) & (key > query - self.band_width)

    def keys_seen(self, n_tokens: int) -> int:
        return min(n_tokens, self.band_width)

    def keys_kept(self, n_tokens: int) -> int:
        return min(n_tokens, self.band_width)

    def parts(self, T: int, S: int, n_head: int) -> Iterator[Part]:
        """Yield a few queries at a time with the slice of keys from the first one's band to the last one."""
        n_past = S - T
        for start in range(0, T, QUERIES):
            stop = min(start + QUERIES, T)
            keys = slice(max(0, n_past + start + 1 - self.band_width), n_past + stop)
            n_queries, n_keys = stop - start, keys.stop - keys.start
            mask = None if n_queries == 1 else visible_keys(n_queries, n_keys, self)
            yield Part((ALL, slice(start, stop)), (ALL, keys), mask)


@dataclass(frozen=True)
class Strided(Pattern):
    """Every `stride`-th position, counted back from the query's own: (i - j) mod stride = 0.

    Parameters
    ----------
    stride : int
    """

    stride: int
    in_words = "every stride-th position, backwards from its own"

    def sees(self, query: Integers, key: Integers, head: int = 0) -> Mask:
        visible: Mask = (key <= query) & ((query - key) % self.stride == 0)
        return visible

    def keys_seen(self, n_tokens: int) -> int:
        return -(-n_tokens // self.stride)

    def parts(self, T: int, S: int, n_head: int) -> Iterator[Part]:
        """Yield one dense attention per remainder: positions with the same remainder see each other and no others."""
        n_past, stride = S - T, self.stride
        for start in range(min(T, stride)):
            queries, keys = slice(start, None, stride), slice((n_past + start) % stride, None, stride)
            yield Part((ALL, queries), (ALL, keys), _causal_mask(len(range(start, T, stride))))


@dataclass(frozen=True)
class Fixed(Pattern):
    """The query's own block of `stride` positions, and `summary_width` positions that summarise each earlier block.

    The summary is the end of the block or, with several variants, a different stretch for each: head h sees the
    (h mod summary_variants)-th from the end. A block here is a stretch of the sequence, not of the network.

    Parameters
    ----------
    stride, summary_width, summary_variants : int

    Raises
    ------
    ValueError
        If all the stretches together are longer than a block.
    """

    stride: int
    summary_width: int
    summary_variants: int = 1
    in_words = "its own block, and the summary of each block before it"

    def __post_init__(self) -> None:
        if self.summary_width * self.summary_variants > self.stride:
            raise ValueError(
                f"summary_width {self.summary_width} times summary_variants {self.summary_variants} is more than "
                f"stride {self.stride}, the length of a block"
            )

    @property
    def heads_differ(self) -> bool:  # type: ignore[override]
        """Whether the heads see different summaries."""
        return self.summary_variants > 1

    def sees(self, query: Integers, key: Integers, head: int = 0) -> Mask:
        column, summary = key % self.stride, self.summary(head % self.summary_variants)
        in_own_block = query // self.stride == key // self.stride
        visible: Mask = (key <= query) & (in_own_block | ((summary.start <= column) & (column < summary.stop)))
        return visible

    def keys_seen(self, n_tokens: int) -> int:
        blocks_before, before_in_own_block = divmod(n_tokens - 1, self.stride)
        return blocks_before * self.summary_width + before_in_own_block + 1

    def shrunk(self, factor: float) -> Pattern:
        stride = max(2, self.summary_variants, round(self.stride * factor))
        width = max(1, round(self.summary_width * factor))
        return Fixed(stride, min(width, stride // self.summary_variants), self.summary_variants)

    def summary(self, variant: int) -> slice:
        """Return the stretch of a block that later blocks see in the heads of a variant."""
        end = self.stride - variant * self.summary_width
        return slice(end - self.summary_width, end)

    def parts(self, T: int, S: int, n_head: int) -> Iterator[Part]:
        """Yield the queries of each block with the summaries of the earlier blocks, followed by their own block."""
        n_past, stride = S - T, self.stride
        for block in range(n_past // stride * stride, S, stride):
            end = min(block + stride, S)
            queries = slice(max(block - n_past, 0), end - n_past)
            for variant in range(self.summary_variants):
                summaries = np.arange(block).reshape(-1, stride)[:, self.summary(variant)]
                keys = np.concatenate([summaries.ravel(), np.arange(block, end)])
                heads = slice(variant, None, self.summary_variants)
                yield Part((heads, queries), (heads, keys), _causal_mask(queries.stop - queries.start))


def _causal_mask(n_queries: int) -> Mask | None:
    """Return the mask of queries over their own positions; a single query needs none."""
    return None if n_queries == 1 else visible_keys(n_queries, n_queries, DENSE)


# The names that `GPTConfig.attention` may contain.
PATTERNS: dict[str, type[Pattern]] = {"dense": Dense, "banded": Banded, "strided": Strided, "fixed": Fixed}
