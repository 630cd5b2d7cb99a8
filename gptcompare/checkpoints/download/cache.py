"""Where published models lie on this machine: our own cache, and Hugging Face's, which is read and never changed.

$GPTCOMPARE_HOME                           gptcompare in $XDG_CACHE_HOME or ~/.cache if it is not set
  huggingface/openai-community--gpt2/      the folder of another revision than main ends in "@revision"
    download.json                          what was fetched, from where, and what of it is complete
    config.json ...                        files have their names once they are complete and verified
    model.safetensors.248dfc391187.part    a download that was cut; the next try goes on from its end
  openai/124M/
  openai/gpt-3/175b_samples.jsonl          no model, and so without a download.json, as all that follows:
  openai/gpt-2-data/lambada_test.jsonl
  rowanz/hellaswag/hellaswag_val.jsonl     of GitHub
  huggingface-datasets/cam-cst--cbt/CBTest.tgz
  ai2/mosaic/winogrande_1.1.zip
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import shutil
import sys
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from ...files import lock
from ...files.atomic_files import written_together
from ...presets import presets, published
from ..errors import CheckpointError, DownloadError
from ..layouts import GPT2_SIZE, has_tokenizer, has_weights
from .environment import folder_from, hf_home, user_cache
from .publishers import HuggingFace, OpenAI, Origin, Place
from .remote_file import size_of

# What of a model is wanted: "model" is both of the others.
Wanted = Literal["model", "weights", "tokenizer"]

RECORD = "download.json"
REMOVING = ".removing-"


def home() -> Path:
    """The folder of our own cache."""
    return folder_from("GPTCOMPARE_HOME", default=user_cache() / "gptcompare")


@dataclass
class Record:
    """What a folder of the cache holds, and where it came from.

    Attributes
    ----------
    publisher, name, revision : str
    commit : str, optional
        Of the repository, if its publisher counts them.
    complete : list of str
        Of "tokenizer" and "weights", what is there with all its files.
    files : dict of name -> {"bytes": int, "digests": list of str}
        The verified files.
    """

    publisher: str
    name: str
    revision: str
    commit: str | None = None
    complete: list[str] = field(default_factory=list)
    files: dict[str, dict[str, Any]] = field(default_factory=dict)

    @classmethod
    def read(cls, folder: Path) -> Record | None:
        """The record of a folder, as far as its files are still there; None if there is none that can be read."""
        try:
            record = cls(**json.loads((folder / RECORD).read_text(encoding="utf-8")))
            there = {name: known for name, known in record.files.items() if size_of(folder / name) == known["bytes"]}
            complete = record.complete if len(there) == len(record.files) else []
            record.files, record.complete = there, [str(part) for part in complete]
        except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError):
            return None
        return record

    def write(self, folder: Path) -> None:
        with written_together(folder, [RECORD]) as (file,):
            file.write(json.dumps(asdict(self), indent=2).encode() + b"\n")

    def is_of(self, origin: Origin) -> bool:
        """False where a file system takes two names for one, such as those of the revisions "v1" and "V1"."""
        return (self.publisher, self.name, self.revision) == (origin.publisher, origin.name, origin.revision)

    def has(self, wanted: Wanted) -> bool:
        """Whether all of it is there; the weights come last."""
        return ("tokenizer" if wanted == "tokenizer" else "weights") in self.complete


def folder_of(place: Place) -> Path:
    """Where a model, or what else is published, lies, or would lie, in our own cache."""
    return home() / place.folder


def locked(place: Place) -> AbstractContextManager[None]:
    """Keep other processes from changing a folder of the cache while a `with` block runs; waits for one at it."""
    folder = folder_of(place)
    waiting = f"waiting for another process that is at {place.full_name}"
    return lock.locked(folder.with_name(f".{folder.name}.lock"), lambda: print(waiting, file=sys.stderr, flush=True))


def find(origin: Origin, wanted: Wanted = "model") -> Path | None:
    """The folder on this machine that has all that is wanted of a model."""
    record = Record.read(folder_of(origin))
    if record is not None and record.is_of(origin) and record.has(wanted):
        return folder_of(origin)
    return hf_snapshot(origin, wanted) if isinstance(origin, HuggingFace) else None


def hf_snapshot(origin: HuggingFace, wanted: Wanted = "model") -> Path | None:
    """The same in Hugging Face's cache, laid out as huggingface_hub documents it."""
    cache = folder_from("HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE", default=hf_home() / "hub")
    for name in _names_in_hf_cache(origin.name):
        folder = cache / f"models--{name.replace('/', '--')}"
        commit = origin.revision
        with contextlib.suppress(OSError, UnicodeDecodeError):
            commit = (folder / "refs" / origin.revision).read_text(encoding="utf-8").strip()
        with contextlib.suppress(OSError, CheckpointError):  # what is damaged or may not be read is not there
            snapshot = folder / "snapshots" / commit
            if commit and _has(snapshot, wanted, origin.name):
                return snapshot
    return None


def _names_in_hf_cache(repository: str) -> list[str]:
    """The repository's name, and for "openai-community/gpt2" and its like the one of before they had an owner."""
    short = repository.partition("/")[2]
    moved = short in presets() and published(short).repository == repository
    return [repository, short] if moved else [repository]


def _has(snapshot: Path, wanted: Wanted, repository: str) -> bool:
    bundled = any(
        model.repository == repository and model.hyperparameters.get("n_vocab", GPT2_SIZE) == GPT2_SIZE
        for model in map(published, presets())
    )
    with_tokenizer = has_tokenizer(snapshot) or (bundled and wanted == "model")
    return (wanted == "tokenizer" or has_weights(snapshot)) and (wanted == "weights" or with_tokenizer)


def origins() -> list[Origin]:
    """Where the models in our own cache, complete or not, are from."""
    found: list[Origin] = []
    for path in sorted(home().glob(f"*/*/{RECORD}")):
        record = Record.read(path.parent)
        with contextlib.suppress(DownloadError, TypeError, AttributeError):  # of a name that none can have
            match record:
                case Record(publisher=HuggingFace.publisher):
                    found.append(HuggingFace(record.name, record.revision))
                case Record(publisher=OpenAI.publisher):
                    found.append(OpenAI(record.name))
    return found


def total_size(folder: Path) -> int:
    """Bytes of the files in a folder, links followed."""
    return sum(size_of(path) or 0 for path in folder.iterdir())


def remove(origin: Origin) -> int:
    """Remove a model, or what has arrived of it, from our own cache; returns the bytes that this frees.

    The folder loses its name first. What a kill leaves of it is removed with the next model.
    """
    folder = folder_of(origin)
    n_bytes = total_size(folder) if folder.is_dir() else 0
    if folder.is_dir():
        os.replace(folder, folder.with_name(f"{REMOVING}{folder.name}-{secrets.token_hex(4)}"))
    for leftover in folder.parent.glob(f"{REMOVING}*"):
        shutil.rmtree(leftover, ignore_errors=True)
    return n_bytes
