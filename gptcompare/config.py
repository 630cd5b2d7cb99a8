"""A model as a table of numbers, and everything that can be computed from those numbers.

This is the only place where GPT-2 and GPT-3 differ: GPT-3 is GPT-2's architecture with other sizes and with
"alternating dense and locally banded sparse attention patterns" (Brown et al. 2020, section 2.1). The published
tables are in `presets`; the names and shapes of the arrays that a configuration needs are in `parameters.py`.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import MISSING, asdict, dataclass, fields
from typing import Any

from .checks import integer, number, shown
from .display.units import in_letters
from .patterns import PATTERNS, Pattern
from .presets import hyperparameters

__all__ = [
    "ACTIVATIONS",
    "GPTConfig",
]

ACTIVATIONS = ("gelu_tanh", "gelu_erf", "relu")
MAX_LAYERS = 100_000  # a thousand times as many as any published model has; what is computed per layer ends soon
MAX_SIZE = 2**40  # of everything else: numbers of parameters and operations stay far below the largest float


@dataclass(frozen=True, kw_only=True)
class GPTConfig:
    """The hyperparameters of a decoder-only transformer; immutable and checked.

    Parameters
    ----------
    n_layer, n_head, d_model : int
        Number of blocks, attention heads per block, and width of the residual stream.
    d_head : int, optional
        Width of one head's queries, keys and values; d_model / n_head if not given.
    d_mlp : int, optional
        Width inside the feed-forward layer; 4 x d_model if not given.
    n_ctx : int
        Longest sequence, in tokens: the number of learned positions.
    n_vocab : int
        Size of the vocabulary.
    attention : tuple of str
        The patterns, cycled over the layers: "dense" or "banded", or the Sparse Transformer's "strided" or "fixed";
        `patterns.py` defines them. The next four fields are required if a layer needs them, and refused otherwise.
    band_width : int, optional
        Number of keys that a query of a banded layer sees, its own included.
    stride : int, optional
        Distance between the keys that a strided layer sees, and length of a fixed layer's blocks of positions.
    summary_width : int, optional
        Number of positions in each earlier block that a fixed layer sees.
    summary_variants : int, optional
        Number of different such stretches that the heads of a fixed layer share out in turn. If not given, 1: every
        head sees the end of the block.
    activation : str
        "gelu_tanh" (GPT-2, GPT-3), "gelu_erf" or "relu".
    layer_norm_eps : float
        Added to the variance before the square root.
    tied_embeddings : bool
        True if the output matrix is the transposed token embedding, False if it is a separate matrix.

    Raises
    ------
    TypeError, ValueError
        If a value is of the wrong kind, out of range, or contradicts another; the message names the field.
    """

    n_layer: int
    n_head: int
    d_model: int
    d_head: int = None  # type: ignore[assignment]  # filled in by __post_init__
    d_mlp: int = None  # type: ignore[assignment]  # filled in by __post_init__
    n_ctx: int = 1024
    n_vocab: int = 50257
    attention: tuple[str, ...] = ("dense",)
    band_width: int | None = None
    stride: int | None = None
    summary_width: int | None = None
    summary_variants: int | None = None
    activation: str = "gelu_tanh"
    layer_norm_eps: float = 1e-5
    tied_embeddings: bool = True

    def __post_init__(self) -> None:
        for name in ("n_layer", "n_head", "d_model", "n_ctx", "n_vocab"):
            self._check_size(name)
        if self.d_head is None:
            if self.d_model % self.n_head:
                raise ValueError(
                    f"d_model {self.d_model} is not a multiple of n_head {self.n_head}: give d_head, or change one"
                )
            object.__setattr__(self, "d_head", self.d_model // self.n_head)
        if self.d_mlp is None:
            object.__setattr__(self, "d_mlp", 4 * self.d_model)
        for name in ("d_head", "d_mlp"):
            self._check_size(name)
        self._check_attention()
        if self.activation not in ACTIVATIONS:
            raise ValueError(f"activation {shown(self.activation)} is not one of {', '.join(ACTIVATIONS)}")
        object.__setattr__(self, "layer_norm_eps", number("layer_norm_eps", self.layer_norm_eps))
        if not 0 < self.layer_norm_eps <= sys.float_info.max:
            raise ValueError(f"layer_norm_eps must be positive and finite, got {shown(self.layer_norm_eps)}")
        if not isinstance(self.tied_embeddings, bool):
            raise TypeError(f"tied_embeddings must be True or False, got {shown(self.tied_embeddings)}")

    def _check_size(self, name: str) -> None:
        most = MAX_LAYERS if name == "n_layer" else MAX_SIZE
        object.__setattr__(self, name, integer(name, getattr(self, name), at_least=1, at_most=most))

    def _check_attention(self) -> None:
        if isinstance(self.attention, str) or not isinstance(self.attention, (tuple, list)):
            raise TypeError(f'attention must be a tuple such as ("dense", "banded"), got {shown(self.attention)}')
        object.__setattr__(self, "attention", tuple(self.attention))
        if not self.attention:
            raise ValueError("attention is empty: name at least one of " + ", ".join(PATTERNS))
        for kind in self.attention:
            if not isinstance(kind, str) or kind not in PATTERNS:
                raise ValueError(f"attention {shown(kind)} is not one of {', '.join(PATTERNS)}")
        kinds_with: dict[str, list[str]] = {}  # field -> the patterns that have it
        for kind, pattern in PATTERNS.items():
            for field in pattern.parameters():
                kinds_with.setdefault(field.name, []).append(kind)
                if kind in self.attention and getattr(self, field.name) is None and field.default is not MISSING:
                    object.__setattr__(self, field.name, field.default)
        for name, kinds in kinds_with.items():
            value, needed = getattr(self, name), not set(kinds).isdisjoint(self.attention)
            if value is not None:
                self._check_size(name)
            if value is None and needed:
                raise ValueError(f"a {' or '.join(kinds)} layer needs {name}")
            if value is not None and not needed:
                layers = shown(self.attention)
                raise ValueError(f"{name} {value} is given, but no layer of {layers} is {' or '.join(kinds)}")
        for layer in range(len(self.attention)):
            self.pattern_of(layer)  # a pattern refuses parameters that contradict each other

    @classmethod
    def preset(cls, name: str) -> GPTConfig:
        """Return the configuration of a published model; `gptcompare.presets()` lists the names.

        >>> GPTConfig.preset("gpt2").n_params
        124439808

        Raises
        ------
        TypeError, ValueError
            If the name is not a string, or unknown; the message suggests the closest names.
        """
        return cls(**hyperparameters(name))

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> GPTConfig:
        """Invert `to_dict`; raise ValueError for a missing or unknown field, else what the class raises."""
        known = {field.name for field in fields(cls)}
        if unknown := sorted(set(values) - known):
            raise ValueError(f"unknown configuration fields {shown(unknown)}: the known ones are {sorted(known)}")
        if missing := sorted({"n_layer", "n_head", "d_model"} - set(values)):
            raise ValueError(f"configuration fields {missing} are missing")
        return cls(**values)

    def to_dict(self) -> dict[str, Any]:
        """Return name -> value of all fields, as plain values that JSON can hold."""
        return {**asdict(self), "attention": list(self.attention)}

    def in_words(self) -> str:
        """Describe the model in a few words.

        >>> GPTConfig.preset("gpt3-175b").in_words()
        '96 layers of width 12288, dense/banded attention, 175B parameters'
        """
        attention = "/".join(self.attention)
        size = in_letters(self.n_params)
        return f"{self.n_layer} layers of width {self.d_model}, {attention} attention, {size} parameters"

    def kind_of(self, layer: int) -> str:
        """Return the name of a layer's attention pattern, such as "banded"."""
        return self.attention[layer % len(self.attention)]

    def pattern_of(self, layer: int) -> Pattern:
        """Return the attention pattern of a layer: which keys its queries see."""
        pattern = PATTERNS[self.kind_of(layer)]
        return pattern(**{field.name: getattr(self, field.name) for field in pattern.parameters()})

    @property
    def d_attention(self) -> int:
        """Width of all heads together."""
        return self.n_head * self.d_head

    @property
    def n_params_by_part(self) -> dict[str, int]:
        """Number of weights and biases in each part, all layers together; a tied output matrix adds none."""
        L, D, A, M = self.n_layer, self.d_model, self.d_attention, self.d_mlp
        return {
            "token embedding": self.n_vocab * D,
            "positions": self.n_ctx * D,
            "attention": L * ((D + 1) * 3 * A + (A + 1) * D),
            "mlp": L * ((D + 1) * M + (M + 1) * D),
            "layer norms": (2 * L + 1) * 2 * D,
            "output": 0 if self.tied_embeddings else self.n_vocab * D,
        }

    @property
    def n_params(self) -> int:
        """Number of all trained weights and biases; a tied output matrix counts once."""
        return sum(self.n_params_by_part.values())

    def flops_per_token(self, context: int) -> int:
        """Return the floating-point operations of the matrix products for one token, the last of `context` tokens.

        A multiplication and an addition count as two operations, and everything but matrix products (biases, layer
        norms, softmax, activations) is left out, as in Kaplan et al. 2020 (arXiv:2001.08361), section 2.1.

        Raises
        ------
        TypeError, ValueError
            If the context is not an integer from 1 to `n_ctx`.
        """
        self._check_n_tokens("context", context)
        block = 4 * self.d_model * self.d_attention + 2 * self.d_model * self.d_mlp  # multiply-adds
        keys = sum(self.pattern_of(layer).keys_seen(context) for layer in range(self.n_layer))
        scores_and_weighted_values = 2 * keys * self.d_attention
        return 2 * (self.n_layer * block + scores_and_weighted_values + self.d_model * self.n_vocab)

    def training_flops(self, n_tokens: float) -> float:
        """Return the floating-point operations of training on `n_tokens` tokens: 6 per parameter and token.

        This is the estimate of Brown et al. 2020, appendix D: 2 for the forward pass, twice as many for the backward
        pass, and none for attention's own products.
        """
        return 6.0 * self.n_params * n_tokens

    def kv_cache_bytes(self, n_tokens: int, bytes_per_number: int = 4) -> int:
        """Return the bytes of keys and values that a sequence of `n_tokens` tokens must keep, as float32 by default.

        Raises
        ------
        TypeError, ValueError
            If `n_tokens` is not an integer from 1 to `n_ctx`.
        """
        self._check_n_tokens("n_tokens", n_tokens)
        keys = sum(self.pattern_of(layer).keys_kept(n_tokens) for layer in range(self.n_layer))
        return 2 * keys * self.d_attention * bytes_per_number

    def _check_n_tokens(self, name: str, value: int) -> None:
        if integer(name, value, at_least=1) > self.n_ctx:
            raise ValueError(f"{name} {value} is longer than the model's context of {self.n_ctx} tokens")


def _check_patterns() -> None:
    """Refuse a pattern with a size that no configuration can hold: here, where both are known."""
    for kind, pattern in PATTERNS.items():
        for field in pattern.parameters():
            if field.name not in GPTConfig.__dataclass_fields__:
                raise TypeError(f"{kind} layers have {field.name}: add the field to GPTConfig, None by default")


_check_patterns()
