"""Measure gptcompare beside the libraries that are installed, in one run on one machine.

    python benchmarks/run.py                   # everything: a quarter of an hour
    python benchmarks/run.py decode scoring    # some of it

The other libraries are Hugging Face transformers (PyTorch), CTranslate2 and llama.cpp (llama-cpp-python), all
in float32 and with the same number of threads. The `benchmark` extra installs them, which compiles llama-cpp-python.
The models have the published shapes and random weights: speed does not depend on their values, and nothing needs to be
downloaded.

In every repetition the sides take turns, and so does a measurement of what the machine can do at most: reading memory
at full speed for decoding, a large matrix product for scoring. So a machine that slows down slows all of them. The
median of the repetitions is reported. "Ratio" always says how many times better gptcompare is.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from importlib.metadata import version
from pathlib import Path

import numpy as np
from peers import PEERS, Gptcompare, Transformers, installed

import gptcompare as gc
from gptcompare.checkpoints.formats.safetensors import write_safetensors
from gptcompare.model.threads import in_parallel, n_threads, shares

REPETITIONS = 5
PAUSE = 0.2  # seconds, until the previous side's threads, which wait for more work, have gone to sleep
ROOT = Path(__file__).parents[1]
TEXT = ROOT / "tests" / "data" / "alice.txt"


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


@dataclass
class Row:
    """One measured quantity: each side's number, and the most that the machine could do, if that is known."""

    what: str
    values: dict[str, float]
    ceiling: float | None = None
    less_is_better: bool = False
    digits: int = field(default=1)

    def __str__(self) -> str:
        mine = self.values[Gptcompare.name]
        cells = [self.what, f"{mine:.{self.digits}f}"]
        for name in SIDES[1:]:
            if name in self.values:
                other = self.values[name]
                ratio = other / mine if self.less_is_better else mine / other
                cells.append(f"{other:.{self.digits}f} ({ratio:.2f})")
            else:
                cells.append("")
        cells.append(f"{self.ceiling:.{self.digits}f} ({mine / self.ceiling:.0%})" if self.ceiling else "")
        return "| " + " | ".join(cells) + " |"


SIDES = [Gptcompare.name, *(peer.name for peer in PEERS), "tokenizers"]
CEILING = "ceiling"


def shape(names: str, folder: Path) -> Path:
    """Return a checkpoint with the shape of a published model and random weights, made when it is first needed."""
    made = folder / names
    if not made.exists():
        gc.GPT(gc.GPTConfig.preset(names)).save_pretrained(made)
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


def sides_for(folder: Path) -> dict[str, object]:
    return {side.name: side(folder, n_threads()) for side in (Gptcompare, *PEERS) if installed(side.package)}


def random_ids(*size: int) -> np.ndarray:
    return np.random.default_rng(0).integers(50257, size=size)


