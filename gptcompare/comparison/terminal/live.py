"""Texts that several models write, shown while they are written: side by side, or one after the other."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator, Sequence

from ...display.shades import RESET, Shading, painted, printable_shades
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


def show_writing(stream: ComparisonStream, n_cells: int | None, coloured: bool = False) -> None:
    """Show the texts: in columns that grow, on a terminal wide enough for them; otherwise one after the other.

    If `coloured`, each token is in the colour of its surprise.
    """
    headers = [(side.name, describe(side.config, side.changes)) for side in stream.sides()]
    if n_cells is not None:
        _show_finished(stream, headers, n_cells, coloured)
    elif sys.stdout.isatty() and os.environ.get("TERM") != "dumb" and fits(len(headers), window().columns):
        _show_growing(stream, headers, coloured)
    else:
        _show_one_after_the_other(stream, headers, coloured)


def _pieces(stream: ComparisonStream, coloured: bool) -> Iterator[tuple[int, str, list[int]]]:
    """Yield the number of the model, the new text, and the shades of its characters."""
    shadings = [Shading(lm.tokenizer.stream_decoder().push) for lm in stream.models.values()]
    for number, piece in stream:
        shades = shadings[number].of(piece, *stream.tokens(number)) if coloured else [0] * len(piece)
        yield number, piece, shades


def _show_finished(stream: ComparisonStream, headers: Sequence[tuple[str, str]], n_cells: int, coloured: bool) -> None:
    shades = [[0] * len(stream.prompt) for _ in headers]
    try:
        for number, _, of_piece in _pieces(stream, coloured):
            shades[number] += of_piece
    finally:
        texts = [stream.prompt + side.text for side in stream.sides()]
        known = [of_text[: len(text)] for of_text, text in zip(shades, texts, strict=True)]
        print("\n".join(rows(headers, texts, n_cells, known)), flush=True)


def _show_growing(stream: ComparisonStream, headers: Sequence[tuple[str, str]], coloured: bool) -> None:
    columns = LiveColumns(sys.stdout, headers, stream.prompt, window)
    try:
        columns.draw()
        for number, piece, shades in _pieces(stream, coloured):
            columns.add(number, piece, shades)
            for other in {*range(len(headers))}.difference(stream.writing):
                columns.end(other)
            columns.draw()
    finally:
        columns.finish()


def _show_one_after_the_other(stream: ComparisonStream, headers: Sequence[tuple[str, str]], coloured: bool) -> None:
    """Print the first text as it is written, and each other one as soon as the one before has ended."""
    shown = printable if coloured or sys.stdout.isatty() else str
    texts = [shown(stream.prompt)] * len(headers)
    current, n_printed = 0, 0

    def print_new() -> None:
        nonlocal n_printed
        new, n_printed = texts[current][n_printed:], len(texts[current])  # counted before a print that may be stopped
        print(new, end="", flush=True)

    print(shown(": ".join(headers[0])) + "\n", flush=True)
    try:
        for number, piece, shades in _pieces(stream, coloured):
            texts[number] += painted(shown(piece), printable_shades(piece, shades))
            print_new()
            while current not in stream.writing and current + 1 < len(texts):
                current, n_printed = current + 1, 0
                print(f"\n\n{shown(': '.join(headers[current]))}\n", flush=True)
                print_new()
    finally:
        print_new()
        for header, text in zip(headers[current + 1 :], texts[current + 1 :], strict=True):
            print(f"\n\n{shown(': '.join(header))}\n\n{text}", end="")
        print(RESET if coloured else "", flush=True)  # after Ctrl-C in the middle of a colour, too
