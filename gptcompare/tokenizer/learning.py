"""Merges: how a byte-level BPE vocabulary learns them from texts, and how a piece of text is merged by them.

Sennrich et al. 2016 (arXiv:1508.07909), algorithm 1, on bytes: the most frequent pairs of neighbours are merged first.
"""

from __future__ import annotations

import heapq
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise

from ..checks import each_text, encodable, integer
from .pieces import pieces
from .vocabulary import BYTE_ORDER, Vocabulary, to_characters

SHORT_PIECE = 24  # bytes; measured: up to this length, scanning all pairs is faster than a heap
UNRANKED = 2**62  # the rank of a pair that no merge joins


def learn_vocabulary(texts: Iterable[str], n_vocab: int) -> Vocabulary:
    """Learn a vocabulary of `n_vocab` tokens, as `Tokenizer.train` describes it."""
    if integer("n_vocab", n_vocab) < 257:
        raise ValueError(f"n_vocab must be at least 257 (256 bytes and the end of text), got {n_vocab}")
    counts: Counter[str] = Counter()
    for text in each_text("texts", texts):
        counts.update(pieces(encodable(text)))
    merges = learn_merges({piece.encode(): count for piece, count in counts.items()}, n_vocab - 257)
    if len(merges) < n_vocab - 257:
        raise ValueError(
            f"the texts have only {len(merges)} pairs to merge: n_vocab can be at most {len(merges) + 257}, "
            f"got {n_vocab}. Learn from more text, choose a smaller n_vocab, or take a tokenizer that there is, "
            "such as that of nano-gpt2: Tokenizer.from_pretrained, and --tokenizer of `gptcompare train`"
        )
    return Vocabulary.from_merges([(to_characters(left), to_characters(right)) for left, right in merges])


def learn_merges(counted: dict[bytes, int], n_merges: int) -> list[tuple[bytes, bytes]]:
    """Learn `n_merges` merges from pieces and their counts, fewer if the pairs run out.

    Pair counts are updated after each merge, not recomputed. A heap finds the largest; its entries may be out of date,
    and too high: a pair is merged if its entry equals its present count, else it is pushed again with that count.

    >>> learn_merges({b"low": 1, b" lower": 2, b" lowest": 1}, 3)
    [(b'l', b'o'), (b'lo', b'w'), (b' ', b'low')]
    """
    tokens = [bytes([byte]) for byte in BYTE_ORDER]
    symbol_of_byte = {byte: symbol for symbol, byte in enumerate(BYTE_ORDER)}
    words = [[symbol_of_byte[byte] for byte in piece] for piece in counted]
    counts = list(counted.values())
    pair_count: Counter[tuple[int, int]] = Counter()
    words_with: defaultdict[tuple[int, int], set[int]] = defaultdict(set)
    for index, word in enumerate(words):
        for pair in pairwise(word):
            pair_count[pair] += counts[index]
            words_with[pair].add(index)

    heap = [(-count, pair) for pair, count in pair_count.items()]
    heapq.heapify(heap)
    merges: list[tuple[bytes, bytes]] = []
    while heap and len(merges) < n_merges:
        entry, pair = heapq.heappop(heap)
        if pair_count[pair] != -entry:
            heapq.heappush(heap, (-pair_count[pair], pair))
            continue
        if -entry < 2:
            break
        new_symbol = len(tokens)
        tokens.append(tokens[pair[0]] + tokens[pair[1]])
        merges.append((tokens[pair[0]], tokens[pair[1]]))
        grown = set()
        for index in words_with.pop(pair):
            before, after = words[index], _replace_pair(words[index], pair, new_symbol)
            words[index] = after
            for old in pairwise(before):
                pair_count[old] -= counts[index]
            for new in pairwise(after):
                pair_count[new] += counts[index]
                if new_symbol in new:
                    words_with[new].add(index)
                    grown.add(new)
        for new in grown:
            heapq.heappush(heap, (-pair_count[new], new))
    return merges


def _replace_pair(word: Sequence[int], pair: tuple[int, int], symbol: int) -> list[int]:
    """Replace every occurrence of the pair, from the left, by the symbol.

    >>> _replace_pair([1, 1, 1, 2], (1, 1), 9)
    [9, 1, 2]
    """
    replaced, position = [], 0
    while position < len(word):
        if position + 1 < len(word) and (word[position], word[position + 1]) == pair:
            replaced.append(symbol)
            position += 2
        else:
            replaced.append(word[position])
            position += 1
    return replaced


def merge_stages(ids: Sequence[int], rank: Mapping[tuple[int, int], int], merged: Sequence[int]) -> list[list[int]]:
    """Return the ids of a piece's bytes, then what they have become after each merge.

    Merged is the pair of lowest rank, of equal ones the leftmost. It takes time that grows as the square of the length.

    >>> merge_stages([1, 2, 3], {(2, 3): 0, (1, 4): 1}, [4, 5])
    [[1, 2, 3], [1, 4], [5]]
    """
    stages = [list(ids)]
    while ranked := [(rank[pair], left) for left, pair in enumerate(pairwise(stages[-1])) if pair in rank]:
        lowest, left = min(ranked)
        stages.append([*stages[-1][:left], merged[lowest], *stages[-1][left + 2 :]])
    return stages


def merge(ids: list[int], rank: Mapping[tuple[int, int], int], merged: Sequence[int]) -> list[int]:
    """Return the ids of a piece, given those of its bytes: merge the leftmost pair of lowest rank, and repeat.

    Example, with GPT-2's merges: b"lower" -> l o w e r -> l o w er -> l ow er -> l ower -> lower.

    >>> merge([1, 2, 3], {(2, 3): 0, (1, 4): 1}, [4, 5])
    [5]
    """
    if len(ids) > SHORT_PIECE:
        return merge_long(ids, rank, merged)
    rank_of = rank.get
    ranks = [rank_of(pair, UNRANKED) for pair in pairwise(ids)]
    while ranks and (lowest := min(ranks)) != UNRANKED:
        left = ranks.index(lowest)
        ids[left] = merged[lowest]
        del ids[left + 1], ranks[left]
        if left > 0:
            ranks[left - 1] = rank_of((ids[left - 1], ids[left]), UNRANKED)
        if left < len(ranks):
            ranks[left] = rank_of((ids[left], ids[left + 1]), UNRANKED)
    return ids


def merge_long(ids: list[int], rank: Mapping[tuple[int, int], int], merged: Sequence[int]) -> list[int]:
    """Return what `merge` does, in time that grows as n log n.

    The pairs wait in a heap, ordered by rank and then position, and the symbols form a linked list.
    """
    n, rank_of = len(ids), rank.get
    following = list(range(1, n + 1))
    previous = list(range(-1, n - 1))
    heap = [(found, left) for left, pair in enumerate(pairwise(ids)) if (found := rank_of(pair)) is not None]
    heapq.heapify(heap)
    while heap:
        lowest, left = heapq.heappop(heap)
        right = following[left]
        if right == n or rank_of((ids[left], ids[right])) != lowest:
            continue  # an earlier merge took one of the two
        ids[left], ids[right] = merged[lowest], -1
        after = following[left] = following[right]
        if after < n:
            previous[after] = left
            if (new := rank_of((ids[left], ids[after]))) is not None:
                heapq.heappush(heap, (new, left))
        before = previous[left]
        if before >= 0 and (new := rank_of((ids[before], ids[left]))) is not None:
            heapq.heappush(heap, (new, before))
    return [id_ for id_ in ids if id_ >= 0]
