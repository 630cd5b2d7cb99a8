"""A run on disk: everything that it needs to resume, in one file that is always complete, and the model beside it.

    run.json             the run's identity: configuration, recipe, digests of the data and of the initial parameters
    state.safetensors    step, parameters and the optimizer's state, from which a run resumes
    metrics.csv          one line per step: see `metrics`
    config.json, model.safetensors, vocab.json ...    the last saved model, as `gptcompare.load` reads it
    .lock                held by the process that trains in the folder

`gptcompare train` also keeps the tokens of its texts there: see `data.py`.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from dataclasses import asdict
from pathlib import Path
from typing import Any, NoReturn

import numpy as np

from ..arrays import AnyArray, Integers
from ..checkpoints import CheckpointError
from ..checkpoints.formats.safetensors import read_metadata, read_safetensors, write_safetensors
from ..checks import path
from ..files.appended import AppendedFile
from ..files.atomic_files import remove_leftovers, written_together
from ..files.lock import locked
from ..files.texts import parse_json
from ..generation import LanguageModel
from ..model import GPT
from ..model.threads import n_threads_if_known
from ..parameters import digest_of
from ..tokenizer.files import REPLACED
from .data import digest_of_tokens
from .metrics import METRICS, Metrics, cut_off, write_metrics
from .optimizer import Optimizer
from .recipe import Recipe

STEP = "step"
LOCK = ".lock"
DESCRIPTION, STATE = "run.json", "state.safetensors"
SAVED = (
    STATE, METRICS, "config.json", "model.safetensors", "vocab.json", "merges.txt", "tokenizer_config.json",
    "generation_config.json",
)  # fmt: skip
WRITTEN = (DESCRIPTION, *SAVED, "tokens.npy", "tokens.json", "validation.npy", "validation.json")
# What is somebody else's where no run is described: other models, and what saving would replace or remove.
FOREIGN = (*SAVED, "hparams.json", "pytorch_model.bin", *REPLACED)
# Parts of run.json that runs of earlier versions do not have: those of targets are then those of a run without any.
BLAS_THREADS, DIGEST = "blas_threads", "sha256"
RUN = "run"  # in the state's metadata: the digest in run.json, which an earlier version did not write there
OF_TARGETS = ("targets", "validation_targets", "ignore")
OF_RECIPE = {"optimizer": "adamw"}  # numbers of the recipe that earlier versions do not have, and what they did


class RunFolder:
    """The files of one run, which one process at a time may read or write: use it in a `with` block.

    Parameters
    ----------
    folder
        Created if it does not exist.

    Attributes
    ----------
    folder : Path
    step : int
        The last step of this process, or that it found saved; 0 before the first.
    saved_step : int
        The step that the run would resume from now; 0 if it would begin anew.

    Raises
    ------
    ValueError
        If another process is training in the folder, the folder has a model or a tokenizer that no run has saved, or it
        has no name.
    """

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        if not path("the folder of a run", folder):
            raise ValueError("the folder of a run needs a name")
        self.folder = Path(folder)
        self.step = self.saved_step = 0
        self._open = contextlib.ExitStack()  # the lock and metrics.csv
        self._lock: os.stat_result | None = None  # of the lock's file, to know it again
        self._metrics: AppendedFile | None = None
        self._lines: list[Metrics] = []  # those of metrics.csv
        self._run = b""  # run.json

    def __enter__(self) -> RunFolder:
        self._refuse_foreign()  # before the lock's file is made: nothing is written into somebody else's folder
        with contextlib.ExitStack() as stack:
            self._take_lock(stack)
            remove_leftovers(self.folder, WRITTEN)
            self._open = stack.pop_all()
        return self

    def _take_lock(self, stack: contextlib.ExitStack) -> None:
        stack.enter_context(locked(self.folder / LOCK, self._refuse_second))
        self._lock = os.stat(self.folder / LOCK)

    def __exit__(self, *exception: Any) -> bool | None:
        return self._open.__exit__(*exception)

    def _refuse_foreign(self) -> None:
        there = [name for name in FOREIGN if (self.folder / name).exists()]
        if there and not (self.folder / DESCRIPTION).exists():
            raise ValueError(f"{self.folder} has what no run has saved there ({', '.join(there)}): give another folder")

    def _refuse_second(self) -> NoReturn:
        raise ValueError(f"another process is training in {self.folder}: wait for its end, or give another folder")

    def begin(
        self, model: GPT, recipe: Recipe, tokens: Integers, validation: Integers | None = None,
        targets: Integers | None = None, validation_targets: Integers | None = None, ignore: int | None = None,
    ) -> int | None:  # fmt: skip
        """Write down which run this is or, if there is one, check that it is the same.

        Parameters
        ----------
        model, recipe, tokens, validation, targets, validation_targets, ignore
            The arguments of the run, with the model as it is before the first step.

        Returns
        -------
        int, optional
            On how many threads the run's matrix products are computed, if that can be set; None if not.

        Raises
        ------
        ValueError
            If the folder has a run with other arguments: runs are never mixed. Or if the run was begun with another
            kind of BLAS, and could not go on bit for bit.
        """
        digests = {
            "tokens": tokens, "validation": validation, "targets": targets, "validation_targets": validation_targets,
        }  # fmt: skip
        parts = {
            "config": model.config.to_dict(),
            "dtype": model.dtype.name,
            "parameters": digest_of(model.parameters()),
            "recipe": asdict(recipe),
            **{name: None if one is None else digest_of_tokens(one) for name, one in digests.items()},
            "ignore": ignore,
        }
        identity = json.loads(json.dumps(parts))
        n_threads = n_threads_if_known()
        path = self.folder / DESCRIPTION
        if path.is_file():
            self._run = path.read_bytes()
            there = _description(self._run, path, identity.keys())
            self._check_same_run(there, identity)
            if BLAS_THREADS in there:
                self._check_blas(there[BLAS_THREADS], n_threads)
                return there[BLAS_THREADS]  # type: ignore[no-any-return]  # checked by the file's digest
        self._run = _described({**identity, BLAS_THREADS: n_threads})
        self._write_description()
        return n_threads

    def _write_description(self) -> None:
        with written_together(self.folder, [DESCRIPTION]) as (file,):
            file.write(self._run)

    def _check_same_run(self, there: dict[str, Any], identity: dict[str, Any]) -> None:
        different = [
            f"{part}.{name}" if name else part
            for part, ours in identity.items()
            for name in (ours if isinstance(ours, dict) and isinstance(there[part], dict) else [""])
            if (there[part].get(name) != ours[name] if name else there[part] != ours)
        ]
        if different:
            raise ValueError(
                f"{self.folder} has a run that differs in {', '.join(different)}: give the same settings to resume it, "
                f"or another folder{self._way_on()}"
            )

    def _check_blas(self, there: int | None, here: int | None) -> None:
        if (there is None) != (here is None):
            of_then, of_now = ("could not", "can") if there is None else ("could", "cannot")
            raise ValueError(
                f"{self.folder} has a run that cannot go on bit for bit: the number of threads of NumPy's BLAS "
                f"{of_then} be set where it was begun, and {of_now} be set here: use the NumPy of then, or another "
                f"folder{self._way_on()}"
            )

    def _way_on(self) -> str:
        """Say how to train on with other settings, if there is a model to train on."""
        if not (self.folder / STATE).is_file():
            return ""
        return f". To train on from its model with these settings, give another folder, and --init {self.folder}"

    def save(self, model: GPT, optimizer: Optimizer, saved: GPT | LanguageModel) -> None:
        """Save the state, as one file that is renamed into place when complete, then the model for others to read.

        Raises
        ------
        ValueError
            If the folder was removed while the run trained, and another run has begun in its place.
        """
        self._keep_folder()
        if self._metrics is not None:
            self._metrics.sync()  # so that no power failure leaves a state without its lines
        tensors = {STEP: np.array(float(optimizer.step)), **_arrays(model, optimizer)}
        with written_together(self.folder, [STATE]) as (file,):
            write_safetensors(file, tensors, **{DIGEST: digest_of(tensors), RUN: self._digest_of_run})
        self.saved_step = optimizer.step
        self.save_model(saved)

    def _keep_folder(self) -> None:
        """Put everything back but the state and the model if the folder was removed; leave another run alone."""
        path = self.folder / DESCRIPTION
        if path.is_file() and path.read_bytes() != self._run:
            raise ValueError(
                f"{self.folder} has another run now, which was begun while this one trained there: nothing of this one "
                f"is saved after step {self.saved_step}"
            )
        if not self._has_lock():
            self._take_lock(self._open)
            if self._metrics is not None:
                write_metrics(self.folder, self._lines)
                self._metrics = self._open.enter_context(AppendedFile(self.folder / METRICS))
        if not path.is_file():
            self._write_description()

    def _has_lock(self) -> bool:
        """Tell whether the lock's file is still the one that is locked: removed and made anew, it is another."""
        try:
            return self._lock is not None and os.path.samestat(self._lock, os.stat(self.folder / LOCK))
        except FileNotFoundError:
            return False

    @property
    def _digest_of_run(self) -> str:
        """The digest that run.json has of its own parts, which white space does not change."""
        return str(parse_json(self._run, DESCRIPTION)[DIGEST])

    def save_model(self, saved: GPT | LanguageModel) -> None:
        """Save the model, and with a LanguageModel what belongs to it, as `gptcompare.load` reads them."""
        saved.save_pretrained(self.folder)

    def restore(self, model: GPT, optimizer: Optimizer, n_steps: int) -> bool:
        """Copy the saved numbers into the existing arrays; return False if nothing has been saved yet.

        Raises
        ------
        CheckpointError
            If the file is not as it was written, or is another run's; the arrays are then as they were.
        """
        path = self.folder / STATE
        if not path.is_file():
            return False
        arrays, tensors = _arrays(model, optimizer), read_safetensors(path)
        for name, array in {STEP: np.array(0.0), **arrays}.items():
            saved = tensors.get(name)
            if saved is None or (saved.shape, saved.dtype) != (array.shape, array.dtype):
                raise CheckpointError(path, f"{name} is missing or of another kind: a run cannot resume from this file")
        self._check_state(path, tensors)
        step = float(tensors[STEP])
        if not (step.is_integer() and 1 <= step <= n_steps):
            raise CheckpointError(path, f"it is of step {step:g}, in a run of {n_steps} steps: damaged")
        for name, array in arrays.items():
            array[...] = tensors[name]
        self.step = self.saved_step = optimizer.step = int(step)
        return True

    def _check_state(self, path: Path, tensors: dict[str, AnyArray]) -> None:
        """Check that the tensors are those that this run saved. Earlier versions wrote less to check them by."""
        metadata = read_metadata(path)
        if metadata == {"format": "pt"}:
            return
        if not isinstance(metadata, dict) or metadata.get(DIGEST) != digest_of(tensors):
            fault = "the numbers in it are not those that were saved: the file is damaged"
        elif metadata.get(RUN, self._digest_of_run) != self._digest_of_run:
            fault = "it is the state of another run"
        else:
            return
        raise CheckpointError(path, f"{fault}. Put the right one there, or remove it, and the run begins anew")

    def start_metrics(self) -> list[Metrics]:
        """Return the metrics of the steps up to the saved one, and cut metrics.csv off after them."""
        self._lines = cut_off(self.folder, self.saved_step)
        self._metrics = self._open.enter_context(AppendedFile(self.folder / METRICS))
        return list(self._lines)

    def append(self, line: Metrics) -> None:
        """Add a line to metrics.csv, after `start_metrics`."""
        assert self._metrics is not None
        self._metrics.write(line.to_line())
        self._lines.append(line)
        self.step = line.step


def _arrays(model: GPT, optimizer: Optimizer) -> dict[str, Any]:
    return {**{f"parameter.{name}": array for name, array in model.parameters().items()}, **optimizer.state}


def _described(parts: dict[str, Any]) -> bytes:
    """Return the text of run.json."""
    return json.dumps({**parts, DIGEST: _digest(parts)}, indent=2).encode() + b"\n"


def _digest(parts: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def _description(content: bytes, path: Path, names: Any) -> dict[str, Any]:
    """Parse run.json; raise ValueError if it is not as it was written."""
    there = None
    with contextlib.suppress(ValueError):
        there = parse_json(content, str(path))
    if isinstance(there, dict):
        digest = there.pop(DIGEST, None)
        whole = digest == _digest(there) if BLAS_THREADS in there else digest is None
        there = {**dict.fromkeys(OF_TARGETS), **there}
        if isinstance(there.get("recipe"), dict):
            there["recipe"] = {**OF_RECIPE, **there["recipe"]}
        if whole and there.keys() - {BLAS_THREADS} == names:
            return there
    raise ValueError(f"{path}: damaged; give another folder")
