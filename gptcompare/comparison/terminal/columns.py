"""Texts in columns: finished texts, or on a terminal texts that grow while the models write."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import zip_longest
from os import terminal_size
from typing import TextIO

from ...display.text_width import Wrapped, pad, wrap

BETWEEN = " │ "
LEAST_WIDTH = 24  # of a column; below that, one text after the other is easier to read

UP, CLEAR_LINE, CLEAR_SCREEN = "\x1b[{}A", "\x1b[K", "\x1b[H\x1b[2J"


def fits(n_columns: int, n_cells: int) -> bool:
    """Return whether columns wide enough to read fit side by side."""
    return _column_width(n_columns, n_cells) >= LEAST_WIDTH


def _column_width(n_columns: int, n_cells: int) -> int:
    return max((n_cells - len(BETWEEN) * (n_columns - 1)) // n_columns, 1)


def rows(headers: Sequence[tuple[str, str]], texts: Sequence[str], n_cells: int) -> list[str]:
    """Lay out columns of a name, a description, a line and a text, as rows of at most `n_cells` terminal cells.

    >>> rows([("a", "small"), ("b", "large")], ["Once", "There was"], 11)
    ['a    │ b', 'smal │ larg', 'l    │ e', '──── │ ────', 'Once │ Ther', '     │ e', '     │ was']
    """
    n = _column_width(len(texts), n_cells)
    return [*_side_by_side(_headers(headers, n), n), *_side_by_side([wrap(text, n) for text in texts], n)]


def _headers(headers: Sequence[tuple[str, str]], n: int) -> list[list[str]]:
    """Return the headers at equal heights, with a line below each."""
    columns = [[*wrap(name, n), *wrap(description, n)] for name, description in headers]
    height = max(map(len, columns))
    return [[*column, *[""] * (height - len(column)), "─" * n] for column in columns]


def _side_by_side(columns: Sequence[Sequence[str]], n: int) -> list[str]:
    return [_row(cells, n) for cells in zip_longest(*columns, fillvalue="")]


def _row(cells: Sequence[str], n: int) -> str:
    return BETWEEN.join(pad(cell, n) for cell in cells).rstrip()


class LiveColumns:
    """Columns on a terminal whose texts grow.

    A row that can no longer change may scroll away; the others are redrawn, as many as the window shows. If one text is
    more than a window ahead of the others, its end becomes visible when they have caught up. When the window changes
    size, everything is redrawn.

    Parameters
    ----------
    file : text file
        The terminal, which must understand ANSI control sequences.
    headers : sequence of (name, description)
    text : str
        The text that every column begins with.
    size : function without arguments
        Returns the terminal's current size.
    """

    def __init__(
        self, file: TextIO, headers: Sequence[tuple[str, str]], text: str, size: Callable[[], terminal_size]
    ) -> None:
        self._file, self._headers, self._size = file, headers, size
        self._texts = [text] * len(headers)
        self._growing = [True] * len(headers)
        self._lay_out(size())

    def _lay_out(self, window: terminal_size) -> None:
        """Wrap everything for this window, starting from an empty one."""
        self._window = window
        self._n = _column_width(len(self._texts), window.columns)
        self._header = _side_by_side(_headers(self._headers, self._n), self._n)
        self._wrapped = [Wrapped(self._n, text) for text in self._texts]
        self._n_gone = 0  # rows that are no longer drawn
        self._shown: list[str] = []  # the rows after those; the cursor is on the last one

    def add(self, number: int, text: str) -> None:
        """Add text at the end of a column."""
        self._texts[number] += text
        self._wrapped[number].add(text)

    def end(self, number: int) -> None:
        """Mark a column as one that will not grow any more."""
        self._growing[number] = False

    def draw(self) -> None:
        """Show what has changed."""
        if (window := self._size()) != self._window:
            if self._shown:
                self._file.write(CLEAR_SCREEN)
            self._lay_out(window)
        n_header, columns = len(self._header), [wrapped.lines for wrapped in self._wrapped]
        growing = [len(lines) for lines, grows in zip(columns, self._growing, strict=True) if grows]
        n_rows = n_header + max(map(len, columns))
        n_final = n_header + min(growing) - 1 if growing else n_rows
        while True:
            stop = min(self._n_gone + max(window.lines, 2), n_rows)
            self._draw([self._row(number, columns) for number in range(self._n_gone, stop)])
            n_leaving = min(n_final - self._n_gone, len(self._shown) - 1)
            if n_leaving <= 0:
                break
            self._n_gone += n_leaving
            self._shown = self._shown[n_leaving:]
        self._file.flush()

    def _row(self, number: int, columns: Sequence[Sequence[str]]) -> str:
        if number < len(self._header):
            return self._header[number]
        line = number - len(self._header)
        return _row([lines[line] if line < len(lines) else "" for lines in columns], self._n)

    def _draw(self, wanted: list[str]) -> None:
        same = next(
            (n for n, (old, new) in enumerate(zip(self._shown, wanted, strict=False)) if old != new),
            min(len(self._shown), len(wanted)),
        )
        if same == len(wanted):
            return
        move = "\n" if self._shown else ""  # of the cursor, to where the first row goes that has changed
        if same < len(self._shown):
            n_up = len(self._shown) - 1 - same
            move = "\r" + (UP.format(n_up) if n_up else "")
        # One row at a time, each recorded before it is written: the write may block on a slow terminal and be
        # interrupted by Ctrl-C, and what the stream has taken by then is sent by its next flush. (It takes a write that
        # fits into its buffer, and loses one that is longer: findings/interrupted_write.sh.)
        self._shown = self._shown[:same]
        for row in wanted[same:]:
            self._shown = [*self._shown, row]
            # Cleared before it is written: after a row as wide as the window, some terminals would clear its last cell.
            self._file.write(f"{move}{CLEAR_LINE}{row}")
            self._file.flush()
            move = "\n"

    def finish(self) -> None:
        """Draw everything, and put the cursor below it."""
        self._growing = [False] * len(self._growing)
        self.draw()
        self._file.write("\n")
        self._file.flush()
