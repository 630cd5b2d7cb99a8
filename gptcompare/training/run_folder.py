"""A run on disk: everything that it needs to resume, in one file that is always complete, and the model beside it.

    run.json             the run's identity: configuration, recipe, digests of the data and of the initial parameters
    state.safetensors    step, parameters and AdamW's moments, from which a run resumes
    metrics.csv          one line per step
    config.json, model.safetensors, vocab.json ...    the last saved model, as `gptcompare.load` reads it

`gptcompare train` also keeps the tokens of its texts there: see `data.py`.
"""

from __future__ import annotations

import contextlib
import csv
import io
import json
import os
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, NoReturn

import numpy as np

from ..arrays import Integers
from ..checkpoints import CheckpointError
from ..checkpoints.formats.safetensors import read_safetensors, write_safetensors
from ..files.atomic_files import written_together
from ..files.lock import locked
from ..files.texts import parse_json
from ..model import GPT
from ..parameters import digest_of
from ..tokenizer import Tokenizer
from .data import digest_of_tokens
from .optimizer import AdamW
from .recipe import Recipe

STEP = "step"
DESCRIPTION = "run.json"
FOREIGN = ("config.json", "hparams.json", "model.safetensors", "pytorch_model.bin", "state.safetensors")


@dataclass(frozen=True)
class Metrics:
    """The measurements of one step of a run.

    Attributes
    ----------
    step : int
        Counted from 1.
    tokens : int
        Number of tokens trained on so far, this step included.
    loss : float
        Loss of the step's batch before the update, in nats per token.
    learning_rate : float
    gradient_norm : float
        Norm of the whole gradient before clipping.
    tokens_per_second : float
    validation_loss : float, optional
        Validation loss after the step, in nats per token; None if it was not measured.
    """

    step: int
    tokens: int
    loss: float
    learning_rate: float
    gradient_norm: float
    tokens_per_second: float
    validation_loss: float | None = None


COLUMNS = [field.name for field in fields(Metrics)]


