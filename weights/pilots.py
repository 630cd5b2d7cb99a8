"""Short runs that differ from one another in one thing each: which choice makes the better writer of equal cost.

    python weights/pilots.py CORPUS RUNS

trains a small model once for each choice, two at a time, one core each, and prints a table. RUNS
gets a folder for each; if it is stopped, the same command resumes. The measure is the mean of the bits per byte of the
held-out books' beginnings, since a vocabulary's size changes what a token is.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from writing import Book, read_manifest

import gptcompare as gc
from gptcompare.files.texts import read_text

SHAPE = {"n_layer": 4, "n_head": 4, "d_model": 128, "n_ctx": 512, "n_vocab": 4096}
DENSE_FIRST = {"attention": ["dense", "banded"], "band_width": 64}
RECIPE = {
    "steps": 500, "batch": 2, "context": 512, "warmup-steps": 50, "learning-rate": 0.002, "final-learning-rate": 0.1,
    "optimizer": "adamw", "dropout": 0, "weight-decay": 0.1, "seed": 0,
}  # fmt: skip
CHARACTERS = 40_000  # of each held-out book


class Pilot(NamedTuple):
    """What a run changes in the shape and in the recipe, and how often it reads the simple and the richer books."""

    shape: dict[str, Any] = {}  # noqa: RUF012 -- never changed
    recipe: dict[str, Any] = {}  # noqa: RUF012
    simple: int = 1
    richer: int = 1


PILOTS = {
    "the base": Pilot(),
    "another seed": Pilot(recipe={"seed": 1}),
    "simple books only": Pilot(richer=0),
    "simple books twice": Pilot(simple=2),
    "vocabulary 2,048": Pilot({"n_vocab": 2048}),
    "vocabulary 8,192": Pilot({"n_vocab": 8192}),
    "dense layers only": Pilot({"attention": ["dense"], "band_width": None}),
    "banded first, 64": Pilot({"attention": ["banded", "dense"]}),
    "banded first, 16": Pilot({"attention": ["banded", "dense"], "band_width": 16}),
    "banded first, 8": Pilot({"attention": ["banded", "dense"], "band_width": 8}),
    "rate 0.004": Pilot(recipe={"learning-rate": 0.004}),
    "rate falls to 0": Pilot(recipe={"final-learning-rate": 0}),
    "dropout 0.1": Pilot(recipe={"dropout": 0.1}),
    "weight decay 0.01": Pilot(recipe={"weight-decay": 0.01}),
    "8 sequences of 128": Pilot(recipe={"batch": 8, "context": 128}),
    "Muon, rate 0.003": Pilot(recipe={"optimizer": "muon", "learning-rate": 0.003}),
}


def texts_of(pilot: Pilot, books: list[Book]) -> Iterator[str]:
    """Yield the files to read, each as often as the pilot reads it."""
    for book in books:
        if book.split == "train":
            yield from [str(book.path)] * (pilot.simple if book.style == "simple" else pilot.richer)


def train(name: str, books: list[Book], runs: Path) -> Path:
    """Train the model of a pilot, or what is left of it; return its folder."""
    folder = runs / name.replace(" ", "-")
    folder.mkdir(parents=True, exist_ok=True)
    config = folder.with_suffix(".json")
    config.write_text(json.dumps(SHAPE | DENSE_FIRST | PILOTS[name].shape), encoding="utf-8")
    options = [f"--{key}={value}" for key, value in (RECIPE | PILOTS[name].recipe).items()]
    options += [f"--config={config}", f"--out={folder}"]
    command = [sys.executable, "-m", "gptcompare", "train", *texts_of(PILOTS[name], books), *options]
    subprocess.run(command, env=os.environ | {"OPENBLAS_NUM_THREADS": "1"}, check=True, capture_output=True)
    return folder


def bits_per_byte(folder: Path, books: list[Book]) -> float:
    lm = gc.load(folder)
    held_out = [read_text(book.path)[:CHARACTERS] for book in books if book.split == "val"]
    return float(np.mean([lm.score(text).bits_per_byte for text in held_out]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("corpus", type=Path)
    parser.add_argument("runs", type=Path)
    args = parser.parse_args()

    books = read_manifest(args.corpus)
    print("| what differs | bits per byte |\n|---|---:|")
    with ThreadPoolExecutor(2) as two_at_a_time:
        trained = two_at_a_time.map(lambda name: (name, train(name, books, args.runs)), PILOTS)
        for name, folder in trained:
            print(f"| {name} | {bits_per_byte(folder, books):.3f} |", flush=True)


if __name__ == "__main__":
    main()
