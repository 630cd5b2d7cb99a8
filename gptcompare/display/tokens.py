"""Tokens as people see them: quoted, in lists with their probabilities, and as bars."""

from __future__ import annotations

from collections.abc import Sequence

from .text_width import pad, printable, width

ON_SCREEN = 5  # tokens that could have come instead
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
