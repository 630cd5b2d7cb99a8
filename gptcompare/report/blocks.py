"""A document as blocks, each of which can be written as Markdown, and as HTML that loads nothing.

In all texts, code is between backticks, and [1] refers to the first source.
"""

from __future__ import annotations

import re
from collections.abc import Container, Iterable, Sequence
from html import escape
from typing import NamedTuple, TypeAlias

import numpy as np

from ..arrays import Mask
from ..display.colours import COLOURS
from ..patterns import Pattern, visible_keys

POSITIONS = 24  # in a picture
SEEN, UNSEEN = COLOURS[0], "#f0f0f0"
CELL = 8  # pixels
CODE = re.compile(r"(`[^`]*`)")
NAMESPACE = re.compile(r' xmlns="[^"]*"')
STYLE = """\
.report h1 { font-size: 1.5rem; margin: 0 0 0.6rem; }
.report h2 { font-size: 1.25rem; margin: 2.2rem 0 0.4rem; border-top: 1px solid #bbb; padding-top: 0.8rem; }
.report h3 { font-size: 1rem; margin: 1.4rem 0 0.4rem; }
.report .wide { overflow-x: auto; }
.report table { border-collapse: collapse; font-size: 0.87rem; overflow-wrap: break-word; }
.report th, .report td { text-align: left; vertical-align: top; padding: 0.2rem 1rem 0.2rem 0; }
.report .number { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
.report td:last-child:not(.number) { min-width: 20rem; }
.report tbody tr { border-top: 1px solid #e5e5e5; }
.report tbody th { font-weight: normal; color: #555; }
.report code { font: 0.92em ui-monospace, monospace; }
.report a { color: #0072B2; text-decoration: none; }
.report .pattern { display: inline-block; vertical-align: top; max-width: 20rem; margin: 0.4rem 2rem 0.4rem 0; }
"""


class Heading(NamedTuple):
    level: int
    text: str


class Grid(NamedTuple):
    """Rows of cells, the header first; the first cell of each is its label.

    The columns that are `numbers` stand at the right, so that their digits are below each other.
    """

    rows: Sequence[Sequence[str]]
    numbers: Container[int] = ()


class Items(NamedTuple):
    """A list, numbered if the numbers in brackets refer to its items."""

    texts: Sequence[str]
    numbered: bool = False


class Picture(NamedTuple):
    """The keys that each of `POSITIONS` queries sees; for a fixed pattern, those of the first head."""

    pattern: Pattern
    caption: str

    @property
    def seen(self) -> Mask:
        return visible_keys(POSITIONS, POSITIONS, self.pattern)


class Drawing(NamedTuple):
    """An SVG picture, and what stands in its place where there is none."""

    svg: str
    instead: str


Block: TypeAlias = "str | Heading | Grid | Items | Picture | Drawing"  # a str is a paragraph


class Sources:
    """The sources in the order in which they are first cited."""

    def __init__(self) -> None:
        self.texts: list[str] = []

    def cite(self, source: str) -> str:
        """Return the number of a source, in brackets."""
        if source not in self.texts:
            self.texts.append(source)
        return f"[{self.texts.index(source) + 1}]"


def merged(said: Iterable[tuple[str, str]]) -> list[str]:
    """Say a text only once, after the names of all the models that it is about.

    >>> merged([("a", "dense."), ("b", "banded."), ("c", "dense.")])
    ['a, c: dense.', 'b: banded.']
    """
    about: dict[str, list[str]] = {}
    for name, text in said:
        about.setdefault(text, []).append(name)
    return [f"{', '.join(names)}: {text}" for text, names in about.items()]


