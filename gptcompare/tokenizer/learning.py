"""Learning a byte-level BPE vocabulary: which pairs of neighbours occur most often, and are merged first.

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
    """The `n_merges` merges that byte-pair encoding learns from pieces and their counts, fewer if pairs run out.

    Counts of pairs are kept up to date, not taken anew after each merge, and the largest is found with a heap whose
    entries may be too high: a pair is taken when its entry is its present count, else entered again.
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
    """Every occurrence of the pair, from the left, replaced by the symbol."""
    replaced, position = [], 0
    while position < len(word):
        if position + 1 < len(word) and (word[position], word[position + 1]) == pair:
            replaced.append(symbol)
            position += 2
        else:
            replaced.append(word[position])
            position += 1
    return replaced