def read_metrics(folder: str | os.PathLike[str]) -> list[Metrics]:
    """Read the lines of a run's metrics.csv, up to the first that a kill or a crash left incomplete.

    Parameters
    ----------
    folder : path

    Returns
    -------
    list of Metrics

    Raises
    ------
    FileNotFoundError
        If there is no such folder.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise FileNotFoundError(f"there is no folder {str(folder)!r}")
    path = folder / "metrics.csv"
    metrics: list[Metrics] = []
    content = path.read_bytes().decode("utf-8", errors="replace") if path.is_file() else ""
    whole_lines = content[: content.rfind("\n") + 1]
    for row in csv.DictReader(io.StringIO(whole_lines)):
        line = _line(row)
        if line is None or (metrics and line.step <= metrics[-1].step):
            break
        metrics.append(line)
    return metrics


def _line(row: dict[str, str]) -> Metrics | None:
    """Return a row as metrics, or None if it is incomplete."""
    try:
        step, tokens, *numbers, validation = (row[name] for name in COLUMNS)
        validation_loss = float(validation) if validation else None
        loss, rate, norm, speed = (float(number) for number in numbers)
        return Metrics(int(step), int(tokens), loss, rate, norm, speed, validation_loss)
    except (KeyError, TypeError, ValueError):
        return None


def refuse_foreign(folder: Path) -> None:
    """Raise ValueError if a folder has a model that no run has saved there, and that a run would overwrite."""
    there = [name for name in FOREIGN if (folder / name).exists()]
    if there and not (folder / DESCRIPTION).exists():
        raise ValueError(f"{folder} has a model that no run has saved there ({', '.join(there)}): give another folder")


class RunFolder:
    """The files of one run.

    Parameters
    ----------
    folder
        Created if it does not exist.
    model, recipe, tokens, validation
        The arguments of the run, with the model as it is before the first step.

    Raises
    ------
    ValueError
        If the folder has a run with other arguments, or a model that no run has saved: runs are never mixed, and
        nothing is overwritten.
    """

    def __init__(
        self,
        folder: str | os.PathLike[str],
        model: GPT,
        recipe: Recipe,
        tokens: Integers,
        validation: Integers | None = None,
    ) -> None:
        self.folder = Path(folder)
        refuse_foreign(self.folder)
        parts = {
            "config": model.config.to_dict(),
            "dtype": model.dtype.name,
            "parameters": digest_of(model.parameters()),
            "recipe": asdict(recipe),
            "tokens": digest_of_tokens(tokens),
            "validation": None if validation is None else digest_of_tokens(validation),
        }
        identity = json.loads(json.dumps(parts))
        path = self.folder / DESCRIPTION
        if path.is_file():
            _check_same_run(path, identity)
        else:
            with written_together(self.folder, [path.name]) as (file,):
                file.write(json.dumps(identity, indent=2).encode() + b"\n")

    def locked(self) -> AbstractContextManager[None]:
        """Lock the folder for a `with` block; raise ValueError if another process is training in it."""

        def refuse() -> NoReturn:
            raise ValueError(f"another process is training in {self.folder}")

        return locked(self.folder / ".lock", refuse)

    def save(self, model: GPT, optimizer: AdamW, tokenizer: Tokenizer | None) -> None:
        """Save the state, as one file that is renamed into place when complete, then the model for others to read."""
        tensors = {STEP: np.array(float(optimizer.step)), **_arrays(model, optimizer)}
        with written_together(self.folder, ["state.safetensors"]) as (file,):
            write_safetensors(file, tensors)
        self.save_model(model, tokenizer)

    def save_model(self, model: GPT, tokenizer: Tokenizer | None) -> None:
        """Save the model, and the tokenizer if there is one, as `gptcompare.load` reads them."""
        model.save_pretrained(self.folder)
        if tokenizer is not None:
            tokenizer.save_pretrained(self.folder)

    def restore(self, model: GPT, optimizer: AdamW) -> bool:
        """Copy the saved numbers into the existing arrays; return False if nothing has been saved yet."""
        path = self.folder / "state.safetensors"
        if not path.is_file():
            return False
        arrays, tensors = _arrays(model, optimizer), read_safetensors(path)
        for name, array in arrays.items():
            saved = tensors.get(name)
            if saved is None or (saved.shape, saved.dtype) != (array.shape, array.dtype):
                raise CheckpointError(path, f"{name} is missing or of another kind: a run cannot resume from this file")
        for name, array in arrays.items():
            array[...] = tensors[name]
        optimizer.step = int(tensors[STEP])
        return True

    def start_metrics(self, step: int) -> list[Metrics]:
        """Return the metrics of the steps up to this one, and cut metrics.csv off after them."""
        for leftover in self.folder.glob(".*.part"):  # from saves that were killed
            leftover.unlink()
        metrics = [line for line in read_metrics(self.folder) if line.step <= step]
        with written_together(self.folder, ["metrics.csv"]) as (file,):
            file.write(_csv_line(COLUMNS))
            file.writelines(_csv_line(asdict(line).values()) for line in metrics)
        return metrics

    def append(self, line: Metrics) -> None:
        """Add a line to metrics.csv."""
        with open(self.folder / "metrics.csv", "ab") as file:
            file.write(_csv_line(asdict(line).values()))


def _arrays(model: GPT, optimizer: AdamW) -> dict[str, Any]:
    kinds = {"parameter": model.parameters(), "first": optimizer.first, "second": optimizer.second}
    return {f"{kind}.{name}": array for kind, arrays in kinds.items() for name, array in arrays.items()}


def _csv_line(values: Any) -> bytes:
    return (",".join("" if value is None else str(value) for value in values) + "\n").encode()


def _check_same_run(path: Path, identity: dict[str, Any]) -> None:
    there = None
    with contextlib.suppress(ValueError):
        there = parse_json(path.read_bytes(), str(path))
    if not isinstance(there, dict) or there.keys() != identity.keys():
        raise ValueError(f"{path}: damaged; give another folder")
    different = [
        f"{part}.{name}" if name else part
        for part, ours in identity.items()
        for name in (ours if isinstance(ours, dict) and isinstance(there[part], dict) else [""])
        if (there[part].get(name) != ours[name] if name else there[part] != ours)
    ]
    if different:
        raise ValueError(
            f"{path.parent} has a run that differs in {', '.join(different)}: give the same settings to resume it, "
            "or another folder"
        )
