"""Make `gptcompare/verification/data/nano.json`: what transformers computes of the embedded pair, in float64.

To be run when the pair has changed. nano-gpt2 is read by transformers' GPT2LMHeadModel; nano-gpt3, whose layers are
banded and dense in turn, by GPTNeoForCausalLM, whose attention is the same but for two things that are set right here:
it has no biases in the queries, keys and values, and does not divide the scores by the root of a head's width. Needs
the `reference` extra:

    python tests/data/make_nano_records.py
"""

import json
import math
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import torch
from transformers import GPT2LMHeadModel, GPT2TokenizerFast, GPTNeoConfig, GPTNeoForCausalLM
from transformers.models.gpt_neo import modeling_gpt_neo

TESTS = Path(__file__).parents[1]
sys.path[:0] = [str(TESTS), str(TESTS.parent)]

from safetensors.numpy import load_file  # noqa: E402
from support.reference_records import of_model  # noqa: E402

OUT = TESTS.parent / "gptcompare" / "verification" / "data" / "nano.json"
WEIGHTS = TESTS.parent / "weights"
TEXTS = [
    "Once upon a time there was a king who had three daughters, and the youngest was so beautiful that the sun itself, "
    "who had seen so many things, was astonished whenever it shone in her face. Near the king's castle lay a great "
    "dark forest, and in the forest, under an old lime-tree, was a well.",
    '"Where are you going?" asked the fox. "To the market," said the little girl.',
    "The rabbit ran down the hill and into the garden.",
]
ABOUT = [
    "Outputs of the embedded pair that transformers and PyTorch computed in float64: tests/data/make_nano_records.py "
    "made them, and is to be run when the pair has changed. The tolerances are the public records'.",
]

# GPT-Neo computes its scores in float32, whatever the model's dtype: what its module calls torch.float32 is float64.
modeling_gpt_neo.torch = SimpleNamespace(**vars(torch) | {"float32": torch.float64})


class Queries(torch.nn.Linear):
    """Queries that are divided by the root of a head's width, since GPT-Neo does not divide the scores by it."""

    d_head = 0

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return super().forward(x) / math.sqrt(self.d_head)


def gpt_neo_with_biases(folder: Path) -> GPTNeoForCausalLM:
    """Put the parameters of a folder of ours into a GPT-Neo."""
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    stored = load_file(folder / "model.safetensors").items()
    p = {name.removeprefix("transformer."): torch.tensor(value.astype(np.float64)) for name, value in stored}
    kinds = [{"dense": "global", "banded": "local"}[kind] for kind in config["attention"]]
    model = GPTNeoForCausalLM(
        GPTNeoConfig(
            vocab_size=config["n_vocab"], max_position_embeddings=config["n_ctx"],
            hidden_size=config["d_model"], num_layers=config["n_layer"], num_heads=config["n_head"],
            attention_types=[[kinds, config["n_layer"] // len(kinds)]], window_size=config["band_width"],
            layer_norm_epsilon=config["layer_norm_eps"], attention_dropout=0.0, embed_dropout=0.0,
            resid_dropout=0.0, bos_token_id=None, eos_token_id=None,
        )
    ).double()  # fmt: skip
    width = config["d_model"]
    state = {"transformer.wte.weight": p["wte.weight"], "transformer.wpe.weight": p["wpe.weight"]}
    state |= {f"transformer.ln_f.{kind}": p[f"ln_f.{kind}"] for kind in ("weight", "bias")}
    for layer, block in enumerate(model.transformer.h):
        ours, theirs = f"h.{layer}.", f"transformer.h.{layer}."
        for columns, name in enumerate("qkv"):
            part = slice(columns * width, (columns + 1) * width)
            kind = Queries if name == "q" else torch.nn.Linear
            setattr(block.attn.attention, f"{name}_proj", kind(width, width, dtype=torch.float64))
            state[f"{theirs}attn.attention.{name}_proj.weight"] = p[f"{ours}attn.c_attn.weight"][:, part].T
            state[f"{theirs}attn.attention.{name}_proj.bias"] = p[f"{ours}attn.c_attn.bias"][part]
        block.attn.attention.q_proj.d_head = config["d_head"]
        matrices = {"attn.attention.out_proj": "attn.c_proj", "mlp.c_fc": "mlp.c_fc", "mlp.c_proj": "mlp.c_proj"}
        for there, here in matrices.items():
            state[f"{theirs}{there}.weight"] = p[f"{ours}{here}.weight"].T
            state[f"{theirs}{there}.bias"] = p[f"{ours}{here}.bias"]
        state |= {f"{theirs}{norm}.{kind}": p[f"{ours}{norm}.{kind}"] for norm in ("ln_1", "ln_2")
                  for kind in ("weight", "bias")}  # fmt: skip
    state["lm_head.weight"] = p["wte.weight"]
    model.load_state_dict(state)
    return model


def main() -> None:
    models = {
        "nano-gpt2": GPT2LMHeadModel.from_pretrained(WEIGHTS / "nano-gpt2", dtype=torch.float64),
        "nano-gpt3": gpt_neo_with_biases(WEIGHTS / "nano-gpt3"),
    }
    made = []
    for name, model in models.items():
        tokenizer = GPT2TokenizerFast.from_pretrained(WEIGHTS / name)
        texts = [tokenizer(text)["input_ids"] for text in TEXTS]
        made += of_model(name, model, torch, texts, tokenizer.decode)
    lines = ",\n".join("  " + json.dumps(record, ensure_ascii=False) for record in made)
    about = json.dumps(ABOUT, ensure_ascii=False)
    OUT.write_text(f'{{\n "about": {about},\n "records": [\n{lines}\n ]\n}}\n', encoding="utf-8")
    print(f"{OUT}: {len(made)} records")


if __name__ == "__main__":
    main()
