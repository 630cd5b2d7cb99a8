"""Measure a training step beside PyTorch's, in one run on one machine.

    python benchmarks/training.py                       # all shapes
    python benchmarks/training.py "8 x 256, dense"      # one of them

Needs the `benchmark` extra. A step is the loss of a batch, its gradients, clipping and AdamW, in float32; the model has
4 layers of width 256 and a vocabulary of 4,096, and the ids are random. PyTorch's side is transformers' GPT-2 with its
fastest attention ("sdpa") and the fused torch.optim.AdamW. Both use all cores, gptcompare with a thread for each part
of the batch, PyTorch in its own way. Each side is a process of its own, so that their threads do not disturb each
other; they take turns. Peak memory is the peak of the process minus what it used before the model.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from measuring import machine, seconds, take_turns

SIZES = {"n_layer": 4, "n_head": 8, "n_ctx": 512, "n_vocab": 4096}
WIDTH = 256
SHAPES = {  # name -> sequences, tokens of each, attention of gptcompare's side; GPT-2 in transformers is dense
    "8 x 256, dense": (8, 256, ("dense",)),
    "8 x 512, dense": (8, 512, ("dense",)),
    "8 x 512, alternating with a band of 64": (8, 512, ("dense", "banded")),
}
SIDES = ("gptcompare", "PyTorch")
CORES = len(os.sched_getaffinity(0))
THREADS = max(n for n in (1, 2, 4, 8) if n <= CORES)  # a divisor of the batch
ENVIRONMENT = {"gptcompare": {"OPENBLAS_NUM_THREADS": "1"}, "PyTorch": {"HF_HUB_OFFLINE": "1"}}
PAUSE = 0.3  # seconds, for the threads of the other side to fall asleep


def gptcompare_step(batch: int, context: int, attention: tuple[str, ...]) -> Callable[[], object]:
    import gptcompare as gc
    from gptcompare.training import AdamW, Recipe
    from gptcompare.training.loop import accumulated
    from gptcompare.training.optimizer import clip_

    band = 64 if "banded" in attention else None
    model = gc.GPT(gc.GPTConfig(**SIZES, d_model=WIDTH, attention=attention, band_width=band))
    recipe = Recipe(n_steps=1, batch=batch, context=context, accumulation=THREADS)
    optimizer, pool = AdamW(model.parameters(), recipe), ThreadPoolExecutor(THREADS)
    ids = np.random.default_rng(0).integers(SIZES["n_vocab"], size=(batch, context + 1))

    def step() -> None:
        _, grads = accumulated(model, ids[:, :-1], ids[:, 1:], recipe, 0, pool.map)
        clip_(grads, 1.0)
        optimizer.update(grads, 1e-4)

    return step


def pytorch_step(batch: int, context: int, attention: tuple[str, ...]) -> Callable[[], object]:
    import torch
    from transformers import GPT2Config, GPT2LMHeadModel

    sizes = {"n_layer": 4, "n_head": 8, "n_positions": 512, "vocab_size": 4096, "n_embd": WIDTH}
    no_dropout = {"resid_pdrop": 0, "embd_pdrop": 0, "attn_pdrop": 0}
    config = GPT2Config(
        **sizes, **no_dropout, attn_implementation="sdpa", use_cache=False, bos_token_id=0, eos_token_id=0
    )
    model = GPT2LMHeadModel(config)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4, fused=True)
    ids = torch.tensor(np.random.default_rng(0).integers(SIZES["n_vocab"], size=(batch, context + 1)))
    inputs, targets = ids[:, :-1].contiguous(), ids[:, 1:].reshape(-1)

    def step() -> None:
        logits = model(inputs).logits
        loss = torch.nn.functional.cross_entropy(logits.reshape(-1, logits.shape[-1]), targets)
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()

    return step


def serve(side: str, shape: str) -> None:
    """Run one side: a step for every line on standard input, answered by its seconds and the peak memory in MB."""
    if side == "PyTorch":
        import torch  # noqa: F401  imported before the memory is measured
        import transformers  # noqa: F401
    make = {"gptcompare": gptcompare_step, "PyTorch": pytorch_step}[side]
    before = peak_memory()
    step = make(*SHAPES[shape])
    for _ in sys.stdin:
        print(json.dumps([seconds(step), peak_memory() - before]), flush=True)


def peak_memory() -> float:
    """Return the peak memory of the process in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000


def compare(shape: str, repetitions: int) -> tuple[dict[str, float], dict[str, float]]:
    """Measure tokens per second and peak memory of both sides."""
    n_tokens = SHAPES[shape][0] * SHAPES[shape][1]
    memory: dict[str, float] = {}
    processes = {
        side: subprocess.Popen(
            [sys.executable, __file__, "--serve", side, shape],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, **ENVIRONMENT[side]},
        )
        for side in SIDES
    }

    def measure(side: str) -> float:
        process = processes[side]
        assert process.stdin is not None
        assert process.stdout is not None
        time.sleep(PAUSE)
        process.stdin.write("step\n")
        process.stdin.flush()
        duration, memory[side] = json.loads(process.stdout.readline())
        return n_tokens / duration

    speed = take_turns({side: lambda side=side: measure(side) for side in SIDES}, repetitions)
    for process in processes.values():
        process.communicate()
    return speed, memory


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("shapes", nargs="*", metavar="SHAPE", help=f"of {', '.join(map(repr, SHAPES))} (default: all)")
    parser.add_argument("--repetitions", type=int, default=11, metavar="N", help="the median of which counts")
    parser.add_argument("--serve", choices=SIDES, help=argparse.SUPPRESS)
    options = parser.parse_args()
    shapes = options.shapes or list(SHAPES)
    if unknown := sorted(set(shapes) - set(SHAPES)):
        parser.error(f"unknown: {', '.join(unknown)}; known are {', '.join(SHAPES)}")
    if options.serve:
        serve(options.serve, shapes[0])
        return
    print(machine(), end="\n\n")
    print("| a step of | gptcompare, tokens/s | PyTorch | ratio | gptcompare, MB | PyTorch | ratio |")
    print("|---|---:|---:|---:|---:|---:|---:|")
    for shape in shapes:
        (ours, theirs), (our_mb, their_mb) = (list(values.values()) for values in compare(shape, options.repetitions))
        cells = [f"{ours:.0f}", f"{theirs:.0f}", f"{ours / theirs:.2f}", f"{our_mb:.0f}", f"{their_mb:.0f}"]
        print(f"| {shape} | {' | '.join(cells)} | {our_mb / their_mb:.2f} |", flush=True)


if __name__ == "__main__":
    main()
