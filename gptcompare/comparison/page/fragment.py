"""Texts side by side as HTML: each token coloured by its surprise, with bars for the divergence.

Everything that a model wrote or a user entered stays text, and changes nothing around it: see `display.page`.
"""

from __future__ import annotations

import codecs
import math
from collections.abc import Sequence

from ...display.page import STYLE, isolated, isolated_in_attribute, isolated_words, visible
from ..reading import Reading
from ..sides import Side, describe

MOST_BITS = 12.0  # of surprise, beyond which the colour gets no deeper
BAR, HEIGHT = 6, 48  # pixels

KEY = "The deeper the colour, the more a token surprised its model; point at one to see how much, in bits."


def sides_as_html(prompt: str, sides: Sequence[Side], readings: Sequence[Reading], numbers: str) -> str:
    """Return what several models wrote as a fragment of HTML; `numbers` is the summary, as text."""
    names = [side.name for side in sides]
    shown_prompt = f'<span class="prompt">{visible(prompt)}</span>'
    columns = "\n".join(
        _side(
            side.name,
            describe(side.config, side.changes),
            shown_prompt + _coloured(reading, number, names) + visible(side.text.removeprefix(reading.text)),
        )
        for number, (side, reading) in enumerate(zip(sides, readings, strict=True))
    )
    bars = "\n".join(_bars(reading, name) for name, reading in zip(names, readings, strict=True))
    return _fragment(columns, bars, numbers)


def text_as_html(names: Sequence[str], descriptions: Sequence[str], reading: Reading, numbers: str) -> str:
    """Return one text as several models read it, as a fragment of HTML; `numbers` is the summary, as text."""
    columns = "\n".join(
        _side(name, description, _coloured(reading, number, names))
        for number, (name, description) in enumerate(zip(names, descriptions, strict=True))
    )
    return _fragment(columns, _bars(reading, None), numbers)


def _fragment(columns: str, bars: str, numbers: str) -> str:
    return (
        f'<div class="gptcompare">\n<style>\n{STYLE}</style>\n<div class="sides">\n{columns}\n</div>\n'
        f'<p class="key">{KEY}</p>\n{bars}\n<pre>{isolated_words(numbers)}</pre>\n</div>'
    )


def _side(name: str, description: str, text: str) -> str:
    return (
        f'<div class="side">\n<h2>{isolated(name)}</h2>\n<p class="what">{visible(description)}</p>\n'
        f'<div class="text">{text}</div>\n</div>'
    )


def _coloured(reading: Reading, number: int, names: Sequence[str]) -> str:
    """Return the text as one model reads it, with each token's surprise; tokens of one character are merged."""
    spans = []
    decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
    shown = {number: names[number]}
    if reading.divergence is not None:
        shown |= dict(enumerate(names))
    bits = dict.fromkeys(shown, 0.0)
    last = len(reading.tokens[number]) - 1
    for position, token in enumerate(reading.tokens[number]):
        for n in bits:
            bits[n] -= reading.logprobs[n][position] / math.log(2)
        text = decoder.decode(token, final=position == last)
        if text:
            others = (f"{isolated_in_attribute(shown[n])} {bits[n]:.2f}" for n in shown if n != number)
            told = "; ".join([f"{bits[number]:.2f} bits", *others])
            depth = 0.65 * min(bits[number] / MOST_BITS, 1)
            spans.append(
                f'<span title="{told}" style="background: rgba(0, 114, 178, {depth:.3f})">{visible(text)}</span>'
            )
            bits = dict.fromkeys(shown, 0.0)
    return "".join(spans)


def _drawn(reading: Reading, position: int) -> str:
    """Tell whether the models draw the same token, and how probable that is at best; "" if none is drawn."""
    if reading.overlap is None or reading.same_choice is None:
        return ""
    drawn = "the same token is drawn" if reading.same_choice[position] else "other tokens are drawn"
    return f"; {drawn}, the same at best in {reading.overlap[position]:.0%}"


def _bars(reading: Reading, name: str | None) -> str:
    """Return bars of the divergence at each token, or "" for one model or several vocabularies, which have none.

    The text is that of the model with this name, or no model's.
    """
    if not reading.divergence:
        return ""
    most = max(reading.divergence) or 1.0
    bars = "".join(
        f'<rect x="{position * BAR}" y="{HEIGHT * (1 - bits / most):.1f}" width="{BAR - 1}" '
        f'height="{HEIGHT * bits / most:.1f}" fill="{"#0072B2" if same else "#D55E00"}">'
        f"<title>{isolated_in_attribute(token.decode(errors='replace'))}: {bits:.3f} bits"
        f"{_drawn(reading, position)}</title></rect>"
        for position, (bits, same, token) in enumerate(
            zip(reading.divergence, reading.same_top or (), reading.tokens[0], strict=True)
        )
    )
    n = BAR * len(reading.divergence)
    label = "over the text" if name is None else f"over {isolated_in_attribute(name)}'s text"
    caption = "over the text" if name is None else f"over {isolated(name)}'s text"
    return (
        f'<figure>\n<svg xmlns="http://www.w3.org/2000/svg" width="{n}" height="{HEIGHT}" viewBox="0 0 {n} {HEIGHT}" '
        f'role="img" aria-label="divergence {label}">{bars}</svg>\n'
        f"<figcaption>Jensen-Shannon divergence {caption}, a bar a token, the highest "
        f"{max(reading.divergence):.3f} bits; orange where the likeliest tokens differ.</figcaption>\n</figure>"
    )