def to_markdown(block: Block) -> str:
    if isinstance(block, str):
        return _markdown_text(block)
    if isinstance(block, Heading):
        return f"{'#' * block.level} {block.text}"
    if isinstance(block, Grid):
        lines = [[_markdown_text(cell) for cell in row] for row in block.rows]
        lines.insert(1, ["---:" if column in block.numbers else "---" for column in range(len(lines[0]))])
        return "\n".join("| " + " | ".join(line) + " |" for line in lines)
    if isinstance(block, Items):
        marks = (f"{n}." if block.numbered else "-" for n in range(1, len(block.texts) + 1))
        return "\n".join(f"{mark} {_markdown_text(text)}" for mark, text in zip(marks, block.texts, strict=True))
    if isinstance(block, Drawing):
        return _markdown_text(block.instead)
    rows = ["".join("■ " if seen else "· " for seen in row).rstrip() for row in block.seen]
    return "\n".join(["```text", *rows, "```", "", _markdown_text(block.caption)])


def _markdown_text(text: str) -> str:
    """Escape the characters that mean something in Markdown, except in code."""
    return "".join(part if part[:1] == "`" else re.sub(r"([\\*|<])", r"\\\1", part) for part in CODE.split(text))


def to_html(block: Block) -> str:
    if isinstance(block, str):
        return f"<p>{_html_text(block)}</p>"
    if isinstance(block, Heading):
        return f"<h{block.level}>{_html_text(block.text)}</h{block.level}>"
    if isinstance(block, Grid):
        header, *rows = block.rows
        head = _html_row(header, block.numbers, 'th scope="col"', 'th scope="col"')
        body = "\n".join(f"<tr>{_html_row(row, block.numbers)}</tr>" for row in rows)
        return f'<div class="wide"><table>\n<thead><tr>{head}</tr></thead>\n<tbody>\n{body}\n</tbody>\n</table></div>'
    if isinstance(block, Items):
        if block.numbered:
            items = (f'<li id="source-{n}">{_html_text(text)}</li>' for n, text in enumerate(block.texts, 1))
            return "<ol>\n" + "\n".join(items) + "\n</ol>"
        return "<ul>\n" + "\n".join(f"<li>{_html_text(text)}</li>" for text in block.texts) + "\n</ul>"
    if isinstance(block, Drawing):  # in a page, an SVG needs no namespace
        return f'<div class="wide">{NAMESPACE.sub("", block.svg)}</div>'
    return _html_picture(block)


def _html_row(row: Sequence[str], numbers: Container[int], first: str = 'th scope="row"', other: str = "td") -> str:
    """Return the cells of a row; `first` and `other` are their tags."""
    cells = []
    for column, cell in enumerate(row):
        tag = other if column else first
        kind = ' class="number"' if column in numbers else ""
        cells.append(f"<{tag}{kind}>{_html_text(cell)}</{tag[:2]}>")
    return "".join(cells)


def _html_text(text: str) -> str:
    """Escape a text, mark up its code, and link the number of each source to the source."""
    parts = (
        f"<code>{escape(part[1:-1])}</code>"
        if part[:1] == "`"
        else re.sub(r"\[(\d+)\]", r'<a href="#source-\1">[\1]</a>', escape(part))
        for part in CODE.split(text)
    )
    return "".join(parts)


def _html_picture(picture: Picture) -> str:
    size = POSITIONS * CELL
    paths = "".join(
        f'<path fill="{colour}" d="{_squares(cells)}"/>'
        for colour, cells in ((SEEN, picture.seen), (UNSEEN, ~picture.seen))
    )
    return (
        f'<figure class="pattern">\n<svg width="{size}" height="{size}" viewBox="0 0 {size} {size}" role="img" '
        f'aria-label="{escape(picture.caption.partition(":")[0])} attention">{paths}</svg>\n'
        f"<figcaption>{_html_text(picture.caption)}</figcaption>\n</figure>"
    )


def _squares(cells: Mask) -> str:
    """Return an SVG path with a square for each position that is True: queries downwards, keys to the right."""
    side = CELL - 1
    return "".join(f"M{key * CELL} {query * CELL}h{side}v{side}h-{side}z" for query, key in np.argwhere(cells))
