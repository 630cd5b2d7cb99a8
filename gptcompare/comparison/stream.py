"""Several models that take turns to write, each timed separately, and the comparison of what they wrote."""

from __future__ import annotations

import codecs
import time
from collections.abc import Iterator, Sequence
from itertools import zip_longest

import numpy as np

from ..arrays import Array
from ..checks import brief, integer, shown, together
from ..generation import GenerationOptions, LanguageModel
from ..generation.completion import Completion
from ..generation.scoring import Alternatives, alternatives_part
from ..model.changes import in_words
from ..model.ops import log_softmax
from ..tokenizer import AllowedSpecial, Tokenizer
from .reading import ALTERNATIVES, Reading, read, share_vocabulary
from .result import Comparison
from .sides import Parting, Side
from .writers import Models, load_sides, options_of_all

LIKELIEST = 3  # tokens that are named where texts part


class ComparisonStream:
    """Iterator over (number of the model, new text) while several models take turns to write one piece each.

    Parameters
    ----------
    prompt : str
    models
        As for `compare`.
    options : GenerationOptions, optional
        Of all models that have none of their own. If tokens are drawn at random and no seed is given, one is chosen.
    allowed_special, alternatives
        As for `compare`.

    Attributes
    ----------
    models : dict of name -> LanguageModel
    options : GenerationOptions
    options_of_sides : list of GenerationOptions
        For each model, those with which it writes.
    writing : list of int
        The numbers of the models that are still writing.
    """

    def __init__(
        self,
        prompt: str,
        models: Models,
        options: GenerationOptions | None = None,
        allowed_special: AllowedSpecial = (),
        alternatives: int = ALTERNATIVES,
    ) -> None:
        writers = load_sides(models)
        self.models = {name: writer.lm.allowing(allowed_special) for name, writer in writers.items()}
        self._allowed = frozenset[str]().union(*(lm.allowed_special for lm in self.models.values()))
        self.prompt = prompt
        self._alternatives = integer("alternatives", alternatives, at_least=0)
        self.options, self.options_of_sides = options_of_all(options or GenerationOptions(), writers.values())
        self._streams = [
            lm.stream(prompt, **of_side.to_dict())
            for lm, of_side in zip(self.models.values(), self.options_of_sides, strict=True)
        ]
        self._clocks = [_Clock() for _ in self._streams]
        self.writing = list(range(len(self._streams)))
        self._pieces = self._in_turn()

    def __repr__(self) -> str:
        return brief(self, f"{together(self.models)} after {shown(self.prompt, 40)}, {len(self.writing)} still writing")

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

    def tokens(self, number: int) -> tuple[list[int], list[float]]:
        """Return the tokens that a model has written so far, and their log-probabilities."""
        return self._streams[number].tokens

    def sides(self) -> tuple[Side, ...]:
        """Return what each model has written so far."""
        parts = zip(self.models.items(), self._streams, self._clocks, self.options_of_sides, strict=True)
        return tuple(
            Side(
                name, lm.config, stream.completion, *clock.speed(), options.to_dict(),
                tuple(map(in_words, lm.model.hooks)),
            )
            for (name, lm), stream, clock, options in parts
        )  # fmt: skip

    def comparison(self) -> Comparison:
        """Return the comparison; call this when the iterator has ended."""
        # 1. What each model wrote, as far as it can be read.
        lms, sides = list(self.models.values()), self.sides()
        written = [whole_tokens(lm, side.completion) for lm, side in zip(lms, sides, strict=True)]
        # 2. Each of these texts, read by all models.
        shared = share_vocabulary(lms)
        readings = tuple(self._reading(lms, number, ids, shared) for number, ids in enumerate(written))
        # 3. The first token that differs.
        ends = [side.completion.end_id for side in sides]
        parting = _parting(lms, self.prompt, written, ends) if shared else None
        options = self.options.to_dict()
        if self._allowed:
            options["allowed_special"] = sorted(self._allowed)
        return Comparison(self.prompt, options, sides, shared, readings, parting, self.models)

    def _reading(self, lms: Sequence[LanguageModel], number: int, ids: list[int], shared: bool) -> Reading:
        """Let all models read what one of them wrote: its tokens or, with another vocabulary, the same text."""
        text = lms[number].tokenizer.decode(ids)
        by_model = [ids if shared or n == number else lm.encode(text) for n, lm in enumerate(lms)]
        contexts = [lm.prompt_ids(self.prompt) for lm in lms]
        return read(lms, text, contexts, by_model, self.options_of_sides, self._alternatives)


