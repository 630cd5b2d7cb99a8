"""Can a small model learn to copy? Trains many of them on repeated runs of random tokens; notebook 11 uses it.

    python notebooks/copying/copying.py       # five minutes of one core; writes copying.json beside itself

Each sequence is a run of random tokens, repeated until the context is full. The length of the run is drawn anew for
each sequence. Nothing can be known of the first run; everything after it can be copied, but from a distance that the
model has to find out. The models are alike in everything but their attention patterns, and read the same sequences.
"""

from __future__ import annotations

import json
import os
import platform
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

import gptcompare as gc
from gptcompare.arrays import Ids
from gptcompare.model.ops import cross_entropy
from gptcompare.model.threads import products_on_one_thread
from gptcompare.training import AdamW, Recipe, loss_and_grads

N_VOCAB, N_CTX, BATCH = 64, 64, 16
LENGTHS = (8, 32)  # the shortest and the longest run
BANDED_FIRST, DENSE, DENSE_FIRST = ("banded", "dense"), ("dense",), ("dense", "banded")
BAND_WIDTH = 8
LEARNING_RATE = 3e-3
# How much larger the blocks' first weights are than GPT-2's, whose deviation of 0.02 was chosen for models that are at
# least twelve times as wide: it is nearer to 1 / sqrt(768) than to 1 / sqrt(64).
INITIAL_SCALE = 3.0
MEASURE_EVERY = 20  # steps
COPIES = 1.0  # nats: a model with less where it could copy is said to copy; guessing costs log(N_VOCAB)
RESULTS = Path(__file__).with_name("copying.json")


def new_model(attention: tuple[str, ...], band_width: int = BAND_WIDTH, seed: int = 0) -> gc.GPT:
    """Return a model of two layers with two heads each, not yet trained."""
    config = gc.GPTConfig(
        n_layer=2, n_head=2, d_model=64, d_mlp=64, n_ctx=N_CTX, n_vocab=N_VOCAB,
        attention=attention, band_width=band_width if "banded" in attention else None,
    )  # fmt: skip
    return gc.GPT(config, seed=seed)


def repeated_runs(rng: np.random.Generator, n: int, lengths: tuple[int, int] = LENGTHS) -> tuple[Ids, Ids]:
    """Draw n sequences of a run of random tokens, repeated: ids (n, T + 1), and the lengths of the runs (n,)."""
    of_run = rng.integers(lengths[0], lengths[1] + 1, size=n)
    ids = np.stack([np.resize(rng.integers(N_VOCAB, size=length), N_CTX + 1) for length in of_run])
    return ids, of_run


def loss_at(model: gc.GPT, ids: Ids) -> np.ndarray[Any, Any]:
    """Return the loss at each token after the first, (n, T), in nats."""
    with products_on_one_thread():  # they are small: a second thread would cost more than it saves
        return cross_entropy(model(ids[:, :-1]), ids[:, 1:])


def loss_of_copies(model: gc.GPT, ids: Ids, of_run: Ids) -> float:
    """Return the mean loss where the next token is known: from the first token of the first repetition on."""
    is_copy = np.arange(N_CTX) >= of_run[:, None]
    return float(loss_at(model, ids)[is_copy].mean(dtype=np.float64))


def measured(model: gc.GPT, step: int, held_out: tuple[Ids, Ids]) -> dict[str, float]:
    """Return what is known of a model after a step: its loss where it could copy, and its heads' best scores."""
    scores = gc.inspection.head_scores(model, length=N_CTX // 2 - 8, batch=8)
    return {
        "step": step,
        "loss": round(loss_of_copies(model, *held_out), 4),
        "previous_token": round(float(scores.previous_token[0].max()), 4),
        "induction": round(float(scores.induction[1].max()), 4),
    }


def enlarge(model: gc.GPT, scale: float) -> None:
    """Multiply the first weights of the blocks, in place."""
    for name, parameter in model.parameters().items():
        if parameter.ndim == 2 and name.startswith("h."):  # the blocks' matrices
            parameter *= scale


def train(
    model: gc.GPT, n_steps: int, *, lengths: tuple[int, int] = LENGTHS, seed: int = 0,
    learning_rate: float = LEARNING_RATE, scale: float = INITIAL_SCALE,
) -> list[dict[str, float]]:  # fmt: skip
    """Train a new model to predict the next token of repeated runs; return its measures in between."""
    enlarge(model, scale)
    recipe = Recipe(n_steps=n_steps, batch=BATCH, context=N_CTX)
    optimizer = AdamW(model.parameters(), recipe)
    rng = np.random.default_rng([seed, 1])
    held_out = repeated_runs(np.random.default_rng(2026), 32, lengths)
    curve = [measured(model, 0, held_out)]
    with products_on_one_thread():
        for step in range(1, n_steps + 1):
            ids, _ = repeated_runs(rng, BATCH, lengths)
            _, gradients = loss_and_grads(model, ids[:, :-1], ids[:, 1:])
            optimizer.update(gradients, learning_rate * min(step / 20, 1))  # a warm-up of 20 steps, then constant
            if step % MEASURE_EVERY == 0:
                curve.append(measured(model, step, held_out))
    return curve


def steps_to_copy(curve: list[dict[str, float]]) -> int | None:
    """Return the first measured step at which a model copies, or None if it never does."""
    return next((int(line["step"]) for line in curve if line["loss"] < COPIES), None)


def runs() -> list[dict[str, Any]]:
    """Return the arguments of every run."""
    plan: list[tuple[tuple[str, ...], int, int, int, dict[str, float]]]
    plan = [(BANDED_FIRST, BAND_WIDTH, seed, 400, {}) for seed in range(4)]
    plan += [(pattern, BAND_WIDTH, seed, 800, {}) for pattern in (DENSE, DENSE_FIRST) for seed in range(4)]
    plan += [(BANDED_FIRST, width, seed, 400, {}) for width in (2, 4) for seed in range(2)]
    plan += [(BANDED_FIRST, width, seed, 800, {}) for width in (16, 32) for seed in range(2)]
    others = ({"learning_rate": 1e-3}, {"learning_rate": 6e-3}, {"scale": 1.0}, {"scale": 6.0})
    plan += [(DENSE, BAND_WIDTH, 0, 800, other) for other in others]  # are these numbers to blame?
    plan += [(BANDED_FIRST, BAND_WIDTH, 0, 800, {"scale": 1.0})]
    return [
        {"attention": attention, "band_width": width, "seed": seed, "n_steps": n_steps, **other}
        for attention, width, seed, n_steps, other in plan
    ]


def run(arguments: dict[str, Any]) -> dict[str, Any]:
    """Make one run and return its arguments and its curve."""
    numbers = dict(arguments)
    attention, band_width = numbers.pop("attention"), numbers.pop("band_width")
    curve = train(new_model(attention, band_width, numbers["seed"]), **numbers)
    print(attention, band_width, numbers, "copies from step", steps_to_copy(curve), flush=True)
    return {**arguments, "curve": curve}


def main() -> None:
    """Make all runs, as many at a time as there are cores, and write copying.json after each."""
    versions = {"gptcompare": gc.__version__, "numpy": np.__version__, "python": platform.python_version()}
    made = []
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        for one in pool.map(run, runs()):
            made.append(one)
            lines = ",\n".join(map(json.dumps, made))
            RESULTS.write_text(f'{{"versions": {json.dumps(versions)}, "runs": [\n{lines}\n]}}\n', encoding="utf-8")


if __name__ == "__main__":
    main()
