"""Measure a model that is kept in 16 bits beside the same one in float32: memory, loading, decoding, scoring.

    python benchmarks/kept.py                        # GPT-2's largest shape: ten minutes, 7 GB of disk
    python benchmarks/kept.py cerebras-gpt-6.7b      # 27 GB of disk; float32 is left out where it does not fit

Needs nothing but the library; with the extra `mpi`, two ranks of one thread are measured, too, which need not take
turns in Python. The weights are random, in float16 and in bfloat16, stored as Hugging Face's GPT-2 stores them. Each
measurement is a process of its own, and they take turns; the medians are reported. The ceiling is the speed of decoding
if all weights were widened and multiplied in the processor's cache, on all threads.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from measuring import installed, machine, seconds

import gptcompare as gc
from gptcompare.checkpoints.families.gpt2 import config_to_hf
from gptcompare.checkpoints.folder import write_end_ids
from gptcompare.model.threads import n_threads, products_on_one_thread
from gptcompare.parameters import parameter_shapes
from gptcompare.sixteen_bits import SIXTEEN_BITS, copy_into, widen_finite

MPIEXEC = shutil.which("mpiexec", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
N_RANKS = 2
BLOCK = 2**22  # random numbers, which are repeated: speed does not depend on them
N_READ, N_WRITTEN, N_SCORED = 16, 12, 512
FIELDS = {"load, s": 1, "peak, GB": 2, "decode, tokens/s": 2, f"score {N_SCORED} tokens, s": 2}
PROGRAM = f"""
import json, sys, time
import numpy as np
import gptcompare as gc

comm = None
if "mpi" in sys.argv:
    from mpi4py import MPI
    comm = MPI.COMM_WORLD
start = time.perf_counter()
model = gc.GPT.from_pretrained(sys.argv[1], keep=sys.argv[2] or None, parallel=comm)
loaded = time.perf_counter() - start
rng = np.random.default_rng(0)
cache = model.new_cache(capacity={N_READ + N_WRITTEN + 1})
model(rng.integers(model.config.n_vocab, size={N_READ}), cache, last_only=True)
times = []
for id_ in rng.integers(model.config.n_vocab, size={N_WRITTEN}):
    start = time.perf_counter()
    model([id_], cache, last_only=True)
    times.append(time.perf_counter() - start)
peak = int(next(line for line in open("/proc/self/status") if line.startswith("VmHWM")).split()[1]) * 1024 / 1e9
ids = rng.integers(model.config.n_vocab, size={N_SCORED})
start = time.perf_counter()
model(ids)
if comm is None or comm.Get_rank() == 0:
    print(json.dumps([loaded, peak, 1 / float(np.median(times)), time.perf_counter() - start]))
"""


class Side(NamedTuple):
    """What is measured: a checkpoint, how its weights are kept, and the ranks that share it."""

    folder: Path
    keep: str
    n_ranks: int = 1


def write_model(config: gc.GPTConfig, dtype: str, folder: Path) -> None:
    """Write a checkpoint of random weights, tensor by tensor: it may be larger than memory."""
    numbers = np.empty(BLOCK, SIXTEEN_BITS[dtype])
    copy_into(numbers, 0.02 * np.random.default_rng(0).standard_normal(BLOCK, np.float32))
    block = numbers.tobytes()
    header: dict[str, Any] = {}
    end = 0
    for name, shape in parameter_shapes(config).items():
        begin, end = end, end + 2 * math.prod(shape)
        kind = {"float16": "F16", "bfloat16": "BF16"}[dtype]
        header[f"transformer.{name}"] = {"dtype": kind, "shape": shape, "data_offsets": [begin, end]}
    encoded = json.dumps(header).encode()
    encoded += b" " * (-len(encoded) % 8)
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(config_to_hf(config)), encoding="utf-8")
    write_end_ids(folder, [])
    with open(folder / "model.safetensors", "wb") as file:
        file.write(len(encoded).to_bytes(8, "little") + encoded)
        for start in range(0, end, len(block)):
            file.write(block[: end - start])


def ceiling(config: gc.GPTConfig, dtype: str) -> float:
    """Return the tokens per second of widening and multiplying all weights in the processor's cache."""
    rows, columns = 64, 1024
    kept = np.zeros((rows, columns), SIXTEEN_BITS[dtype])
    wide, vector = np.empty((rows, columns), np.float32), np.ones((1, columns), np.float32)

    def once() -> None:
        for _ in range(100):
            widen_finite(kept, wide)
            np.matmul(vector, wide.T)

    with products_on_one_thread():
        taken = min(seconds(once) for _ in range(5)) / 100 / kept.size
    return n_threads() / (taken * config.n_params)


def measure(side: Side) -> list[float]:
    """Return the fields of a side, of its first rank if there are several."""
    command, environment = [sys.executable, "-c", PROGRAM, str(side.folder), side.keep], dict(os.environ)
    if side.n_ranks > 1:
        command = [str(MPIEXEC), "-n", str(side.n_ranks), *command, "mpi"]
        environment["OPENBLAS_NUM_THREADS"] = "1"
    found = subprocess.run(command, check=True, capture_output=True, text=True, env=environment).stdout
    return list(json.loads(found))


def table(sides: dict[str, Side], ceilings: dict[str, float], repetitions: int) -> None:
    measured: dict[str, list[list[float]]] = {name: [] for name in sides}
    for _ in range(repetitions):
        for name, side in sides.items():
            measured[name].append(measure(side))
    print("| | " + " | ".join(FIELDS) + " | ceiling of decoding (reached) |\n|---|" + "---:|" * (len(FIELDS) + 1))
    for name, runs in measured.items():
        medians = [statistics.median(values) for values in zip(*runs, strict=True)]
        cells = [f"{value:.{digits}f}" for value, digits in zip(medians, FIELDS.values(), strict=True)]
        most = ceilings.get(name)
        cells.append(f"{most:.2f} ({medians[2] / most:.0%})" if most else "")
        print(f"| {name} | {' | '.join(cells)} |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", nargs="?", default="gpt2-xl", help="a name of GPT-2's or Cerebras-GPT's family")
    parser.add_argument("--folder", help="where the checkpoints are written (default: a temporary folder)")
    parser.add_argument("--repetitions", type=int, default=3)
    options = parser.parse_args()
    config = gc.GPTConfig.preset(options.model)
    in_float32 = 4 * config.n_params / 1e9
    print(machine(), end="\n\n")
    print(f"{options.model}: {in_float32:.2f} GB of parameters in float32, {in_float32 / 2:.2f} in 16 bits", end="\n\n")
    with tempfile.TemporaryDirectory(dir=options.folder) as temporary:
        folders = {dtype: Path(temporary) / dtype for dtype in SIXTEEN_BITS}
        for dtype, folder in folders.items():
            write_model(config, dtype, folder)
        sides = {f"kept in {dtype}": Side(folder, "as stored") for dtype, folder in folders.items()}
        if MPIEXEC and installed("mpi4py"):
            sides |= {f"{name}, {N_RANKS} ranks": side._replace(n_ranks=N_RANKS) for name, side in sides.items()}
        try:
            gc.checkpoints.room.check_room(config, options.model, np.float32, None)
            sides = {"float32": Side(folders["bfloat16"], ""), **sides}
        except MemoryError as error:
            print(f"float32 is left out: {error}", end="\n\n", file=sys.stderr)
        table(sides, {f"kept in {dtype}": ceiling(config, dtype) for dtype in SIXTEEN_BITS}, options.repetitions)


if __name__ == "__main__":
    main()
