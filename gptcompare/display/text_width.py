"""Text in the cells of a terminal: how wide it is, where it is broken, and what must not reach the terminal."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator

import regex

# What a person takes for one character: a letter with its accents, a flag, a family of emoji (Unicode Annex 29).
CHARACTER = regex.compile(r"\X")
WORD = regex.compile(r"[^\S\n]*[^\s]+|[^\S\n]+|\n")
CONTROL = regex.compile(r"(?![\n\t])[\p{Cc}\p{Zl}\p{Zp}\u202A-\u202E\u2066-\u2069]")  # also what turns text around
# An emoji that is joined to others, coloured, or asked for as a picture; and a flag, which is two letters.
PICTURE = regex.compile(r"\p{Emoji}.*[\u200d\ufe0f\U0001f3fb-\U0001f3ff]|[\U0001f1e6-\U0001f1ff]{2}", regex.DOTALL)
SOFT_HYPHEN = "\u00ad"


def printable(text: str) -> str:
    """The text with its control characters shown as pictures: a model may write what would command the terminal."""
    return CONTROL.sub(lambda match: _picture(match[0]), text).replace("\t", "    ")


def _picture(control: str) -> str:
    code = ord(control)
    return chr(0x2400 + code) if code < 0x20 else "\u2421" if code == 0x7F else "\N{REPLACEMENT CHARACTER}"


def width(text: str) -> int:
    """Cells that a line of text takes.

    Wide characters take two (Unicode Annex 11), marks on others none. Emoji that are joined to one take two, as on
    terminals that draw them as one.
    """
    return len(text) if text.isascii() else sum(map(_character_width, CHARACTER.findall(text)))


def _character_width(character: str) -> int:
    return 2 if PICTURE.match(character) else sum(map(_code_point_width, character))


def _code_point_width(code_point: str) -> int:
    if unicodedata.east_asian_width(code_point) in "WF":
        return 2
    is_vowel_of_hangul = "\u1160" <= code_point <= "\u11ff"  # drawn into the consonant before it
    is_mark = unicodedata.category(code_point) in ("Mn", "Me", "Mc", "Cf") and code_point != SOFT_HYPHEN
    return 0 if is_mark or is_vowel_of_hangul else 1


def pad(text: str, n_cells: int) -> str:
    """The text and as many spaces as fill the cells."""
    return text + " " * (n_cells - width(text))


def wrap(text: str, n_cells: int) -> list[str]:
    """Lines of at most so many cells, broken between words, or inside one that is longer than a line.

    An end of line in the text is one here; there is at least one line.
    """
    return Wrapped(n_cells, text).lines


class Wrapped:
    """Lines of a text that grows: when text is added at the end, no line but the last one changes.

    Parameters
    ----------
    n_cells : int
        Of a line; a wide character in a narrower one takes more.
    text : str
        To begin with.

    Attributes
    ----------
    lines : list of str
    """

    def __init__(self, n_cells: int, text: str = "") -> None:
        self.lines = [""]
        self._n_cells = n_cells
        self._used = 0  # cells of the last line
        self._source = ""  # what the last line was made from: a space at its end may not have fitted
        self.add(text)

    def add(self, text: str) -> None:
        """Text at the end."""
        words = WORD.findall(self._source + printable(text))
        self._begin_line("", replacing=True)
        for word in words:
            n = width(word)
            if word == "\n":
                self._begin_line("")
            elif self._used + n <= self._n_cells or (word.isspace() and self.lines[-1]):
                if self._used + n <= self._n_cells:
                    self.lines[-1] += word
                    self._used += n
                self._source += word
            else:
                self._add_on_new_line(word.lstrip(" ") if self.lines[-1] else word)

    def _add_on_new_line(self, word: str) -> None:
        for number, part in enumerate(_parts(word, self._n_cells)):
            self._begin_line(part, replacing=number == 0 and not self.lines[-1])

    def _begin_line(self, text: str, *, replacing: bool = False) -> None:
        if replacing:
            self.lines.pop()
        self.lines.append(text)
        self._used, self._source = width(text), text


def _parts(word: str, n_cells: int) -> Iterator[str]:
    """A word in pieces of at most so many cells, each of at least one character."""
    part, used = "", 0
    for character in CHARACTER.findall(word):
        n = width(character)
        if part and used + n > n_cells:
            yield part
            part, used = "", 0
        part, used = part + character, used + n
    if part:
        yield part
