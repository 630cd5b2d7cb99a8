"""Where the files of a model lie on this machine."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from ..presets import canonical_name, presets

# Hugging Face's repositories of the models in `presets.py`.
HF_REPOSITORIES = {
    "gpt2": "openai-community/gpt2",
    "gpt2-medium": "openai-community/gpt2-medium",
    "gpt2-large": "openai-community/gpt2-large",
    "gpt2-xl": "openai-community/gpt2-xl",
    "distilgpt2": "distilbert/distilgpt2",
}


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
    if given.lower().startswith(("gpt3", "gpt-3")):
        raise FileNotFoundError(
            f"OpenAI never published the weights of {given!r}: load one of {', '.join(presets())} instead"
        )
    try:
        name = canonical_name(given)
    except ValueError as error:
        raise FileNotFoundError(f"{given!r} is not a folder, and an {error}") from None
    snapshot = _hf_snapshot(HF_REPOSITORIES[name])
    if snapshot is None:
        raise FileNotFoundError(
            f"the weights of {name!r} are not on this machine: fetch the files of {HF_REPOSITORIES[name]} from the "
            "Hugging Face Hub (config.json, model.safetensors) and give the folder that they lie in"
        )
    return snapshot


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
