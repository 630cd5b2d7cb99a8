"""Make attributions.json: what Captum finds for small random models, which transformers computes.

The models are those of `logits/`, read by transformers, in float64. Needs these packages:

    pip install torch==2.13.0 transformers==5.24.0 captum==0.9.0 matplotlib
    python make_attributions.py
"""

import json
from importlib.metadata import version
from pathlib import Path
from types import SimpleNamespace

import torch
from captum.attr import InputXGradient, IntegratedGradients
from transformers import AutoModelForCausalLM
from transformers.models.gpt_neo import modeling_gpt_neo

HERE = Path(__file__).parent
IDS = [5, 17, 3, 44, 60, 5, 9, 21, 33]
FOLDERS = ("odd-heads", "gelu-erf", "untied", "gpt-neo", "opt")
CASES = [
    {"target": 7},
    {"target": 7, "n_steps": 20, "baseline": "mean"},
    {"target": 7, "against": 40, "baseline": 12},
    {"target": 7, "quantity": "log_probability", "position": 5},
    {"target": 7, "method": "gradient_x_input"},
    {"target": 7, "against": 40, "method": "gradient_x_input"},
]

# GPT-Neo computes its scores in float32, whatever the model's dtype: what its module calls torch.float32 is float64.
modeling_gpt_neo.torch = SimpleNamespace(**vars(torch) | {"float32": torch.float64})


def explained(model, target, against=None, quantity="logit", position=-1):
    """The function of the embeddings whose value is explained."""

    def function(embedded):
        logits = model(inputs_embeds=embedded).logits[:, position]
        if quantity == "log_probability":
            logits = logits.log_softmax(dim=-1)
        return logits[:, target] - (0 if against is None else logits[:, against])

    return function


def scores(model, *, method="integrated_gradients", n_steps=64, baseline="zero", **what):
    table = model.get_input_embeddings().weight.detach()
    embedded = table[torch.tensor([IDS])]
    function = explained(model, **what)
    if method == "gradient_x_input":
        found = InputXGradient(function).attribute(embedded.requires_grad_())
    else:
        base = {"zero": torch.zeros_like(table[0]), "mean": table.mean(dim=0)}.get(baseline)
        base = (table[baseline] if base is None else base).expand_as(embedded)
        found = IntegratedGradients(function).attribute(embedded, base, n_steps=n_steps, method="gausslegendre")
    return found.sum(dim=-1)[0].tolist()


if __name__ == "__main__":
    made = []
    for folder in FOLDERS:
        model = AutoModelForCausalLM.from_pretrained(HERE / "logits" / folder, dtype=torch.float64).eval()
        made += [{"folder": folder, "options": case, "scores": scores(model, **case)} for case in CASES]
    packages = {name: version(name) for name in ("captum", "torch", "transformers")}
    text = json.dumps({"packages": packages, "ids": IDS, "attributions": made}, indent=1)
    (HERE / "attributions.json").write_text(text + "\n", encoding="utf-8")
