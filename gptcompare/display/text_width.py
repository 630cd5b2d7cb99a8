"""Text in the cells of a terminal: measuring its width, wrapping it, and keeping control characters out of it."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Sequence

import regex

# What a reader sees as one character: a letter with its accents, a flag, a family of emoji (Unicode Annex 29).
CHARACTER = regex.compile(r"\X")
WORD = regex.compile(r"[^\S\n]*[^\s]+|[^\S\n]+|\n")
CONTROL = regex.compile(r"(?![\n\t])[\p{Cc}\p{Zl}\p{Zp}\u202A-\u202E\u2066-\u2069]")  # also what reverses text
# An emoji that is joined to others, has a skin tone or asks for its picture; and a flag, which is two letters.
PICTURE = regex.compile(r"\p{Emoji}.*[\u200d\ufe0f\U0001f3fb-\U0001f3ff]|[\U0001f1e6-\U0001f1ff]{2}", regex.DOTALL)
SOFT_HYPHEN = "\u00ad"


def printable(text: str) -> str:
    r"""Replace control characters by visible symbols: a model's text must not be able to control the terminal.

    >>> printable("red\x1b[31m")
    'red␛[31m'
    """
    return CONTROL.sub(lambda match: _picture(match[0]), text).replace("\t", "    ")


def _picture(control: str) -> str:
    code = ord(control)
    return chr(0x2400 + code) if code < 0x20 else "\u2421" if code == 0x7F else "\N{REPLACEMENT CHARACTER}"


def width(text: str) -> int:
    r"""Return the number of cells that a line of text takes.

    Wide characters take two (Unicode Annex 11), combining marks none. Emoji that are joined into one take two, as on
    terminals that draw them as one.

    >>> width("abc"), width("漢字"), width("e\u0301")
    (3, 4, 1)
    """
    return len(text) if text.isascii() else sum(map(_character_width, CHARACTER.findall(text)))


def _character_width(character: str) -> int:
    return 2 if PICTURE.match(character) else sum(map(_code_point_width, character))


def _code_point_width(code_point: str) -> int:
    is_vowel_of_hangul = "\u1160" <= code_point <= "\u11ff"  # drawn into the consonant before it
    is_mark = unicodedata.category(code_point) in ("Mn", "Me", "Mc", "Cf") and code_point != SOFT_HYPHEN
    if is_mark or is_vowel_of_hangul:  # also those that Annex 11 calls wide, such as the voiced sound mark of kana
        return 0
    return 2 if unicodedata.east_asian_width(code_point) in "WF" else 1


def pad(text: str, n_cells: int) -> str:
    """Pad the text with spaces to `n_cells` cells.

    >>> pad("漢", 4)
    '漢  '
    """
    return text + " " * (n_cells - width(text))


def aligned(rows: Sequence[Sequence[str]]) -> str:
    """Return a table as lines: the first column aligned to the left, all others to the right.

    >>> print(aligned([["", "a"], ["one", "1.5"]]))
           a
    one  1.5
    """
    cells = [[printable(cell) for cell in row] for row in rows]
    first, *others = (max(map(width, column)) for column in zip(*cells, strict=True))

    def line(label: str, rest: Sequence[str]) -> str:
        right = (" " * (n - width(cell)) + cell for cell, n in zip(rest, others, strict=True))
        return "  ".join([pad(label, first), *right]).rstrip()

    return "\n".join(line(label, rest) for label, *rest in cells)


def wrap(text: str, n_cells: int) -> list[str]:
    """Break a text into lines of at most `n_cells` cells, between words, or inside a word that is longer than a line.

    Line breaks in the text are kept; there is at least one line.

    >>> wrap("Once upon a time", 9)
    ['Once upon', 'a time']
    """
    return Wrapped(n_cells, text).lines


class Wrapped:
    """The wrapped lines of a growing text: when text is added at the end, only the last line changes.

    Parameters
    ----------
    n_cells : int
        Width of a line; a character that is wider than the line takes more.
    text : str
        The text to begin with.

    Attributes
    ----------
    lines : list of str
    """

    def __init__(self, n_cells: int, text: str = "") -> None:
        self.lines = [""]
        self._n_cells = n_cells
        self._used = 0  # cells used in the last line
        self._source = ""  # the text of the last line, with any space at its end that did not fit
        self.add(text)

    def add(self, text: str) -> None:
        """Add text at the end."""
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
    """Cut a word into pieces of at most `n_cells` cells, each of at least one character."""
    part, used = "", 0
    for character in CHARACTER.findall(word):
        n = width(character)
        if part and used + n > n_cells:
            yield part
            part, used = "", 0
        part, used = part + character, used + n
    if part:
        yield part
