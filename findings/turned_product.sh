#!/usr/bin/env bash
# NumPy multiplies 16 vectors with 24 matrices of 3,072 x 768 numbers that lie by columns (Fortran's order): as vectors @
# matrix, and turned round, as (matrix.T @ vectors.T).T. One thread.
# Guess: both are the same work, and NumPy, which gives BLAS the order of each array, hands it the same product.
# Seen with NumPy 2.4.6 (wheel for Linux, x86-64: OpenBLAS 0.3.31), where OpenBLAS uses its functions for AVX-512: turned
# round, it takes two thirds of the time, or less. The matrix is then BLAS's second factor and not its first, and OpenBLAS
# copies it in another way. For a matrix by rows, the way round makes no such difference.
# It matters here: model/products/ turns the product of up to 128 tokens with a matrix that lies by columns.
# It fails if the plain product does not take a fifth longer.
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
matrices = [np.asfortranarray(rng.standard_normal((3072, 768), np.float32)) for _ in range(24)]
vectors = rng.standard_normal((16, 3072), np.float32)
WAYS = {
    "vectors @ matrix": lambda matrix: vectors @ matrix,
    "(matrix.T @ vectors.T).T": lambda matrix: (matrix.T @ vectors.T).T,
}
plain, turned = (way(matrices[0]) for way in WAYS.values())
np.testing.assert_allclose(turned, plain, atol=1e-3)
times = {name: [] for name in WAYS}
for _ in range(9):  # in turns
    for name, way in WAYS.items():
        start = time.perf_counter()
        for matrix in matrices:
            way(matrix)
        times[name].append((time.perf_counter() - start) * 1e3 / len(matrices))
print("NumPy", np.__version__)
for name, taken in times.items():
    print(f"{name}: {np.median(taken):.2f} ms")
plain, turned = (np.median(taken) for taken in times.values())
print(f"the plain product takes {plain / turned:.1f} times as long")
sys.exit("this has changed" if plain < 1.2 * turned else 0)
PROGRAM
