"""Reading and writing a checkpoint folder, in any published layout, as a configuration and its parameters.

A checkpoint of a single file may be given in a folder's place: see `single_files`.
"""

from __future__ import annotations

import glob
import json
import os
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ..arrays import AnyArray, Array
from ..checks import path, shown
from ..config import GPTConfig
from ..files.atomic_files import written_together
from ..parallel import WHOLE, Share
from ..sixteen_bits import name_of, widened
from . import families
from .errors import CheckpointError
from .families.common import cut
from .formats.safetensors import TYPE_NAMES, read_safetensors, write_safetensors
from .formats.tensorflow import read_tensorflow
from .formats.torch_zip import read_torch_zip
from .layouts import HF_WEIGHTS, latest_tensorflow, read_object, shard_names, weight_map_of
from .single_files import single_file

Tensors = dict[str, AnyArray]

WEIGHTS_WITHOUT_SIZES = (".safetensors", ".bin", ".pt", ".pth", ".ckpt", ".index", ".h5", ".msgpack")

READERS: dict[str, Callable[[Path], Tensors]] = dict(zip(HF_WEIGHTS, (read_safetensors, read_torch_zip), strict=True))


def read_checkpoint(
    folder: str | os.PathLike[str], dtype: npt.DTypeLike | None = np.float32, share: Share = WHOLE
) -> tuple[GPTConfig, Tensors]:
    """Read the configuration and the parameters of a checkpoint, memory-mapped where its layout allows that.

    Known layouts: `config.json` with `model.safetensors` or `pytorch_model.bin`, in one file or in shards with an
    index (Hugging Face, and what `write_checkpoint` writes), `hparams.json` with the TensorFlow checkpoint that
    `checkpoint` names, or `model.ckpt.*` (OpenAI, and programs for fine-tuning), and a file of llama.cpp (GGUF), llm.c
    or nanoGPT, alone in the folder or given itself. Where a family stores its tensors differently from ours, new arrays
    are made, in `dtype`; if that is None, in the file's own where that is exact.

    With a `share`, the configuration is that of the whole model, and the parameters are a rank's part of it: of what is
    memory-mapped, nothing else is read.

    Raises
    ------
    FileNotFoundError
        If the folder does not exist or has no checkpoint.
    CheckpointError
        If a file is damaged, or describes a model that this library cannot represent.
    """
    folder = Path(folder)
    if found := single_file(folder):
        config, parameters = found.format.parameters(found.path, dtype)
        return config, cut(share, parameters, config)
    if (folder / "config.json").is_file():
        return _read_hf(folder, dtype, share)
    if (folder / "hparams.json").is_file():
        return _read_openai(folder, dtype, share)
    if not folder.is_dir():
        raise FileNotFoundError(f"there is no folder {str(folder)!r}")
    weights = [path.name for path in sorted(folder.iterdir()) if path.suffix in WEIGHTS_WITHOUT_SIZES]
    beside = f", only {weights[0]}, which does not say which sizes its model has" if weights else ""
    raise FileNotFoundError(
        f"{folder} has no checkpoint: neither config.json (Hugging Face's layout) nor hparams.json (OpenAI's), nor a "
        f"file of llama.cpp (GGUF), llm.c or nanoGPT{beside}"
    )


def read_config(folder: str | os.PathLike[str]) -> GPTConfig:
    """Read the configuration alone, from config.json, hparams.json or a single file; the weights may be missing.

    Raises
    ------
    FileNotFoundError
        If the folder has neither.
    CheckpointError
        If the file is damaged, or describes a model that this library cannot represent.
    """
    if found := single_file(folder):
        return found.format.config(found.path)
    for name, family_of in (("config.json", families.family_of), ("hparams.json", lambda *_: families.OPENAI)):
        path = Path(folder) / name
        if path.is_file():
            values = read_object(path)
            return family_of(path, values).config(path, values)
    raise FileNotFoundError(f"{folder} has neither config.json nor hparams.json")


def files_of(folder: str | os.PathLike[str]) -> list[Path]:
    """Return the files of a checkpoint that are read, the description of the model first.

    Raises
    ------
    CheckpointError
        If an index of shards or a list of TensorFlow checkpoints is damaged.
    """
    if found := single_file(folder):
        return [found.path]
    folder = Path(folder)
    if (folder / "config.json").is_file():
        weights = _hf_weights(folder)
        index = weights is not None and weights.name not in HF_WEIGHTS
        several = [weights, *(folder / shard for shard in shard_names(weights))] if weights and index else [weights]
        names = [folder / "config.json", folder / "generation_config.json", *several]
    else:
        name = latest_tensorflow(folder)
        names = [folder / "hparams.json", folder / "checkpoint", folder / f"{name}.index"]
        names += sorted(folder.glob(f"{glob.escape(name)}.data-*"))
    return [path for path in names if path is not None and path.is_file()]


