"""Text to pieces: words with their leading space, numbers, runs of other marks, and white space.

The pattern is that of openai/gpt-2, src/encoder.py. What it calls a letter or a number depends on the version of the
Unicode tables: those of the `regex` package that is installed, which grow every year. A character that was not yet a
letter for one version then makes other ids than for another. So the tables are fixed here: Unicode 16, as in tiktoken
0.14 and tokenizers 0.23. (OpenAI's own program of 2019 asks for regex 2017.4.5, which knew some 24,000 fewer letters,
nearly all of them Chinese characters outside the basic plane.)
"""

from __future__ import annotations

import sys
from functools import cache
from importlib import resources

import numpy as np
import regex
from numpy.typing import NDArray

# openai/gpt-2, src/encoder.py: contractions, words, numbers, other marks, white space before a word, white space.
PIECES = regex.compile(r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+")

# For a character that `regex` puts into another class than Unicode 16: one of the right class, and of no contraction.
STAND_INS = {"L": "a", "N": "0", "other": "!"}
NEW, SAME, OTHERWISE = 0, 1, 2  # what is known about the class of a character


def pieces(text: str) -> list[str]:
    """Cut a text without lone surrogates into the pieces within which tokens are formed.

    >>> pieces("Alice's 2 sisters")
    ['Alice', "'s", ' 2', ' sisters']
    """
    stand_ins = {} if text.isascii() else _CHARACTERS.stand_ins(text)
    if not stand_ins:
        return PIECES.findall(text)
    return [text[slice(*match.span())] for match in PIECES.finditer(text.translate(stand_ins))]


class _Characters:
    """The characters met so far, and those among them that `regex` classifies otherwise than Unicode 16."""

    def __init__(self) -> None:
        self._known = np.full(sys.maxunicode + 1, NEW, np.uint8)  # code point -> NEW, SAME or OTHERWISE
        self._stand_ins: dict[int, str] = {}

    def stand_ins(self, text: str) -> dict[int, str]:
        """Return code point -> a stand-in for what `regex` would classify otherwise; {} if the text has none of it."""
        codes = np.frombuffer(text.encode("utf-32-le"), np.uint32)
        known = self._known[codes]
        if not known.all():
            for code in np.unique(codes[known == NEW]).tolist():
                self._meet(code)
            known = self._known[codes]
        return self._stand_ins if (known == OTHERWISE).any() else {}

    def _meet(self, code: int) -> None:
        kind = next((kind for kind, members in unicode_16().items() if members[code]), "other")
        same = regex.fullmatch({"L": r"\p{L}", "N": r"\p{N}", "other": r"[^\p{L}\p{N}]"}[kind], chr(code))
        if not same:
            self._stand_ins[code] = STAND_INS[kind]
        self._known[code] = SAME if same else OTHERWISE


_CHARACTERS = _Characters()


@cache
def unicode_16() -> dict[str, NDArray[np.bool_]]:
    """Return L -> which code points are letters, N -> which are numbers: each (n_code_points,)."""
    table = (resources.files(__package__) / "data" / "unicode-16.txt").read_text(encoding="ascii")
    classes = {}
    for kind, *ranges in map(str.split, table.splitlines()):
        classes[kind] = np.zeros(sys.maxunicode + 1, bool)
        for first, last in (bounds.split("-") for bounds in ranges):
            classes[kind][int(first, 16) : int(last, 16) + 1] = True
    return classes
