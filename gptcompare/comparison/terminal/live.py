"""Texts that several models write, shown while they are written: side by side, or one after the other."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Sequence

from ...display.messages import show
from ...display.text_width import printable
from ..sides import describe
from ..stream import ComparisonStream
from .columns import LEAST_WIDTH, LiveColumns, fits, rows


def window() -> os.terminal_size:
    """Return the terminal's present size, whatever the environment said when it was opened (unlike shutil's)."""
    with contextlib.suppress(OSError, ValueError):  # a stream without a descriptor
        size = os.get_terminal_size(sys.stdout.fileno())
        if all(size):
            return size
    return os.terminal_size((100, 24))


def least_width(n_cells: int | None) -> int:
    """Return the width to write in: the one that is given, or the terminal's if that is enough for columns."""
    return n_cells or max(window().columns, LEAST_WIDTH)


def show_writing(stream: ComparisonStream, n_cells: int | None) -> None:
    """Show the texts: in columns that grow, on a terminal wide enough for them; otherwise one after the other."""
    headers = [(side.name, describe(side.config, side.changes)) for side in stream.sides()]
    if n_cells is not None:
        try:
            for _ in stream:
                pass
        finally:
            texts = [stream.prompt + side.text for side in stream.sides()]
            show("\n".join(rows(headers, texts, n_cells)))
    elif sys.stdout.isatty() and os.environ.get("TERM") != "dumb" and fits(len(headers), window().columns):
        _show_growing(stream, headers)
    else:
        _show_one_after_the_other(stream, headers)


def _show_growing(stream: ComparisonStream, headers: Sequence[tuple[str, str]]) -> None:
    columns = LiveColumns(sys.stdout, headers, stream.prompt, window)
    try:
        columns.draw()
        for number, piece in stream:
            columns.add(number, piece)
            for other in {*range(len(headers))}.difference(stream.writing):
                columns.end(other)
            columns.draw()
    finally:
        columns.finish()


def _show_one_after_the_other(stream: ComparisonStream, headers: Sequence[tuple[str, str]]) -> None:
    """Print the first text as it is written, and each other one as soon as the one before has ended."""
    shown = printable if sys.stdout.isatty() else str
    texts = [shown(stream.prompt)] * len(headers)
    current, n_printed = 0, 0

    def print_new() -> None:
        nonlocal n_printed
        new, n_printed = texts[current][n_printed:], len(texts[current])  # counted before a print that may be stopped
        print(new, end="", flush=True)

    show(": ".join(headers[0]) + "\n")
    try:
        for number, piece in stream:
            texts[number] += shown(piece)
            print_new()
            while current not in stream.writing and current + 1 < len(texts):
                current, n_printed = current + 1, 0
                show(f"\n\n{': '.join(headers[current])}\n")
                print_new()
    finally:
        print_new()
        for header, text in zip(headers[current + 1 :], texts[current + 1 :], strict=True):
            show(f"\n\n{': '.join(header)}\n\n{text}", end="")
        print(flush=True)
