"""From a name to a folder on this machine: what is here is used, what is not is fetched from its publisher."""

from __future__ import annotations

import os
from pathlib import Path

from .catalogue import listing, origin_of
from .download import cache
from .download.cache import Wanted
from .download.environment import offline_variable
from .download.publishers import DEFAULT_SOURCE, Origin, check_source
from .embedded import embedded_folder
from .errors import DownloadError


def locate(name_or_folder: str | os.PathLike[str], *, source: str = DEFAULT_SOURCE, wanted: Wanted = "model") -> Path:
    """The folder of a model: the one given, or, for a name, the one in the package or in a cache, fetched if need be.

    Parameters
    ----------
    name_or_folder
        A folder; a name of `gptcompare.presets()`; or a repository of the Hugging Face Hub, "owner/name". A name may
        end in "@revision": a branch, tag or commit of its repository. A folder comes before a model of its name, but
        for the models in the package, which are there in every folder: "./nano-gpt2" is the folder.
    source : "huggingface" or "openai"
        Whose files of a name: Hugging Face's, or, for GPT-2, those that OpenAI published for TensorFlow.
    wanted : "model", "weights" or "tokenizer"
        What must be in the folder of a name: both of the others, or one of them.

    Raises
    ------
    FileNotFoundError
        If it is a file, or neither a folder nor the name of a model.
    DownloadError
        If a model's files are not on this machine and cannot be fetched. It is a FileNotFoundError, too.
    CheckpointError
        If a repository has a model that the library cannot represent.
    ValueError
        If the source is neither of the two.
    """
    check_source(source)
    given = os.fspath(name_or_folder)
    if folder := _in_package(given, source):
        return folder
    if os.path.isdir(given):  # unlike Path.is_dir, False for a name that is too long
        return Path(given)
    if os.path.exists(given):
        raise FileNotFoundError(f"{given!r} is a file: give the folder that it lies in")
    return _found_or_fetched(given, source, wanted)


def download(name: str, *, source: str = DEFAULT_SOURCE) -> Path:
    """The folder of a published model, which is fetched if it is not on this machine.

    Parameters
    ----------
    name, source
        As `GPT.from_pretrained` takes them, but never a folder.

    Raises
    ------
    DownloadError
        If no model has the name, or its files are not on this machine and cannot be fetched.
    CheckpointError
        If a repository has a model that the library cannot represent.
    ValueError
        If the source is neither of the two.
    """
    return _in_package(name, source) or _found_or_fetched(name, source, "model")


def remove(name: str, *, source: str = DEFAULT_SOURCE) -> tuple[Path, int]:
    """Remove a model, complete or not, from our own cache; returns the folder that it was in, and its bytes.

    Raises
    ------
    FileNotFoundError
        If it is not in our own cache; the models in the package are a part of it.
    DownloadError
        If no model has the name.
    ValueError
        If the source is neither of the two.
    """
    if _in_package(name, source):
        raise FileNotFoundError(f"{name!r} is a part of gptcompare, and stays")
    origin = origin_of(name, source)
    folder = cache.folder_of(origin)
    if not folder.is_dir():
        elsewhere = cache.find(origin)
        hint = f"; {elsewhere} is in Hugging Face's cache, whose own tools remove it" if elsewhere else ""
        raise FileNotFoundError(f"{name!r} is not in {cache.home()}{hint}")
    with cache.locked(origin):
        return folder, cache.remove(origin)


def _in_package(name: str, source: str) -> Path | None:
    return embedded_folder(name) if source == DEFAULT_SOURCE else None


def _found_or_fetched(name: str, source: str, wanted: Wanted) -> Path:
    origin = origin_of(name, source)
    return cache.find(origin, wanted) or _fetch(name, origin, wanted)


def _fetch(given: str, origin: Origin, wanted: Wanted) -> Path:
    if variable := offline_variable():
        raise DownloadError(
            f"{given!r} is no folder and no model on this machine, and {variable} is set. {_works_offline()}"
        )
    from .download.fetch import fetch_model  # what it needs of the network takes a tenth of a second to import
    from .download.transfer import UnreachableError

    try:
        return fetch_model(origin, wanted)
    except UnreachableError as error:
        raise DownloadError(
            f"{given!r} is no folder and no model on this machine: {error}. {_works_offline()}"
        ) from None
    except DownloadError as error:
        no_folder = f"there is no folder {given!r}, and " if "/" in given else ""
        raise DownloadError(f"{no_folder}{error}") from None


def _works_offline() -> str:
    """What can be loaded without a network, for the end of a message."""
    names = [model.name for model in listing() if model.complete and model.source == DEFAULT_SOURCE]
    return f"Without a network: {', '.join(names) or 'no model yet'}, and any folder with a checkpoint"
