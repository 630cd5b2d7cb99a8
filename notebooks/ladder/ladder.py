"""Train a ladder of six models on the same tokens, and write down how their losses fall: `ladder.json`.

    python notebooks/ladder/ladder.py CORPUS RUNS

CORPUS has a MANIFEST.tsv that names the books, their digests and their split (train or val), RUNS gets a folder for
each run. If it is stopped, the same command resumes. All runs together take about 40 minutes on one quiet core; set
OPENBLAS_NUM_THREADS=1 to leave the others alone.

All models read the same batches; those of another seed begin with other parameters and read the tokens in another
order. Some are also trained on fewer tokens, so that they cost what the smallest model does. The peak learning rate
falls with the root of the width: `RATE` at the smallest one. What that rests on is written down too: the losses of the
smallest and the largest model at half, once and twice that rate, on an eighth of the tokens.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import json
import math
import platform
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

import gptcompare as gc
from gptcompare.arrays import Integers
from gptcompare.model.ops import cross_entropy
from gptcompare.training import Metrics, Recipe, tokenize_files, train
from gptcompare.training.data import digest_of_tokens

RESULT = Path(__file__).with_name("ladder.json")
N_VOCAB, CONTEXT, D_HEAD = 512, 128, 16
SHAPES = ((2, 32), (2, 48), (2, 64), (3, 80), (4, 96), (5, 128))  # n_layer, d_model
AGAIN = 2  # of the smallest shapes are trained with each of the
SEEDS = (0, 1, 2)
SMALL = 3  # of the next shapes are also trained on the FLOPs that the smallest one takes
N_STEPS, BATCH = 4000, 8
RATE = 0.005  # of the smallest width
VALIDATIONS = 10
PILOT_RATES = (0.5, 1, 2)
PILOT_SHARE = 8
AT_A_TIME = 64  # sequences


class Data(NamedTuple):
    tokenizer: gc.Tokenizer
    train: Integers
    val: Integers
    val_bytes: int
    description: dict[str, Any]


def books_of(corpus: Path, split: str) -> list[Path]:
    """Return the files of a split, each as the manifest describes it."""
    with open(corpus / "MANIFEST.tsv", encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file, delimiter="\t") if row["split"] == split]
    for row in rows:
        if hashlib.sha256((corpus / row["file"]).read_bytes()).hexdigest() != row["sha256"]:
            raise ValueError(f"{row['file']} is not the file that MANIFEST.tsv describes")
    return [corpus / row["file"] for row in rows]


def read_corpus(corpus: Path, runs: Path) -> Data:
    """Learn a vocabulary from the training books, or read the one that was learned, and tokenize all books."""
    paths = {split: books_of(corpus, split) for split in ("train", "val")}
    folder = runs / "vocabulary"
    if not (folder / "vocab.json").exists():
        texts = (path.read_text(encoding="utf-8") for path in paths["train"])
        gc.Tokenizer.train(texts, N_VOCAB).save_pretrained(folder)
    tokenizer = gc.Tokenizer.from_pretrained(folder)
    rows = {split: tokenize_files(paths[split], tokenizer, runs / f"{split}.npy") for split in paths}
    sizes = {split: sum(path.stat().st_size for path in paths[split]) for split in paths}
    description = {
        split: {
            "books": len(paths[split]),
            "bytes": sizes[split],
            "tokens": len(row),
            "sha256 of the tokens": digest_of_tokens(row),
        }
        for split, row in rows.items()
    }
    return Data(tokenizer, rows["train"], rows["val"], sizes["val"], description)


def config_of(n_layer: int, d_model: int) -> gc.GPTConfig:
    return gc.GPTConfig(
        n_layer=n_layer, d_model=d_model, n_head=d_model // D_HEAD, n_ctx=CONTEXT, n_vocab=N_VOCAB
    )  # fmt: skip


def recipe_of(config: gc.GPTConfig, seed: int, n_steps: int, times: float = 1) -> Recipe:
    return Recipe(
        n_steps=n_steps,
        batch=BATCH,
        context=CONTEXT,
        learning_rate=times * RATE * math.sqrt(SHAPES[0][1] / config.d_model),
        warmup_steps=n_steps // 10,
        seed=seed,
    )


def train_one(data: Data, recipe: Recipe, config: gc.GPTConfig, folder: Path) -> tuple[gc.GPT, list[Metrics]]:
    model = gc.GPT(config, seed=recipe.seed)
    metrics = train(
        model, data.train, recipe, validation=data.val, out=folder, tokenizer=data.tokenizer,
        validate_every=recipe.n_steps // VALIDATIONS,
    )  # fmt: skip
    return model, metrics


def held_out_loss(model: gc.GPT, tokens: Integers) -> float:
    """Return the mean loss, in nats per token, over all held-out tokens, in sequences of the context."""
    n = (len(tokens) - 1) // CONTEXT
    ids = tokens[: n * CONTEXT].reshape(n, CONTEXT)
    targets = tokens[1 : n * CONTEXT + 1].reshape(n, CONTEXT)
    total = 0.0
    for start in range(0, n, AT_A_TIME):
        part = slice(start, start + AT_A_TIME)
        total += float(cross_entropy(model(ids[part]), targets[part]).sum(dtype=np.float64))
    return total / targets.size


def losses(nats_per_token: float, data: Data) -> dict[str, float]:
    bits = nats_per_token / math.log(2) * len(data.val) / data.val_bytes
    return {"nats per token": round(nats_per_token, 4), "bits per byte": round(bits, 4)}


def run(data: Data, shape: tuple[int, int], seed: int, n_steps: int, runs: Path) -> dict[str, Any]:
    """Train one model, and return what `ladder.json` says of it."""
    config = config_of(*shape)
    recipe = recipe_of(config, seed, n_steps)
    model, metrics = train_one(data, recipe, config, runs / f"{shape[0]}x{shape[1]}-seed{seed}-{n_steps}")
    parts = config.n_params_by_part
    return {
        "seed": seed,
        "config": config.to_dict(),
        "parameters": config.n_params,
        "parameters without embeddings": config.n_params - parts["token embedding"] - parts["positions"],
        "learning rate": recipe.learning_rate,
        "tokens": metrics[-1].tokens,
        "curve": [
            {"tokens": line.tokens, **losses(line.validation_loss, data)}
            for line in metrics
            if line.validation_loss is not None
        ],
        "held out": losses(held_out_loss(model, data.val), data),
    }


def steps_on_the_budget_of(shape: tuple[int, int], other: tuple[int, int]) -> int:
    """Return in how many steps another shape costs as many FLOPs as a shape in all of its steps."""
    return round(N_STEPS * config_of(*shape).n_params / config_of(*other).n_params)


def pilot(data: Data, shape: tuple[int, int], times: float, runs: Path) -> dict[str, float]:
    """Train one model on a part of the tokens, at a multiple of its learning rate."""
    config = config_of(*shape)
    recipe = recipe_of(config, SEEDS[0], N_STEPS // PILOT_SHARE, times)
    _, metrics = train_one(data, recipe, config, runs / f"pilot-{shape[0]}x{shape[1]}-{times}")
    validated = metrics[-1].validation_loss
    assert validated is not None
    return {
        "d_model": config.d_model,
        "learning rate": recipe.learning_rate,
        "tokens": metrics[-1].tokens,
        **losses(validated, data),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("corpus", type=Path)
    parser.add_argument("runs", type=Path)
    args = parser.parse_args()

    data = read_corpus(args.corpus, args.runs)
    planned = [(shape, SEEDS[0], N_STEPS) for shape in SHAPES]
    again = [(shape, seed, N_STEPS) for seed in SEEDS[1:] for shape in SHAPES[:AGAIN]]
    small = [(shape, SEEDS[0], steps_on_the_budget_of(SHAPES[0], shape)) for shape in SHAPES[1 : 1 + SMALL]]
    recipe = asdict(recipe_of(config_of(*SHAPES[0]), SEEDS[0], N_STEPS))
    result = {
        "versions": {"python": platform.python_version(), "numpy": np.__version__, "gptcompare": gc.__version__},
        "corpus": data.description,
        "recipe": {name: value for name, value in recipe.items() if name not in ("learning_rate", "seed")},
        "learning rate": f"{RATE} * sqrt({SHAPES[0][1]} / d_model)",
        "runs": [run(data, *one, args.runs) for one in planned],
        "again": [run(data, *one, args.runs) for one in again],
        "on the smallest budget": [run(data, *one, args.runs) for one in small],
        "pilot": [pilot(data, shape, times, args.runs) for shape in (SHAPES[0], SHAPES[-1]) for times in PILOT_RATES],
    }
    RESULT.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