def read_end_ids(folder: str | os.PathLike[str]) -> list[int] | None:
    """Return the tokens with which a model ends a text, by the descriptions in its folder; None if they name none.

    `generation_config.json` decides alone where there is one, and `config.json` otherwise, as in transformers 5
    (GenerationConfig.from_pretrained, and PreTrainedModel, which makes one of config.json if that fails).

    Raises
    ------
    CheckpointError
        If the file is damaged, or names something else than ids.
    """
    if found := single_file(folder):
        return found.format.end_ids(found.path)
    path = next((p for name in ("generation_config.json", "config.json") if (p := Path(folder) / name).is_file()), None)
    given = None if path is None else read_object(path).get("eos_token_id")
    if path is None or given is None:
        return None
    several = given if isinstance(given, list) else [given]
    if not all(isinstance(id_, int) and not isinstance(id_, bool) for id_ in several):
        raise CheckpointError(path, f"eos_token_id must be an id or a list of them, got {shown(given)}")
    return several


def write_end_ids(folder: str | os.PathLike[str], end_ids: Collection[int]) -> None:
    """Write generation_config.json, from which `read_end_ids` and transformers read the tokens that end a text."""
    ids = sorted(end_ids)
    with written_together(folder, ["generation_config.json"]) as (file,):
        file.write(json.dumps({"eos_token_id": ids[0] if len(ids) == 1 else ids}, indent=2).encode() + b"\n")


def _read_hf(folder: Path, dtype: npt.DTypeLike | None, share: Share) -> tuple[GPTConfig, Tensors]:
    path = folder / "config.json"
    values = read_object(path)
    family = families.family_of(path, values)
    config = family.config(path, values)
    weights = _hf_weights(folder)
    if weights is None:
        raise FileNotFoundError(
            f"{folder} has a config.json but no weights: neither {' nor '.join(HF_WEIGHTS)}, nor shards"
        )
    reader = READERS[weights.name.removesuffix(".index.json")]
    tensors = reader(weights) if weights.name in READERS else _read_shards(weights, reader)
    return family.read(weights, tensors, config, dtype, share)


def _hf_weights(folder: Path) -> Path | None:
    """Return the file with the weights, or the index of its shards, that is read first; None if there is neither."""
    names = (name for weights in HF_WEIGHTS for name in (weights, f"{weights}.index.json"))
    return next((folder / name for name in names if (folder / name).is_file()), None)


def _read_shards(index: Path, reader: Callable[[Path], Tensors]) -> Tensors:
    """Read the tensors of all files that an index names, each of which must hold what the index says."""
    weight_map = weight_map_of(index)
    tensors: Tensors = {}
    for file in dict.fromkeys(weight_map.values()):
        if not os.path.isfile(index.parent / file):  # unlike Path.is_file, False for a name that is too long
            raise CheckpointError(index.parent / file, "the file is missing")
        shard = reader(index.parent / file)
        wanted = {name for name, place in weight_map.items() if place == file}
        if missing := sorted(wanted - set(shard)):
            raise CheckpointError(index.parent / file, f"{missing[0]} is missing, which the index places there")
        tensors |= {name: shard[name] for name in wanted}
    return tensors


def _read_openai(folder: Path, dtype: npt.DTypeLike | None, share: Share) -> tuple[GPTConfig, Tensors]:
    path = folder / "hparams.json"
    config = families.OPENAI.config(path, read_object(path))
    index = folder / f"{latest_tensorflow(folder)}.index"
    if not index.is_file():
        raise FileNotFoundError(f"{folder} has a hparams.json but no weights: {index.name} is missing")
    return families.OPENAI.read(index, read_tensorflow(index), config, dtype, share)


def write_checkpoint(
    folder: str | os.PathLike[str],
    config: GPTConfig,
    parameters: Mapping[str, Array],
    dtype: npt.DTypeLike | None = None,
) -> None:
    """Write config.json and model.safetensors: as Hugging Face's GPT-2 if that can represent the model, else as ours.

    Raises
    ------
    ValueError
        If `dtype` (default: the parameters' own) is not float16, float32 or float64, or a parameter exceeds its range.
    """
    as_written = {
        name: converted(name, value, dtype_to_write(value.dtype if dtype is None else dtype, TYPE_NAMES))
        for name, value in parameters.items()
    }
    values, tensors = families.to_files(config, as_written)
    with written_together(path("folder", folder), ["config.json", "model.safetensors"]) as (config_file, weights_file):
        config_file.write(json.dumps(values, indent=2).encode() + b"\n")
        write_safetensors(weights_file, tensors)


def dtype_to_write(dtype: npt.DTypeLike | None, known: Collection[str]) -> np.dtype[Any]:
    """Return a dtype, which must be one of those that the files of a format can have; ValueError if it is another."""
    try:
        given = None if dtype is None else np.dtype(dtype)
    except TypeError:
        given = None
    if given is None or given.name not in known:
        name = shown(dtype) if given is None else name_of(given)
        raise ValueError(f"dtype must be one of {', '.join(known)}, got {name}")
    return given


def converted(name: str, value: Array, dtype: np.dtype[Any]) -> AnyArray:
    """Return a parameter in a dtype of the files; ValueError if that cannot hold its numbers."""
    if value.dtype == dtype:
        return value
    value = widened(value)
    with np.errstate(over="ignore"):
        converted: AnyArray = value.astype(dtype)
    if not np.array_equal(np.isfinite(converted), np.isfinite(value)):
        raise ValueError(f"{name} has numbers beyond the {np.finfo(dtype).max:g} that {dtype.name} can hold")
    return converted
