"""Where the files of a model lie on this machine."""

from __future__ import annotations

import contextlib
import math
import os
from pathlib import Path

from ..config import GPTConfig
from ..presets import canonical_name, presets, published


def locate(name_or_folder: str | os.PathLike[str]) -> Path:
    """The folder of a model: the one given, or, for a name, that of its snapshot in the Hugging Face cache.

    Raises
    ------
    FileNotFoundError
        If it is neither a folder nor the name of a model that is on this machine.
    """
    given = os.fspath(name_or_folder)
    if os.path.isdir(given):  # unlike Path.is_dir, False for a name that is too long
        return Path(given)
    if os.path.exists(given):
        raise FileNotFoundError(f"{given!r} is a file: give the folder that it lies in")
    try:
        name = canonical_name(given)
    except ValueError as error:
        raise FileNotFoundError(f"{given!r} is not a folder, and an {error}") from None
    repository = published(name).repository
    if repository is None:
        raise FileNotFoundError(
            f"OpenAI never published the weights of {given!r}: load a public model of about its size instead, such as "
            f"{', '.join(_nearest_in_size(name))}"
        )
    snapshot = _hf_snapshot(repository)
    if snapshot is None:
        raise FileNotFoundError(
            f"the files of {name!r} are not on this machine: fetch the files of {repository} from the Hugging Face "
            "Hub (config.json, the weights, the tokenizer) and give the folder that they lie in"
        )
    return snapshot


def _nearest_in_size(name: str, n: int = 3) -> list[str]:
    """The published weights nearest in their number of parameters."""
    wanted = GPTConfig.preset(name).n_params
    public = [other for other in presets() if published(other).repository is not None]
    return sorted(public, key=lambda other: abs(math.log(GPTConfig.preset(other).n_params / wanted)))[:n]


def _hf_snapshot(repository: str) -> Path | None:
    """The folder of the main revision in Hugging Face's cache, laid out as huggingface_hub documents it."""
    caches = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    home = os.environ.get("HF_HOME") or os.path.join(caches, "huggingface")
    cache = Path(os.path.expanduser(os.environ.get("HF_HUB_CACHE") or os.path.join(home, "hub")))
    for name in (repository, repository.partition("/")[2]):  # "gpt2" was a repository's name before it had an owner
        folder = cache / f"models--{name.replace('/', '--')}"
        with contextlib.suppress(OSError):
            snapshot = folder / "snapshots" / (folder / "refs" / "main").read_text(encoding="utf-8").strip()
            if (snapshot / "config.json").is_file():
                return snapshot
    return None
