"""Make `tests/data/logits/`: small random GPT-2 models of several shapes, and transformers' logits on them.

Each folder holds a checkpoint that transformers wrote and `logits.npz`: ids_0, logits_0, ids_1, ... in float64, for a
single token, a full context and a batch. Weights are drawn wide, biases and gains too, so that attention is far from
uniform and nothing is left at its initial 0 or 1. Needs the `reference` extra:

    python tests/data/make_reference_logits.py
"""

from pathlib import Path

import numpy as np
import torch
from transformers import GPT2Config, GPT2LMHeadModel

OUT = Path(__file__).parent / "logits"

SHAPES = {
    "one-layer": {"n_layer": 1, "n_head": 1, "n_embd": 8},
    "odd-heads": {"n_layer": 3, "n_head": 5, "n_embd": 35},
    "narrow-mlp": {"n_layer": 2, "n_head": 2, "n_embd": 12, "n_inner": 7},
    "gelu-erf": {"n_layer": 2, "n_head": 3, "n_embd": 12, "activation_function": "gelu"},
    "relu": {"n_layer": 2, "n_head": 4, "n_embd": 16, "activation_function": "relu"},
    "untied": {"n_layer": 2, "n_head": 2, "n_embd": 10, "tie_word_embeddings": False},
    "long-context": {"n_layer": 2, "n_head": 2, "n_embd": 16, "n_positions": 600},
}


def random_model(config: GPT2Config) -> GPT2LMHeadModel:
    model = GPT2LMHeadModel(config).eval()
    for name, parameter in model.named_parameters():
        mean = 1.0 if ".ln_" in name and name.endswith("weight") else 0.0
        torch.nn.init.normal_(parameter, mean, 0.4)
    return model


def main() -> None:
    torch.manual_seed(0)
    rng = np.random.default_rng(0)
    for name, shape in SHAPES.items():
        config = GPT2Config(**{"vocab_size": 61, "n_positions": 40, **shape}, bos_token_id=None, eos_token_id=None)
        model = random_model(config)
        model.save_pretrained(OUT / name)
        (OUT / name / "model.safetensors").chmod(0o644)
        (OUT / name / "generation_config.json").unlink()
        arrays = {}
        for n, size in enumerate([(1,), (config.n_positions,), (3, 17)]):
            arrays[f"ids_{n}"] = ids = rng.integers(config.vocab_size, size=size)
            with torch.no_grad():
                logits = model.double()(torch.tensor(np.atleast_2d(ids))).logits.numpy()
            arrays[f"logits_{n}"] = logits.reshape(*size, -1)
        np.savez_compressed(OUT / name / "logits.npz", **arrays)


if __name__ == "__main__":
    main()
