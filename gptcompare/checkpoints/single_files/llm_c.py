"""GPT-2 as karpathy/llm.c stores it: gpt2_124M.bin, and its table of tokens, gpt2_tokenizer.bin (train_gpt2.py).

Both begin with 256 int32, the first of which say:

model        20240326; version, 3 for float32 and 5 for bfloat16; n_ctx, n_vocab, n_layer, n_head, d_model, and the
             rows of the token embedding, which is padded
tokens       20240328; version, 1 or 2; number of tokens; since version 2, the id of the end of text

A model's parameters follow, one kind after the other, each for all layers, matrices as (d_out, d_in). The tokens follow
in the order of their ids, each as its number of bytes (one byte) and its bytes.
"""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ...config import GPTConfig
from ...parameters import block_shapes
from ..errors import CheckpointError
from ..families.common import Tensors, checked, make_config
from ..formats.tensor_file import Buffer, map_file, tensor_at

HEADER = 256  # int32
MAGIC = (20240326).to_bytes(4, "little")
TOKENS_MAGIC = (20240328).to_bytes(4, "little")
ELEMENTS = {3: "F32", 5: "BF16"}  # version -> type
END_OF_TEXT_ID = 50256  # in version 1 of a table of tokens


def config(path: Path) -> GPTConfig:
    """Read the sizes of a file's model."""
    return _parse(path, map_file(path))[0]


def end_ids(path: Path) -> list[int] | None:
    """Return None: the files do not name the tokens that end a text."""
    return None


def parameters(path: Path, dtype: npt.DTypeLike | None) -> tuple[GPTConfig, Tensors]:
    """Read a file's model, without the rows with which the token embedding is padded, and which llm.c never uses."""
    buffer = map_file(path)
    config, n_rows, element = _parse(path, buffer)
    D = config.d_model
    at = 4 * HEADER
    found: Tensors = {}

    def take(name: str, shape: tuple[int, ...]) -> None:
        nonlocal at
        found[name] = tensor_at(path, buffer, name, at, element, shape)
        at += np.prod(shape, dtype=object) * (4 if element == "F32" else 2)

    take("wte.weight", (n_rows, D))
    take("wpe.weight", (config.n_ctx, D))
    for name, shape in block_shapes(config).items():  # llm.c has them in the same order
        for layer in range(config.n_layer):
            take(f"h.{layer}.{name}", shape[::-1])
    take("ln_f.weight", (D,))
    take("ln_f.bias", (D,))
    found = {name: array if name in ("wte.weight", "wpe.weight") else array.T for name, array in found.items()}
    found["wte.weight"] = found["wte.weight"][: config.n_vocab]
    return config, checked(path, found, config)


def _parse(path: Path, buffer: Buffer) -> tuple[GPTConfig, int, str]:
    """Return the sizes, the rows of the embedding, and the type of the numbers, of a file that has all its bytes."""
    header = _header(path, buffer)
    version, n_ctx, n_vocab, n_layer, n_head, d_model, n_rows = header[1:8]
    if version not in ELEMENTS:
        raise CheckpointError(path, f"version {version} is not supported: known are 3 (float32) and 5 (bfloat16)")
    config = make_config(path, n_layer=n_layer, n_head=n_head, d_model=d_model, n_ctx=n_ctx, n_vocab=n_vocab)
    if n_rows < n_vocab:
        raise CheckpointError(path, f"the embedding has {n_rows} rows for {n_vocab} tokens")
    n_numbers = config.n_params + (n_rows - n_vocab) * d_model
    size = 4 * HEADER + n_numbers * (4 if ELEMENTS[version] == "F32" else 2)
    if len(buffer) != size:
        raise CheckpointError(path, f"the file has {len(buffer):,} bytes, its model takes {size:,}: truncated?")
    return config, n_rows, ELEMENTS[version]


def _header(path: Path, buffer: Buffer) -> list[int]:
    if len(buffer) < 4 * HEADER:
        raise CheckpointError(path, f"the file ends within its header of {4 * HEADER} bytes: truncated?")
    numbers: list[int] = buffer[: 4 * HEADER].view("<i4").tolist()
    return numbers


def is_table_of_tokens(path: str | os.PathLike[str]) -> bool:
    """Return whether a file begins as llm.c's tables of tokens do."""
    with open(path, "rb") as file:
        return file.read(len(TOKENS_MAGIC)) == TOKENS_MAGIC


def read_tokens(path: Path) -> tuple[list[bytes], int]:
    """Read a table of tokens: the bytes of each, and the id of the end of text.

    Raises
    ------
    CheckpointError
        If the file is damaged, or of another version.
    """
    buffer = map_file(path)
    _, version, n_tokens, eot_id = _header(path, buffer)[:4]
    if version not in (1, 2):
        raise CheckpointError(path, f"version {version} of a table of tokens is not supported: known are 1 and 2")
    view, at, tokens = memoryview(buffer), 4 * HEADER, []  # type: ignore[arg-type]  # an array has the buffer protocol
    for _ in range(n_tokens):
        end = at + 1 + (view[at] if at < len(view) else 0)
        if end > len(view):
            raise CheckpointError(path, f"the file ends before its {n_tokens} tokens do: truncated?")
        tokens.append(bytes(view[at + 1 : end]))
        at = end
    if at != len(view):
        raise CheckpointError(path, f"{len(view) - at} bytes follow after the {n_tokens} tokens")
    return tokens, END_OF_TEXT_ID if version == 1 else eot_id
