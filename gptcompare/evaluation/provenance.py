"""Provenance of a number: the program, the model and the files it comes from."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

from ..arrays import Array
from ..checkpoints import locate
from ..checkpoints.download.cache import Record
from ..generation import LanguageModel
from ..model import GPT
from ..model.changes import in_words
from ..parallel.cut import Joined
from ..parameters import digest_of
from ..version import __version__
from .tasks.data_files import Content
from .tasks.items import Item
from .tasks.protocols import Protocol, Window


def of_library() -> dict[str, Any]:
    """Return the version and, if it runs from a repository, the commit, with a "+" if files have changed since."""
    root = Path(__file__).parents[2]
    commit = _git(root, "rev-parse", "HEAD") if (root / ".git").exists() else None
    if commit and _git(root, "status", "--porcelain", "--untracked-files=no"):
        commit += "+"
    return {"version": __version__, "commit": commit or None}


def _git(root: Path, *command: str) -> str | None:
    try:
        done = subprocess.run(
            ["git", "-C", str(root), *command], capture_output=True, text=True, timeout=10, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()


def of_model(lm: LanguageModel, name: str | None, source: str) -> dict[str, Any]:
    """Describe a model: the name it was loaded by, if any, its published commit, configuration, dtype and digest.

    `name` is the one that it was loaded by just now: what is there by that name is what the model is. Of a changed
    model, also its changes.
    """
    changes = list(map(in_words, lm.model.hooks))
    return {
        "name": lm.name if name is None else name,
        "commit": None if name is None else _commit(locate(name, source=source)),
        "config": lm.config.to_dict(),
        "dtype": lm.model.dtype.name,
        "sha256": of_content(lm),
        **({"changes": changes} if changes else {}),
    }


def of_content(lm: LanguageModel) -> str:
    """Return the SHA-256 of all that a model's numbers depend on: parameters, configuration and tokens.

    Of a changed model, also of its changes in words, which do not tell one function from another of the same name.
    """
    vocabulary = lm.tokenizer.vocabulary
    parts = [
        digest_of(_whole_parameters(lm.model)), lm.model.dtype.name, sorted(lm.config.to_dict().items()),
        vocabulary.merges,
        sorted(vocabulary.ids.items()), sorted(vocabulary.special_tokens.items()), vocabulary.eot, vocabulary.bos,
        sorted(lm.end_ids), *vocabulary.others(), *map(in_words, lm.model.hooks),
    ]  # fmt: skip
    return of_values(parts)


def _whole_parameters(model: GPT) -> Mapping[str, Array]:
    """Return all parameters of a model, of which this process may have only a part."""
    parameters, ranks = model.parameters(), model.ranks
    return parameters if ranks.share.n == 1 else Joined(parameters, model.config, ranks.gathered)


def of_values(values: Sequence[Any]) -> str:
    """Return the SHA-256 of the `repr` of values."""
    hasher = hashlib.sha256()
    for value in values:
        hasher.update(repr(value).encode("utf-8", errors="surrogatepass"))
        hasher.update(b"\n")
    return hasher.hexdigest()


def of_items(protocol: Protocol, items: Sequence[Item | Window]) -> str:
    """Return the SHA-256 of how the items are scored and of their fields, by names that a renamed class keeps."""
    hasher = hashlib.sha256(_json(protocol.described()))
    for item in items:
        compared = {field.name: getattr(item, field.name) for field in fields(item) if field.compare}
        hasher.update(_json(compared))
    return hasher.hexdigest()


def _json(value: object) -> bytes:
    return json.dumps(value, default=repr).encode() + b"\n"  # repr: for what a protocol of the user's may have


def _commit(folder: Path) -> str | None:
    """Return the commit of a folder of our cache, or of Hugging Face's, where it is the folder's name."""
    if folder.parent.name == "snapshots":
        return folder.name
    record = Record.read(folder)
    return None if record is None else record.commit


def of_data(contents: Sequence[Content]) -> list[dict[str, str]]:
    return [
        {"file": os.path.basename(content.name), "sha256": hashlib.sha256(content.content).hexdigest()}
        for content in contents
    ]
