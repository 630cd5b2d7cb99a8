"""The parts of a comparison: the models, what each of them wrote, and where their texts part."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from ..checks import brief, shown, together
from ..config import GPTConfig
from ..display.units import in_letters
from ..generation import Completion, LanguageModel, load
from ..presets import EMBEDDED_PAIR

Models: TypeAlias = "Sequence[str | os.PathLike[str] | LanguageModel] | Mapping[str, LanguageModel]"


def load_models(models: Models, tokenizer: str | None = None) -> dict[str, LanguageModel]:
    """Return name -> model, loading each name once; a model that has no name is named by its number.

    With `tokenizer`, all that are loaded get that of this name or folder.
    """
    if isinstance(models, (str, os.PathLike, LanguageModel)) or not isinstance(models, (Sequence, Mapping)):
        raise TypeError(f"models must be a list of models, such as {EMBEDDED_PAIR}, got {models!r}")
    if isinstance(models, Mapping):
        given = dict(models)
        if wrong := [(name, lm) for name, lm in given.items() if not isinstance(lm, LanguageModel)]:
            raise TypeError(f"models must be a dict of name -> LanguageModel, got {wrong[0][0]!r}: {wrong[0][1]!r}")
        given = {str(name): lm for name, lm in given.items()}
    else:
        given = {}
        loaded: dict[str, LanguageModel] = {}
        for number, model in enumerate(models, 1):
            if isinstance(model, LanguageModel):
                given[_free_name(model.name or f"model {number}", given)] = model
                continue
            if not isinstance(model, (str, os.PathLike)):
                raise TypeError(f"models[{number - 1}] must be a name, folder or LanguageModel, got {model!r}")
            name = os.fspath(model)
            loaded[name] = loaded.get(name) or load(name, tokenizer=tokenizer)
            given[_free_name(name, given)] = loaded[name]
    if not given:
        raise ValueError("models is empty: give at least one")
    return given


def _free_name(name: str, taken: Mapping[str, object]) -> str:
    """Return the name, followed by a number if the name is taken."""
    names = [name, *(f"{name} ({n})" for n in range(2, len(taken) + 2))]
    return next(free for free in names if free not in taken)


def describe(config: GPTConfig) -> str:
    """Describe a model in one line, as in the table of models."""
    attention = "/".join(config.attention) + " attention"
    if config.band_width:
        attention += f", band {config.band_width}"
    return (
        f"{config.n_layer} layers, width {config.d_model}, {config.n_head} heads of {config.d_head}, {attention}, "
        f"context {config.n_ctx}, {in_letters(config.n_params)} parameters"
    )


@dataclass(frozen=True)
class Side:
    """The text that one of the models wrote.

    Attributes
    ----------
    name : str
    config : GPTConfig
    completion : Completion
    seconds_to_first_token, tokens_per_second : float, optional
        Measured; the speed counts the tokens after the first one. None without such a token.
    """

    name: str
    config: GPTConfig
    completion: Completion
    seconds_to_first_token: float | None = None
    tokens_per_second: float | None = None

    def __repr__(self) -> str:
        return brief(self, f"{self.name} writes {shown(self.text, 60)}, {len(self.completion.ids)} tokens")

    @property
    def text(self) -> str:
        """The text that was written, without the prompt."""
        return self.completion.text

    @property
    def mean_logprob(self) -> float | None:
        """The mean log-probability of the tokens written, in nats; None without tokens."""
        logprobs = self.completion.logprobs
        return sum(logprobs) / len(logprobs) if logprobs else None

    def to_dict(self) -> dict[str, Any]:
        """Return plain values that JSON can hold, without the times."""
        return {
            "name": self.name,
            "config": self.config.to_dict(),
            "n_params": self.config.n_params,
            "text": self.text,
            "ids": self.completion.ids,
            "logprobs": self.completion.logprobs,
            "mean_logprob": self.mean_logprob,
            "finish_reason": self.completion.finish_reason,
        }


@dataclass(frozen=True)
class Parting:
    """The point where the tokens of models that share a vocabulary stop being the same.

    Attributes
    ----------
    position : int
        Number of tokens before it, which are the same in all texts.
    tokens : tuple of bytes
        For each model, the bytes of its next token; empty for an end of text.
    margins : tuple of float
        For each model, how much more likely, in nats, it finds its own token than the likeliest different token of the
        others; negative where chance picked a token that the model finds less likely.
    likeliest : tuple of list of (bytes, float)
        For each model, the tokens that it held likeliest there, with their probabilities; empty for an end of text
        that the vocabulary does not write.
    """

    position: int
    tokens: tuple[bytes, ...]
    margins: tuple[float, ...]
    likeliest: tuple[list[tuple[bytes, float]], ...] = ()

    def __repr__(self) -> str:
        return brief(self, f"at position {self.position}, {together(shown(token, 40) for token in self.tokens)}")

    def to_dict(self) -> dict[str, Any]:
        """Return plain values that JSON can hold; U+FFFD stands for part of a character."""
        return {
            "position": self.position,
            "tokens": [token.decode(errors="replace") for token in self.tokens],
            "margins": list(self.margins),
            "likeliest": [
                [
                    {"token": token.decode(errors="replace"), "probability": probability}
                    for token, probability in of_model
                ]
                for of_model in self.likeliest
            ],
        }
