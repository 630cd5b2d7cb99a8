"""A model and its tokenizer from one name, folder or file, and into one file."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ..checkpoints import locate_with_room
from ..checkpoints.export import write_gguf_model
from ..checkpoints.folder import read_end_ids
from ..checkpoints.layouts import TOKENIZER_FILES, has_gpt2_vocabulary, other_tokenizer
from ..checkpoints.single_files import single_file
from ..checks import instance
from ..model import GPT
from ..model.changes import check_unchanged
from ..model.inputs import check_dtype, check_keep
from ..parallel import communicator_of
from ..tokenizer import Tokenizer
from ..tokenizer.files import bundled_gpt2, read_vocabulary
from ..tokenizer.single_files import gguf_values
from .language_model import LanguageModel


def load(
    name_or_folder: str | os.PathLike[str],
    *,
    source: str = "huggingface",
    dtype: npt.DTypeLike = np.float32,
    tokenizer: str | os.PathLike[str] | Tokenizer | None = None,
    keep: str | None = None,
    parallel: Any = None,
) -> LanguageModel:
    """Load a model with its tokenizer.

    If a folder has no file of any tokenizer and its model has GPT-2's 50,257 tokens, possibly padded up to the next
    multiple of 64, it gets GPT-2's tokenizer, which is part of the package. Files of a tokenizer that is not byte-level
    BPE are refused: with `tokenizer` another one can be used.

    The model ends a text with the tokens that the folder's `generation_config.json` names as `eos_token_id` or, where
    there is no such file, its `config.json`; where that names none, with the tokenizer's end-of-text token.

    Parameters
    ----------
    name_or_folder
        A folder with the published files, a file of llama.cpp (GGUF), llm.c or nanoGPT, or the name of a model: one
        from `gptcompare.presets()`, or "owner/name" on the Hugging Face Hub, followed by "@revision" for another
        revision than the main one. A model that is not on this machine is downloaded.
    source : "huggingface" or "openai"
        Where to download a named model from: Hugging Face or, for GPT-2, OpenAI.
    dtype : float32 or float64
    tokenizer : name, folder or Tokenizer, optional
        Whose tokenizer to use instead of the model's own: as for `Tokenizer.from_pretrained`.
    keep : "float16", "bfloat16" or "as stored", optional
        Keep the matrices in 16 bits, half the memory of float32: those of the file ("as stored"), or rounded to one of
        the formats. Each is turned into float32 every time it is multiplied, so writing takes longer; the logits are
        those of the same weights turned into float32 by loading. A matrix that lies in the file as the model wants it
        stays there, mapped into memory: leave the file as it is while the model is in use. Such a model cannot be
        trained or differentiated.
    parallel : mpi4py.MPI.Intracomm, optional
        Of the processes among which the model is cut. All of them make the same calls, with the same texts and seeds,
        and get the same results; `mpiexec -n 4 python -m mpi4py program.py` ends all if one fails.

    Returns
    -------
    LanguageModel

    Raises
    ------
    FileNotFoundError
        If there is no such folder, or no checkpoint or tokenizer in it.
    DownloadError
        If a model of this name is not on this machine and cannot be downloaded.
    MemoryError
        If the model is larger than this machine's memory.
    CheckpointError, ValueError
        If a file is damaged, or describes a model or tokenizer that the library cannot represent; if `source`, `dtype`
        or `keep` is not one of these, or a weight is beyond the range of the format to keep.

    Examples
    --------
    >>> import gptcompare as gc
    >>> gc.load("nano-gpt2").config.n_params
    6967296
    """
    check_dtype(dtype)
    check_keep(keep, dtype)
    ranks = communicator_of(parallel)
    folder = locate_with_room(name_or_folder, dtype, keep, source=source, share=ranks.share)
    model = GPT.from_pretrained(folder, dtype=dtype, keep=keep, parallel=parallel)
    name = os.fspath(name_or_folder)
    return LanguageModel(model, tokenizer_of(folder, model, tokenizer), read_end_ids(folder), name=name)


def tokenizer_of(folder: Path, model: GPT, given: str | os.PathLike[str] | Tokenizer | None = None) -> Tokenizer:
    """Return the tokenizer of a model in a folder, or the one that is given instead."""
    if isinstance(given, Tokenizer):
        return given
    if given is not None:
        return Tokenizer.from_pretrained(given)
    own = single_file(folder) or other_tokenizer(folder) or any((folder / name).exists() for name in TOKENIZER_FILES)
    return (
        Tokenizer(bundled_gpt2())
        if has_gpt2_vocabulary(model.config.n_vocab) and not own
        else Tokenizer(read_vocabulary(folder))
    )


def save_gguf(lm: LanguageModel, file: str | os.PathLike[str], *, dtype: npt.DTypeLike = np.float32) -> None:
    """Write a model with its vocabulary as a GGUF file, which llama.cpp and the programs built on it run.

    The file is written completely before it gets its name. llama.cpp's GPT-2 is dense, with GELU in its tanh form. It
    ends a text at the model's `end_ids`, and at `<|endoftext|>` in any case. The file cannot say by which rules a token
    is found in texts (lstrip, rstrip, single_word): a warning names tokens with such.

    Parameters
    ----------
    lm : LanguageModel
    file : str or path
        Its folder is created if it does not exist.
    dtype : float32 or float16
        The dtype of the matrices in the file; positions, biases and gains are float32.

    Raises
    ------
    ValueError
        If the dtype is another, a number is beyond its range, llama.cpp's GPT-2 cannot compute the model, or it is a
        changed one.

    Examples
    --------
    >>> import os, tempfile
    >>> import gptcompare as gc
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     gc.save_gguf(gc.load("nano-gpt2"), f"{folder}/nano.gguf", dtype="float16")
    ...     gc.load(f"{folder}/nano.gguf").generate("Once upon a time", max_new_tokens=4).text
    ', a little girl'
    """
    check_unchanged(instance("lm", lm, LanguageModel).model, "exported")
    vocabulary = gguf_values(lm.tokenizer.vocabulary, lm.end_ids, lm.config.n_vocab)
    write_gguf_model(file, lm.config, lm.model.parameters(), vocabulary, dtype)
