"""Texts in columns: finished texts, or on a terminal texts that grow while the models write."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from os import terminal_size
from typing import TextIO

from ...display.shades import painted, printable_shades
from ...display.text_width import Wrapped, pad, printable, width, wrap

BETWEEN = " │ "
LEAST_WIDTH = 24  # of a column; below that, one text after the other is easier to read

UP, CLEAR_LINE, CLEAR_SCREEN = "\x1b[{}A", "\x1b[K", "\x1b[H\x1b[2J"


def fits(n_columns: int, n_cells: int) -> bool:
    """Return whether columns wide enough to read fit side by side."""
    return _column_width(n_columns, n_cells) >= LEAST_WIDTH


def _column_width(n_columns: int, n_cells: int) -> int:
    return max((n_cells - len(BETWEEN) * (n_columns - 1)) // n_columns, 1)


def rows(
    headers: Sequence[tuple[str, str]], texts: Sequence[str], n_cells: int, shades: Sequence[Sequence[int]] = ()
) -> list[str]:
    """Lay out columns of a name, a description, a line and a text, as rows of at most `n_cells` terminal cells.

    `shades` are the shades of the texts' characters (`display.shades`); texts without have the terminal's colour.

    >>> rows([("a", "small"), ("b", "large")], ["Once", "There was"], 11)
    ['a    │ b', 'smal │ larg', 'l    │ e', '──── │ ────', 'Once │ Ther', '     │ e', '     │ was']
    """
    n = _column_width(len(texts), n_cells)
    columns = [ShadedText(n, text, of_text) for text, of_text in zip(texts, shades or [()] * len(texts), strict=True)]
    return [*_header_rows(headers, n), *(_row(columns, line) for line in range(max(map(len, columns))))]


def _header_rows(headers: Sequence[tuple[str, str]], n: int) -> list[str]:
    """Return the headers at equal heights, with a line below each."""
    columns = [[*wrap(name, n), *wrap(description, n)] for name, description in headers]
    height = max(map(len, columns))
    filled = [[*column, *[""] * (height - len(column)), "─" * n] for column in columns]
    return [BETWEEN.join(pad(cell, n) for cell in cells).rstrip() for cells in zip(*filled, strict=True)]


def _row(columns: Sequence[ShadedText], line: int) -> str:
    return BETWEEN.join(column.cell(line) for column in columns).rstrip()


class ShadedText:
    """A wrapped text that grows, with the shade of each character; its length is the number of lines.

    Parameters
    ----------
    n_cells : int
    text : str
    shades : sequence of int
        Of the characters at the text's beginning; those that have none get 0.
    """

    def __init__(self, n_cells: int, text: str = "", shades: Sequence[int] = ()) -> None:
        self._wrapped = Wrapped(n_cells)
        self._n_cells = n_cells
        self._text = ""  # with everything printable, of which the lines lack only spaces and line ends
        self._shades: list[int] = []  # of its characters
        self._start = 0  # of the last line, in the text
        self._cells: list[str] = []  # of the lines before it, which do not change any more
        self.add(text, shades)

    def __len__(self) -> int:
        return len(self._wrapped.lines)

    def add(self, text: str, shades: Sequence[int] = ()) -> None:
        """Add text at the end, which changes the last line, and no other."""
        self._wrapped.add(text)
        self._text += printable(text)
        self._shades += printable_shades(text, [*shades, *[0] * (len(text) - len(shades))])
        while len(self._cells) < len(self) - 1:
            cell, self._start = self._laid_out(self._wrapped.lines[len(self._cells)])
            self._cells.append(cell)

    def _laid_out(self, line: str) -> tuple[str, int]:
        """Return a line in its colours with spaces to the column's width, and the place in the text after it."""
        places, place = [], self._start
        for character in line:
            place = self._text.index(character, place) + 1
            places.append(place - 1)
        return painted(line, [self._shades[n] for n in places]) + " " * (self._n_cells - width(line)), place

    def cell(self, line: int) -> str:
        """Return a line in its colours, as wide as the column; nothing but spaces after the last one."""
        if line < len(self._cells):
            return self._cells[line]
        return self._laid_out(self._wrapped.lines[line])[0] if line < len(self) else " " * self._n_cells


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
        self._shades = [[0] * len(text) for _ in headers]
        self._growing = [True] * len(headers)
        self._lay_out(size())

    def _lay_out(self, window: terminal_size) -> None:
        """Wrap everything for this window, starting from an empty one."""
        self._window = window
        n = _column_width(len(self._texts), window.columns)
        self._header = _header_rows(self._headers, n)
        self._columns = [ShadedText(n, *of_column) for of_column in zip(self._texts, self._shades, strict=True)]
        self._n_gone = 0  # rows that are no longer drawn
        self._shown: list[str] = []  # the rows after those; the cursor is on the last one

    def add(self, number: int, text: str, shades: Sequence[int] = ()) -> None:
        """Add text at the end of a column, with the shades of its characters, if it has any."""
        self._texts[number] += text
        self._shades[number] += [*shades, *[0] * (len(text) - len(shades))]
        self._columns[number].add(text, shades)

    def end(self, number: int) -> None:
        """Mark a column as one that will not grow any more."""
        self._growing[number] = False

    def draw(self) -> None:
        """Show what has changed."""
        if (window := self._size()) != self._window:
            if self._shown:
                self._file.write(CLEAR_SCREEN)
            self._lay_out(window)
        n_header = len(self._header)
        growing = [len(column) for column, grows in zip(self._columns, self._growing, strict=True) if grows]
        n_rows = n_header + max(map(len, self._columns))
        n_final = n_header + min(growing) - 1 if growing else n_rows
        while True:
            stop = min(self._n_gone + max(window.lines, 2), n_rows)
            self._draw([self._row(number) for number in range(self._n_gone, stop)])
            n_leaving = min(n_final - self._n_gone, len(self._shown) - 1)
            if n_leaving <= 0:
                break
            self._n_gone += n_leaving
            self._shown = self._shown[n_leaving:]
        self._file.flush()

    def _row(self, number: int) -> str:
        n_header = len(self._header)
        return self._header[number] if number < n_header else _row(self._columns, number - n_header)

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
