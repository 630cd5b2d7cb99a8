"""Measure what it costs to read several tokens at once, beside reading one: of one sequence, and of several.

    python benchmarks/several_tokens.py

Needs nothing but the library. The model has GPT-2's 124M shape and random weights, and has read 64 tokens. Each number
of tokens is read in turns with the products cut into small pieces of the matrices (`gptcompare/model/products/`) and
with each product as a whole; where the BLAS has no functions for small matrices, both columns are the same.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable

import numpy as np
from measuring import machine, seconds, take_turns

import gptcompare as gc
from gptcompare.model.products import multiplication

NUMBERS = (1, 2, 3, 4, 6, 8, 12, 16)
N_BEFORE = 64
CALLS = 5  # in each turn
REPETITIONS = 7
WAYS = {"in pieces": multiplication.IN_PIECES, "whole": range(0)}


def reading(model: gc.GPT, n_sequences: int, n_tokens: int, in_pieces: range) -> Callable[[], float]:
    """Return a function that measures the seconds in which so many tokens of so many sequences are read."""
    rng = np.random.default_rng(0)
    before, ids = (rng.integers(model.config.n_vocab, size=(n_sequences, n)) for n in (N_BEFORE, n_tokens))
    cache = model.new_cache(n_sequences, capacity=N_BEFORE + n_tokens)
    model(before, cache, last_only=True)

    def once() -> float:
        taken = seconds(lambda: model(ids, cache))
        cache.take_back(n_tokens)
        return taken

    def measure() -> float:
        multiplication.IN_PIECES = in_pieces
        return statistics.median(once() for _ in range(CALLS))

    return measure


def table(model: gc.GPT, what: str, shape: Callable[[int], tuple[int, int]]) -> None:
    print(f"| {what} | " + " | ".join(f"{way}, ms (x one)" for way in WAYS) + " |\n|---:|" + "---:|" * len(WAYS))
    one: dict[str, float] = {}
    for n in NUMBERS:
        taken = take_turns({way: reading(model, *shape(n), pieces) for way, pieces in WAYS.items()}, REPETITIONS)
        one = one or taken
        cells = [f"{1000 * taken[way]:.1f} ({taken[way] / one[way]:.2f})" for way in WAYS]
        print(f"| {n} | {' | '.join(cells)} |", flush=True)
    print()


def main() -> None:
    print(machine(), end="\n\n")
    model = gc.GPT(gc.GPTConfig.preset("gpt2"))
    table(model, "tokens of one sequence", lambda n: (1, n))
    table(model, "sequences, one token each", lambda n: (n, 1))


if __name__ == "__main__":
    main()
