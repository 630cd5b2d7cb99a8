"""The main job: several models, one prompt, and what can truthfully be said about the difference."""

from __future__ import annotations

import codecs
import os
import secrets
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias, overload

from .completion import Completion
from .config import GPTConfig
from .generation import LanguageModel, load
from .ops import log_softmax
from .reading import Reading, read, share_vocabulary

EMBEDDED_PAIR = ("nano-gpt2", "nano-gpt3")
DEFAULTS = {"max_new_tokens": 40, "temperature": 0.0, "top_k": None, "top_p": None, "stop": ()}
Models: TypeAlias = "Sequence[str | os.PathLike[str] | LanguageModel] | Mapping[str, LanguageModel]"


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
        from .pages import fragment

        return fragment(self)


@dataclass(frozen=True)
class TextComparison:
    """One text that several models read.

    Attributes
    ----------
    names : tuple of str
    configs : tuple of GPTConfig
    reading : Reading
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
        from .pages import fragment

        return fragment(self)


@overload
def compare(prompt: str, models: Models = ..., **options: Any) -> Comparison: ...
@overload
def compare(prompt: list[str] | tuple[str, ...], models: Models = ..., **options: Any) -> list[Comparison]: ...
def compare(
    prompt: str | list[str] | tuple[str, ...], models: Models = EMBEDDED_PAIR, **options: Any
) -> Comparison | list[Comparison]:
    """Let several models continue a prompt, or each of several prompts, and compare what they write.

    Each of them draws the same random numbers, so that a difference is the models' and not the dice's.

    Parameters
    ----------
    prompt : str, or a list of them
        Each is compared as it would be alone.
    models : sequence of names, folders or LanguageModels; or dict of name -> LanguageModel
        At least one; the pair in the package if not given.
    **options
        As `LanguageModel.generate` takes them: max_new_tokens, temperature, top_k, top_p, seed, stop. If there are dice
        to throw and no seed, one is drawn, and stands in the result's options.

    Returns
    -------
    Comparison, or a list of them for a list of prompts

    Raises
    ------
    TypeError, ValueError, FileNotFoundError
        As `gptcompare.load` and `LanguageModel.generate`.
    """
    lms = named(models)
    if isinstance(prompt, (list, tuple)):
        return [compare(one, lms, **options) for one in prompt]
    stream = ComparisonStream(prompt, lms, **options)
    for _ in stream:
        pass
    return stream.comparison()


def compare_text(text: str, models: Models = EMBEDDED_PAIR) -> TextComparison:
    """Let several models read a text, and compare how probable they find it.

    Every model reads the token that begins or separates its texts in front of it, so that the whole text counts,
    whatever the vocabulary. A text longer than a model's context is read as `LanguageModel.predictions` says.

    Parameters
    ----------
    text : str
    models
        As `compare` takes them.

    Raises
    ------
    TypeError, ValueError, FileNotFoundError
        As `gptcompare.load`; or if the text is empty.
    """
    several = named(models)
    if not isinstance(text, str):
        raise TypeError(f"text must be a str, got {text!r}")
    if not text:
        raise ValueError("the text is empty: there is nothing to compare")
    lms = list(several.values())
    ids = [lm.tokenizer.encode(text) for lm in lms]
    reading = read(lms, text, [lm.prompt_ids("") for lm in lms], ids)
    return TextComparison(tuple(several), tuple(lm.config for lm in lms), reading)


def named(models: Models) -> dict[str, LanguageModel]:
    """Name -> model, each loaded once; one that is given without a name is called by its number."""
    if isinstance(models, (str, os.PathLike, LanguageModel)) or not isinstance(models, (Sequence, Mapping)):
        raise TypeError(f"models must be several, such as {EMBEDDED_PAIR}, got {models!r}")
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
                given[_free_name(f"model {number}", given)] = model
                continue
            name = os.fspath(model)
            loaded[name] = loaded.get(name) or load(name)
            given[_free_name(name, given)] = loaded[name]
    if not given:
        raise ValueError("models is empty: give at least one")
    return given


def _free_name(name: str, taken: Mapping[str, object]) -> str:
    """The name, with a number behind it if it is taken."""
    names = [name, *(f"{name} ({n})" for n in range(2, len(taken) + 2))]
    return next(free for free in names if free not in taken)


class ComparisonStream:
    """Iterator over (number of the model, new text) while several models write, in turn a piece each.

    Parameters
    ----------
    prompt, **options
        As `compare` takes them.
    models : dict of name -> LanguageModel

    Attributes
    ----------
    writing : list of int
        The numbers of the models that have not ended.
    """

    def __init__(
        self, prompt: str, models: Mapping[str, LanguageModel], *, seed: int | None = None, **options: Any
    ) -> None:
        self.models = dict(models)
        self.prompt = prompt
        self.options = {**DEFAULTS, **options}
        if seed is None and self.options["temperature"] != 0:
            seed = secrets.randbelow(2**32)
        self.options["seed"] = seed
        self._streams = [lm.stream(prompt, **self.options) for lm in self.models.values()]
        self._clocks = [_Clock() for _ in self._streams]
        self.writing = list(range(len(self._streams)))
        self._pieces = self._in_turn()

    def __iter__(self) -> Iterator[tuple[int, str]]:
        return self

    def __next__(self) -> tuple[int, str]:
        return next(self._pieces)

    def _in_turn(self) -> Iterator[tuple[int, str]]:
        while self.writing:
            for number in self.writing.copy():
                stream, clock = self._streams[number], self._clocks[number]
                clock.start()
                piece = next(stream, None)
                clock.stop(len(stream.completion.ids))
                if piece is None:
                    self.writing.remove(number)
                else:
                    yield number, piece

    def sides(self) -> tuple[Side, ...]:
        """What there is so far."""
        return tuple(
            Side(name, lm.config, stream.completion, *clock.speed())
            for (name, lm), stream, clock in zip(self.models.items(), self._streams, self._clocks, strict=True)
        )

    def comparison(self) -> Comparison:
        """The result; to be asked for when the iterator has ended."""
        lms, sides = list(self.models.values()), self.sides()
        written = [whole_tokens(lm, side.completion) for lm, side in zip(lms, sides, strict=True)]
        shared = share_vocabulary(lms)
        readings = tuple(self._reading(lms, number, ids, shared) for number, ids in enumerate(written))
        ended = [side.completion.finish_reason == "end_of_text" for side in sides]
        parting = _parting(lms, self.prompt, written, ended) if shared else None
        options = {**self.options, "stop": _listed(self.options["stop"])}
        return Comparison(self.prompt, options, sides, shared, readings, parting)

    def _reading(self, lms: Sequence[LanguageModel], number: int, ids: list[int], shared: bool) -> Reading:
        """How all models find what one of them wrote: its tokens, or, with another vocabulary, the same text."""
        text = lms[number].tokenizer.decode(ids)
        by_model = [ids if shared or n == number else lm.tokenizer.encode(text) for n, lm in enumerate(lms)]
        return read(lms, text, [lm.prompt_ids(self.prompt) for lm in lms], by_model)


def _listed(stop: str | Sequence[str] | None) -> list[str]:
    return [stop] if isinstance(stop, str) else list(stop or ())


def whole_tokens(lm: LanguageModel, completion: Completion) -> list[int]:
    """The tokens of a completion that lie in its text: up to the last that a whole character ends with.

    Those of a stop string are not in it, nor is a character whose last bytes did not come; an id from the padding of a
    model's vocabulary ends what can be read.
    """
    decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
    text, n_whole = "", 0
    for n, id_ in enumerate(completion.ids, 1):
        try:
            text += decoder.decode(lm.tokenizer.decode_bytes([id_]))
        except ValueError:
            break
        unfinished, _ = decoder.getstate()
        if not completion.text.startswith(text):
            break
        if not unfinished:
            n_whole = n
    return completion.ids[:n_whole]


class _Clock:
    """The time that one model takes for its tokens, without that of the others.

    A piece of text may be of several tokens; the first piece is what there is to see of the first token.
    """

    def __init__(self) -> None:
        self._seconds = 0.0
        self._first: tuple[float, int] | None = None  # seconds and tokens until then
        self._n_tokens = 0

    def start(self) -> None:
        self._start = time.perf_counter()

    def stop(self, n_tokens: int) -> None:
        """With the number of tokens that there are."""
        self._seconds += time.perf_counter() - self._start
        self._n_tokens = n_tokens
        if self._first is None and n_tokens:
            self._first = self._seconds, n_tokens

    def speed(self) -> tuple[float | None, float | None]:
        """Seconds to the first piece, and tokens per second after it."""
        if self._first is None:
            return None, None
        seconds, n_tokens = self._first
        rest, n_rest = self._seconds - seconds, self._n_tokens - n_tokens
        return seconds, n_rest / rest if n_rest and rest > 0 else None


def _parting(
    lms: Sequence[LanguageModel], prompt: str, written: Sequence[list[int]], ended: Sequence[bool]
) -> Parting | None:
    """Of models that share a vocabulary; an end of text is a token like any other."""
    tokenizer = lms[0].tokenizer
    end = [] if tokenizer.eot_id is None else [tokenizer.eot_id]
    by_side = [ids + end if ends else ids for ids, ends in zip(written, ended, strict=True)]
    for position, choices in enumerate(zip(*by_side, strict=False)):
        if len(set(choices)) > 1:
            before = [*lms[0].prompt_ids(prompt), *written[0][:position]]
            logprobs = [log_softmax(lm.model(before, last_only=True)) for lm in lms]
            margins = tuple(
                float(of_model[own] - max(of_model[other] for other in choices if other != own))
                for of_model, own in zip(logprobs, choices, strict=True)
            )
            tokens = tuple(b"" if id_ in end else tokenizer.decode_bytes([id_]) for id_ in choices)
            return Parting(position, tokens, margins)
    return None
