#!/usr/bin/env bash
# transformers' top-p among tokens that are equally likely, as they are by the dozen in logits that bfloat16 computed.
# Guess: which tokens top-p keeps depends on the logits alone. Of equal ones at the edge of the nucleus those with the lower
# (or the higher) ids stay; and a vocabulary that is padded, with logits of minus infinity for the ids that no token has,
# keeps the same ones.
# Seen with transformers 5.24.0 and torch 2.13.0: the logits are sorted by a sort that may turn equal ones round, and how
# it does depends on how many there are: of 16 equal logits top-p 0.25 keeps the last four, of 20 the second to the sixth.
# GPT-2's 50,257 logits, rounded to bfloat16, padded to 50,304 as in many trained models, nearly always keep other tokens
# than without the padding, so the same seed writes another text; float32's have no ties, and keep the same.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet "torch==2.13.0" "transformers==5.24.0" "numpy==2.4.6"
cat > "$folder/ties.py" <<'PROGRAM'
import sys

import numpy as np
import torch
import transformers
from transformers import TopPLogitsWarper

N_VOCAB, N_PADDED, N_TRIALS = 50257, 50304, 40
print("transformers", transformers.__version__, "torch", torch.__version__)


def kept(logits, p):
    """The ids that top-p leaves, as they come out of `generate`: the logits are in float32 by then."""
    return TopPLogitsWarper(p)(None, logits.float()[None])[0].isfinite().nonzero().ravel().tolist()


for n in (16, 20):
    print(f"of {n} equal logits: {kept(torch.zeros(n), 0.25)}")
rng = np.random.default_rng(0)
n_others = {}
for dtype in (torch.float32, torch.float16, torch.bfloat16):
    n_others[dtype] = 0
    for _ in range(N_TRIALS):
        logits = torch.tensor(rng.normal(0, 3, N_VOCAB), dtype=dtype)
        padding = torch.full((N_PADDED - N_VOCAB,), -torch.inf, dtype=dtype)
        n_others[dtype] += kept(logits, 0.9) != kept(torch.cat([logits, padding]), 0.9)
    print(f"{dtype}: with padding, other tokens are kept in {n_others[dtype]} of {N_TRIALS} cases")
if kept(torch.zeros(16), 0.25) != [12, 13, 14, 15] or kept(torch.zeros(20), 0.25) != [1, 2, 3, 4, 5]:
    sys.exit("expected other ones of the equal logits")
if n_others[torch.float32] or min(n_others[torch.float16], n_others[torch.bfloat16]) < N_TRIALS / 2:
    sys.exit("expected padding to change what is kept in 16 bits, and not in 32")
PROGRAM
"$folder/venv/bin/python" "$folder/ties.py"
