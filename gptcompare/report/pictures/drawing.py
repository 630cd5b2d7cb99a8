"""The pieces of an SVG picture: texts that stay in the room that they have, lines, arrows and boxes.

A text's width is estimated before it is drawn, for the widest of the fonts that a reader may have; a text that would
not fit is squeezed, so that nothing runs into anything else whatever the numbers are. The pieces have classes for their
colours and no ids, so that any number of pictures can stand on one page.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import groupby

from ...arrays import Mask
from ...display.page import isolated_in_attribute
from ...display.text_width import CHARACTER, printable, width
from ...files.atomic_files import written_whole

# At least as wide as characters of DejaVu Sans, the widest of the fonts, in the font's size.
NARROW = frozenset(" !'()*,-./:;I[]J\\\"`_{|}fijlrt")
DIGITS_AND_LETTERS = frozenset("0123456789abcdeghknopqsuvxyz$?")
WIDTHS = {
    0: (0.0, 0.0, 0.0),
    1: (0.41, 0.645, 1.0),
    2: (1.3, 1.3, 1.3),
}  # by cells of a terminal: narrow, letters, others
BOLDER = 1.13  # times as wide if bold
SIZES = {"name": 17, "title": 13, "number": 13, "words": 12, "faint": 11, "said": 11}  # pixels; 11 are over 8 points
IS_BOLD = ("name", "title", "number", "said")

FORBIDDEN = re.compile("[\ud800-\udfff\ufffe\uffff]")
CHIP = 28  # height of what goes into a box or comes out of one
CLASS = "gptcompare-picture"
FONTS = 'system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, "DejaVu Sans", sans-serif'
# A picture that is a file of its own follows the reader's preference for dark or light; one in a page is light, as the
# pages of this library are. The sheet that it stands on makes it readable on any ground.
LIGHT = {
    "text": f"font-family: {FONTS}; font-size: {SIZES['words']}px; fill: #1f2328",
    ".name": f"font-size: {SIZES['name']}px; font-weight: 700",
    ".title, .number": f"font-size: {SIZES['title']}px; font-weight: 600",
    ".faint": f"font-size: {SIZES['faint']}px; fill: #59636e",
    ".sheet": "fill: #fff; stroke: #d0d7de",
    ".box, .tied": "fill: #fff; stroke: #a8b1bb",
    ".tied": "stroke-dasharray: 5 4",
    ".chip": "fill: #f6f8fa; stroke: #a8b1bb",
    ".block": "fill: #eff2f5; stroke: #d0d7de",
    ".cone": "fill: #eff2f5",
    ".track": "fill: #e4e8ec",
    ".share, .head": "fill: #6e7781",
    ".line": "fill: none; stroke: #6e7781; stroke-width: 1.5",
    ".stream": "fill: none; stroke: #1f2328; stroke-width: 2.5",
    ".sum": "fill: #fff; stroke: #1f2328; stroke-width: 1.5",
    ".sign": "fill: none; stroke: #1f2328; stroke-width: 1.5",
    ".hidden": "fill-opacity: 0.2",
    ".here": "fill: none; stroke: #b35900; stroke-width: 3",
    ".flag": "fill: #b35900",
    ".said": f"font-size: {SIZES['said']}px; font-weight: 600; fill: #fff",
}
DARK = {
    "text": "fill: #e6edf3",
    ".faint": "fill: #a5aeb8",
    ".sheet": "fill: #0d1117; stroke: #3d444d",
    ".box, .tied": "fill: #0d1117; stroke: #59636e",
    ".chip": "fill: #1c2128; stroke: #59636e",
    ".block": "fill: #1c2128; stroke: #3d444d",
    ".cone": "fill: #1c2128",
    ".track": "fill: #2d333b",
    ".share, .head": "fill: #9198a1",
    ".line": "stroke: #9198a1",
    ".stream, .sign": "stroke: #e6edf3",
    ".sum": "fill: #0d1117; stroke: #e6edf3",
    ".hidden": "fill-opacity: 0.3",
}


@dataclass(frozen=True)
class Architecture:
    """A picture of one or several models; a notebook shows it.

    Attributes
    ----------
    names : tuple of str
        Of the models, in their order.
    svg : str
        The picture. It needs nothing from elsewhere, and can stand in a page or be a file of its own.
    """

    names: tuple[str, ...]
    svg: str

    def __repr__(self) -> str:
        return f"<Architecture of {', '.join(map(repr, self.names))}: .svg, .save(file)>"

    def _repr_svg_(self) -> str:
        return self.svg

    def save(self, file: str | os.PathLike[str]) -> None:
        """Write the picture as an SVG file; OSError if it cannot be written."""
        with written_whole(file) as opened:
            opened.write(self.svg.encode())


def _rules(styles: Mapping[str, str], root: str) -> str:
    """Write styles as rules that reach nothing outside of the pictures."""
    return "".join(
        f"{', '.join(f'{root} {part}' for part in which.split(', '))} {{ {what} }}\n" for which, what in styles.items()
    )


def picture(w: float, h: float, title: str, description: str, parts: Iterable[str], more: Mapping[str, str]) -> str:
    """Put the pieces on a sheet; `more` are further styles."""
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" class="{CLASS}" viewBox="0 0 {w:g} {h:g}" width="{w:g}" '
            f'height="{h:g}" role="img">',
            f"<title>{_xml(title)}</title>",
            f"<desc>{_xml(description)}</desc>",
            f"<style>\nsvg.{CLASS} {{ max-width: 100%; height: auto }}",
            f"{_rules({**LIGHT, **more}, f'.{CLASS}')}@media (prefers-color-scheme: dark) {{\n"
            f"{_rules(DARK, f'svg:root.{CLASS}')}}}\n</style>",
            rectangle(0.5, 0.5, w - 1, h - 1, "sheet", 8),
            *parts,
            "</svg>\n",
        ]
    )


def estimated_width(words: str, kind: str) -> float:
    """Return about how many pixels a text takes at most."""
    ems = sum(map(_ems, words))
    return ems * SIZES[kind] * (BOLDER if kind in IS_BOLD else 1)


def _ems(character: str) -> float:
    narrow, letter, other = WIDTHS[min(width(character), 2)]
    return narrow if character in NARROW else letter if character in DIGITS_AND_LETTERS else other


def _xml(words: str) -> str:
    """Return a text as SVG can hold it: isolated, and without the few characters that XML forbids."""
    return isolated_in_attribute(FORBIDDEN.sub("\N{REPLACEMENT CHARACTER}", words))


def shortened(words: str, kind: str, room: float) -> str:
    """Return a text that is cut where its room ends, with dots for what is missing."""
    words = printable(words)
    if estimated_width(words, kind) <= room:
        return words
    characters = CHARACTER.findall(words)
    while characters and estimated_width("".join(characters) + "…", kind) > room:
        characters.pop()
    return "".join(characters) + "…"


def text(x: float, y: float, words: str, kind: str, room: float, anchor: str = "start", more: str = "") -> str:
    """Write a line of text that takes at most `room` pixels; y is its base line."""
    estimate = estimated_width(words, kind)
    squeezed = f' textLength="{room:g}" lengthAdjust="spacingAndGlyphs"' if estimate > room else ""
    turned = f' text-anchor="{anchor}"' if anchor != "start" else ""
    return f'<text x="{x:g}" y="{y:g}" class="{kind}"{turned}{squeezed}{more}>{_xml(words)}</text>'


def rectangle(x: float, y: float, w: float, h: float, kind: str, radius: float = 0, more: str = "") -> str:
    rounded = f' rx="{radius:g}"' if radius else ""
    return f'<rect x="{x:g}" y="{y:g}" width="{w:g}" height="{h:g}" class="{kind}"{rounded}{more}/>'


def line(*points: tuple[float, float], kind: str = "line") -> str:
    return f'<path class="{kind}" d="M{" L".join(f"{x:g} {y:g}" for x, y in points)}"/>'


def arrow(*points: tuple[float, float], kind: str = "line") -> str:
    """Draw a line along points, the last part of which is horizontal or vertical, with a head at its end."""
    (before_x, before_y), (x, y) = points[-2:]
    step_x, step_y = (x > before_x) - (x < before_x), (y > before_y) - (y < before_y)
    back_x, back_y = x - 7 * step_x, y - 7 * step_y
    corners = (x, y), (back_x + 4 * step_y, back_y + 4 * step_x), (back_x - 4 * step_y, back_y - 4 * step_x)
    head = f'<path class="head" d="M{" L".join(f"{a:g} {b:g}" for a, b in corners)}z"/>'
    return line(*points[:-1], (back_x, back_y), kind=kind) + head


def dot(x: float, y: float, radius: float, kind: str, said: str = "") -> str:
    """Draw a dot that says something when one points at it."""
    title = f"<title>{_xml(said)}</title>" if said else ""
    return f'<circle class="{kind}" cx="{x:g}" cy="{y:g}" r="{radius:g}">{title}</circle>'


def plus(x: float, y: float) -> str:
    """Draw the place where something is added."""
    return (
        f'<circle class="sum" cx="{x:g}" cy="{y:g}" r="8"/>'
        f'<path class="sign" d="M{x - 4:g} {y:g}h8M{x:g} {y - 4:g}v8"/>'
    )


def chips(left: float, y: float, *words_and_widths: tuple[str, float]) -> list[str]:
    """Draw what goes into a box or comes out of one, in a row with an arrow from each to the next."""
    drawn, x = [], left
    for words, w in words_and_widths:
        if x > left:
            drawn.append(arrow((x - 24, y + CHIP / 2), (x, y + CHIP / 2)))
        drawn.append(rectangle(x, y, w, CHIP, "chip", CHIP / 2))
        drawn.append(text(x + w / 2, y + 18, words, "words", w - 16, "middle"))
        x += w + 24
    return drawn


def you_are_here(x: float, y: float, w: float, h: float) -> list[str]:
    """Draw a frame around where the reader is, with a flag that says so at its upper right corner."""
    said, room = "you are here", 100
    return [
        rectangle(x - 4, y - 4, w + 8, h + 8, "here", 9),
        rectangle(x + w - room - 8, y - 13, room, 17, "flag", 8),
        text(x + w - room / 2 - 8, y - 0.5, said, "said", room - 8, "middle"),
    ]


def pattern(x: float, y: float, w: float, h: float, seen: Mask, kind: str) -> str:
    """Draw which keys each of some queries sees, (queries, keys), in a rectangle: a row is a query, a column a key."""
    high, wide = h / seen.shape[0], w / seen.shape[1]
    stretches = "".join(
        f"M{x + wide * start:.2f} {y + high * query:.2f}h{wide * n:.2f}v{high:.2f}h-{wide * n:.2f}z"
        for query, row in enumerate(seen)
        for start, n in _stretches(row)
    )
    place = round(x, 2), round(y, 2), round(w, 2), round(h, 2)
    return f'{rectangle(*place, f"{kind} hidden")}<path class="{kind}" d="{stretches}"/>'


def _stretches(row: Iterable[bool]) -> list[tuple[int, int]]:
    """Return where the stretches of True begin, and how long they are."""
    found, start = [], 0
    for seen, stretch in groupby(row):
        n = len(list(stretch))
        if seen:
            found.append((start, n))
        start += n
    return found
