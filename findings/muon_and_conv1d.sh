#!/usr/bin/env bash
# The same linear map from 64 numbers to 256, with the same gradient, as a torch.nn.Linear and as the Conv1D of which
# transformers builds GPT-2; torch.optim.Muon takes one step with each.
# Guess: the two hold the same numbers, one transposed, and so the steps are each other's transpose.
# Seen with PyTorch 2.13.0 and transformers 5.24.0 (CPU): the step of the Linear is twice as long. By default Muon
# multiplies a step by sqrt(max(1, rows / columns)) of the parameter, meant as sqrt(outputs / inputs); a Conv1D keeps its
# matrix as (inputs, outputs). So of GPT-2's blocks the products into attention and MLP step sqrt(3) and 2 times too short,
# and the product out of the MLP 2 times too long. With adjust_lr_fn="match_rms_adamw" only the longer side counts, and the
# steps are the same.
# It matters here: our matrices lie as Conv1D's do. Our Muon (training/optimizer.py) has the rule with the longer side, and
# whoever compares its training with that of a GPT-2 from transformers has to choose this rule there.
# It fails if the default steps are equally long, or those with the other rule are not.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet torch==2.13.0
"$folder/venv/bin/pip" install --quiet transformers==5.24.0
"$folder/venv/bin/python" - <<'PROGRAM'
import sys

import torch
import transformers
from transformers.pytorch_utils import Conv1D

print("PyTorch", torch.__version__, "transformers", transformers.__version__)
torch.manual_seed(0)
conv1d, linear = Conv1D(256, 64), torch.nn.Linear(64, 256, bias=False)
linear.weight.data = conv1d.weight.detach().T.clone()
vectors, gradient = torch.randn(5, 64), torch.randn(64, 256)
if not torch.allclose(linear(vectors), conv1d(vectors), atol=1e-5):
    sys.exit("the two layers do not compute the same")

ratios = {}
for rule in ("original", "match_rms_adamw"):
    lengths = []
    for weight, of_weight in ((linear.weight, gradient.T), (conv1d.weight, gradient)):
        before = weight.detach().clone()
        weight.grad = of_weight.clone()
        torch.optim.Muon([weight], lr=0.1, weight_decay=0.0, adjust_lr_fn=rule).step()
        lengths.append(float((weight.detach() - before).norm()))
    ratios[rule] = lengths[0] / lengths[1]
    print(f"{rule}: the step of the Linear is {ratios[rule]:.4f} times as long as that of the Conv1D")
default = torch.optim.Muon([linear.weight]).defaults["adjust_lr_fn"]
print("the default rule:", default)
same = abs(ratios["original"] - 2) < 1e-3 and abs(ratios["match_rms_adamw"] - 1) < 1e-3
sys.exit(0 if same and default in (None, "original") else "this has changed")
PROGRAM