def whole_tokens(lm: LanguageModel, completion: Completion) -> list[int]:
    """Return the tokens of a completion that lie in its text, up to the last one that ends a whole character.

    A stop string is not part of the text, nor is a character whose last bytes are missing; an id from the padding of a
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
    """The time that one model takes for its tokens, not counting the others.

    A piece of text may consist of several tokens; the first token becomes visible with the first piece.
    """

    def __init__(self) -> None:
        self._seconds = 0.0
        self._first: tuple[float, int] | None = None  # seconds and tokens until then
        self._n_tokens = 0

    def start(self) -> None:
        """Start the clock."""
        self._start = time.perf_counter()

    def stop(self, n_tokens: int) -> None:
        """Stop the clock, with `n_tokens` tokens written so far."""
        self._seconds += time.perf_counter() - self._start
        self._n_tokens = n_tokens
        if self._first is None and n_tokens:
            self._first = self._seconds, n_tokens

    def speed(self) -> tuple[float | None, float | None]:
        """Return the seconds to the first piece, and the tokens per second after it."""
        if self._first is None:
            return None, None
        seconds, n_tokens = self._first
        rest, n_rest = self._seconds - seconds, self._n_tokens - n_tokens
        return seconds, n_rest / rest if n_rest and rest > 0 else None


def _likeliest(logprobs: Array, tokenizer: Tokenizer) -> list[tuple[bytes, float]]:
    """Return the tokens that a model held likeliest, with their probabilities."""
    part = alternatives_part(logprobs[None], np.zeros(1, np.int64), LIKELIEST)
    return Alternatives.joined([part], tokenizer).at(0)


def _parting(
    lms: Sequence[LanguageModel], prompt: str, written: Sequence[list[int]], ends: Sequence[int | None]
) -> Parting | None:
    """Find where models that share a vocabulary part; an end of text is a token like any other."""
    by_side = [
        [*((id_, False) for id_ in ids), *([] if end is None else [(end, True)])]
        for ids, end in zip(written, ends, strict=True)
    ]
    for position, choices in enumerate(zip_longest(*by_side)):  # None for a text that has been cut off before
        going_on = {choice for choice in choices if choice is not None}
        if len(going_on) > 1:
            before = [*lms[0].prompt_ids(prompt), *max(written, key=len)[:position]]
            logprobs = [log_softmax(lm.model(before, last_only=True)) for lm in lms]
            return Parting(
                position,
                tuple(None if choice is None else _bytes_of(choice, lms[0].tokenizer) for choice in choices),
                tuple(
                    None if choice is None else _margin(of_model, choice[0], {id_ for id_, _ in going_on})
                    for of_model, choice in zip(logprobs, choices, strict=True)
                ),
                tuple(_likeliest(of_model, lms[0].tokenizer) for of_model in logprobs),
            )
    return None


def _bytes_of(choice: tuple[int, bool], tokenizer: Tokenizer) -> bytes:
    """Return the bytes of a token, none for an end of text."""
    id_, is_end = choice
    return b"" if is_end else tokenizer.decode_bytes([id_])


def _margin(logprobs: Array, own: int, chosen: set[int]) -> float:
    """Return how much more likely a token is than the likeliest different one of those that were chosen."""
    return float(logprobs[own] - max((logprobs[other] for other in chosen if other != own), default=logprobs[own]))
