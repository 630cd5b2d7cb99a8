"""Learning a byte-level BPE vocabulary: the most frequent pairs of neighbours are merged first.

Sennrich et al. 2016 (arXiv:1508.07909), algorithm 1, on bytes. `Tokenizer.train` cuts the texts into pieces and counts
them.
"""

from __future__ import annotations

import heapq
from collections import Counter, defaultdict
from collections.abc import Sequence
from itertools import pairwise

from .vocabulary import BYTE_ORDER


def learn_merges(pieces: dict[bytes, int], n_merges: int) -> list[tuple[bytes, bytes]]:
    """Learn `n_merges` merges from pieces and their counts, fewer if the pairs run out.

    Pair counts are updated after each merge, not recomputed. A heap finds the largest; its entries may be out of date,
    and too high: a pair is merged if its entry equals its present count, else it is pushed again with that count.

    >>> learn_merges({b"low": 1, b" lower": 2, b" lowest": 1}, 3)
    [(b'l', b'o'), (b'lo', b'w'), (b' ', b'low')]
    """
    tokens = [bytes([byte]) for byte in BYTE_ORDER]
    symbol_of_byte = {byte: symbol for symbol, byte in enumerate(BYTE_ORDER)}
    words = [[symbol_of_byte[byte] for byte in piece] for piece in pieces]
    counts = list(pieces.values())
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
