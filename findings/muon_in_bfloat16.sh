#!/usr/bin/env bash
# torch.optim.Muon takes one step from zero with a random gradient, for parameters of float64 and of float32.
# Guess: it computes in the parameters' type, as AdamW does, and so the two steps agree to seven digits with the formula;
# and its momentum is what its documentation writes, the sum of mu times the old one and the gradient.
# Seen with PyTorch 2.13.0 (CPU): whatever the type, the step is orthogonalised in bfloat16, so that both are off by more
# than a percent. The momentum is a moving average, with the gradient taken 1 - mu times; only the optimizer's state shows
# that, since the orthogonalisation forgets the size.
# It matters here: a test of our Muon (training/optimizer.py) against PyTorch's to more than two digits would have to fail. Ours
# computes in the parameters' type, and is compared with PyTorch's own code after the conversion is taken out of it.
# It fails if a step agrees with the formula to better than one part in a thousand, or the momentum is the sum.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet torch==2.13.0 numpy
"$folder/venv/bin/python" - <<'PROGRAM'
import sys

import numpy as np
import torch

gradient = np.random.default_rng(0).standard_normal((64, 96))


def by_the_formula(x):
    """Five Newton-Schulz steps in float64, with the coefficients that PyTorch has by default."""
    a, b, c = 3.4445, -4.7750, 2.0315
    x = x / np.linalg.norm(x)
    for _ in range(5):
        square = x @ x.T
        x = a * x + (b * square + c * square @ square) @ x
    return x


print("PyTorch", torch.__version__)
errors, steps = [], {}
for dtype in (torch.float64, torch.float32):
    parameter = torch.nn.Parameter(torch.zeros(64, 96, dtype=dtype))
    optimizer = torch.optim.Muon([parameter], lr=1.0, weight_decay=0.0, adjust_lr_fn="match_rms_adamw")
    parameter.grad = torch.tensor(gradient, dtype=dtype)
    optimizer.step()
    steps[dtype] = -parameter.detach().double().numpy() / (0.2 * np.sqrt(96))
    errors.append(np.linalg.norm(steps[dtype] - by_the_formula(gradient)) / np.linalg.norm(steps[dtype]))
    print(f"{dtype}: the step differs from the formula by {errors[-1]:.2%}")
    momentum = optimizer.state[parameter]["momentum_buffer"].double().numpy()
    share = float(np.median(momentum / gradient))
    print(f"{dtype}: after the first step the momentum is {share:.3f} times the gradient")
between = np.abs(steps[torch.float64] - steps[torch.float32]).max()
print(f"between float64 and float32 the steps differ by at most {between:.1e}")
sys.exit("this has changed" if min(errors) < 1e-3 or abs(share - 0.05) > 1e-3 else 0)
PROGRAM
