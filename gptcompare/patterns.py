"""Attention patterns: which keys a query may see, by definition, by what they cost, and cut into parts.

Position i is that of a query, j that of a key; both count from 0. GPT-3 alternates dense and locally banded layers
"similar to the Sparse Transformer" (Brown et al. 2020, section 2.1), which is Child et al. 2019 (arXiv:1904.10509).
The definitions are those of its code, github.com/openai/sparse_attention, attention.py.

A pattern is a frozen dataclass with one method, `sees`; everything else has a default that follows from it. `parts`
may say how to compute the pattern without looking at the keys that it hides: as dense attentions over fewer keys. The
table `PATTERNS` at the end gives each its name in a configuration, whose fields of the same names are its parameters.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from dataclasses import Field, dataclass, fields, is_dataclass
from typing import Any, ClassVar, NamedTuple

import numpy as np

from .arrays import Ids, Integers, Mask

# Queries that share their keys. Fewer compute less of the scores only to mask it; more make faster matrix products. A
# query of a banded layer sees `band_width` of the band_width + QUERIES - 1 keys that it shares.
QUERIES = 64

ALL = slice(None)


class Part(NamedTuple):
    """Queries that look at the same keys, so that among themselves they are a dense attention."""

    queries: tuple[slice, slice]  # heads and positions: q[part.queries]
    keys: tuple[slice, slice | Ids]  # heads and positions of the keys and values: k[part.keys]
    # About the last n of the keys, (queries, n), or (heads, queries, n) where the heads differ: True where a query sees
    # a key. Those before them are seen by all, as all are if it is None.
    mask: Mask | None


class Pattern(ABC):
    """Which keys a query sees: its own always, and none after it."""

    in_words: ClassVar[str]  # completes "a query sees ..."

    @abstractmethod
    def sees(self, query: Integers, key: Integers, head: int = 0) -> Mask:
        """Whether the queries at some positions see the keys at others: two arrays that broadcast, one of booleans."""

    @classmethod
    def parameters(cls) -> tuple[Field[Any], ...]:
        """The fields of the pattern, each of which is a field of `GPTConfig` of the same name."""
        return fields(cls) if is_dataclass(cls) else ()

    def shrunk(self, factor: float) -> Pattern:
        """The same pattern with its sizes times a factor, to be drawn."""
        sizes = {field.name: max(2, round(getattr(self, field.name) * factor)) for field in self.parameters()}
        return type(self)(**sizes)

    def keys_seen(self, n_tokens: int) -> int:
        """How many keys the last of `n_tokens` tokens sees in one head, itself included."""
        return int(self.sees(np.array(n_tokens - 1), np.arange(n_tokens)).sum())

    def keys_kept(self, n_tokens: int) -> int:
        """How many keys of the latest of `n_tokens` tokens a cache must hold: all, unless no later token sees some."""
        return n_tokens

    def parts(self, T: int, S: int, n_head: int) -> Iterable[Part]:
        """What attention of the last T of S positions consists of: each query and head once, with keys and a mask.

        This one is right for every pattern, and computes the score of every key up to the last of a few queries.
        """
        for start in range(0, T, QUERIES):
            stop = min(start + QUERIES, T)
            n_keys = S - T + stop
            by_head = np.stack([visible_keys(stop - start, n_keys, self, head) for head in range(n_head)])
            mask = by_head[0] if (by_head == by_head[0]).all() else by_head
            yield Part((ALL, slice(start, stop)), (ALL, slice(0, n_keys)), mask)


def visible_keys(T: int, S: int, pattern: Pattern, head: int = 0) -> Mask:
    """Which of S keys each of T queries sees: (T, S), True where it does.

    The queries are the last T of the S positions, so the diagonal ends in the lower right corner, for prefill and
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
        """A few queries at a time over all keys up to the last of them, masked where they come after the query."""
        if T == 1:
            return self.DECODE  # decoding a small model would notice the time that it takes to say this in other words
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
        """A few queries at a time over the slice of keys between the first one's band and the last one."""
        n_past = S - T
        for start in range(0, T, QUERIES):
            stop = min(start + QUERIES, T)
            keys = slice(max(0, n_past + start + 1 - self.band_width), n_past + stop)
            n_queries, n_keys = stop - start, keys.stop - keys.start
            mask = None if n_queries == 1 else visible_keys(n_queries, n_keys, self)
            yield Part((ALL, slice(start, stop)), (ALL, keys), mask)


@dataclass(frozen=True)
class Strided(Pattern):
    """Every `stride`-th position, backwards from the query's: (i - j) mod stride = 0.

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
        """The positions with the same remainder see each other and no others: a dense attention for each remainder."""
        n_past, stride = S - T, self.stride
        for start in range(min(T, stride)):
            queries, keys = slice(start, None, stride), slice((n_past + start) % stride, None, stride)
            yield Part((ALL, queries), (ALL, keys), _causal_mask(len(range(start, T, stride))))


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
    in_words = "its own block, and the summary of each block before it"

    def __post_init__(self) -> None:
        if self.summary_width * self.summary_variants > self.stride:
            raise ValueError(
                f"summary_width {self.summary_width} times summary_variants {self.summary_variants} is more than "
                f"stride {self.stride}, the length of a block"
            )

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
        """The stretch of a block that the heads of a variant see from later blocks."""
        end = self.stride - variant * self.summary_width
        return slice(end - self.summary_width, end)

    def parts(self, T: int, S: int, n_head: int) -> Iterator[Part]:
        """The queries of a block over the summaries of the blocks before it, then their own block."""
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
    """The mask of the queries' own positions; one query sees its own."""
    return None if n_queries == 1 else visible_keys(n_queries, n_queries, DENSE)


# What `GPTConfig.attention` may name.
PATTERNS: dict[str, type[Pattern]] = {"dense": Dense, "banded": Banded, "strided": Strided, "fixed": Fixed}
