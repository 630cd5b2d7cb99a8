"""nanoGPT's ckpt.pt (github.com/karpathy/nanoGPT, train.py and model.py): GPT-2 with torch.nn.Linear's matrices.

The file has the sizes of its model in `model_args`. Biases may be absent; ours are zero then. Its GELU is the exact
one, as in nanoGPT since 2023; a run with the first versions, which had the tanh form, differs a little.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ...config import GPTConfig
from ..errors import CheckpointError
from ..families import gpt2
from ..families.common import GPT2_EMBEDDING, Tensors, make_config, without_prefix
from ..formats.torch_zip import read_torch_file

MAGIC = b"PK\x03\x04"  # of every zip file
SIZES = {"n_layer": "n_layer", "n_head": "n_head", "d_model": "n_embd", "n_ctx": "block_size", "n_vocab": "vocab_size"}
WITHOUT_EFFECT = {"bias", "dropout"}  # what the tensors themselves show, and what only training uses


def config(path: Path) -> GPTConfig:
    """Read the sizes of a file's model."""
    return _config(path, read_torch_file(path)[1])


def end_ids(path: Path) -> list[int] | None:
    """Return None: the files do not name the tokens that end a text."""
    return None


def parameters(path: Path, dtype: npt.DTypeLike | None) -> tuple[GPTConfig, Tensors]:
    """Read a file's model: matrices are transposed, and biases of zero are added where there are none."""
    tensors, others = read_torch_file(path)
    config = _config(path, others)
    found, _ = without_prefix(path, tensors, GPT2_EMBEDDING)
    for name in [name for name in found if re.search(r"\.(ln_\w|c_\w+)\.weight$", name)]:
        found[name] = found[name].T
        zeros = np.zeros(found[name].shape[-1:], np.float32)  # as many as the matrix has columns, or the gain has
        found.setdefault(f"{name.removesuffix('weight')}bias", zeros)
    return gpt2.parameters(path, found, config, dtype)


def _config(path: Path, entries: Mapping[str, Any]) -> GPTConfig:
    """Make the configuration; a field that nanoGPT's own model does not have is refused: it changes the function."""
    model_args = entries.get("model_args")
    if not isinstance(model_args, Mapping):
        raise CheckpointError(
            path, "no model_args, as in nanoGPT's ckpt.pt: weights without their sizes need a config.json beside them"
        )
    if missing := [name for name in SIZES.values() if name not in model_args]:
        raise CheckpointError(path, f"{', '.join(missing)} missing in model_args")
    if others := [str(name) for name in model_args if name not in {*SIZES.values(), *WITHOUT_EFFECT}]:
        raise CheckpointError(path, f"model_args has {', '.join(others)}, which is not part of nanoGPT's model")
    return make_config(path, activation="gelu_erf", **{ours: model_args[theirs] for ours, theirs in SIZES.items()})
