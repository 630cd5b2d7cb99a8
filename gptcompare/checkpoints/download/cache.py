"""The published models on this machine: in our own cache, and in Hugging Face's, which is read and never changed.

$GPTCOMPARE_HOME                           default: gptcompare in $XDG_CACHE_HOME or ~/.cache
  huggingface/openai-community--gpt2/      the folder of a revision other than main ends in "@revision"
    download.json                          what was fetched, from where, and which parts are complete
    config.json ...                        files get these names once they are complete and verified
    model.safetensors.248dfc391187.part    an interrupted download; the next attempt resumes it
  openai/124M/
  openai/gpt-3/175b_samples.jsonl          not a model, and so without a download.json, like everything below:
  openai/gpt-2-data/lambada_test.jsonl
  rowanz/hellaswag/hellaswag_val.jsonl     from GitHub
  huggingface-datasets/cam-cst--cbt/CBTest.tgz
  ai2/mosaic/winogrande_1.1.zip
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import shutil
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from ...config import GPTConfig
from ...display.messages import tell
from ...files import lock
from ...files.atomic_files import written_together
from ...presets import presets, published
from ..errors import CheckpointError, DownloadError
from ..layouts import GPT2_SIZE, has_tokenizer, has_weights
from .environment import folder_from, hf_home, user_cache
from .publishers import HuggingFace, OpenAI, Origin, Place
from .remote_file import size_of

# The parts of a model that are wanted: "model" is both of the others.
Wanted = Literal["model", "weights", "tokenizer"]
# Looks at a model's description before its weights are fetched, and raises to refuse it.
Check = Callable[[GPTConfig], None]

RECORD = "download.json"
REMOVING = ".removing-"


def home() -> Path:
    """Return the folder of our own cache. DownloadError if it should be in a home directory that nobody has."""
    folder = folder_from("GPTCOMPARE_HOME", default=user_cache() / "gptcompare")
    if str(folder).startswith("~"):
        raise DownloadError(
            f"downloads would be kept in {folder}, but this user has no such home directory: set GPTCOMPARE_HOME to a "
            "folder"
        )
    return folder


@dataclass
class Record:
    """The contents of a cache folder, and where they came from.

    Attributes
    ----------
    publisher, name, revision : str
    commit : str, optional
        The repository's commit, if the publisher has commits.
    complete : list of str
        Which of "tokenizer" and "weights" have all their files.
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
        """Read the record of a folder, without files that no longer exist; None if it has no readable record."""
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
        """Return False where a file system treats two names as one, such as the revisions "v1" and "V1"."""
        return (self.publisher, self.name, self.revision) == (origin.publisher, origin.name, origin.revision)

    def has(self, wanted: Wanted) -> bool:
        """Return whether everything wanted is there; the weights are fetched last."""
        return ("tokenizer" if wanted == "tokenizer" else "weights") in self.complete


def folder_of(place: Place) -> Path:
    """Return the folder of a model, or of other published files, in our own cache, whether it exists or not."""
    return home() / place.folder


def locked(place: Place) -> AbstractContextManager[None]:
    """Keep other processes from changing a cache folder during a `with` block; wait for one that is changing it."""
    folder = folder_of(place)
    waiting = f"waiting for another process that is using {place.full_name}"
    return lock.locked(folder.with_name(f".{folder.name}.lock"), lambda: tell(waiting))


def find(origin: Origin, wanted: Wanted = "model") -> Path | None:
    """Return the folder on this machine that has everything wanted of a model, or None."""
    record = Record.read(folder_of(origin))
    if record is not None and record.is_of(origin) and record.has(wanted):
        return folder_of(origin)
    return hf_snapshot(origin, wanted) if isinstance(origin, HuggingFace) else None


def hf_snapshot(origin: HuggingFace, wanted: Wanted = "model") -> Path | None:
    """Return the same from Hugging Face's cache, whose layout huggingface_hub documents."""
    cache = folder_from("HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE", default=hf_home() / "hub")
    for name in _names_in_hf_cache(origin.name):
        folder = cache / f"models--{name.replace('/', '--')}"
        commit = origin.revision
        with contextlib.suppress(OSError, UnicodeDecodeError):
            commit = (folder / "refs" / origin.revision).read_text(encoding="utf-8").strip()
        with contextlib.suppress(OSError, CheckpointError):  # damaged or unreadable counts as missing
            snapshot = folder / "snapshots" / commit
            if commit and _has(snapshot, wanted, origin.name):
                return snapshot
    return None


def _names_in_hf_cache(repository: str) -> list[str]:
    """Return the repository's name and, for "openai-community/gpt2" and the like, its older name without an owner."""
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
    """List the origins of the models in our own cache, complete or not."""
    found: list[Origin] = []
    for path in sorted(home().glob(f"*/*/{RECORD}")):
        record = None if path.parent.name.startswith(REMOVING) else Record.read(path.parent)
        with contextlib.suppress(DownloadError, TypeError, AttributeError):  # a record with an invalid name
            match record:
                case Record(publisher=HuggingFace.publisher):
                    found.append(HuggingFace(record.name, record.revision))
                case Record(publisher=OpenAI.publisher):
                    found.append(OpenAI(record.name))
    return found


def total_size(folder: Path) -> int:
    """Return the bytes of the files in a folder, following links."""
    return sum(size_of(path) or 0 for path in folder.iterdir() if path.is_file())


def remove(origin: Origin) -> int:
    """Remove a model, complete or not, from our own cache; return the number of bytes freed.

    The folder is renamed first. If a kill leaves something of it, the next removal deletes that too.
    """
    folder = folder_of(origin)
    n_bytes = total_size(folder) if folder.is_dir() else 0
    if folder.is_dir():
        os.replace(folder, folder.with_name(f"{REMOVING}{folder.name}-{secrets.token_hex(4)}"))
    for leftover in folder.parent.glob(f"{REMOVING}*"):
        shutil.rmtree(leftover, ignore_errors=True)
    return n_bytes
