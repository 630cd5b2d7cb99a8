#!/usr/bin/env bash
# A matrix product of NumPy on one thread of its BLAS, and on two.
# Guess: the numbers are the same, since each entry of the result is computed by one thread; or, for who has heard of
# rounding, they differ on every machine that has two cores.
# Seen with NumPy 2.4.6 (OpenBLAS) on Linux, x86-64: it depends on the kernel that OpenBLAS chooses for the processor. With
# those of SkylakeX (AVX-512) every product tried was the same to the last bit, with Haswell's (AVX2) one of four was.
# It needs a processor with AVX-512, on which both kernels run, and two cores.
set -euo pipefail
grep -q avx512f /proc/cpuinfo || { echo "skipped: this processor has no AVX-512"; exit 0; }
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet numpy==2.4.6 threadpoolctl==3.6.0
cat > "$folder/products.py" <<'PROGRAM'
import numpy as np
from threadpoolctl import threadpool_limits

rng = np.random.default_rng(0)
same = 0
SHAPES = [(512, 128, 512), (1024, 384, 1536), (1536, 1024, 384), (256, 2048, 256)]
for m, k, n in SHAPES:
    a, b = rng.standard_normal((m, k), np.float32), rng.standard_normal((k, n), np.float32)
    found = []
    for n_threads in (1, 2):
        with threadpool_limits(n_threads):
            found.append((a @ b).tobytes())
    same += found[0] == found[1]
print(f"{same} of {len(SHAPES)}")
PROGRAM
"$folder/venv/bin/python" -c 'import numpy; print("NumPy", numpy.__version__)'
for kernel in SkylakeX Haswell; do
    found=$(OPENBLAS_CORETYPE=$kernel OPENBLAS_NUM_THREADS=2 "$folder/venv/bin/python" "$folder/products.py")
    echo "$kernel: $found products are the same on one thread and on two"
    expected=$([ $kernel = SkylakeX ] && echo "4 of 4" || echo "1 of 4")
    [ "$found" = "$expected" ] || { echo "this has changed: it was $expected"; exit 1; }
done
