"""Measure gptcompare beside its peers, in one run on one machine.

    python benchmarks/run.py                 # everything
    python benchmarks/run.py decode encode   # some of it

Needs the `benchmark` extra. The models have GPT-2's 124M shape and random weights: speed does not depend on their
values, and nothing has to be downloaded. The sides take turns, so that a machine that slows down slows both, and the
middle of the repetitions is reported. The number of threads is whatever the libraries choose; OMP_NUM_THREADS and
OPENBLAS_NUM_THREADS set it for both.
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

import gptcompare as gc

REPETITIONS = 7
PROMPT_TOKENS, NEW_TOKENS = 32, 64
TEXT = Path(__file__).parents[1] / "tests" / "data" / "alice.txt"

FIRST_TOKEN = {
    "gptcompare": (
        "import sys, gptcompare as gc\n"
        "lm = gc.load(sys.argv[1])\n"
        "print(next(lm.stream('The quick brown fox', max_new_tokens=1), ''))"
    ),
    "transformers": (
        "import sys\n"
        "from transformers import GPT2LMHeadModel, GPT2TokenizerFast\n"
        "model = GPT2LMHeadModel.from_pretrained(sys.argv[1])\n"
        "tokenizer = GPT2TokenizerFast.from_pretrained(sys.argv[1])\n"
        "ids = tokenizer('The quick brown fox', return_tensors='pt')\n"
        "print(tokenizer.decode(model.generate(**ids, max_new_tokens=1, do_sample=False, pad_token_id=0)[0, -1]))"
    ),
}


def take_turns(sides: dict[str, Callable[[], float]], repetitions: int = REPETITIONS) -> dict[str, float]:
    """Side -> the middle of its results over the repetitions; one more of each, for warming up, is not counted."""
    results: dict[str, list[float]] = {name: [] for name in sides}
    for repetition in range(repetitions + 1):
        for name, measure in sides.items():
            value = measure()
            if repetition:
                results[name].append(value)
    return {name: statistics.median(values) for name, values in results.items()}


def seconds(call: Callable[[], object]) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def decode(folder: Path) -> list[tuple[str, dict[str, float]]]:
    """Tokens per second of greedy decoding with a key/value cache, and of scoring a text (all logits)."""
    import torch
    from transformers import GPT2LMHeadModel

    ours = gc.GPT.from_pretrained(folder)
    theirs = GPT2LMHeadModel.from_pretrained(folder, dtype=torch.float32).eval()
    ids = np.random.default_rng(0).integers(50257, size=PROMPT_TOKENS)

    def our_decode() -> float:
        cache = ours.new_cache()
        logits = ours(ids, cache, last_only=True)
        start = time.perf_counter()
        for _ in range(NEW_TOKENS):
            logits = ours([int(logits.argmax())], cache, last_only=True)
        return NEW_TOKENS / (time.perf_counter() - start)

    @torch.inference_mode()
    def their_decode() -> float:
        out = theirs(torch.tensor(ids[None]), use_cache=True, logits_to_keep=1)
        start = time.perf_counter()
        for _ in range(NEW_TOKENS):
            chosen = out.logits[:, -1].argmax(-1, keepdim=True)
            out = theirs(chosen, past_key_values=out.past_key_values, use_cache=True)
        return NEW_TOKENS / (time.perf_counter() - start)

    rows = [("decode, tokens/s", take_turns({"gptcompare": our_decode, "transformers": their_decode}))]
    for n in (128, 1024):
        text = np.random.default_rng(0).integers(50257, size=n)

        @torch.inference_mode()
        def their_scoring(text: np.ndarray = text) -> float:
            return len(text) / seconds(lambda: theirs(torch.tensor(text[None]), use_cache=False))

        def our_scoring(text: np.ndarray = text) -> float:
            return len(text) / seconds(lambda: ours(text))

        rows.append((f"all logits of {n} tokens, tokens/s", take_turns(
            {"gptcompare": our_scoring, "transformers": their_scoring}
        )))  # fmt: skip
    return rows


def cold_start(folder: Path) -> list[tuple[str, dict[str, float]]]:
    """Seconds from the start of the process to its end after one token."""

    def process(program: str) -> float:
        command = [sys.executable, "-c", program, str(folder)]
        environment = {**os.environ, "HF_HUB_OFFLINE": "1"}
        return seconds(lambda: subprocess.run(command, check=True, capture_output=True, env=environment))

    sides = {name: lambda program=program: process(program) for name, program in FIRST_TOKEN.items()}
    return [("start to first token, s", take_turns(sides))]


def encode(folder: Path) -> list[tuple[str, dict[str, float]]]:
    """Megabytes of English text per second; each time a new tokenizer, which has seen no word yet."""
    from tokenizers import ByteLevelBPETokenizer

    text = TEXT.read_text(encoding="utf-8")  # short, so new words are frequent: a longer text is faster
    n_bytes = len(text.encode())

    def ours() -> float:
        tokenizer = gc.Tokenizer.from_pretrained(folder)
        return n_bytes / seconds(lambda: tokenizer.encode(text)) / 1e6

    def theirs() -> float:
        tokenizer = ByteLevelBPETokenizer(str(folder / "vocab.json"), str(folder / "merges.txt"))
        return n_bytes / seconds(lambda: tokenizer.encode(text)) / 1e6

    return [("encode, MB/s", take_turns({"gptcompare": ours, "tokenizers": theirs}))]


BENCHMARKS = {"decode": decode, "cold-start": cold_start, "encode": encode}


def machine() -> str:
    model = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        model = next((line.split(": ")[1] for line in cpuinfo.read_text().splitlines() if "model name" in line), model)
    return f"{model}, {os.cpu_count()} cores, Python {platform.python_version()}, NumPy {np.__version__}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(BENCHMARKS)} (default: all)")
    names = parser.parse_args().names or list(BENCHMARKS)
    if unknown := sorted(set(names) - set(BENCHMARKS)):
        parser.error(f"unknown: {', '.join(unknown)}; known are {', '.join(BENCHMARKS)}")
    print(machine(), end="\n\n")
    print("| what | gptcompare | peer | ratio |\n|---|---|---|---|")
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        gc.GPT(gc.GPTConfig.preset("gpt2")).save_pretrained(folder)
        gc.Tokenizer.from_pretrained("gpt2").save_pretrained(folder)
        for name in names:
            for title, values in BENCHMARKS[name](folder):
                (_, mine), (peer, other) = values.items()
                ratio = other / mine if title.endswith(" s") else mine / other  # always: how many times better
                print(f"| {title} | {mine:.2f} | {other:.2f} ({peer}) | {ratio:.2f} |", flush=True)


if __name__ == "__main__":
    main()
