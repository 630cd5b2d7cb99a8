"""Random models that are written as GGUF, for llama.cpp to run and for the tests to compare."""

from functools import cache, partial

import numpy as np

import gptcompare as gc
from gptcompare.parameters import parameter_shapes
from gptcompare.tokenizer import Vocabulary

SHAPES = {
    "deep": {"n_layer": 5, "n_head": 2, "d_model": 16, "n_ctx": 40, "n_vocab": 290},
    "one head": {"n_layer": 1, "n_head": 1, "d_model": 24, "d_mlp": 40, "n_ctx": 64, "n_vocab": 283},
    "padded": {"n_layer": 2, "n_head": 3, "d_model": 48, "n_ctx": 48, "n_vocab": 320},
    "untied": {"n_layer": 2, "n_head": 4, "d_model": 32, "n_ctx": 32, "n_vocab": 288, "tied_embeddings": False},
    "another epsilon": {"n_layer": 3, "n_head": 2, "d_model": 32, "n_ctx": 32, "n_vocab": 288, "layer_norm_eps": 1e-3},
}


@cache
def vocabulary(n_tokens: int) -> Vocabulary:
    """The bytes, the first merges of GPT-2, and the end of text as the last of n tokens."""
    merges = gc.Tokenizer.from_pretrained("gpt2").vocabulary.merges[: n_tokens - 257]
    return Vocabulary.from_merges(merges)


def random_parameters(config: gc.GPTConfig, seed: int) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    found = {}
    for name, shape in parameter_shapes(config).items():
        spread = {"wte.weight": 0.5, "wpe.weight": 0.2, "lm_head.weight": 0.5}.get(name, 0.2)
        found[name] = (rng.standard_normal(shape) * spread).astype(np.float32)
        if len(shape) == 1 and name.endswith("weight"):
            found[name] += 1
    return found


def random_model(sizes: dict[str, int | float | bool], seed: int) -> gc.LanguageModel:
    """A model whose last rows of the embedding may be padding."""
    config = gc.GPTConfig(**sizes)
    words = gc.Tokenizer(vocabulary(min(config.n_vocab, 290)))
    return gc.LanguageModel(gc.GPT(config, random_parameters(config, seed)), words)


# Name -> function that makes a model: two of each shape, and one that was trained.
EXPORTED = {
    f"{name}, seed {seed}": partial(random_model, sizes, seed) for name, sizes in SHAPES.items() for seed in (0, 1)
} | {"nano-gpt2": partial(gc.load, "nano-gpt2")}
