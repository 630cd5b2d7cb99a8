"""Write a tiny GPT-2 with torch.save, as the Hugging Face Hub held models at first: `tests/data/torch-zip-gpt2/`.

The weights are those of a transformers model, all of them random, biases and gains too, tied as GPT-2 is, with the
causal masks that old exports carry along. Beside them lie the arrays to expect, and the logits of a few ids in
float64. Needs the `reference` extra:

    python tests/data/make_torch_zip_checkpoint.py tests/data/torch-zip-gpt2
"""

import argparse
from pathlib import Path

import numpy as np
import torch
from transformers import GPT2Config, GPT2LMHeadModel


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    out = parser.parse_args().out
    out.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(0)

    config = GPT2Config(
        vocab_size=40, n_positions=12, n_embd=8, n_layer=2, n_head=2, bos_token_id=39, eos_token_id=39
    )  # fmt: skip
    model = GPT2LMHeadModel(config).eval()
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter)
    config.save_pretrained(out)

    state = model.state_dict()
    for layer in range(config.n_layer):
        mask = torch.ones(config.n_positions, config.n_positions, dtype=torch.uint8).tril()
        state[f"transformer.h.{layer}.attn.bias"] = mask[None, None]
        state[f"transformer.h.{layer}.attn.masked_bias"] = torch.tensor(-1e4)
    torch.save(state, out / "pytorch_model.bin")

    weights = {name: value.numpy() for name, value in model.transformer.state_dict().items()}
    ids = torch.randint(config.vocab_size, (2, config.n_positions))
    with torch.no_grad():
        logits = model.double()(ids).logits
    np.savez_compressed(out / "expected.npz", ids=ids.numpy(), logits=logits.numpy(), **weights)


if __name__ == "__main__":
    main()
