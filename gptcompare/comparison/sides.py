"""The parts of a comparison: what each of the models wrote, and where their texts part."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from ..checks import brief, shown, together
from ..config import GPTConfig
from ..display.units import in_letters
from ..generation import Completion, LanguageModel
from ..model.changes import in_words


def describe(config: GPTConfig, changes: Iterable[str] = ()) -> str:
    """Describe a model in one line, as in the table of models, with what was changed in it."""
    attention = "/".join(config.attention) + " attention"
    if config.band_width:
        attention += f", band {config.band_width}"
    return (
        f"{config.n_layer} layers, width {config.d_model}, {config.n_head} heads of {config.d_head}, {attention}, "
        f"context {config.n_ctx}, {'; '.join([f'{in_letters(config.n_params)} parameters', *changes])}"
    )


def describe_model(lm: LanguageModel) -> str:
    """Describe a model, with what was changed in it."""
    return describe(lm.config, map(in_words, lm.model.hooks))


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
    options : dict
        The options with which this side was written: the fields of `GenerationOptions`, as plain values. They are those
        of the comparison, except for the side's own.
    changes : tuple of str
        What was changed in the model (`LanguageModel.changed`), in words.
    """

    name: str
    config: GPTConfig
    completion: Completion
    seconds_to_first_token: float | None = None
    tokens_per_second: float | None = None
    options: dict[str, Any] = field(default_factory=dict)
    changes: tuple[str, ...] = ()

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
            "options": self.options,
            "changes": list(self.changes),
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
        Number of tokens before it, which are the same in all texts that go so far.
    tokens : tuple of (bytes or None)
        For each model, the bytes of its next token; empty for an end of text, None if its text was cut off before.
    margins : tuple of (float or None)
        For each model, how much more likely, in nats, it finds its own token than the likeliest different token of the
        others; negative where chance, or a penalty, picked a token that the model finds less likely.
    likeliest : tuple of list of (bytes, float)
        For each model, the tokens that it held likeliest there, with their probabilities; empty for an end of text
        that the vocabulary does not write.
    """

    position: int
    tokens: tuple[bytes | None, ...]
    margins: tuple[float | None, ...]
    likeliest: tuple[list[tuple[bytes, float]], ...] = ()

    def __repr__(self) -> str:
        return brief(self, f"at position {self.position}, {together(shown(token, 40) for token in self.tokens)}")

    def to_dict(self) -> dict[str, Any]:
        """Return plain values that JSON can hold; U+FFFD stands for part of a character."""
        return {
            "position": self.position,
            "tokens": [None if token is None else token.decode(errors="replace") for token in self.tokens],
            "margins": list(self.margins),
            "likeliest": [
                [
                    {"token": token.decode(errors="replace"), "probability": probability}
                    for token, probability in of_model
                ]
                for of_model in self.likeliest
            ],
        }
