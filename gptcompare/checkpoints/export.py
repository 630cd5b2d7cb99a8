"""Writing a model for other programs: GGUF, for llama.cpp and what is built on it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ..arrays import Array
from ..checks import path
from ..config import GPTConfig
from ..files.atomic_files import written_whole
from .folder import converted, dtype_to_write
from .formats.gguf import WRITTEN_TYPES, write_gguf
from .single_files import gguf

FLOAT32_ONLY = "position_embd.weight"  # and whatever is no matrix, as in the files that llama.cpp's converter writes
FILE_TYPES = {"float32": 0, "float16": 1}  # general.file_type: llama.h, enum llama_ftype


def write_gguf_model(
    file: str | os.PathLike[str],
    config: GPTConfig,
    parameters: Mapping[str, Array],
    vocabulary: Mapping[str, Any],
    dtype: npt.DTypeLike = np.float32,
) -> None:
    """Write a GGUF file, whole or not at all.

    Parameters
    ----------
    file : str or path
    config : GPTConfig
    parameters : dict of name -> array
    vocabulary : dict of name -> value
        From `gptcompare.tokenizer.single_files.gguf_values`.
    dtype : float32 or float16
        The dtype of the matrices in the file.

    Raises
    ------
    ValueError
        If the dtype is another, llama.cpp's GPT-2 cannot compute the model, or a parameter is beyond the dtype's range.
    """
    wanted = dtype_to_write(dtype, WRITTEN_TYPES)
    target = Path(path("file", file))
    if target.is_dir():
        raise ValueError(f"{target} is a folder: name the file to write, such as {target / 'model.gguf'}")
    values, tensors = gguf.to_file(config, parameters)
    tensors = {
        name: converted(name, array, wanted if array.ndim == 2 and name != FLOAT32_ONLY else np.dtype(np.float32))
        for name, array in tensors.items()
    }
    with written_whole(target) as opened:
        write_gguf(opened, {**values, "general.file_type": FILE_TYPES[wanted.name], **vocabulary}, tensors)
