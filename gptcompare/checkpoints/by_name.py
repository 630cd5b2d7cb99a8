"""From the name of a model to a folder on this machine, downloading it from its publisher if necessary."""

from __future__ import annotations

import os
from pathlib import Path

from ..checks import path
from .catalogue import listing, origin_of
from .download import cache
from .download.cache import Check, Wanted
from .download.environment import offline_variable
from .download.publishers import DEFAULT_SOURCE, Origin, check_source
from .embedded import embedded_folder
from .errors import DownloadError
from .single_files import llm_c, single_file


def locate(
    name_or_folder: str | os.PathLike[str],
    *,
    source: str = DEFAULT_SOURCE,
    wanted: Wanted = "model",
    check: Check | None = None,
) -> Path:
    """Return the folder of a model: the given one, or, for a name, one in the package, in a cache, or newly downloaded.

    A checkpoint of a single file (GGUF, llm.c, nanoGPT) is returned itself.

    Parameters
    ----------
    name_or_folder : str or path
        A folder, or a file of llama.cpp, llm.c or nanoGPT; a name of `gptcompare.presets()`; or a repository of the
        Hugging Face Hub, "owner/name". A name may end in "@revision": a branch, tag or commit of its repository. A
        folder takes precedence over a model of the same name, except for the models in the package: "nano-gpt2" is the
        model, "./nano-gpt2" the folder.
    source : "huggingface" or "openai"
        Where to download a model from: Hugging Face, or, for GPT-2, OpenAI's own store of TensorFlow checkpoints.
    wanted : "model", "weights" or "tokenizer"
        What a named model's folder must have; "model" is both of the others.
    check : function of a GPTConfig, optional
        Called with the description of a model before its weights are downloaded; what it raises prevents that.

    Raises
    ------
    FileNotFoundError
        If it is a file, or neither a folder nor the name of a model.
    DownloadError
        If a model's files are not on this machine and cannot be downloaded. It is also a FileNotFoundError.
    CheckpointError
        If a repository has a model that this library cannot represent.
    ValueError
        If `source` is neither of the two.
    """
    check_source(source)
    given = path("name_or_folder", name_or_folder)
    if folder := _in_package(given, source):
        return folder
    if os.path.isdir(given):  # unlike Path.is_dir, False for a name that is too long
        # A Path forgets "./", without which the folder could be taken for a model of its name.
        return Path(os.path.abspath(given) if embedded_folder(str(Path(given))) else given)
    if os.path.exists(given):
        if single_file(given) or (wanted == "tokenizer" and llm_c.is_table_of_tokens(given)):
            return Path(given)
        raise FileNotFoundError(
            f"{given!r} is a file, but not a model of llama.cpp (GGUF), llm.c or nanoGPT: give the folder that it is in"
        )
    return _found_or_fetched(given, source, wanted, check)


def download(name: str, *, source: str = DEFAULT_SOURCE) -> Path:
    """Return the folder of a published model, downloading it if it is not on this machine.

    Parameters
    ----------
    name, source
        As `GPT.from_pretrained` takes them, but never a folder.

    Returns
    -------
    Path

    Raises
    ------
    DownloadError
        If no model has the name, or its files are not on this machine and cannot be downloaded.
    CheckpointError
        If a repository has a model that this library cannot represent.
    ValueError
        If `source` is neither of the two.
    """
    return _in_package(name, source) or _found_or_fetched(name, source, "model")


def remove(name: str, *, source: str = DEFAULT_SOURCE) -> tuple[Path, int]:
    """Remove a model, complete or not, from our own cache; return its former folder and the bytes that were freed.

    Raises
    ------
    FileNotFoundError
        If it is not in our own cache. The models in the package cannot be removed.
    DownloadError
        If no model has the name.
    ValueError
        If `source` is neither of the two.
    """
    if _in_package(name, source):
        raise FileNotFoundError(f"{name!r} is part of gptcompare and cannot be removed")
    origin = origin_of(name, source)
    folder = cache.folder_of(origin)
    if not folder.is_dir():
        elsewhere = cache.find(origin)
        hint = f"; {elsewhere} is in Hugging Face's cache: remove it with its own tools" if elsewhere else ""
        raise FileNotFoundError(f"{name!r} is not in {cache.home()}{hint}")
    with cache.locked(origin):
        return folder, cache.remove(origin)


def _in_package(name: str, source: str) -> Path | None:
    return embedded_folder(name) if source == DEFAULT_SOURCE else None


def _found_or_fetched(name: str, source: str, wanted: Wanted, check: Check | None = None) -> Path:
    origin = origin_of(name, source)
    return cache.find(origin, wanted) or _fetch(name, origin, wanted, check)


def _fetch(given: str, origin: Origin, wanted: Wanted, check: Check | None) -> Path:
    if variable := offline_variable():
        raise DownloadError(
            f"{given!r} is neither a folder nor a model on this machine, and {variable} is set. {_works_offline()}"
        )
    from .download.fetch import fetch_model  # its network libraries take a tenth of a second to import
    from .download.transfer import UnreachableError

    try:
        return fetch_model(origin, wanted, check)
    except UnreachableError as error:
        raise DownloadError(
            f"{given!r} is neither a folder nor a model on this machine: {error}. {_works_offline()}"
        ) from None
    except DownloadError as error:
        no_folder = f"there is no folder {given!r}, and " if "/" in given else ""
        raise DownloadError(f"{no_folder}{error}") from None


def _works_offline() -> str:
    """List what can be loaded without a network, for the end of a message."""
    names = [model.name for model in listing() if model.complete and model.source == DEFAULT_SOURCE]
    return f"Without a network: {', '.join(names) or 'no model yet'}, and any folder with a checkpoint"
