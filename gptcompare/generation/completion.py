"""The progress of prompts towards their completions: tokens, text so far, and why a text ended.

A step is the same for one prompt and for a batch: choose one token from the logits of each sequence's last position,
then run one forward pass over all the chosen tokens. The prompts of a batch are read one by one, and a sequence that
has ended leaves the batch, so no sequence is padded and each gets the same tokens as by itself.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

import numpy as np

from ..arrays import Array
from ..checks import brief, shown
from ..model import GPT, KVCache
from ..model.ops import log_softmax
from ..tokenizer import Tokenizer
from .noise import Noise
from .options import GenerationOptions
from .sampling import Sampling
from .scoring import Alternatives, Part, alternatives_part
from .stop_strings import StopStrings


@dataclass(frozen=True)
class Completion:
    """The text that a model wrote.

    Attributes
    ----------
    prompt : str
    text : str
        The new text, without the prompt and without the stop string.
    ids : list of int
        The new tokens, including a stop string's but not the end-of-text token.
    logprobs : list of float
        The model's log-probability of each new token, in nats, before temperature, top-k and top-p.
    finish_reason : str
        "length" (max_new_tokens), "stop" (a stop string), "end_of_text" (the model ended the text itself) or
        "context" (prompt and completion fill the model's context).
    end_id : int, optional
        The token with which the model ended the text, if it did.
    alternatives : Alternatives, optional
        What could have come instead of each new token, if it was asked for.
    """

    prompt: str
    text: str
    ids: list[int]
    logprobs: list[float]
    finish_reason: str
    end_id: int | None = None
    alternatives: Alternatives | None = None

    def __repr__(self) -> str:
        end = self.finish_reason or "nothing yet"
        return brief(self, f"{shown(self.text, 60)}, {len(self.ids)} tokens, ended by {end}")

    def to_dict(self) -> dict[str, Any]:
        """Return plain values that JSON can hold."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        return {**values, "alternatives": None if self.alternatives is None else self.alternatives.to_dict()}


@dataclass
class Continuation:
    """A prompt while it is being continued; `n_alternatives` are recorded for each token."""

    prompt: str
    prompt_ids: list[int]
    options: GenerationOptions
    tokenizer: Tokenizer
    n_alternatives: int = 0
    text: str = ""
    ids: list[int] = field(default_factory=list)
    logprobs: list[float] = field(default_factory=list)
    finish_reason: str = ""
    end_id: int | None = None

    def __post_init__(self) -> None:
        self.noise = Noise(self.options.seed)
        self.stops = StopStrings(self.options.stop)
        self.decoder = self.tokenizer.stream_decoder()
        self._alternatives: list[Part] = []

    @property
    def read_ids(self) -> list[int]:
        """The ids of the prompt, followed by the ids of the new tokens."""
        return self.prompt_ids + self.ids

    def check_room(self, n_ctx: int) -> None:
        """Set the finish reason if there is no room for another token."""
        if len(self.ids) >= self.options.max_new_tokens:
            self.finish_reason = "length"
        elif len(self.prompt_ids) + len(self.ids) >= n_ctx:
            self.finish_reason = "context"

    def accept(self, id_: int, logits: Array, n_ctx: int, end_ids: Collection[int]) -> str:
        """Add a token that was chosen by logits (V,); return the text that is now certain to be in the completion."""
        # 1. The token ends the text, or is added to it.
        if id_ in end_ids:
            self.finish_reason, self.end_id = "end_of_text", id_
            piece = ""
        else:
            self.ids.append(id_)
            self.logprobs.append(float(log_softmax(logits)[id_]))
            if self.n_alternatives:
                self._alternatives.append(alternatives_part(logits[None], np.array([id_]), self.n_alternatives))
            piece, stopped = self.stops.push(self.decoder.push(id_))
            if stopped:
                self.finish_reason = "stop"
            else:
                self.check_room(n_ctx)
        # 2. At an end other than a stop string, the text that was held back is released.
        if self.finish_reason in ("length", "context", "end_of_text"):
            last, stopped = self.stops.push(self.decoder.finish())
            piece += last + self.stops.rest()
            if stopped:
                self.finish_reason = "stop"
        self.text += piece
        return piece

    def completion(self) -> Completion:
        """Return what has been written so far."""
        ids, logprobs = self.ids.copy(), self.logprobs.copy()
        parts = self._alternatives
        alternatives = Alternatives.joined(parts, self.tokenizer) if parts else None
        return Completion(self.prompt, self.text, ids, logprobs, self.finish_reason, self.end_id, alternatives)


class TextStream:
    """Iterator over the pieces of a completion as they are written; each piece consists of whole characters."""

    def __init__(self, continuation: Continuation, pieces: Iterator[str]) -> None:
        self._continuation = continuation
        self._pieces = pieces

    def __repr__(self) -> str:
        return brief(self, f"after {shown(self._continuation.prompt, 60)}, {len(self._continuation.ids)} tokens so far")

    def __iter__(self) -> TextStream:
        return self

    def __next__(self) -> str:
        for piece in self._pieces:
            if piece:
                return piece
        raise StopIteration

    @property
    def tokens(self) -> tuple[list[int], list[float]]:
        """The new tokens so far, and their log-probabilities, as the completion has them: the lists go on growing."""
        return self._continuation.ids, self._continuation.logprobs

    @property
    def completion(self) -> Completion:
        """The completion so far, with finish_reason "" until the stream has ended."""
        return self._continuation.completion()


def prefill(model: GPT, continuations: Sequence[Continuation]) -> tuple[KVCache, list[Array]]:
    """Read each prompt by itself, into its own row of a new cache; return it, and the logits (V,) after each prompt."""
    n_ctx = model.config.n_ctx
    lengths = [len(continuation.prompt_ids) + continuation.options.max_new_tokens for continuation in continuations]
    cache = model.new_cache(batch=len(continuations), capacity=min(max(lengths, default=n_ctx), n_ctx))
    return cache, [
        model(continuation.prompt_ids, cache.select([row]), last_only=True)
        for row, continuation in enumerate(continuations)
    ]


def write_in_step(
    model: GPT, continuations: Sequence[Continuation], sampling: Sampling, end_ids: Collection[int]
) -> Iterator[str]:
    """Write all continuations to their ends, one token each per step; yield the new text after each token."""
    n_ctx, writing = model.config.n_ctx, list(continuations)
    # 1. Prefill: read the prompts.
    cache, logits = prefill(model, writing)
    while writing:
        # 2. Choose one token for each text.
        for continuation, row_logits in zip(writing, logits, strict=True):
            id_ = sampling.choose(row_logits, continuation.noise, continuation.read_ids)
            yield continuation.accept(id_, row_logits, n_ctx, end_ids)
        # 3. Drop the texts that have ended from the batch.
        rows = [row for row, continuation in enumerate(writing) if not continuation.finish_reason]
        cache, writing = cache.select(rows), [writing[row] for row in rows]
        # 4. Decode: run one pass over the new tokens of the others.
        if writing:
            last_ids = [[continuation.ids[-1]] for continuation in writing]
            logits = list(model(last_ids, cache, last_only=True))
