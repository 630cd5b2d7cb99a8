"""Measure how time and memory grow with the context: dense and banded layers, and models that alternate them.

    python benchmarks/context.py

Needs nothing but the library. The layers have the width and heads of GPT-3 Small, the band is 256 tokens, and the
weights are random. Every number is the median of the repetitions, in which the kinds take turns. Peak memory is what
NumPy allocates during one pass, including the cache but not the parameters. The last line of each table is the exponent
p of the power law context^p that best fits the longer half of the contexts (least squares of the logarithms): 2 is
quadratic, 1 is linear, 0 does not grow.
"""

from __future__ import annotations

import statistics
import tracemalloc
from collections.abc import Callable
from functools import partial

import numpy as np
from measuring import machine, seconds, take_turns

import gptcompare as gc
from gptcompare.model.attention import causal_attention
from gptcompare.model.gpt import CHUNK
from gptcompare.model.kv_cache import LayerCache

CONTEXTS = (256, 512, 1024, 2048, 4096, 8192)
REPETITIONS = 5
BAND = 256
DECODED = 9  # tokens after the context
PATTERNS = {"dense": {}, "alternating": {"attention": ("dense", "banded"), "band_width": BAND}}
N_HEAD, D_MODEL = 12, 768


def config(kind: str) -> gc.GPTConfig:
    return gc.GPTConfig(
        n_layer=4, n_head=N_HEAD, d_model=D_MODEL, n_ctx=CONTEXTS[-1] + DECODED, n_vocab=1000, **PATTERNS[kind]
    )


def attention_seconds(layer: int, n: int) -> float:
    """Time one layer's attention over n tokens, read in chunks through its cache, as in the model."""
    pattern = config("alternating").pattern_of(layer)
    queries, keys, values = np.random.default_rng(0).standard_normal((3, N_HEAD, n, D_MODEL // N_HEAD), np.float32)
    cache = LayerCache(N_HEAD, D_MODEL // N_HEAD, n, pattern)

    def attend() -> None:
        for first in range(0, n, CHUNK):
            chunk = slice(first, first + CHUNK)
            causal_attention(queries[:, chunk], *cache.extend(first, keys[:, chunk], values[:, chunk]), pattern)

    return seconds(attend)


def prefill_seconds(model: gc.GPT, n: int) -> float:
    """Time reading all n tokens, with logits of the last one only."""
    return seconds(lambda: model(np.zeros(n, int), last_only=True))


def decode_seconds(model: gc.GPT, n: int) -> float:
    """Time one more token after n others."""
    cache = model.new_cache(capacity=n + DECODED)
    model(np.zeros(n, int), cache, last_only=True)
    return statistics.median(seconds(lambda: model([0], cache)) for _ in range(DECODED))


def cache_megabytes(model: gc.GPT, n: int) -> float:
    return model.new_cache(capacity=n).nbytes / 1e6


def peak_megabytes(model: gc.GPT, n: int) -> float:
    tracemalloc.start()
    model(np.zeros(n, int), last_only=True)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak / 1e6


def exponent(values: list[float]) -> float:
    """Return the exponent of the power law that fits the longer half of the contexts."""
    half = len(CONTEXTS) // 2
    return float(np.polyfit(np.log(CONTEXTS[half:]), np.log(values[half:]), 1)[0])


def report(title: str, sides: dict[str, Callable[[int], float]], repetitions: int = REPETITIONS) -> None:
    """Print a table: a line for each context, a column for each of two sides and one for first / second."""
    columns: dict[str, list[float]] = {name: [] for name in sides}
    first, second = sides
    print(f"\n{title}\n\n| context | {first} | {second} | ratio |\n|---:|---:|---:|---:|")
    for n in CONTEXTS:
        middle = take_turns({name: partial(measure, n) for name, measure in sides.items()}, repetitions)
        for name, value in middle.items():
            columns[name].append(value)
        one, other = columns[first][-1], columns[second][-1]
        print(f"| {n} | {one:.4g} | {other:.4g} | {one / other:.2f} |", flush=True)
    print(f"| exponent | {exponent(columns[first]):.2f} | {exponent(columns[second]):.2f} | |", flush=True)


def main() -> None:
    print(machine())
    models = {kind: gc.GPT(config(kind)) for kind in PATTERNS}

    def of_models(measure: Callable[[gc.GPT, int], float]) -> dict[str, Callable[[int], float]]:
        return {kind: lambda n, model=model: measure(model, n) for kind, model in models.items()}

    report(
        "Attention of one layer, seconds",
        {"dense": lambda n: attention_seconds(0, n), f"banded {BAND}": lambda n: attention_seconds(1, n)},
    )
    report("Reading the context, 4 layers, seconds", of_models(prefill_seconds), repetitions=3)
    report("One more token, 4 layers, seconds", of_models(decode_seconds), repetitions=3)
    report("Key/value cache, 4 layers, MB", of_models(cache_megabytes), repetitions=1)
    report("Peak memory while reading, 4 layers, MB", of_models(peak_megabytes), repetitions=1)


if __name__ == "__main__":
    main()
