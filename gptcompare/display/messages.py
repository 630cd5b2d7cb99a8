"""Messages beside the result, on the standard error stream: none of them is worth more than the work it tells of."""

from __future__ import annotations

import contextlib
import io
import os
import sys
from typing import Any, TextIO

from .text_width import printable


class Forgiving(io.TextIOBase):
    """A stream whose failures cost nothing but the words: its disk is full, its reader has gone, or it is closed.

    Parameters
    ----------
    stream : text stream
        Where the words go as long as it takes them.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        with contextlib.suppress(OSError, ValueError):  # ValueError: it is closed
            self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        with contextlib.suppress(OSError, ValueError):
            self._stream.flush()

    def close(self) -> None:
        """Do nothing: the stream is its owner's."""

    def isatty(self) -> bool:
        try:
            return self._stream.isatty()
        except ValueError:
            return False

    def fileno(self) -> int:
        return self._stream.fileno()

    @property
    def encoding(self) -> str:  # type: ignore[override]  # io declares an attribute
        return self._stream.encoding

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def show(text: object, *, end: str = "\n", file: TextIO | None = None) -> None:
    """Print what a model, a file or a name may say: on a terminal, its control characters become visible symbols."""
    stream = sys.stdout if file is None else file
    print(printable(str(text)) if stream.isatty() else text, end=end, file=stream, flush=True)


def tell(message: str) -> None:
    """Print a message to the standard error stream, if there is one that takes it."""
    if sys.stderr is not None:
        print(message, file=Forgiving(sys.stderr), flush=True)


def silence(stream: TextIO) -> None:
    """Let a stream that fails end in nothing, so that Python's last flush of it does not change the exit status."""
    try:
        stream.flush()
    except (OSError, ValueError):
        with contextlib.suppress(OSError, ValueError, AttributeError):
            nothing = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nothing, stream.fileno())
            os.close(nothing)
