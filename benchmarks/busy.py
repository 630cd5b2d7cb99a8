"""Measure how fast the embedded pair writes on a quiet machine, and beside four processes that do nothing but compute.

    python benchmarks/busy.py

Needs nothing but the library. nano-gpt2 writes with the threads that it takes by itself, and with one that is set by
hand (OPENBLAS_NUM_THREADS=1); the two take turns, in processes of their own. Threads of a BLAS that share a small
product wait for each other, and on a busy machine for a core, too: so the library leaves the small products of a few
tokens on one thread.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

from measuring import machine, take_turns

N_BUSY = 4
REPETITIONS = 5
SPIN = "while True: pass"
PROGRAM = """
import time
import gptcompare as gc
lm = gc.load("nano-gpt2")
lm.generate("Once upon a time", max_new_tokens=20)
start = time.perf_counter()
n = len(lm.generate("Once upon a time", max_new_tokens=200, temperature=1.0, seed=0).ids)
print(n / (time.perf_counter() - start))
"""
WAYS: dict[str, dict[str, str]] = {"by itself": {}, "OPENBLAS_NUM_THREADS=1": {"OPENBLAS_NUM_THREADS": "1"}}


def tokens_per_second(environment: dict[str, str]) -> float:
    program = [sys.executable, "-c", PROGRAM]
    return float(subprocess.run(program, check=True, capture_output=True, env={**os.environ, **environment}).stdout)


@contextmanager
def busy(n: int) -> Iterator[None]:
    """Keep n further processes busy in a `with` block."""
    processes = [subprocess.Popen([sys.executable, "-c", SPIN]) for _ in range(n)]
    try:
        yield
    finally:
        for process in processes:
            process.kill()
            process.wait()


def main() -> None:
    print(machine(), end="\n\n")
    print("| nano-gpt2, tokens/s | " + " | ".join(WAYS) + " | ratio |\n|---|" + "---:|" * (len(WAYS) + 1))
    for what, n in (("on a quiet machine", 0), (f"beside {N_BUSY} busy processes", N_BUSY)):
        with busy(n):
            ways = {name: partial(tokens_per_second, environment) for name, environment in WAYS.items()}
            by_itself, by_hand = take_turns(ways, REPETITIONS).values()
        print(f"| {what} | {by_itself:.0f} | {by_hand:.0f} | {by_itself / by_hand:.2f} |", flush=True)


if __name__ == "__main__":
    main()
