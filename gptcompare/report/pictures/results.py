"""A picture of what models scored: a line for each task, from 0 to 100, with a dot for each model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ...display.colours import COLOURS
from .drawing import dot, estimated_width, line, picture, text

MARGIN, ROW, GAP = 20, 24, 12  # pixels
LABEL = 400  # at most, for the names of the tasks
SCALE = 480
STEP = 20  # between the numbers of the scale
RADIUS = 5
OWN_COLOUR = ("gpt2", "gpt3")  # the first model of each has the colour that GPT-2 and GPT-3 have everywhere
STYLES = {
    ".rule": "fill: none; stroke: #c8ced4",
    ".from-to": "fill: none; stroke: #a8b1bb; stroke-width: 2",
    **{f".colour-{n}": f"fill: {colour}; stroke: {colour}; stroke-width: 2" for n, colour in enumerate(COLOURS)},
    ".again": "fill-opacity: 0",
}


def dots(title: str, names: Sequence[str], rows: Mapping[str, Mapping[str, float]]) -> str:
    """Draw the values of models as SVG.

    Parameters
    ----------
    title : str
    names : sequence of str
        Of the models, in the order of the legend.
    rows : mapping of label -> name -> value
        Values from 0 to 100; a model may lack some.

    Raises
    ------
    ValueError
        If a value is not on the scale.
    """
    outside = [value for of_row in rows.values() for value in of_row.values() if not 0 <= value <= 100]
    if outside:
        raise ValueError(f"the scale is from 0 to 100, got {outside[0]}")
    left = MARGIN + min(LABEL, max((estimated_width(label, "words") for label in rows), default=0)) + GAP
    kinds = kinds_of(names)
    w = left + SCALE + MARGIN
    legend, top = _legend(names, kinds, w)
    bottom = top + ROW * len(rows)
    parts = [*legend, *_scale(left, top, bottom)]
    for n, (label, values) in enumerate(rows.items()):
        parts += _row(label, values, kinds, left, top + ROW * (n + 0.5))
    said = "; ".join(
        f"{label}: {', '.join(f'{name} {value:g}' for name, value in values.items())}"
        for label, values in rows.items()
    )  # fmt: skip
    return picture(w, bottom + ROW + MARGIN / 2, title, said, parts, STYLES)


def kinds_of(names: Sequence[str]) -> dict[str, str]:
    """Return name -> the classes of its dot: a colour, and when all are taken, a ring in place of a dot."""
    kinds: dict[str, str] = {}
    for n, part in enumerate(OWN_COLOUR):
        kinds |= dict.fromkeys([name for name in names if part in name][:1], f"colour-{n}")
    others, n_free = [name for name in names if name not in kinds], len(COLOURS) - len(OWN_COLOUR)
    for n, name in enumerate(others):
        kinds[name] = f"colour-{len(OWN_COLOUR) + n % n_free}{' again' if n >= n_free else ''}"
    return kinds


def _legend(names: Sequence[str], kinds: Mapping[str, str], w: float) -> tuple[list[str], float]:
    """Return the names beside their dots, in as many lines as they take, and where what follows begins."""
    parts: list[str] = []
    x, y = float(MARGIN), MARGIN + ROW / 2
    for name in names:
        room = min(estimated_width(name, "title"), w - 2 * MARGIN - 20)
        if x > MARGIN and x + 20 + room > w - MARGIN:
            x, y = MARGIN, y + ROW
        parts.append(dot(x + RADIUS, y, RADIUS, kinds[name]))
        parts.append(text(x + 20, y + 4, name, "title", room))
        x += 20 + room + 2 * GAP
    return parts, y + ROW


def _scale(left: float, top: float, bottom: float) -> list[str]:
    parts = [text(left - GAP, bottom + 16, "higher is better", "faint", left - MARGIN - GAP, "end")]
    for value in range(0, 101, STEP):
        x = left + SCALE * value / 100
        parts.append(line((x, top), (x, bottom), kind="rule"))
        parts.append(text(x, bottom + 16, str(value), "faint", 40, "middle"))
    return parts


def _row(label: str, values: Mapping[str, float], kinds: Mapping[str, str], left: float, y: float) -> list[str]:
    ends = [left + SCALE * value / 100 for value in (min(values.values()), max(values.values()))]
    room = left - MARGIN - GAP
    return [
        text(left - GAP, y + 4, label, "words", room, "end"),
        line((ends[0], y), (ends[1], y), kind="from-to"),
        *(
            dot(left + SCALE * value / 100, y, RADIUS, kinds[name], f"{name}, {label}: {value:g}")
            for name, value in values.items()
        ),
    ]
