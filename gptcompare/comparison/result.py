"""What comes of a comparison, as data: the sides, how each model finds each text, and where the texts part."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ..completion import Completion
from ..config import GPTConfig
from ..reading import Reading


@dataclass(frozen=True)
class Side:
    """What one of the models wrote.

    Attributes
    ----------
    name : str
    config : GPTConfig
    completion : Completion
    seconds_to_first_token, tokens_per_second : float, optional
        By the clock; the speed is that of the tokens after the first one. None where there is no such token.
    """

    name: str
    config: GPTConfig
    completion: Completion
    seconds_to_first_token: float | None = None
    tokens_per_second: float | None = None

    @property
    def text(self) -> str:
        """What was written, without the prompt."""
        return self.completion.text

    @property
    def mean_logprob(self) -> float | None:
        """Of the tokens written, in nats; None if there is none."""
        logprobs = self.completion.logprobs
        return sum(logprobs) / len(logprobs) if logprobs else None

    def to_dict(self) -> dict[str, Any]:
        """Plain values, without those of the clock."""
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
    """Where the tokens of models that share a vocabulary stop being the same.

    Attributes
    ----------
    position : int
        Tokens that are the same in all texts before that.
    tokens : tuple of bytes
        Of each model: what the next one stands for; of an end of text, nothing.
    margins : tuple of float
        Of each model: by how many nats its log-probability of its own token is above that of the likeliest of the
        others' tokens, other than its own; negative where the dice chose what the model finds less likely.
    """

    position: int
    tokens: tuple[bytes, ...]
    margins: tuple[float, ...]

    def to_dict(self) -> dict[str, Any]:
        """Plain values that JSON can hold; U+FFFD stands for a part of a character."""
        return {
            "position": self.position,
            "tokens": [token.decode(errors="replace") for token in self.tokens],
            "margins": list(self.margins),
        }


@dataclass(frozen=True)
class Comparison:
    """Texts side by side, and how each model finds each of them.

    Attributes
    ----------
    prompt : str
    options : dict
        Of the generation: max_new_tokens, temperature, top_k, top_p, seed, stop.
    sides : tuple of Side
        In the order of the models.
    share_vocabulary : bool
        Whether every id is the same token to all models.
    readings : tuple of Reading
        Of each side's text, behind the prompt, by all models: of its tokens up to the last whole character. What a
        stop string has cut off, and the token that it begins in, is not read.
    parting : Parting, optional
        None if no token of these differs, or the models do not share a vocabulary.
    """

    prompt: str
    options: dict[str, Any]
    sides: tuple[Side, ...]
    share_vocabulary: bool
    readings: tuple[Reading, ...]
    parting: Parting | None

    def to_dict(self) -> dict[str, Any]:
        """Everything as plain values that JSON can hold, but for what the clock says: the same for the same seed."""
        return {
            "prompt": self.prompt,
            "options": self.options,
            "share_vocabulary": self.share_vocabulary,
            "sides": [side.to_dict() for side in self.sides],
            "readings": [reading.to_dict() for reading in self.readings],
            "parting": None if self.parting is None else self.parting.to_dict(),
        }

    def _repr_html_(self) -> str:
        from ..pages import fragment

        return fragment(self)


@dataclass(frozen=True)
class TextComparison:
    """One text that several models read.

    Attributes
    ----------
    names : tuple of str
        Of the models, in their order.
    configs : tuple of GPTConfig
    reading : Reading
        Of the whole text, by all models.
    """

    names: tuple[str, ...]
    configs: tuple[GPTConfig, ...]
    reading: Reading

    def to_dict(self) -> dict[str, Any]:
        """Everything as plain values that JSON can hold."""
        return {
            "models": list(self.names),
            "configs": [config.to_dict() for config in self.configs],
            **self.reading.to_dict(),
        }

    def _repr_html_(self) -> str:
        from ..pages import fragment

        return fragment(self)
