"""Measure gptcompare beside the libraries that are installed, in one run on one machine.

    python benchmarks/run.py                   # everything: an hour
    python benchmarks/run.py decode scoring    # some of it

What other scripts of this folder measure comes after the table of this one, each under its name.

The other libraries are Hugging Face transformers (PyTorch), CTranslate2 and llama.cpp (llama-cpp-python), all
in float32 and with the same number of threads. The `benchmark` extra installs them, which compiles llama-cpp-python.

In every repetition the sides take turns, and so does a measurement of what the machine can do at most: reading memory
at full speed for decoding, a large matrix product for scoring. So a machine that slows down slows all of them. The
median of the repetitions is reported. "Ratio" always says how many times better gptcompare is.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np
from measuring import TEXT, in_float16, installed, machine, multiplying, reading_memory, seconds, shape, take_turns
from peers import PEERS, Gptcompare, Transformers

import gptcompare as gc
from gptcompare.model.threads import n_threads


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


def sides_for(folder: Path) -> dict[str, object]:
    return {side.name: side(folder, n_threads()) for side in (Gptcompare, *PEERS) if installed(side.package)}


def random_ids(*size: int) -> np.ndarray:
    return np.random.default_rng(0).integers(50257, size=size)


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
            for n in (4, 8):
                yield decoding(f"decode, {n} prompts, gpt2", sides, random_ids(n, 32), 16, None)


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
    sides = [side for side in (Gptcompare, Transformers) if installed(side.package)]
    for how, programs in (
        ("in float16", {side.name: side.FIRST_TOKEN for side in sides}),
        ("kept in float16", {side.name: side.AS_STORED for side in sides}),
    ):
        turns = {name: partial(process_seconds, program, large) for name, program in programs.items()}
        yield Row(f"start to first token, opt-1.3b {how}, s", take_turns(turns, 3), less_is_better=True, digits=2)


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
# Other scripts of this folder, and the packages that they need.
SCRIPTS = {
    "several_tokens": [], "speculation": [], "busy": [], "evaluation": [], "training": ["torch", "transformers"],
}  # fmt: skip
NAMES = (*BENCHMARKS, *SCRIPTS)


def table(names: list[str]) -> None:
    heads = ["what", SIDES[0], *(f"{name} (ratio)" for name in SIDES[1:]), "ceiling (reached)"]
    print(f"\n| {' | '.join(heads)} |\n|---|" + "---:|" * (len(heads) - 1), flush=True)
    with tempfile.TemporaryDirectory() as temporary:
        for name in names:
            for row in BENCHMARKS[name](Path(temporary)):
                print(row, flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(NAMES)} (default: all)")
    names = parser.parse_args().names or NAMES
    if unknown := sorted(set(names) - set(NAMES)):
        parser.error(f"unknown: {', '.join(unknown)}; known are {', '.join(NAMES)}")
    if n_threads() == 1 and os.cpu_count() != 1 and "OPENBLAS_NUM_THREADS" not in os.environ:
        parser.error("the number of NumPy's threads is unknown: set OPENBLAS_NUM_THREADS=1, so that all sides use one")
    print(machine(), flush=True)
    if own := [name for name in names if name in BENCHMARKS]:
        table(own)
    for name in (name for name in names if name in SCRIPTS):
        print(f"\n## {name}\n", flush=True)
        if missing := [package for package in SCRIPTS[name] if not installed(package)]:
            print(f"left out: {', '.join(missing)} not installed")
        else:
            subprocess.run([sys.executable, Path(__file__).with_name(f"{name}.py")], check=True)


if __name__ == "__main__":
    main()
