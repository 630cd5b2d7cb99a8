#!/usr/bin/env bash
# NumPy multiplies a vector with a matrix of 512 rows (float32, one thread): with the whole matrix, and with some columns at a
# time, whose results are put together. Every result is a sum over one column, and no other column has a part in it.
# Guess: so it has the same bits, however many columns are multiplied at once.
# Seen with NumPy 2.4.6 (wheel for Linux, x86-64: OpenBLAS 0.3.31), with its kernels for AVX2 as for AVX-512: it has in
# matrices of 1,008 and of 8,192 columns, cut after 64 or 640; of a matrix of 1,001 or 1,005 columns, 7 to 19 results differ
# in the last bit, not only at its end. OpenBLAS works on blocks of 4,096 columns (NBMAX in
# its kernel/x86_64/sgemv_n_4.c): of 8,191 columns some differ beyond the first 4,096, and cut there, none.
# It matters here: weights that are kept in 16 bits are widened and multiplied some columns at a time, and must give the
# bits of the whole product: model/products/ cuts them where that is so.
# It fails if a matrix of 1,008 columns gives other bits, if one of 1,001 or of 8,191 does not, or if that is not mended by
# cutting after 4,096.
set -euo pipefail
[ "$(uname -m)" = x86_64 ] || { echo "skipped: seen on x86-64 only"; exit 0; }
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet numpy==2.4.6
cat > "$folder/program.py" <<'PROGRAM'
import sys

import numpy as np

rng = np.random.default_rng(0)


def n_different(n_columns, step):
    matrix, vector = rng.standard_normal((512, n_columns), np.float32), rng.standard_normal((1, 512), np.float32)
    whole = vector @ matrix
    parts = [vector @ matrix[:, start : start + step].copy() for start in range(0, n_columns, step)]
    return int((np.concatenate(parts, axis=1) != whole).sum())


seen = {(n, step): n_different(n, step) for n in (1001, 1005, 1008, 8191, 8192) for step in (64, 640, 4096)}
print("NumPy", np.__version__)
for (n, step), different in seen.items():
    print(f"{n} columns, {step} at a time: {different} of {n} results differ")
as_seen = all(
    bool(different) == (n in (1001, 1005, 8191) and step != 4096) for (n, step), different in seen.items()
)
sys.exit(not as_seen)
PROGRAM
for kernels in Haswell ""; do
    echo "kernels: ${kernels:-those of this processor}"
    env -u OPENBLAS_CORETYPE -u OPENBLAS_L2_SIZE OPENBLAS_NUM_THREADS=1 ${kernels:+OPENBLAS_CORETYPE=$kernels} \
        "$folder/venv/bin/python" "$folder/program.py" || { echo "this has changed"; exit 1; }
done
