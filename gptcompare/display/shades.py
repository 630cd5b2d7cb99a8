"""Colour on a terminal: when there is any, the surprise of a text as shades, and tokens as chips.

A shade is a number: 0 is the terminal's own colour, and the others are foregrounds of xterm's 256 colours, from blue to
red, that read on black and on white (a contrast of at least 3.8 with both, as WCAG 2 defines it).
"""

from __future__ import annotations

import bisect
import math
import os
from collections.abc import Callable, Iterable, Sequence
from itertools import groupby, pairwise
from typing import TextIO

from .text_width import CHARACTER, printable

CHOICES = ("auto", "always", "never")
BITS = (2, 4, 7, 10)  # of surprise, where the next shade begins
SHADES = (None, 32, 98, 133, 160)  # colours of the xterm palette
CHIPS = (24, 94, 22, 53, 239)  # backgrounds on which white letters read, in turn
RESET = "\x1b[0m"


def colour_wanted(choice: str, stream: TextIO) -> bool:
    """Return whether to write colours to a stream.

    "auto" means on a terminal, unless NO_COLOR is set to anything (https://no-color.org) or TERM is "dumb".
    """
    if choice != "auto":
        return choice == "always"
    return stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def shade_of(bits: float) -> int:
    """Return the shade for a surprise in bits.

    >>> shade_of(0.5), shade_of(2.0), shade_of(40.0)
    (0, 1, 4)
    """
    return bisect.bisect_right(BITS, bits)


def painted(text: str, shades: Sequence[int]) -> str:
    r"""Return a printable text with the colours of its characters; where there are too few shades, the rest has none.

    An accent has the colour of its letter, so that no colour comes between them.

    >>> painted("a cat", [0, 1, 1, 1, 1])
    'a\x1b[38;5;32m cat\x1b[0m'
    """
    if not any(shades):
        return text
    parts, position = [], 0
    for character in CHARACTER.findall(text):
        parts.append((shades[position] if position < len(shades) else 0, character))
        position += len(character)
    runs = ((shade, "".join(part for _, part in run)) for shade, run in groupby(parts, key=lambda part: part[0]))
    return "".join(f"\x1b[38;5;{SHADES[shade]}m{run}{RESET}" if shade else run for shade, run in runs)


def chips(tokens: Iterable[str]) -> str:
    """Return printable tokens beside each other, each on a background other than its neighbours'; lines stay lines."""
    return "".join(
        "\n".join(
            f"\x1b[48;5;{CHIPS[number % len(CHIPS)]};38;5;231m{line}{RESET}" if line else ""
            for line in token.split("\n")
        )
        for number, token in enumerate(tokens)
    )


def key() -> str:
    """Return what the shades mean, each part in its own."""
    words = [f"0–{BITS[0]}", *(f"{low}–{high}" for low, high in pairwise(BITS)), f"over {BITS[-1]}"]
    parts = [painted(part, [shade] * len(part)) for shade, part in enumerate(words)]
    return f"Surprise in bits: {', '.join(parts)}."


class Shading:
    """The shades of a text that a model writes, known as soon as its tokens are.

    Parameters
    ----------
    decode : function
        Returns the characters that a token completes, given its id: `Tokenizer.stream_decoder().push`. The tokens of
        one character have one shade, that of their surprise together.
    """

    def __init__(self, decode: Callable[[int], str]) -> None:
        self._decode = decode
        self._shades: list[int] = []  # of the characters that are known
        self._n_tokens = 0
        self._bits = 0.0  # of the tokens of a character that is not complete
        self._n_taken = 0

    def of(self, piece: str, ids: Sequence[int], logprobs: Sequence[float]) -> list[int]:
        """Return the shades of the next piece of text, given all tokens up to now and their log-probabilities."""
        for id_, logprob in zip(ids[self._n_tokens :], logprobs[self._n_tokens :], strict=True):
            self._bits -= logprob / math.log(2)
            if text := self._decode(id_):
                self._shades += [shade_of(self._bits)] * len(text)
                self._bits = 0.0
        self._n_tokens = len(ids)
        start = self._n_taken
        self._n_taken += len(piece)
        return [*self._shades[start : self._n_taken], *[0] * (self._n_taken - max(len(self._shades), start))]


def printable_shades(text: str, shades: Sequence[int]) -> list[int]:
    """Return the shades of `printable(text)`, in which a character may have become several.

    >>> printable_shades("a\\tb", [1, 2, 3])
    [1, 2, 2, 2, 2, 3]
    """
    return [shade for character, shade in zip(text, shades, strict=True) for _ in printable(character)]
