"""Where published models lie on this machine: our own cache, and Hugging Face's, which is read and never changed.

$GPTCOMPARE_HOME                           ~/.cache/gptcompare if it is not set
  huggingface/openai-community--gpt2/      the folder of another revision than main ends in "@revision"
    download.json                          what was fetched, from where, and what of it is complete
    config.json ...                        files have their names once they are complete and verified
    model.safetensors.248dfc391187.part    a download that was cut; the next try goes on from its end
  openai/124M/
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import sys
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from ..atomic_files import written_together
from . import lock
from .errors import DownloadError
from .folder import has_weights
from .publishers import HuggingFace, OpenAI, Origin, hf_home

RECORD = "download.json"
TOKENIZER, WEIGHTS = "tokenizer", "weights"


def home() -> Path:
    """The folder of our own cache."""
    caches = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(os.path.expanduser(os.environ.get("GPTCOMPARE_HOME") or os.path.join(caches, "gptcompare")))


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
            there = {name: known for name, known in record.files.items() if _size(folder / name) == known["bytes"]}
            complete = record.complete if len(there) == len(record.files) else []
        except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError):
            return None
        record.files, record.complete = there, complete
        return record

    def write(self, folder: Path) -> None:
        with written_together(folder, [RECORD]) as (file,):
            file.write(json.dumps(asdict(self), indent=2).encode() + b"\n")


def folder_of(origin: Origin) -> Path:
    """Where a model lies, or would lie, in our own cache."""
    return home() / origin.folder


def locked(origin: Origin) -> AbstractContextManager[None]:
    """Keep other processes from changing a model's folder while a `with` block runs; waits for one that is at it."""
    folder = folder_of(origin)
    waiting = f"waiting for another process that fetches {origin.full_name}"
    return lock.locked(folder.with_name(f".{folder.name}.lock"), lambda: print(waiting, file=sys.stderr, flush=True))


def find(origin: Origin, part: str = WEIGHTS) -> Path | None:
    """The folder on this machine that has all of a model, or all of its tokenizer."""
    record = Record.read(folder_of(origin))
    if record is not None and part in record.complete:
        return folder_of(origin)
    return hf_snapshot(origin.name, origin.revision) if isinstance(origin, HuggingFace) else None


def hf_snapshot(repository: str, revision: str = "main") -> Path | None:
    """The folder of a revision in Hugging Face's cache, laid out as huggingface_hub documents it."""
    cache = Path(os.path.expanduser(os.environ.get("HF_HUB_CACHE") or hf_home() / "hub"))
    for name in (repository, repository.partition("/")[2]):  # "gpt2" was a repository's name before it had an owner
        folder = cache / f"models--{name.replace('/', '--')}"
        commit = revision
        with contextlib.suppress(OSError, UnicodeDecodeError):
            commit = (folder / "refs" / revision).read_text(encoding="utf-8").strip()
        if commit and has_weights(folder / "snapshots" / commit):
            return folder / "snapshots" / commit
    return None


def origins() -> list[Origin]:
    """Where the models in our own cache, complete or not, are from."""
    found: list[Origin] = []
    for path in sorted(home().glob(f"*/*/{RECORD}")):
        record = Record.read(path.parent)
        with contextlib.suppress(DownloadError, AttributeError, TypeError):  # of a name that no repository can have
            match record:
                case Record(publisher=HuggingFace.publisher):
                    found.append(HuggingFace(record.name, record.revision))
                case Record(publisher=OpenAI.publisher):
                    found.append(OpenAI(record.name))
    return found


def size_of(folder: Path) -> int:
    """Bytes of the files in a folder, links followed."""
    return sum(_size(path) or 0 for path in folder.iterdir())


def remove(origin: Origin) -> int:
    """Remove a model, or what has arrived of it, from our own cache; returns the bytes that this frees."""
    folder = folder_of(origin)
    if not folder.is_dir():
        return 0
    n_bytes = size_of(folder)
    (folder / RECORD).unlink(missing_ok=True)  # from here on it counts as not there
    shutil.rmtree(folder)
    return n_bytes


def _size(path: Path) -> int | None:
    try:
        return path.stat().st_size
    except OSError:
        return None
