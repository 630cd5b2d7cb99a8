#!/usr/bin/env bash
# NumPy multiplies four vectors with the columns of a matrix of 768 x 3,072 numbers that lies by columns (Fortran's order),
# 296 columns at a time and, in turns, 304. One thread.
# Guess: a column takes as long in both; 304, a multiple of 16, may be a little faster.
# Seen with NumPy 2.4.6 (wheel for Linux, x86-64: OpenBLAS 0.3.31), where OpenBLAS uses its functions for AVX-512: with 304,
# a column takes twice as long, or more. Both are products of less than a million multiplications, for which OpenBLAS
# makes no copy of the matrix, but 4 * 304 are more than 1,200 results: for a matrix that lies by columns it then makes
# one all the same (sgemm_small_kernel_permit_skylakex.c). A matrix by rows has no such limit.
# It matters here: model/products/ cuts the matrices that a few tokens are multiplied with. Pieces that were small enough by
# their multiplications alone had lost all that they could gain.
# It fails if a column among 304 does not take half again as long.
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

rng = np.random.default_rng(0)
matrices = [np.asfortranarray(rng.standard_normal((768, 3072), np.float32)) for _ in range(24)]
vectors = rng.standard_normal((4, 768), np.float32)


def microseconds_of_a_column(width):
    count, start = 0, time.perf_counter()
    for matrix in matrices:
        for column in range(0, 3072 - width, width):
            vectors @ matrix[:, column : column + width]
            count += width
    return (time.perf_counter() - start) * 1e6 / count


times = {296: [], 304: []}
for _ in range(9):  # in turns
    for width, taken in times.items():
        taken.append(microseconds_of_a_column(width))
print("NumPy", np.__version__)
for width, taken in times.items():
    print(f"{width} columns, {4 * width} results: {np.median(taken):.3f} us a column")
ratio = np.median(times[304]) / np.median(times[296])
print(f"among 304, a column takes {ratio:.1f} times as long")
sys.exit("this has changed" if ratio < 1.5 else 0)
PROGRAM
