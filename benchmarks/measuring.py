"""What the scripts of this folder share: measuring in turns, what the machine can do at most, and models to measure.

The models have the published shapes and random weights: speed does not depend on their values, and nothing needs to be
downloaded.
"""

from __future__ import annotations

import importlib.util
import json
import os
import platform
import statistics
import time
from collections.abc import Callable
from functools import partial
from importlib.metadata import version
from pathlib import Path

import numpy as np

import gptcompare as gc
from gptcompare.arrays import Array
from gptcompare.checkpoints.formats.safetensors import write_safetensors
from gptcompare.model.threads import in_parallel, kernels, n_threads, shares

REPETITIONS = 5
PAUSE = 0.2  # seconds, until the previous side's threads, which wait for more work, have gone to sleep
TEXT = Path(__file__).parents[1] / "tests" / "data" / "alice.txt"
ROW = 1024  # numbers that a product with a vector reads from one row


def take_turns(sides: dict[str, Callable[[], float]], repetitions: int = REPETITIONS) -> dict[str, float]:
    """Return side -> the median of its results over the repetitions, after one for warming up that is not counted."""
    results: dict[str, list[float]] = {name: [] for name in sides}
    for repetition in range(repetitions + 1):
        for name, measure in sides.items():
            time.sleep(PAUSE)
            value = measure()
            if repetition:
                results[name].append(value)
    return {name: statistics.median(values) for name, values in results.items()}


def seconds(call: Callable[[], object]) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def reading_memory(n_bytes: int) -> Callable[[], float]:
    """Return a function that times reading so many bytes once, each thread its share, in the fastest of three ways.

    They are a dot product, a sum and a matrix-vector product; which is fastest depends on the processor.
    """
    numbers = np.ones((-(-n_bytes // (4 * ROW)), ROW), np.float32)
    parts, vector = [numbers[share] for share in shares(len(numbers), n_threads())], np.ones(ROW, np.float32)
    ways: list[Callable[[Array], object]] = [
        lambda part: part.ravel().dot(part.ravel()),
        lambda part: part.sum(),
        lambda part: part @ vector,
    ]
    return lambda: min(seconds(partial(in_parallel, way, parts)) for way in ways)


def multiplying(size: int = 2048) -> Callable[[], float]:
    """Return a function that measures the floating-point operations per second of a product of square matrices."""
    a, b = np.ones((2, size, size), np.float32)
    return lambda: 2 * size**3 / seconds(lambda: a @ b)


def shape(name: str, folder: Path) -> Path:
    """Return a checkpoint with the shape of a published model and random weights, made when it is first needed."""
    made = folder / name
    if not made.exists():
        gc.GPT(gc.GPTConfig.preset(name)).save_pretrained(made)
        gc.Tokenizer.from_pretrained("gpt2").save_pretrained(made)
    return made


def in_float16(name: str, folder: Path) -> Path:
    """Return a checkpoint of OPT's shape as it is published, in float16, with random weights.

    Their standard deviation is that of initial weights, 0.02; two or three in a thousand are then subnormal.
    """
    made = folder / f"{name}-float16"
    if made.exists():
        return made
    config, rng = gc.GPTConfig.preset(name), np.random.default_rng(0)
    D, M = config.d_model, config.d_mlp
    linear = {f"self_attn.{part}_proj": (D, D) for part in ("q", "k", "v", "out")} | {"fc1": (M, D), "fc2": (D, M)}
    shapes = {"embed_tokens.weight": (config.n_vocab, D), "embed_positions.weight": (config.n_ctx + 2, D)}
    for layer in range(config.n_layer):
        shapes |= {f"layers.{layer}.{module}.weight": shape for module, shape in linear.items()}
        shapes |= {f"layers.{layer}.{module}.bias": shape[:1] for module, shape in linear.items()}
        norms = ("self_attn_layer_norm", "final_layer_norm")
        shapes |= {f"layers.{layer}.{norm}.{kind}": (D,) for norm in norms for kind in ("weight", "bias")}
    shapes |= {"final_layer_norm.weight": (D,), "final_layer_norm.bias": (D,)}
    tensors = {
        f"model.decoder.{name}": (0.02 * rng.standard_normal(shape, np.float32)).astype(np.float16)
        for name, shape in shapes.items()
    }
    sizes = {"hidden_size": D, "word_embed_proj_dim": D, "ffn_dim": M, "num_hidden_layers": config.n_layer}
    sizes |= {"num_attention_heads": config.n_head, "max_position_embeddings": config.n_ctx}
    values = {"model_type": "opt", "architectures": ["OPTForCausalLM"], "vocab_size": config.n_vocab, **sizes}
    gc.Tokenizer.from_pretrained("gpt2").save_pretrained(made)
    (made / "config.json").write_text(json.dumps(values))
    with open(made / "model.safetensors", "wb") as file:
        write_safetensors(file, tensors)
    return made


def installed(name: str) -> bool:
    return importlib.util.find_spec(name) is not None


def machine() -> str:
    model = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        model = next((line.split(": ")[1] for line in cpuinfo.read_text().splitlines() if "model name" in line), model)
    packages = ["numpy", "torch", "transformers", "ctranslate2", "llama-cpp-python", "tokenizers"]
    modules = {"llama-cpp-python": "llama_cpp"}
    versions = [f"{name} {version(name)}" for name in packages if installed(modules.get(name, name))]
    threads = f"{os.cpu_count()} cores, {n_threads()} threads"
    threads += f", OpenBLAS's kernels for {kernels()}" if kernels() else ""
    return f"{model}, {threads}, Python {platform.python_version()}, {', '.join(versions)}"
