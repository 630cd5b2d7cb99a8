"""A model and its tokenizer from one name or folder."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ..checkpoints import locate
from ..checkpoints.folder import read_end_ids
from ..checkpoints.layouts import GPT2_SIZE, TOKENIZER_FILES, other_tokenizer
from ..model import GPT
from ..tokenizer import Tokenizer
from ..tokenizer.files import read_vocabulary
from .language_model import LanguageModel


def load(
    name_or_folder: str | os.PathLike[str],
    *,
    source: str = "huggingface",
    dtype: npt.DTypeLike = np.float32,
    tokenizer: str | os.PathLike[str] | Tokenizer | None = None,
) -> LanguageModel:
    """Load a model with its tokenizer.

    If a folder has no file of any tokenizer and its model has GPT-2's 50,257 tokens, possibly padded up to the next
    multiple of 64, it gets GPT-2's tokenizer, which is part of the package. Files of a tokenizer that is not byte-level
    BPE are refused: with `tokenizer` another one can be used.

    The model ends a text with the tokens that the folder's `generation_config.json` names as `eos_token_id` or, where
    there is no such file, its `config.json`; where that names none, with the tokenizer's end-of-text token.

    Parameters
    ----------
    name_or_folder, source
        As for `GPT.from_pretrained`: a folder with a checkpoint, or the name of a model, which is downloaded if it is
        not on this machine.
    dtype : float32 or float64
    tokenizer : name, folder or Tokenizer, optional
        Whose tokenizer to use instead of the model's own: as for `Tokenizer.from_pretrained`.

    Returns
    -------
    LanguageModel

    Raises
    ------
    FileNotFoundError
        If there is no such folder, or no checkpoint or tokenizer in it.
    DownloadError
        If a model of this name is not on this machine and cannot be downloaded.
    CheckpointError, ValueError
        If a file is damaged, or describes a model or tokenizer that the library cannot represent.

    Examples
    --------
    >>> import gptcompare as gc
    >>> gc.load("nano-gpt2").config.n_params
    2664576
    """
    folder = locate(name_or_folder, source=source)
    model = GPT.from_pretrained(folder, dtype=dtype)
    return LanguageModel(model, _tokenizer_of(folder, model, tokenizer), read_end_ids(folder))


def _tokenizer_of(folder: Path, model: GPT, given: str | os.PathLike[str] | Tokenizer | None) -> Tokenizer:
    if isinstance(given, Tokenizer):
        return given
    if given is not None:
        return Tokenizer.from_pretrained(given)
    has_gpt2_size = GPT2_SIZE <= model.config.n_vocab <= -(-GPT2_SIZE // 64) * 64
    if has_gpt2_size and not other_tokenizer(folder) and not any((folder / name).exists() for name in TOKENIZER_FILES):
        return Tokenizer.from_pretrained("gpt2")
    return Tokenizer(read_vocabulary(folder))
