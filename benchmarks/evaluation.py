"""Measure how fast items of published tasks are scored: beside EleutherAI's lm-evaluation-harness, and by workers.

    python benchmarks/evaluation.py

The harness runs transformers on PyTorch (extra `reference`), the workers need Dask (extra `dask`); what is not
installed is left out. The model has GPT-2's 124M shape and random weights. The items have the shapes of the tasks'
items, and are made from a text of the tests: the speed depends on neither weights nor words. Everything is in float32,
on the same number of threads.
"""

from __future__ import annotations

import random
import tempfile
from collections.abc import Callable
from pathlib import Path

from measuring import TEXT, installed, machine, seconds, shape, take_turns

import gptcompare as gc
from gptcompare.evaluation import Item, provenance
from gptcompare.evaluation.tasks.protocols import Choosing
from gptcompare.evaluation.workers import Dask, Threads, Workers, in_chunks
from gptcompare.model.threads import n_threads

REPETITIONS = 2
BATCHES = (1, 8)  # items that the harness is told to read at once
# Task -> number of items, words of a context, number of answers, words of an answer.
SHAPES = {
    "LAMBADA": (32, 60, 1, 1),
    "HellaSwag": (16, 50, 4, 20),
    "PIQA": (16, 12, 2, 18),
    "CBT": (2, 400, 10, 12),
}


def items(n: int, n_context: int, n_answers: int, n_words: int) -> list[Item]:
    """Make n items from pieces of a text, of about these lengths in words."""
    words, rng = TEXT.read_text(encoding="utf-8").split(), random.Random(0)

    def piece(length: int) -> str:
        start = rng.randrange(len(words) - 2 * length)
        return " ".join(words[start : start + max(round(length * rng.uniform(0.6, 1.4)), 1)])

    contexts = [piece(n_context) for _ in range(n)]
    return [Item(tuple((context, f" {piece(n_words)}") for _ in range(n_answers))) for context in contexts]


def scoring(workers: Workers, of: list[Item]) -> Callable[[], float]:
    """Return a function that measures items per second."""
    chunks, protocol = in_chunks(of), Choosing(normalised=True)
    return lambda: len(of) / seconds(lambda: workers.score(protocol, of, chunks, lambda chunk, rows: None))


def harness(folder: Path, of: list[Item], batch_size: int) -> Callable[[], float]:
    import torch
    from lm_eval.api.instance import Instance
    from lm_eval.models.huggingface import HFLM

    torch.set_num_threads(n_threads())
    model = HFLM(pretrained=str(folder), device="cpu", dtype="float32", batch_size=batch_size)
    pairs = [pair for item in of for pair in item.pairs]
    requests = [Instance("loglikelihood", {}, pair, number) for number, pair in enumerate(pairs)]
    return lambda: len(of) / seconds(lambda: model.loglikelihood(requests, disable_tqdm=True))


def beside_the_harness(folder: Path, lm: gc.LanguageModel) -> None:
    heads = [f"harness, batches of {size}" for size in BATCHES]
    print("| items/s | gptcompare | " + " | ".join(heads) + " |\n|---|" + "---:|" * (len(heads) + 1))
    for task, of_shape in SHAPES.items():
        of = items(*of_shape)
        speed = take_turns(
            {
                "own": scoring(Threads(lm), of),
                **{head: harness(folder, of, size) for head, size in zip(heads, BATCHES, strict=True)},
            },
            REPETITIONS,
        )
        cells = [f"{speed[head]:.2f} ({speed['own'] / speed[head]:.2f})" for head in heads]
        print(f"| {task} | {speed['own']:.2f} | {' | '.join(cells)} |", flush=True)


def by_workers(folder: Path, lm: gc.LanguageModel) -> None:
    of, digest = items(96, *SHAPES["LAMBADA"][1:]), provenance.of_content(lm)
    sides: dict[str, Callable[[], float]] = {f"{n_threads()} threads of one process": scoring(Threads(lm), of)}
    for n in range(1, n_threads() + 1):
        sides[f"{n} worker{'s' * (n > 1)}, with their start"] = scoring(
            Dask(str(folder), "huggingface", digest, n_workers=n), of
        )
    print("| LAMBADA's shape, by | items/s |\n|---|---:|")
    for name, value in take_turns(sides, REPETITIONS).items():
        print(f"| {name} | {value:.2f} |", flush=True)


def main() -> None:
    print(machine(), end="\n\n")
    with tempfile.TemporaryDirectory() as temporary:
        folder = shape("gpt2", Path(temporary))
        lm = gc.load(folder)
        if installed("lm_eval"):
            beside_the_harness(folder, lm)
            print()
        if installed("distributed"):
            by_workers(folder, lm)


if __name__ == "__main__":
    main()
