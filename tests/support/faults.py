"""Models with one fault each, as programs that read GPT-2's checkpoints have had them."""

import math
from dataclasses import replace

import numpy as np

import gptcompare as gc
from gptcompare.model.hooks import LAST_PLACE
from gptcompare.model.products import product


class WithoutLastNorm(gc.GPT):
    """The final layer norm is left out."""

    def unembed(self, x, hook=None):
        if hook is not None:
            x = hook(LAST_PLACE, x)
        return product(x, self.parameters()["wte.weight"].T)


class Forgetful(gc.GPT):
    """A token that is written does not see those before it."""

    def __call__(self, ids, cache=None, *, last_only=False, hook=None):
        if cache is not None and any(cache.n_tokens):
            cache = self.new_cache()
        return super().__call__(ids, cache, last_only=last_only, hook=hook)


class OneStepLate(gc.GPT):
    """The cache is said to be one token longer than it is: a written token gets the position after its own."""

    def __call__(self, ids, cache=None, *, last_only=False, hook=None):
        if cache is None or not any(cache.n_tokens):
            return super().__call__(ids, cache, last_only=last_only, hook=hook)
        p = self.parameters()
        moved = {**p, "wpe.weight": np.roll(p["wpe.weight"], -1, axis=0)}
        return gc.GPT(self.config, moved)(ids, cache, last_only=last_only)


def _each(parameters, name, change):
    """Change the parameters of every layer that have a name."""
    return {key: change(value) if key.endswith(f".{name}") else value for key, value in parameters.items()}


def _changed(config, parameters, **changes):
    return gc.GPT(replace(config, **changes), parameters)


def _queries(config, parameters, factor):
    """Multiply the queries."""
    width = config.d_attention
    factors = np.repeat([factor, 1, 1], width).astype(np.float32)
    scaled = _each(parameters, "attn.c_attn.weight", lambda value: value * factors)
    return gc.GPT(config, _each(scaled, "attn.c_attn.bias", lambda value: value * factors))


def _interleaved(config, parameters):
    """Take queries, keys and values as those of the first head, then those of the second, as BLOOM has them."""
    order = np.arange(3 * config.d_attention).reshape(config.n_head, 3, config.d_head).swapaxes(0, 1).ravel()
    mixed = _each(parameters, "attn.c_attn.weight", lambda value: value[:, order])
    return gc.GPT(config, _each(mixed, "attn.c_attn.bias", lambda value: value[order]))


def _untied(config, parameters):
    shape = parameters["wte.weight"].T.shape
    head = (np.random.default_rng(9).standard_normal(shape) * 0.02).astype(np.float32)
    return gc.GPT(replace(config, tied_embeddings=False), {**parameters, "lm_head.weight": head})


def _layers_exchanged(config, parameters):
    exchanged = {0: 1, 1: 0}

    def name_of(key):
        if not key.startswith("h."):
            return key
        _, layer, rest = key.split(".", 2)
        return f"h.{exchanged.get(int(layer), int(layer))}.{rest}"

    return gc.GPT(config, {name_of(key): value for key, value in parameters.items()})


# Name of a fault -> a function of the right configuration and parameters to a model that has it.
FAULTS = {
    "erf for tanh in GELU": lambda c, p: _changed(c, p, activation="gelu_erf"),
    "relu for GELU": lambda c, p: _changed(c, p, activation="relu"),
    "positions off by one": lambda c, p: gc.GPT(c, {**p, "wpe.weight": np.roll(p["wpe.weight"], -1, axis=0)}),
    "ids off by one": lambda c, p: gc.GPT(c, {**p, "wte.weight": np.roll(p["wte.weight"], 1, axis=0)}),
    "an untied head": _untied,
    "transposed matrices": lambda c, p: gc.GPT(c, _each(p, "attn.c_proj.weight", np.transpose)),
    "layer-norm epsilon of 1e-6": lambda c, p: _changed(c, p, layer_norm_eps=1e-6),
    "layer-norm epsilon of 1e-12": lambda c, p: _changed(c, p, layer_norm_eps=1e-12),
    "scores not divided": lambda c, p: _queries(c, p, math.sqrt(c.d_head)),
    "scores divided twice": lambda c, p: _queries(c, p, 1 / math.sqrt(c.d_head)),
    "no final layer norm": WithoutLastNorm,
    "no biases in attention": lambda c, p: gc.GPT(c, _each(p, "attn.c_attn.bias", np.zeros_like)),
    "no biases in the MLP": lambda c, p: gc.GPT(c, _each(p, "mlp.c_fc.bias", np.zeros_like)),
    "no bias in the final norm": lambda c, p: gc.GPT(c, {**p, "ln_f.bias": np.zeros_like(p["ln_f.bias"])}),
    "heads interleaved": _interleaved,
    "two layers exchanged": _layers_exchanged,
    "a band in every layer": lambda c, p: _changed(c, p, attention=("banded",), band_width=c.n_ctx // 2),
    "weights in float16": lambda c, p: gc.GPT(c, {k: v.astype(np.float16).astype(v.dtype) for k, v in p.items()}),
    "a cache that is not read": Forgetful,
    "positions off by one in decoding": OneStepLate,
}  # fmt: skip
