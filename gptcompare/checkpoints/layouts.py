"""The files that make up a published model, and tests whether a folder has them; only lists of files are read.

The tokenizer and the readers of weights both use this, and so does the download cache, which must know what is
missing before it fetches anything.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

from ..checks import shown
from ..files.texts import parse_object
from .errors import CheckpointError

GPT2_SIZE = 50257  # tokens of GPT-2's vocabulary, which is in the package: such a model needs no tokenizer files
TOKENIZER_LAYOUTS = (("tokenizer.json",), ("vocab.json", "merges.txt"), ("encoder.json", "vocab.bpe"))
TOKENIZER_FILES = tuple(name for layout in TOKENIZER_LAYOUTS for name in layout)
# Files of other tokenizers (WordPiece, SentencePiece, tiktoken, Mistral's), by which a folder shows that it has one.
OTHER_TOKENIZERS = (
    "vocab.txt", "spiece.model", "sentencepiece.bpe.model", "tokenizer.model", "spm.model", "tiktoken.model",
    "tekken.json",
)  # fmt: skip
# Classes of transformers that read vocab.json + merges.txt as GPT-2's does; each also with "Fast" at its end.
BYTE_LEVEL_CLASSES = ("GPT2Tokenizer", "CodeGenTokenizer", "PreTrainedTokenizer", "TokenizersBackend")
# In order of preference: first the memory-mapped layout, in which no code can hide.
HF_WEIGHTS = ("model.safetensors", "pytorch_model.bin")
MAX_JSON = 100_000_000  # bytes


def has_gpt2_vocabulary(n_vocab: int) -> bool:
    """Return whether a model has GPT-2's 50,257 tokens, possibly padded up to the next multiple of 64."""
    return GPT2_SIZE <= n_vocab <= -(-GPT2_SIZE // 64) * 64


def has_tokenizer(folder: str | os.PathLike[str]) -> bool:
    """Return whether a folder has one of the layouts that `read_vocabulary` reads."""
    return any(all((Path(folder) / name).is_file() for name in layout) for layout in TOKENIZER_LAYOUTS)


def other_tokenizer(folder: Path) -> str | None:
    """Return what shows that a folder's tokenizer is not byte-level BPE: the class it names, or a file; else None."""
    for name in ("tokenizer_config.json", "config.json"):
        kind = read_object(folder / name).get("tokenizer_class") if (folder / name).is_file() else None
        if kind is not None and not (isinstance(kind, str) and kind.removesuffix("Fast") in BYTE_LEVEL_CLASSES):
            return f"{name} names the class {shown(kind)}"
        if kind is not None:
            return None  # the file that is read first decides
    return next((f"{name} is another tokenizer's" for name in OTHER_TOKENIZERS if (folder / name).is_file()), None)


def has_weights(folder: Path) -> bool:
    """Return whether a folder in Hugging Face's layout has its description and all files of its weights."""
    if not (folder / "config.json").is_file():
        return False
    for name in HF_WEIGHTS:
        index = folder / f"{name}.index.json"
        if (folder / name).is_file():
            return True
        if index.is_file():
            return all((folder / shard).is_file() for shard in shard_names(index))
    return False


def latest_tensorflow(folder: Path) -> str:
    """Return the name of a folder's TensorFlow checkpoint: by its file `checkpoint`, else OpenAI's, "model.ckpt".

    The file is text of the protocol buffer CheckpointState; what it names may be a path on the machine that wrote it.
    """
    path = folder / "checkpoint"
    if not path.is_file():
        return "model.ckpt"
    if path.stat().st_size > MAX_JSON:
        raise CheckpointError(path, "too large for the list of checkpoints")
    found = re.search(rb'^\s*model_checkpoint_path\s*:\s*"((?:[^"\\\n]|\\.)*)"', path.read_bytes(), re.MULTILINE)
    if not found:
        raise CheckpointError(path, "names no model_checkpoint_path, as TensorFlow's list of checkpoints does")
    escaped = re.sub(rb"\\([0-7]{3})", lambda octal: bytes([int(octal[1], 8) & 255]), found[1])
    return re.sub(rb"\\(.)", rb"\1", escaped).decode(errors="replace").replace("\\", "/").rpartition("/")[2]


def shard_names(index: Path) -> list[str]:
    """Return the files that an index names. CheckpointError if one is not the name of a file beside it."""
    return list(dict.fromkeys(weight_map_of(index).values()))


def weight_map_of(index: Path) -> dict[str, str]:
    """Read an index's table from tensor name to file name."""
    weight_map = read_object(index).get("weight_map")
    if not isinstance(weight_map, dict) or not all(isinstance(file, str) for file in weight_map.values()):
        raise CheckpointError(index, "no weight_map from tensor names to file names")
    for file in weight_map.values():
        if Path(file).name != file or file in ("", ".", "..") or "\\" in file or "\0" in file:
            raise CheckpointError(index, f"{shown(file)} is not the name of a file beside it")
    return weight_map


def read_object(path: Path) -> dict[str, Any]:
    """Read a JSON object that describes a model. CheckpointError if the file is not one, or is too large for one."""
    if path.stat().st_size > MAX_JSON:
        raise CheckpointError(path, "too large for the description of a model")
    return parse_object(path.read_bytes(), str(path), CheckpointError)
