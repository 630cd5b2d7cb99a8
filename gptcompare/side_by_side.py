"""A comparison as text: columns for a terminal, growing while the models write, and a summary below them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import zip_longest
from os import terminal_size
from statistics import median
from textwrap import shorten
from typing import TextIO

from .comparison import Comparison, Side, TextComparison
from .config import GPTConfig
from .reading import Reading
from .text_width import Wrapped, pad, printable, width, wrap
from .units import in_letters

BETWEEN = " │ "
LEAST_WIDTH = 24  # of a column; below it, one text after the other reads better

NOT_SHARED = "The models have different vocabularies: their bits per byte can be compared, their perplexities cannot."
SPREAD: dict[str, Callable[[Sequence[float]], float]] = {"lowest": min, "median": median, "highest": max}
UP, CLEAR_LINE, CLEAR_SCREEN = "\x1b[{}A", "\x1b[K", "\x1b[H\x1b[2J"


def describe(config: GPTConfig) -> str:
    """A model in a line: what the table of models says of it."""
    attention = "/".join(config.attention) + " attention"
    if config.band_width:
        attention += f", band {config.band_width}"
    return (
        f"{config.n_layer} layers, width {config.d_model}, {config.n_head} heads of {config.d_head}, {attention}, "
        f"context {config.n_ctx}, {in_letters(config.n_params)} parameters"
    )


def fits(n_columns: int, n_cells: int) -> bool:
    """Whether columns that can be read fit beside each other."""
    return _column_width(n_columns, n_cells) >= LEAST_WIDTH


def _column_width(n_columns: int, n_cells: int) -> int:
    return max((n_cells - len(BETWEEN) * (n_columns - 1)) // n_columns, 1)


def rows(headers: Sequence[tuple[str, str]], texts: Sequence[str], n_cells: int) -> list[str]:
    """Columns, each a name and a description, a line, and a text: rows of at most `n_cells` cells, if each has one."""
    n = _column_width(len(texts), n_cells)
    return [*_side_by_side(_headers(headers, n), n), *_side_by_side([wrap(text, n) for text in texts], n)]


def _headers(headers: Sequence[tuple[str, str]], n: int) -> list[list[str]]:
    """Of equal heights, with a line below."""
    columns = [[*wrap(name, n), *wrap(description, n)] for name, description in headers]
    height = max(map(len, columns))
    return [[*column, *[""] * (height - len(column)), "─" * n] for column in columns]


def _side_by_side(columns: Sequence[Sequence[str]], n: int) -> list[str]:
    return [_row(cells, n) for cells in zip_longest(*columns, fillvalue="")]


def _row(cells: Sequence[str], n: int) -> str:
    return BETWEEN.join(pad(cell, n) for cell in cells).rstrip()


class LiveColumns:
    """Columns on a terminal whose texts grow.

    A row that can no longer change is left to scroll away; the others are drawn again, as many as the window shows: of
    a text that is ahead of the others by more than a window, the end comes into sight when they have followed. When the
    window changes, everything is drawn anew.

    Parameters
    ----------
    file : text file
        Of the terminal, which must understand ANSI's control sequences.
    headers : sequence of (name, description)
    text : str
        That every column begins with.
    size : function without arguments
        The terminal's size at the moment.
    """

    def __init__(
        self, file: TextIO, headers: Sequence[tuple[str, str]], text: str, size: Callable[[], terminal_size]
    ) -> None:
        self._file, self._headers, self._size = file, headers, size
        self._texts = [text] * len(headers)
        self._growing = [True] * len(headers)
        self._lay_out(size())

    def _lay_out(self, window: terminal_size) -> None:
        """Begin with an empty window."""
        self._window = window
        self._n = _column_width(len(self._texts), window.columns)
        self._header = _side_by_side(_headers(self._headers, self._n), self._n)
        self._wrapped = [Wrapped(self._n, text) for text in self._texts]
        self._n_gone = 0  # rows that are no longer drawn
        self._shown: list[str] = []  # rows after these; the cursor is on the last

    def add(self, number: int, text: str) -> None:
        """Text at the end of a column."""
        self._texts[number] += text
        self._wrapped[number].add(text)

    def end(self, number: int) -> None:
        """A column will not grow any more."""
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
        if same < len(self._shown):
            n_up = len(self._shown) - 1 - same
            self._file.write("\r" + (UP.format(n_up) if n_up else ""))
        elif self._shown:
            self._file.write("\n")
        # Cleared before it is written: behind a row as wide as the window, some terminals would clear its last cell.
        self._file.write("\n".join(CLEAR_LINE + row for row in wanted[same:]))
        self._shown = wanted

    def finish(self) -> None:
        """Draw all that there is, and put the cursor below."""
        self._growing = [False] * len(self._growing)
        self.draw()
        self._file.write("\n")
        self._file.flush()


def summary(comparison: Comparison, n_cells: int = 100) -> str:
    """What the texts and the readings of them say about the models, its sentences in lines of at most `n_cells`."""
    names = [side.name for side in comparison.sides]
    lines = [
        ["", *names],
        ["ended by", *(side.completion.finish_reason for side in comparison.sides)],
        ["tokens", *(str(len(side.completion.ids)) for side in comparison.sides)],
        ["mean log-probability", *(_number(side.mean_logprob, 3) for side in comparison.sides)],
    ]
    for name, reading in zip(names, comparison.readings, strict=True):
        lines.append(_measured(reading, f"of {name}'s text", comparison.share_vocabulary))
    sentences = _parted(comparison)
    if comparison.share_vocabulary and len(names) > 1:
        sentences += [
            f"Over {name}'s text: {_agreement(reading)}"
            for name, reading in zip(names, comparison.readings, strict=True)
            if reading.divergence
        ]
    return _with_sentences(_table(lines), sentences, n_cells)


def text_summary(comparison: TextComparison, n_cells: int = 100) -> str:
    """The same for one text that was read."""
    reading = comparison.reading
    lines = [
        ["", *comparison.names],
        ["tokens", *(str(len(tokens)) for tokens in reading.tokens)],
        ["bits per byte", *(_number(bits, 3) for bits in reading.bits_per_byte)],
        ["perplexity", *(_number(perplexity, 2) for perplexity in reading.perplexity)],
    ]
    sentences = [NOT_SHARED] if len(comparison.names) > 1 else []
    if reading.divergence is not None:
        sentences = [f"Over the text: {_agreement(reading)}"]
    return _with_sentences(_table(lines), sentences, n_cells)


def summary_of_texts(comparisons: Sequence[TextComparison], n_cells: int = 100) -> str:
    """What several texts say about the models that read each of them by itself."""
    names = comparisons[0].names
    by_model = [[comparison.reading.bits_per_byte[n] or 0.0 for comparison in comparisons] for n in range(len(names))]
    n_bytes = [comparison.reading.n_bytes[0] for comparison in comparisons]
    together = [
        sum(bits * n for bits, n in zip(of_model, n_bytes, strict=True)) / sum(n_bytes) for of_model in by_model
    ]
    lines = [
        [f"bits per byte of {len(comparisons)} texts", *names],
        ["all together", *(_number(bits, 3) for bits in together)],
        *([label, *(_number(pick(of_model), 3) for of_model in by_model)] for label, pick in SPREAD.items()),
    ]
    sentences = [
        f"{label} to {names[0]}: {shorten(pick(comparisons, key=_first_bits).reading.text, 200, placeholder=' ...')!r}"
        for label, pick in (("Least surprising", min), ("Most surprising", max))
    ]
    return _with_sentences(_table(lines), sentences, n_cells)


def _first_bits(comparison: TextComparison) -> float:
    return comparison.reading.bits_per_byte[0] or 0.0


def speeds(sides: Sequence[Side]) -> str:
    """What the clock says."""
    return _table(
        [
            ["", *(side.name for side in sides)],
            ["seconds to first token", *(_number(side.seconds_to_first_token, 3) for side in sides)],
            ["tokens per second", *(_number(side.tokens_per_second, 1) for side in sides)],
        ]
    )


def _measured(reading: Reading, whose: str, shared: bool) -> list[str]:
    """Perplexity where the tokens are the same, else bits per byte: what can be compared."""
    if shared:
        return [f"perplexity {whose}", *(_number(perplexity, 2) for perplexity in reading.perplexity)]
    return [f"bits per byte {whose}", *(_number(bits, 3) for bits in reading.bits_per_byte)]


def _parted(comparison: Comparison) -> list[str]:
    """Where the texts part, in a sentence."""
    if not comparison.share_vocabulary:
        return [NOT_SHARED]
    parting = comparison.parting
    if parting is None:
        several = len(comparison.sides) > 1
        same = len({side.text for side in comparison.sides}) == 1
        return ["The texts are the same." if same else "No token differs, but not all texts go on."] if several else []
    choices = [
        f"{side.name} writes {_shown(token)} ({margin:+.2f})"
        for side, token, margin in zip(comparison.sides, parting.tokens, parting.margins, strict=True)
    ]
    after = f"after {parting.position} token{'' if parting.position == 1 else 's'}" if parting.position else "at once"
    return [f"The texts part {after}: {', '.join(choices)}; in brackets, by how many nats each prefers its own token."]


def _agreement(reading: Reading) -> str:
    assert reading.divergence is not None
    assert reading.same_top is not None
    n = len(reading.divergence)
    mean = sum(reading.divergence) / n
    worst = max(range(n), key=reading.divergence.__getitem__)
    most, token = reading.divergence[worst], _shown(reading.tokens[0][worst])
    return (
        f"the likeliest tokens agree at {sum(reading.same_top)} of {n} positions; the Jensen-Shannon divergence is "
        f"{mean:.3f} bits in the mean and {most:.3f} at most, where {token} comes next."
    )


def _shown(token: bytes) -> str:
    """A token in quotes, with a mark for a space, so that lines are not broken there; as bytes if it is not text."""
    if not token:
        return "the end"
    try:
        quoted = repr(token.decode())
    except UnicodeDecodeError:
        quoted = repr(token)
    return quoted.replace(" ", "␣")


def _number(value: float | None, digits: int) -> str:
    return "–" if value is None else f"{value:.{digits}f}"


def _with_sentences(table: str, sentences: Sequence[str], n_cells: int) -> str:
    return "\n".join([table, *(line for sentence in sentences for line in ["", *wrap(sentence, n_cells)])])


def _table(lines: Sequence[Sequence[str]]) -> str:
    """Labels on the left, numbers on the right of their columns."""
    lines = [[printable(cell) for cell in line] for line in lines]
    first, *others = (max(map(width, column)) for column in zip(*lines, strict=True))

    def line(label: str, cells: Sequence[str]) -> str:
        right = (" " * (n - width(cell)) + cell for cell, n in zip(cells, others, strict=True))
        return "  ".join([pad(label, first), *right]).rstrip()

    return "\n".join(line(label, cells) for label, *cells in lines)
