"""Measure ranks that share a model, or a batch, beside one process: decode, scoring, and a training step.

    python benchmarks/parallel.py                   # the 124M shape
    python benchmarks/parallel.py gpt3-xl           # the 1.3B shape, for which two ranks need 11 GB, training 21 GB
    python benchmarks/parallel.py gpt2 --ranks 4

Needs the extra `mpi`. The sides are one process with one thread and with two, and ranks with one thread each, on this
machine; each is a program of its own with random parameters, and they take turns. Of the ranks, the time in
communication is that of rank 0, waiting for others included; beside it stands what `gptcompare.parallel.travel` counts,
with the latency and the bandwidth that the ranks have just measured between them.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

import gptcompare as gc
from gptcompare.parallel import ALONE, Communicator, Ranks
from gptcompare.parallel.travel import Travel, of_reading, of_training_step
from gptcompare.training import AdamW, Recipe
from gptcompare.training.loop import accumulated
from gptcompare.training.ranks import Leader, follow

SHAPES = ("gpt2", "gpt3-xl")
N_WRITTEN, N_SCORED = 24, 256
RECIPE = Recipe(n_steps=1, batch=4, context=64, accumulation=4)
TASKS = ("decode", "scoring", "training step")
BIG = 2**24  # bytes, with which bandwidth is measured


def work(task: str, model: gc.GPT, ranks: Ranks) -> Callable[[], object]:
    """Return what is measured; on other ranks than the first, a training step is part of one `follow`."""
    if task == "decode":
        cache = model.new_cache()
        model([1, 2, 3], cache)
        return lambda: [model([5], cache, last_only=True) for _ in range(N_WRITTEN)] and cache.take_back(N_WRITTEN)
    if task == "scoring":
        return lambda: model(np.arange(N_SCORED))
    optimizer = AdamW(model.parameters(), RECIPE)
    ids = np.random.default_rng(0).integers(model.config.n_vocab, size=(RECIPE.batch, RECIPE.context + 1))
    map_parts: Any = Leader(ranks, model, map).map if isinstance(ranks, Communicator) else map

    def step() -> None:
        _, gradients = accumulated(model, ids[:, :-1], ids[:, 1:], RECIPE, 0, map_parts)
        optimizer.update(gradients, 1e-9)

    return step


def predicted(task: str, config: gc.GPTConfig, n: int) -> Travel:
    if task == "decode":
        return of_reading(config, n) * N_WRITTEN
    if task == "scoring":
        return of_reading(config, n, N_SCORED, n_logits=N_SCORED)
    return of_training_step(config, n, RECIPE.accumulation)


def serve(task: str, shape: str, repetitions: int, comm: Any) -> None:
    """Measure a task on this rank, and print as JSON what rank 0 found."""
    config = gc.GPTConfig.preset(shape)
    ranks = ALONE if comm is None else Communicator(comm)
    model = gc.GPT(config, ranks=ALONE if task == "training step" else ranks)
    if task == "training step" and ranks.share.rank:
        follow(ranks, model, RECIPE, None, 1)  # type: ignore[arg-type]
        return
    call = work(task, model, ranks)
    found = []
    for repetition in range(repetitions + 1):
        if isinstance(ranks, Communicator):
            ranks.n_bytes = ranks.n_calls = 0
            ranks.seconds = 0.0
        start = time.perf_counter()
        call()
        if repetition:
            found.append((time.perf_counter() - start, getattr(ranks, "seconds", 0.0)))
    if task == "training step" and isinstance(ranks, Communicator):
        Leader(ranks, model, map).end(None)
    taken, waited = min(found)  # the best of them: whatever else the machine does makes ranks wait for each other
    said = {"seconds": taken, "waited": waited}
    if isinstance(ranks, Communicator) and task != "training step":
        said |= measured_network(ranks)
    if ranks.share.rank == 0:
        print(json.dumps(said), flush=True)


def measured_network(ranks: Communicator) -> dict[str, float]:
    """Return the seconds of a small call, and the bytes that a rank receives in a second of a large one."""
    small, large = np.zeros(64, np.float32), np.zeros(BIG // 4, np.float32)

    def of(array: np.ndarray, times: int) -> float:
        ranks.gathered(array)
        start = time.perf_counter()
        for _ in range(times):
            ranks.joined_columns(array, len(array) * ranks.share.n)
        return (time.perf_counter() - start) / times

    latency = of(small, 200)
    return {"latency": latency, "bandwidth": BIG * (ranks.share.n - 1) / (of(large, 5) - latency)}


def measure(task: str, shape: str, repetitions: int, n: int, threads: int) -> dict[str, float]:
    """Run one side in a program of its own."""
    program = [sys.executable, __file__, shape, "--serve", task, "--repetitions", str(repetitions)]
    if n > 1:
        mpiexec = shutil.which("mpiexec", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
        program = [str(mpiexec), "-n", str(n), *program, "--mpi"]
    environment = {**os.environ, "OPENBLAS_NUM_THREADS": str(threads)}
    done = subprocess.run(
        program, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=True
    )
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("shape", nargs="?", default="gpt2", help=f"of {', '.join(SHAPES)}, or any other name")
    parser.add_argument("--ranks", type=int, default=2, metavar="N")
    parser.add_argument("--repetitions", type=int, default=5, metavar="N", help="the best of which counts")
    parser.add_argument("--tasks", nargs="+", choices=TASKS, default=TASKS, metavar="TASK")
    parser.add_argument("--serve", choices=TASKS, help=argparse.SUPPRESS)
    parser.add_argument("--mpi", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        comm = None
        if options.mpi:
            from mpi4py import MPI

            comm = MPI.COMM_WORLD
        serve(options.serve, options.shape, options.repetitions, comm)
        return
    n, config = options.ranks, gc.GPTConfig.preset(options.shape)
    print(f"{options.shape}, {os.cpu_count()} cores\n")
    print(f"| what | 1 thread, s | 2 threads, s | {n} ranks, s | waited, s | calls | MB | on paper, s |")
    print("|---|---:|---:|---:|---:|---:|---:|---:|")
    network: dict[str, float] = {}
    for task in options.tasks:
        one, two, many = (measure(task, options.shape, options.repetitions, *side) for side in ((1, 1), (1, 2), (n, 1)))
        network = {name: many[name] for name in ("latency", "bandwidth") if name in many} or network
        travel = predicted(task, config, n)
        paper = f"{travel.seconds(**network):.3f}" if network else ""
        times = " | ".join(f"{side['seconds']:.3f}" for side in (one, two, many))
        print(f"| {task} | {times} | {many['waited']:.3f} | {travel.calls} | {travel.n_bytes / 1e6:.1f} | {paper} |")
    if network:
        print(f"\nlatency {network['latency'] * 1e6:.0f} us, bandwidth {network['bandwidth'] / 1e9:.1f} GB/s")


if __name__ == "__main__":
    main()
