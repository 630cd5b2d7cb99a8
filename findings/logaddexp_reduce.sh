#!/usr/bin/env bash
# The logarithm of the sum of exponentials of float32 logits: NumPy's logaddexp.reduce, and the textbook's formula, which takes
# the largest out, sums the exponentials and takes the logarithm.
# Guess: logaddexp is made for such sums and loses nothing that float32 can hold; its reduce is at least as exact as the formula.
# Seen with NumPy 2.4.6: it adds one logit after the other, and rounds the logarithm of the sum so far to float32 each time.
# The error grows with their number: about 3e-5 for 8,192 logits, 4e-4 for GPT-2's 50,257, 4e-3 for 200,000, where the formula
# stays below 1e-6 (its sum is pairwise). In float64 both agree.
# It matters here: notebooks and tests turn logits into log-probabilities by hand. With a vocabulary of 4,096 tokens nobody
# saw it; with 8,192 a comparison to 1e-4 failed, and the library, which uses the formula, was right.
# It fails if the error of 50,257 logits is not 50 times the formula's, or does not grow with their number.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet numpy==2.4.6
"$folder/venv/bin/python" - <<'PROGRAM'
import sys

import numpy as np

rng = np.random.default_rng(0)
print(f"NumPy {np.__version__}\nlogits   logaddexp.reduce  formula")
worst = []
for n in (8_192, 50_257, 200_000):
    errors = []
    for _ in range(20):
        logits = rng.normal(scale=2, size=n).astype(np.float32)
        exact = np.logaddexp.reduce(logits.astype(np.float64))
        formula = logits.max() + np.log(np.exp(logits - logits.max()).sum())
        errors.append((abs(np.logaddexp.reduce(logits) - exact), abs(formula - exact)))
    worst.append(np.max(errors, axis=0))
    print(f"{n:7,}  {worst[-1][0]:16.1e}  {worst[-1][1]:7.1e}")
by_reduce, by_formula = np.transpose(worst)
if not (by_reduce[1] > 50 * by_formula[1] and by_reduce[0] < by_reduce[1] < by_reduce[2]):
    sys.exit("changed: logaddexp.reduce no longer loses digits with the number of logits")
PROGRAM
