"""Finds where a text must end because a given string begins there, while the text is still being written."""

from __future__ import annotations

from collections.abc import Sequence


class StopStrings:
    """Finds the first stop string in a text that arrives piece by piece, wherever the pieces end.

    The first is the one that ends first and, of several that end there, the longest.

    >>> stops = StopStrings(["the end"])
    >>> [stops.push(piece) for piece in ("At the", " end, they")]
    [('At ', False), ('', True)]
    """

    def __init__(self, stops: Sequence[str]) -> None:
        self._stops = tuple(stops)
        self._held = ""  # the end of the text so far: it may be the beginning of a stop string

    def push(self, piece: str) -> tuple[str, bool]:
        """Return the text that is certain to lie before any stop string, and whether one has been found."""
        text = self._held + piece
        found = [(start + len(stop), start) for stop in self._stops if (start := text.find(stop)) >= 0]
        if found:
            self._held = ""
            return text[: min(found)[1]], True
        longest = max((_overlap(text, stop) for stop in self._stops), default=0)
        certain = len(text) - longest
        self._held = text[certain:]
        return text[:certain], False

    def rest(self) -> str:
        """Return the text that was held back; to be called when no more text comes."""
        held, self._held = self._held, ""
        return held


def _overlap(text: str, stop: str) -> int:
    """Return the length of the longest end of the text that is a beginning of the stop string."""
    return next((n for n in range(min(len(text), len(stop) - 1), 0, -1) if text.endswith(stop[:n])), 0)
