"""Telling a checkpoint of a single file by its first bytes, by itself or as the only model in a folder."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy.typing as npt

from ...config import GPTConfig
from ..errors import CheckpointError
from ..families.common import Tensors
from ..layouts import HF_WEIGHTS
from . import gguf, llm_c, nanogpt


class Format(NamedTuple):
    """A format: the first bytes of its files, the end of their names, and functions that read them.

    `config` reads the sizes alone, `parameters` the sizes and the weights, `end_ids` the tokens that end a text, if the
    file names them.
    """

    title: str
    magic: bytes
    suffix: str
    config: Callable[[Path], GPTConfig]
    parameters: Callable[[Path, npt.DTypeLike | None], tuple[GPTConfig, Tensors]]
    end_ids: Callable[[Path], list[int] | None]


GGUF = Format("GGUF", gguf.MAGIC, ".gguf", gguf.config, gguf.parameters, gguf.end_ids)
LLM_C = Format("llm.c", llm_c.MAGIC, ".bin", llm_c.config, llm_c.parameters, llm_c.end_ids)
NANOGPT = Format("nanoGPT", nanogpt.MAGIC, ".pt", nanogpt.config, nanogpt.parameters, nanogpt.end_ids)
FORMATS = (GGUF, LLM_C, NANOGPT)
# With one of these, a folder is a checkpoint of another layout, whatever else is in it.
OTHER_CHECKPOINTS = (*HF_WEIGHTS, *(f"{name}.index.json" for name in HF_WEIGHTS), "hparams.json")


class SingleFile(NamedTuple):
    """A file, and its format."""

    path: Path
    format: Format


def single_file(path: str | os.PathLike[str]) -> SingleFile | None:
    """Return the checkpoint that a file is, or that a folder without any other checkpoint holds; None if there is none.

    Raises
    ------
    CheckpointError
        If a folder without any other checkpoint holds several.
    """
    path = Path(path)
    if os.path.isfile(path):  # unlike Path.is_file, False for a name that is too long
        return _recognised(path)
    if not os.path.isdir(path) or any((path / name).exists() for name in OTHER_CHECKPOINTS):
        return None
    found = [one for file in sorted(path.iterdir()) if (one := _recognised_in_folder(file))]
    if len(found) > 1:
        names = ", ".join(one.path.name for one in found)
        raise CheckpointError(path, f"the folder has several models: give one of the files, {names}")
    return found[0] if found else None


def _recognised_in_folder(path: Path) -> SingleFile | None:
    """Return the checkpoint that a file in a folder is, if its name ends as its format's do.

    Every zip file of PyTorch begins as nanoGPT's does: beside a config.json, it is something else of another program.
    """
    if path.suffix.lower() not in {known.suffix for known in FORMATS} or not path.is_file():
        return None
    found = _recognised(path)
    if found is None or path.suffix.lower() != found.format.suffix:
        return None
    return None if found.format is NANOGPT and path.with_name("config.json").exists() else found


def _recognised(path: Path) -> SingleFile | None:
    with open(path, "rb") as file:
        begin = file.read(max(len(known.magic) for known in FORMATS))
    return next((SingleFile(path, known) for known in FORMATS if begin.startswith(known.magic)), None)
