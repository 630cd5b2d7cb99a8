"""Tokens as people see them: quoted, in lists with their probabilities, as bars, and as coloured chips."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple, overload

from .colours import COLOURS
from .page import isolated_in_attribute, visible
from .shades import chips
from .text_width import pad, printable, width

ON_SCREEN = 5  # tokens that could have come instead
PAPERS = ("#cfe8ff", "#ffe3bf", "#d3f0d0", "#f3d6ee", "#f5efb0")  # of chips, in turn; dark letters read on all
CHIPS_STYLE = """\
.gptcompare .chips { line-height: 1; }
.gptcompare .chip { display: inline-block; border-radius: 4px; margin: 1px; padding: 3px 2px; color: #1b1b1b; }
.gptcompare .chip b { display: block; font: 15px ui-monospace, monospace; white-space: pre; min-height: 1em; }
.gptcompare .chip small { display: block; font: 10px ui-monospace, monospace; color: #444; padding-top: 3px; }
"""
LABEL = 14  # cells for a token beside its bar


def shown_token(token: bytes) -> str:
    """Quote a token, with a mark for a space so that no line breaks there; as bytes if it is not text.

    >>> shown_token(b" man"), shown_token(b"\\xe2"), shown_token(b"")
    ("'␣man'", "b'\\\\xe2'", 'the end')
    """
    if not token:
        return "the end"
    try:
        quoted = repr(token.decode())
    except UnicodeDecodeError:
        quoted = repr(token)
    return quoted.replace(" ", "␣")


def bare_token(token: bytes) -> str:
    """Write a token as in `shown_token`, without quotation marks.

    >>> bare_token(b" man"), bare_token(b"\\n"), bare_token(b"\\xe2")
    ('␣man', '\\\\n', '\\\\xe2')
    """
    try:
        return repr(token.decode())[1:-1].replace(" ", "␣")
    except UnicodeDecodeError:
        return repr(token)[2:-1].replace(" ", "␣")


def listed(tokens: Sequence[tuple[bytes, float]]) -> str:
    """List tokens with their probabilities.

    >>> listed([(b" a", 0.25), (b" the", 0.125)])
    "'␣a' 25.0 %, '␣the' 12.5 %"
    """
    return ", ".join(f"{shown_token(token)} {probability:.1%}".replace("%", " %") for token, probability in tokens)


def bar(token: bytes, probability: float, came: bool, n_cells: int) -> str:
    """Draw one token and its probability as a bar of blocks; an arrow marks the token that came."""
    label = pad(shorten_to(printable(shown_token(token)), LABEL), LABEL)
    n_bar = max(n_cells - LABEL - len(" 100.0 % ←") - 1, 1)
    return f"{label} {'█' * round(probability * n_bar):<{n_bar}} {100 * probability:5.1f} %{' ←' if came else ''}"


def shorten_to(text: str, n_cells: int) -> str:
    """Return the beginning of a text that fits into so many cells."""
    while width(text) > n_cells:
        text = text[:-1]
    return text


class Token(NamedTuple):
    """A token: its number in the vocabulary, and the bytes that it stands for."""

    id: int
    bytes: bytes


class Tokens(Sequence[Token]):
    """The tokens of a text, in their order; a notebook shows them as coloured chips.

    Parameters
    ----------
    tokens : sequence of (id, bytes)
    """

    def __init__(self, tokens: Sequence[tuple[int, bytes]]) -> None:
        self._tokens = [Token(*token) for token in tokens]

    @property
    def ids(self) -> list[int]:
        """The ids alone."""
        return [token.id for token in self._tokens]

    def __len__(self) -> int:
        return len(self._tokens)

    @overload
    def __getitem__(self, index: int) -> Token: ...
    @overload
    def __getitem__(self, index: slice) -> Tokens: ...
    def __getitem__(self, index: int | slice) -> Token | Tokens:
        found = self._tokens[index]
        return Tokens(found) if isinstance(found, list) else found

    def __iter__(self) -> Iterator[Token]:
        return iter(self._tokens)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Tokens) and self._tokens == other._tokens

    __hash__ = None  # type: ignore[assignment]  # like a list

    def __repr__(self) -> str:
        first = " ".join(f"{id_} {shown_token(token)}" for id_, token in self._tokens[:4])
        return f"<Tokens: {len(self)}{': ' * bool(self)}{first}{' ...' * (len(self) > 4)}>"

    def __str__(self) -> str:
        return "\n".join(f"{id_:>8}  {shown_token(token)}" for id_, token in self._tokens)

    def to_ansi(self) -> str:
        """Return the text for a terminal, each token on another background than its neighbours."""
        return chips(_as_text(token) for _, token in self._tokens)

    def _repr_html_(self) -> str:
        return _chips_html(
            _chip(token, PAPERS[number % len(PAPERS)], f"id {id_}, {len(token)} bytes", str(id_))
            for number, (id_, token) in enumerate(self._tokens)
        )


class ScoredTokens(Sequence[tuple[bytes, float]]):
    """The tokens of a text with a score each; a notebook shows them in two colours, for what is above 0 and below.

    Parameters
    ----------
    tokens : sequence of bytes
    scores : sequence of float
        One for each token; the strongest colour is that of the largest one.
    """

    def __init__(self, tokens: Sequence[bytes], scores: Sequence[float]) -> None:
        self._tokens = list(zip(tokens, scores, strict=True))

    def __len__(self) -> int:
        return len(self._tokens)

    @overload
    def __getitem__(self, index: int) -> tuple[bytes, float]: ...
    @overload
    def __getitem__(self, index: slice) -> list[tuple[bytes, float]]: ...
    def __getitem__(self, index: int | slice) -> tuple[bytes, float] | list[tuple[bytes, float]]:
        return self._tokens[index]

    def __repr__(self) -> str:
        first = ", ".join(f"{shown_token(token)} {score:+.2f}" for token, score in self._tokens[:4])
        return f"<ScoredTokens: {len(self)}{': ' * bool(self)}{first}{' ...' * (len(self) > 4)}>"

    def __str__(self) -> str:
        return "\n".join(f"{score:>+9.3f}  {shown_token(token)}" for token, score in self._tokens)

    def _repr_html_(self) -> str:
        largest = max((abs(score) for _, score in self._tokens), default=0.0) or 1.0
        return _chips_html(
            _chip(token, paper_of(score / largest), f"{score:+.4g}", f"{score:+.2f}") for token, score in self._tokens
        )


def paper_of(share: float) -> str:
    """Return the background for a share of the largest score, from -1 to 1; dark letters read on all of them.

    >>> paper_of(0), paper_of(1), paper_of(-1)
    ('#ffffff', '#80b8d8', '#eaae80')
    """
    colour = COLOURS[0] if share > 0 else COLOURS[1]
    parts = (int(colour[start : start + 2], 16) for start in (1, 3, 5))
    return "#" + "".join(f"{round(255 + (part - 255) * abs(share) / 2):02x}" for part in parts)


def _chip(token: bytes, paper: str, title: str, below: str) -> str:
    """Return a token as HTML, on a background, with words below it; a line ends where one ends in the text."""
    return (
        f'<span class="chip" style="background: {paper}" title="{isolated_in_attribute(shown_token(token))}: {title}">'
        f"<b>{visible(_as_text(token).replace(chr(10), '⏎'))}</b><small>{below}</small></span>"
        + "<br>"
        * token.endswith(b"\n")
    )


def _chips_html(chips_: Iterable[str]) -> str:
    return (
        f'<div class="gptcompare">\n<style>\n{CHIPS_STYLE}</style>\n<div class="chips">{"".join(chips_)}</div>\n</div>'
    )


def _as_text(token: bytes) -> str:
    """Return a token as printable text, the bytes of a part of a character as escapes."""
    try:
        return printable(token.decode())
    except UnicodeDecodeError:
        return repr(token)[2:-1]
