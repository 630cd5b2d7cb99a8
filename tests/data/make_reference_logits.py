"""Make `tests/data/logits/`: small random models of several families and shapes, and transformers' logits on them.

Each folder holds a checkpoint that transformers wrote and `logits.npz`: ids_0, logits_0, ids_1, ... in float64, for a
single token, a full context and a batch. Weights are drawn wide, biases and gains too, so that attention is far from
uniform and nothing is left at its initial 0 or 1. Needs the `reference` extra:

    python tests/data/make_reference_logits.py
"""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import torch
from transformers import AutoModelForCausalLM, GPT2Config, GPTNeoConfig, OPTConfig, PreTrainedConfig, PreTrainedModel
from transformers.models.gpt_neo import modeling_gpt_neo

OUT = Path(__file__).parent / "logits"

GPT2_SHAPES = {
    "one-layer": {"n_layer": 1, "n_head": 1, "n_embd": 8},
    "odd-heads": {"n_layer": 3, "n_head": 5, "n_embd": 35},
    "narrow-mlp": {"n_layer": 2, "n_head": 2, "n_embd": 12, "n_inner": 7},
    "gelu-erf": {"n_layer": 2, "n_head": 3, "n_embd": 12, "activation_function": "gelu"},
    "relu": {"n_layer": 2, "n_head": 4, "n_embd": 16, "activation_function": "relu"},
    "untied": {"n_layer": 2, "n_head": 2, "n_embd": 10, "tie_word_embeddings": False},
    "long-context": {"n_layer": 2, "n_head": 2, "n_embd": 16, "n_positions": 600},
}
# The settings of Cerebras-GPT's config.json, which calls itself a GPT-2.
CEREBRAS_SHAPES = {
    "cerebras": {
        "n_layer": 3, "n_head": 3, "n_embd": 12, "n_inner": 48, "activation_function": "gelu", "attn_pdrop": 0.0,
        "embd_pdrop": 0.0, "resid_pdrop": 0.0,
    },
}  # fmt: skip
# One with the root of the width of a head a power of two, one with another and layers in no regular order.
GPT_NEO_SHAPES = {
    "gpt-neo": {
        "num_layers": 4, "num_heads": 3, "hidden_size": 12, "window_size": 7,
        "attention_types": [[["global", "local"], 2]],
    },
    "gpt-neo-irregular": {
        "num_layers": 5, "num_heads": 5, "hidden_size": 15, "window_size": 11, "intermediate_size": 25,
        "attention_types": [[["global"], 2], [["local"], 1], [["global", "local"], 1]], "layer_norm_epsilon": 1e-3,
        "activation_function": "relu", "tie_word_embeddings": False,
    },
}  # fmt: skip
OPT_SHAPES = {
    "opt": {"num_hidden_layers": 3, "num_attention_heads": 3, "hidden_size": 12, "ffn_dim": 20},
    "opt-float16": {"num_hidden_layers": 2, "num_attention_heads": 2, "hidden_size": 10, "ffn_dim": 40},
}

# GPT-Neo computes its scores in float32, whatever the model's dtype, and would give no reference for float64: what its
# module calls torch.float32 is float64 here.
modeling_gpt_neo.torch = SimpleNamespace(**vars(torch) | {"float32": torch.float64})


def configurations() -> dict[str, PreTrainedConfig]:
    """The configuration of each folder."""
    of_all = {"vocab_size": 61, "bos_token_id": None, "eos_token_id": None}
    gpt2 = of_all | {"n_positions": 40}
    others = of_all | {"max_position_embeddings": 40}
    return {
        **{name: GPT2Config(**gpt2 | shape) for name, shape in (GPT2_SHAPES | CEREBRAS_SHAPES).items()},
        **{name: GPTNeoConfig(**others | shape) for name, shape in GPT_NEO_SHAPES.items()},
        **{name: OPTConfig(**others | shape) for name, shape in OPT_SHAPES.items()},
    }


def random_model(config: PreTrainedConfig) -> PreTrainedModel:
    model = AutoModelForCausalLM.from_config(config, dtype=torch.float32).eval()
    for name, parameter in model.named_parameters():
        is_gain = (".ln_" in name or "layer_norm" in name) and name.endswith("weight")
        torch.nn.init.normal_(parameter, 1.0 if is_gain else 0.0, 0.4)
    return model


def main() -> None:
    torch.manual_seed(0)
    rng = np.random.default_rng(0)
    for name, config in configurations().items():
        model = random_model(config).to(torch.float16 if name.endswith("float16") else torch.float32)
        model.save_pretrained(OUT / name)
        (OUT / name / "model.safetensors").chmod(0o644)
        (OUT / name / "generation_config.json").unlink()
        arrays = {}
        for n, size in enumerate([(1,), (config.max_position_embeddings,), (3, 17)]):
            arrays[f"ids_{n}"] = ids = rng.integers(config.vocab_size, size=size)
            with torch.no_grad():
                logits = model.double()(torch.tensor(np.atleast_2d(ids))).logits.numpy()
            arrays[f"logits_{n}"] = logits.reshape(*size, -1)
        np.savez_compressed(OUT / name / "logits.npz", **arrays)


if __name__ == "__main__":
    main()
