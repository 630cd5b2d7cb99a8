#!/usr/bin/env bash
# NumPy multiplies four vectors with 64 matrices of 768 x 3,072 numbers, which no cache holds: each product as a whole, and
# with one piece of 80 rows after another, whose results are added. One thread.
# Guess: the whole product is the fastest that there is, and cutting it can only cost time.
# Seen with NumPy 2.4.6 (wheel for Linux, x86-64: OpenBLAS 0.3.31), where OpenBLAS uses its functions for AVX-512 (it calls
# them SkylakeX or Cooperlake): the pieces take half of the time, or less. A product of at most a million multiplications
# is computed without the copy of the matrix that OpenBLAS makes for larger ones. Its functions for AVX2
# (OPENBLAS_CORETYPE=Haswell) have no such case.
# It matters here: drafts, batches and answers read a few tokens at a time; model/products/ cuts their products, for
# the processors where that helps.
# It fails if the pieces are not at least a third faster than the whole.
set -euo pipefail
[ "$(uname -m)" = x86_64 ] || { echo "skipped: seen on x86-64 only"; exit 0; }
grep -q avx512vl /proc/cpuinfo || { echo "skipped: this processor has no AVX-512"; exit 0; }
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet numpy==2.4.6
env -u OPENBLAS_CORETYPE -u OPENBLAS_L2_SIZE OPENBLAS_NUM_THREADS=1 "$folder/venv/bin/python" - <<'PROGRAM'
import sys
import time

import numpy as np

ROWS = 80  # 4 * 80 * 3072 multiplications are less than a million

rng = np.random.default_rng(0)
matrices = [rng.standard_normal((768, 3072), np.float32) for _ in range(64)]


def whole(vectors, matrix):
    return vectors @ matrix


def in_pieces(vectors, matrix):
    total = vectors[:, :ROWS] @ matrix[:ROWS]
    for row in range(ROWS, 768, ROWS):
        total += vectors[:, row : row + ROWS] @ matrix[row : row + ROWS]
    return total


def milliseconds(product, vectors):
    start = time.perf_counter()
    for matrix in matrices:
        product(vectors, matrix)
    return (time.perf_counter() - start) * 1e3 / len(matrices)


vectors = rng.standard_normal((4, 768), np.float32)
np.testing.assert_allclose(in_pieces(vectors, matrices[0]), whole(vectors, matrices[0]), atol=1e-3)
times = {"one vector": [], "four, whole": [], "four, in pieces": []}
for _ in range(9):  # in turns
    times["one vector"].append(milliseconds(whole, vectors[0]))
    times["four, whole"].append(milliseconds(whole, vectors))
    times["four, in pieces"].append(milliseconds(in_pieces, vectors))
print("NumPy", np.__version__)
for name, taken in times.items():
    print(f"{name}: {np.median(taken):.2f} ms")
ratio = np.median(times["four, whole"]) / np.median(times["four, in pieces"])
print(f"the whole product takes {ratio:.1f} times as long as the pieces")
sys.exit("this has changed" if ratio < 1.5 else 0)
PROGRAM