def reading_memory(n_bytes: int) -> Callable[[], float]:
    """Return a function that times reading so many bytes once, each thread its share, by a BLAS dot product."""
    numbers = np.ones(n_bytes // 4, np.float32)
    parts = [numbers[share] for share in shares(len(numbers), n_threads())]

    return lambda: seconds(lambda: in_parallel(lambda part: part.dot(part), parts))


def multiplying(size: int = 2048) -> Callable[[], float]:
    """Return a function that measures the floating-point operations per second of a product of square matrices."""
    a, b = np.ones((2, size, size), np.float32)
    return lambda: 2 * size**3 / seconds(lambda: a @ b)


def decode(folder: Path) -> Iterator[Row]:
    """Measure tokens per second after a prompt, decoded greedily."""
    for name, n_new in (("gpt2", 64), ("gpt2-medium", 24), ("gpt2-large", 12)):
        sides = sides_for(shape(name, folder))
        config = gc.GPTConfig.preset(name)
        weights = 4 * (config.n_params - config.n_params_by_part["positions"])
        yield decoding(f"decode, {name}", sides, random_ids(1, 32), n_new, weights)
        if name == "gpt2":
            near_the_end = weights + config.kv_cache_bytes(1000)
            yield decoding("decode after 950 tokens, gpt2", sides, random_ids(1, 950), n_new, near_the_end)
            sides.pop("llama.cpp", None)
            yield decoding("decode, 8 prompts, gpt2", sides, random_ids(8, 32), 16, None)


def decoding(what: str, sides: dict[str, object], ids: np.ndarray, n: int, n_bytes: int | None) -> Row:
    def tokens_per_second(side: object) -> float:
        return len(ids) * n / side.decode(ids, n)

    turns = {name: partial(tokens_per_second, side) for name, side in sides.items()}
    if n_bytes:
        read = reading_memory(n_bytes)
        turns[CEILING] = lambda: 1 / read()
    values = take_turns(turns)
    return Row(f"{what}, tokens/s", values, values.pop(CEILING, None))


def scoring(folder: Path) -> Iterator[Row]:
    """Measure tokens per second when all logits of a text are computed."""
    for name, lengths in (("gpt2", (128, 512, 1024)), ("gpt2-medium", (512,)), ("gpt2-large", (512,))):
        sides = sides_for(shape(name, folder))
        for n in lengths:
            yield scored(f"all logits of {n} tokens, {name}", sides, random_ids(n), gc.GPTConfig.preset(name))
    config = gc.GPTConfig.preset("gpt3-small")
    made = folder / "gpt-neo"
    sides = gpt_neo_sides(config, made)
    if sides:
        yield scored("all logits of 2048 tokens, GPT-3's pattern", sides, random_ids(2048), config)


def scored(what: str, sides: dict[str, object], ids: np.ndarray, config: gc.GPTConfig) -> Row:
    operations = sum(config.flops_per_token(n) for n in range(1, len(ids) + 1))
    multiply = multiplying()
    turns: dict[str, Callable[[], float]] = {
        name: lambda side=side: len(ids) / seconds(lambda: side.logits(ids)) for name, side in sides.items()
    }
    turns[CEILING] = lambda: len(ids) * multiply() / operations
    values = take_turns(turns)
    return Row(f"{what}, tokens/s", values, values.pop(CEILING))


def gpt_neo_sides(config: gc.GPTConfig, folder: Path) -> dict[str, object]:
    """Make GPT-3 Small's shape and pattern: GPT-Neo's class in transformers has the same banded layers."""
    if not installed("transformers"):
        return {}
    from transformers import GPTNeoConfig, GPTNeoForCausalLM

    their_config = GPTNeoConfig(
        vocab_size=config.n_vocab, hidden_size=config.d_model, num_layers=config.n_layer, num_heads=config.n_head,
        max_position_embeddings=config.n_ctx, window_size=config.band_width,
        attention_types=[[["global", "local"], config.n_layer // 2]],
    )  # fmt: skip
    GPTNeoForCausalLM(their_config).save_pretrained(folder)
    return {side.name: side(folder, n_threads()) for side in (Gptcompare, Transformers)}


def start(folder: Path) -> Iterator[Row]:
    """Measure the seconds from the start of a process to its end after one token."""
    made = shape("gpt2", folder)
    programs = first_token_programs(made)
    yield Row(
        "start to first token, gpt2, s",
        take_turns({name: partial(process_seconds, program, made) for name, program in programs.items()}),
        less_is_better=True, digits=2,
    )  # fmt: skip
    large = in_float16("opt-1.3b", folder)
    several = {side.name: side.FIRST_TOKEN for side in (Gptcompare, Transformers) if installed(side.package)}
    yield Row(
        "start to first token, opt-1.3b in float16, s",
        take_turns({name: partial(process_seconds, program, large) for name, program in several.items()}, 3),
        less_is_better=True, digits=2,
    )  # fmt: skip


def memory(folder: Path) -> Iterator[Row]:
    """Measure the peak memory of such a process; gpt2-xl with this library only."""
    for name in ("gpt2", "gpt2-xl"):
        made = shape(name, folder)
        programs = {Gptcompare.name: Gptcompare.FIRST_TOKEN} if name == "gpt2-xl" else first_token_programs(made)
        peaks = {side: process_peak(program, made) for side, program in programs.items()}
        parameters = 4 * gc.GPTConfig.preset(name).n_params / 1e6
        title = f"peak memory until the first token, {name} (parameters: {parameters:.0f} MB), MB"
        yield Row(title, peaks, less_is_better=True, digits=0)


def first_token_programs(folder: Path) -> dict[str, str]:
    sides_for(folder)  # makes the others' files
    return {
        side.name: side.FIRST_TOKEN for side in (Gptcompare, *PEERS) if side.FIRST_TOKEN and installed(side.package)
    }


def process(program: str, folder: Path) -> str:
    command = [sys.executable, "-c", program, str(folder)]
    environment = {**os.environ, "HF_HUB_OFFLINE": "1"}
    return subprocess.run(command, check=True, capture_output=True, text=True, env=environment).stdout


def process_seconds(program: str, folder: Path) -> float:
    return seconds(lambda: process(program, folder))


def process_peak(program: str, folder: Path) -> float:
    """Return the peak resident memory in MB, from Linux's /proc: getrusage would count this process, too."""
    report = "print(next(line for line in open('/proc/self/status') if line.startswith('VmHWM')).split()[1])"
    return int(process(f"{program}\n{report}", folder).split()[-1]) * 1024 / 1e6


def encode(folder: Path) -> Iterator[Row]:
    """Measure megabytes of English text per second, each time with a new tokenizer, which has seen no word yet."""
    text = TEXT.read_text(encoding="utf-8")  # short, so new words are frequent: a longer text is encoded faster
    n_bytes = len(text.encode())
    made = shape("gpt2", folder)

    def ours() -> float:
        tokenizer = gc.Tokenizer.from_pretrained(made)
        return n_bytes / seconds(lambda: tokenizer.encode(text)) / 1e6

    def theirs() -> float:
        from tokenizers import ByteLevelBPETokenizer

        tokenizer = ByteLevelBPETokenizer(str(made / "vocab.json"), str(made / "merges.txt"))
        return n_bytes / seconds(lambda: tokenizer.encode(text)) / 1e6

    sides = {Gptcompare.name: ours, **({"tokenizers": theirs} if installed("tokenizers") else {})}
    yield Row("encode, MB/s", take_turns(sides), digits=2)


BENCHMARKS = {"decode": decode, "scoring": scoring, "start": start, "memory": memory, "encode": encode}


def machine() -> str:
    model = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        model = next((line.split(": ")[1] for line in cpuinfo.read_text().splitlines() if "model name" in line), model)
    packages = ["numpy", "torch", "transformers", "ctranslate2", "llama-cpp-python", "tokenizers"]
    modules = {"llama-cpp-python": "llama_cpp"}
    versions = [f"{name} {version(name)}" for name in packages if installed(modules.get(name, name))]
    threads = f"{os.cpu_count()} cores, {n_threads()} threads"
    return f"{model}, {threads}, Python {platform.python_version()}, {', '.join(versions)}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(BENCHMARKS)} (default: all)")
    names = parser.parse_args().names or list(BENCHMARKS)
    if unknown := sorted(set(names) - set(BENCHMARKS)):
        parser.error(f"unknown: {', '.join(unknown)}; known are {', '.join(BENCHMARKS)}")
    if n_threads() == 1 and os.cpu_count() != 1 and "OPENBLAS_NUM_THREADS" not in os.environ:
        parser.error("the number of NumPy's threads is unknown: set OPENBLAS_NUM_THREADS=1, so that all sides use one")
    print(machine(), end="\n\n")
    print("| " + " | ".join(["what", SIDES[0], *(f"{name} (ratio)" for name in SIDES[1:]), "ceiling (reached)"]) + " |")
    print("|---|" + "---:|" * (len(SIDES) + 1))
    with tempfile.TemporaryDirectory() as temporary:
        for name in names:
            for row in BENCHMARKS[name](Path(temporary)):
                print(row, flush=True)


if __name__ == "__main__":
    main()
