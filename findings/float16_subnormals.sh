#!/usr/bin/env bash
# NumPy converts arrays between float16 and float32: a million numbers of a usual size, and a million subnormal ones.
# Guess: a conversion moves bits, so its time does not depend on the numbers; or the processor's own instruction does it.
# Seen with NumPy 2.4.6 (wheel for Linux, x86-64): the numbers are converted one by one, in software. Subnormal numbers
# (below 6.1e-5) take about 5 times as long to float32, and 20 to 40 times as long to float16, where each of them also
# sets the processor's underflow flag.
# It matters here: how long a float16 checkpoint takes to load and to save depends on the size of its weights, and random
# ones of another size measure something else. Widening by integer operations on the bits takes the same time for all.
# It fails if subnormal numbers no longer take twice as long in both directions.
set -euo pipefail
[ "$(uname -m)" = x86_64 ] || { echo "skipped: seen on x86-64 only"; exit 0; }
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet numpy==2.4.6
"$folder/venv/bin/python" - <<'PROGRAM'
import sys
import time

import numpy as np


def seconds(numbers, dtype):
    times = []
    for _ in range(7):
        start = time.perf_counter()
        numbers.astype(dtype)
        times.append(time.perf_counter() - start)
    return min(times)


usual = np.random.default_rng(0).standard_normal(2**20, np.float32)
usual[np.abs(usual) < 1e-3] = 1
subnormal = usual * np.float32(2.0**-18)
print("NumPy", np.__version__)
ratios = []
for source, target in ((np.float16, np.float32), (np.float32, np.float16)):
    slow, fast = (seconds(numbers.astype(source), target) for numbers in (subnormal, usual))
    ratios.append(slow / fast)
    print(f"{source.__name__} to {target.__name__}: usual {fast * 1e3:.1f} ms, subnormal {slow * 1e3:.1f} ms, "
          f"{ratios[-1]:.0f} times as long")
sys.exit("this has changed" if min(ratios) < 2 else 0)
PROGRAM
