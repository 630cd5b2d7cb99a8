"""The differences of two models with their intervals, as a picture: SVG, made of text."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from ...display.colours import COLOURS
from ...display.page import visible
from .difference import Difference

WIDTH, ROW, MARGIN = 380, 30, 24  # pixels
CHARACTER = 7.2  # pixels, at most, on average
REAL, UNSEEN = COLOURS[0], "#767676"


def picture(differences: Sequence[Difference]) -> str:
    """Return one line for each difference: its value as a dot, its interval as a bar, and a rule at 0.

    Each line has a scale of its own, since the metrics have different units; 0 stands in the middle of all.
    """
    drawn = [one for one in differences if one.low is not None and one.high is not None]
    height = MARGIN + ROW * len(drawn) + 6
    labels = [f"{one.task}, {one.metric}: {one.value:+.{one.n_digits}f} ({one.interval})" for one in drawn]
    label = CHARACTER * max(map(len, labels), default=0) + 20
    middle = label + WIDTH / 2
    parts = [
        f'<line x1="{middle}" x2="{middle}" y1="{MARGIN - 6}" y2="{height - 6}" stroke="{UNSEEN}" '
        'stroke-dasharray="3 3"/>',
        f'<text x="{middle}" y="{MARGIN - 10}" text-anchor="middle">no difference</text>',
    ]
    for row, (one, words) in enumerate(zip(drawn, labels, strict=True)):
        y = MARGIN + ROW * row + ROW / 2
        parts.append(f'<text x="{label - 10:.0f}" y="{y + 4}" text-anchor="end">{visible(words)}</text>')
        parts += _line(one, y, middle)
    title, width = "Differences with their paired 95% intervals", round(label + WIDTH + 20)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img" '
        f'aria-label="{title}" style="max-width: {width}px; width: 100%; font: 13px system-ui, sans-serif">'
        f"<title>{escape(title)}</title>{''.join(parts)}</svg>"
    )


def _line(one: Difference, y: float, middle: float) -> list[str]:
    assert one.low is not None
    assert one.high is not None
    widest = max(abs(one.low), abs(one.high)) or 1.0
    low, value, high = (middle + end / widest * (WIDTH / 2 - 8) for end in (one.low, one.value, one.high))
    colour = REAL if one.is_real else UNSEEN
    return [
        f'<line x1="{low:.1f}" x2="{high:.1f}" y1="{y}" y2="{y}" stroke="{colour}" stroke-width="3"/>',
        f'<circle cx="{value:.1f}" cy="{y}" r="5" fill="{colour}"/>',
    ]
