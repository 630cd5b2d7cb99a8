"""A run on the disk: everything that it needs to go on, in one file that is always whole, and the model beside it.

run.json             the configuration, the recipe and a digest of the tokens: what makes it this run
state.safetensors    step, parameters and AdamW's moments; what a run goes on from
metrics.csv          a line per step
config.json, model.safetensors, vocab.json ...    the model of the last save, as `gptcompare.load` reads it
"""

from __future__ import annotations

import csv
import hashlib
import json
import os
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np

from ..atomic_files import written_together
from ..checkpoints.safetensors import read_safetensors, write_safetensors
from ..config import GPTConfig
from ..model import GPT
from ..tokenizer import Tokenizer
from .data import Tokens
from .optimizer import AdamW
from .recipe import Recipe

STEP = "step"


@dataclass(frozen=True)
class Metrics:
    """One step of a run; losses are in nats per token, the validation loss is that after the step."""

    step: int
    tokens: int
    loss: float
    learning_rate: float
    gradient_norm: float
    tokens_per_second: float
    validation_loss: float | None = None


def read_metrics(folder: str | os.PathLike[str]) -> list[Metrics]:
    """The lines of a run's metrics.csv, up to the first that a kill left incomplete."""
    metrics: list[Metrics] = []
    path = Path(folder) / "metrics.csv"
    if not path.is_file():
        return metrics
    with open(path, newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            try:
                values = [float(row[field.name]) if row[field.name] else None for field in fields(Metrics)]
            except (KeyError, TypeError, ValueError):
                break
            step, tokens, *others = values
            if step is None or tokens is None:
                break
            metrics.append(Metrics(int(step), int(tokens), *others))  # type: ignore[arg-type]
    return metrics


class RunFolder:
    """The files of one run.

    Parameters
    ----------
    folder
        Made if it does not exist.
    config, recipe, tokens
        Of the run. ValueError if the folder has a run with others: two runs never mix.
    """

    def __init__(self, folder: str | os.PathLike[str], config: GPTConfig, recipe: Recipe, tokens: Tokens) -> None:
        self.folder = Path(folder)
        identity = json.loads(
            json.dumps({"config": config.to_dict(), "recipe": asdict(recipe), "tokens": _digest(tokens)})
        )
        path = self.folder / "run.json"
        if path.is_file():
            _check_same_run(path, identity)
        else:
            with written_together(self.folder, [path.name]) as (file,):
                file.write(json.dumps(identity, indent=2).encode() + b"\n")

    def save(self, model: GPT, optimizer: AdamW, tokenizer: Tokenizer | None) -> None:
        """The state, as one file that takes its name when it is complete, then the model for readers."""
        tensors = {STEP: np.array(float(optimizer.step))}
        for kind, arrays in _kinds(model, optimizer).items():
            tensors |= {f"{kind}.{name}": array for name, array in arrays.items()}
        with written_together(self.folder, ["state.safetensors"]) as (file,):
            write_safetensors(file, tensors)
        model.save_pretrained(self.folder)
        if tokenizer is not None:
            tokenizer.save_pretrained(self.folder)

    def restore(self, model: GPT, optimizer: AdamW) -> bool:
        """Put the saved numbers into the arrays that are there; False if nothing has been saved yet."""
        path = self.folder / "state.safetensors"
        if not path.is_file():
            return False
        tensors = read_safetensors(path)
        for kind, arrays in _kinds(model, optimizer).items():
            for name, array in arrays.items():
                array[...] = tensors[f"{kind}.{name}"]
        optimizer.step = int(tensors[STEP])
        return True

    def start_metrics(self, step: int) -> list[Metrics]:
        """What is known of the steps before this one, and a metrics.csv that ends there."""
        metrics = [line for line in read_metrics(self.folder) if line.step <= step]
        with written_together(self.folder, ["metrics.csv"]) as (file,):
            file.write(_csv_line(field.name for field in fields(Metrics)))
            file.writelines(_csv_line(asdict(line).values()) for line in metrics)
        return metrics

    def append(self, line: Metrics) -> None:
        with open(self.folder / "metrics.csv", "ab") as file:
            file.write(_csv_line(asdict(line).values()))


def _kinds(model: GPT, optimizer: AdamW) -> dict[str, dict[str, Any]]:
    return {"parameter": model.parameters(), "first": optimizer.first, "second": optimizer.second}


def _csv_line(values: Any) -> bytes:
    return (",".join("" if value is None else str(value) for value in values) + "\n").encode()


def _digest(tokens: Tokens) -> str:
    return hashlib.sha256(np.ascontiguousarray(tokens, "<u4").data).hexdigest()


def _check_same_run(path: Path, identity: dict[str, Any]) -> None:
    try:
        there = json.loads(path.read_text(encoding="utf-8"))
        different = [
            f"{part}.{name}" if name else part
            for part, ours in identity.items()
            for name in (ours if isinstance(ours, dict) else [None])
            if (there[part].get(name) != ours[name] if name else there[part] != ours)
        ]
    except (ValueError, KeyError, AttributeError, TypeError):
        raise ValueError(f"{path}: damaged; give another folder") from None
    if different:
        raise ValueError(
            f"{path.parent} has a run that differs in {', '.join(different)}: give the same settings to go on with it, "
            "or another folder"
        )
