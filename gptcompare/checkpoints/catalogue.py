"""The names of models: where each is published, and which of them are on this machine."""

from __future__ import annotations

import contextlib
import math
import os
from dataclasses import dataclass
from pathlib import Path

from ..config import GPTConfig
from ..presets import canonical_name, presets, published
from .download import cache
from .download.publishers import DEFAULT_SOURCE, HuggingFace, OpenAI, Origin, check_source
from .embedded import embedded_folder
from .errors import DownloadError
from .folder import read_config


@dataclass(frozen=True)
class Listed:
    """A model that can be loaded by its name.

    Attributes
    ----------
    name, source : str
        As `load` takes them.
    published_as : str
        Its publisher's name for it.
    n_params : int, optional
        Number of parameters, known for the presets and for models on this machine.
    folder : Path, optional
        Where its files are on this machine.
    n_bytes : int
        Size of these files.
    complete : bool
        Whether it can be loaded without a network.
    """

    name: str
    source: str
    published_as: str
    n_params: int | None
    folder: Path | None
    n_bytes: int
    complete: bool


def origin_of(name: str, source: str = DEFAULT_SOURCE) -> Origin:
    """Find where a model is published. DownloadError if the name is unknown or its weights were never published."""
    check_source(source)
    base, at, revision = name.partition("@")
    if not at:
        revision = "main"
    if source == DEFAULT_SOURCE and base.count("/") == 1 and base[0] not in "./~" and base[-1] != "/":
        return HuggingFace(base, revision)
    try:
        model = published(base)
    except ValueError as error:
        if os.path.isdir(name):
            raise DownloadError(f"{name!r} is a folder on this machine: there is nothing to download") from None
        known = str(error).removeprefix(f"unknown model {base!r}: ")
        raise DownloadError(f"{name!r} is neither a folder nor the name of a model: {known}") from None
    if model.embedded:
        raise DownloadError(f"{canonical_name(base)} is part of gptcompare: it has no revisions and no other source")
    if model.repository is None:
        raise DownloadError(
            f"OpenAI never published the weights of {base!r}: load a public model of about its size instead, such as "
            f"{', '.join(nearest_in_size(canonical_name(base)))}"
        )
    if source == DEFAULT_SOURCE:
        return HuggingFace(model.repository, revision)
    if model.openai_name is None or at:
        theirs = [other for other in presets() if published(other).openai_name]
        raise DownloadError(f"OpenAI's store has no {name!r}: it has {', '.join(theirs)}, without revisions")
    return OpenAI(model.openai_name)


def listing() -> list[Listed]:
    """List the presets whose weights are in the package or published, then what else is in our own cache."""
    listed = []
    for name in presets():
        if folder := embedded_folder(name):
            n_params, n_bytes = GPTConfig.preset(name).n_params, cache.total_size(folder)
            listed.append(Listed(name, DEFAULT_SOURCE, "in the package", n_params, folder, n_bytes, True))
        if (repository := published(name).repository) is not None:
            listed.append(_listed(name, HuggingFace(repository), GPTConfig.preset(name).n_params))
    known = {(model.source, model.published_as) for model in listed}
    for origin in cache.origins():
        if (origin.publisher, origin.full_name) not in known:
            name = canonical_name(origin.name) if isinstance(origin, OpenAI) else origin.full_name
            listed.append(_listed(name, origin, _n_params_in(cache.folder_of(origin))))
    return listed


def _n_params_in(folder: Path) -> int | None:
    with contextlib.suppress(OSError, ValueError):
        return read_config(folder).n_params
    return None


def _listed(name: str, origin: Origin, n_params: int | None) -> Listed:
    complete = cache.find(origin)
    folder = complete or (own if (own := cache.folder_of(origin)).is_dir() else None)
    n_bytes = cache.total_size(folder) if folder else 0
    return Listed(name, origin.publisher, origin.full_name, n_params, folder, n_bytes, complete is not None)


def nearest_in_size(name: str, n: int = 3) -> list[str]:
    """Return the `n` models with published weights whose number of parameters is nearest.

    >>> nearest_in_size("gpt3-small", n=2)
    ['gpt-neo-125m', 'opt-125m']
    """
    wanted = GPTConfig.preset(name).n_params
    public = [other for other in presets() if published(other).repository is not None]
    return sorted(public, key=lambda other: abs(math.log(GPTConfig.preset(other).n_params / wanted)))[:n]
