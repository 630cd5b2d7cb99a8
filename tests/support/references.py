"""Models with random weights, ours and transformers', in which nothing is left at an initial 0 or 1."""

import contextlib
from types import SimpleNamespace

import numpy as np
import pytest

from gptcompare.parameters import parameter_shapes


def random_parameters(config, seed, dtype=np.float64):
    """Wide random weights, gains and biases."""
    rng = np.random.default_rng(seed)
    return {name: (rng.standard_normal(s) * 0.4).astype(dtype) for name, s in parameter_shapes(config).items()}


def random_reference(torch, transformers, model_type, shape):
    """A model of transformers."""
    spread = {"init_std" if model_type == "opt" else "initializer_range": 0.15}
    config = transformers.AutoConfig.for_model(model_type, **shape, **spread, bos_token_id=None, eos_token_id=None)
    reference = transformers.AutoModelForCausalLM.from_config(config, dtype=torch.float32).eval()
    for name, parameter in reference.named_parameters():
        if parameter.ndim == 1:
            torch.nn.init.normal_(parameter, 1.0 if name.endswith("weight") else 0.0, 0.15)
    return reference


@contextlib.contextmanager
def gpt_neo_scores_in_float64(torch):
    """GPT-Neo computes its scores in float32, whatever the model's dtype, and would give no reference for float64.

    What its module calls torch.float32 is float64 in this context.
    """
    from transformers.models.gpt_neo import modeling_gpt_neo

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(modeling_gpt_neo, "torch", SimpleNamespace(**vars(torch) | {"float32": torch.float64}))
        yield
