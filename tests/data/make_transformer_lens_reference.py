"""Make transformer_lens.npz: what TransformerLens finds inside nano-gpt2, and what it writes when that is changed.

    pip install torch==2.13.0 transformers==5.24.0 transformer-lens==3.9.0
    python make_transformer_lens_reference.py

The arrays "NAME" are those of the places; "logits of NAME" are the logits of the last token when the array at the place
is 0 at position 3.
"""

from pathlib import Path

import numpy as np
import torch
from transformer_lens import HookedTransformer, HookedTransformerConfig
from transformer_lens.pretrained.weight_conversions import convert_gpt2_weights
from transformers import AutoModelForCausalLM

HERE = Path(__file__).parent
IDS = [1, 200, 3, 1000, 17, 4000, 42, 7, 99]
PLACES = ("blocks.0.ln1.hook_normalized", "blocks.2.ln2.hook_normalized", "ln_final.hook_normalized")
POSITION = 3


def hooked_model() -> HookedTransformer:
    theirs = AutoModelForCausalLM.from_pretrained(HERE.parents[1] / "weights" / "nano-gpt2", dtype=torch.float64)
    sizes = theirs.config
    config = HookedTransformerConfig(
        n_layers=sizes.n_layer, d_model=sizes.n_embd, n_heads=sizes.n_head, d_head=sizes.n_embd // sizes.n_head,
        d_mlp=sizes.n_inner, n_ctx=sizes.n_positions, d_vocab=sizes.vocab_size, act_fn="gelu_new",
        eps=sizes.layer_norm_epsilon, normalization_type="LN", dtype=torch.float64,
    )  # fmt: skip
    model = HookedTransformer(config)
    weights = convert_gpt2_weights(theirs, config)
    model.load_and_process_state_dict(
        weights, fold_ln=False, center_writing_weights=False, center_unembed=False, fold_value_biases=False
    )
    return model.eval()


def zeroed(array, hook):
    array[:, POSITION] = 0
    return array


if __name__ == "__main__":
    torch.set_grad_enabled(False)
    model, ids = hooked_model(), torch.tensor([IDS])
    _, cache = model.run_with_cache(ids)
    arrays = {name: cache[name][0].numpy() for name in PLACES}
    for name in PLACES:
        logits = model.run_with_hooks(ids, fwd_hooks=[(name, zeroed)])[0]
        arrays[f"logits of {name}"] = logits[POSITION if "final" in name else -1].numpy()
    np.savez_compressed(HERE / "transformer_lens.npz", ids=IDS, **{k: v.astype(np.float32) for k, v in arrays.items()})
