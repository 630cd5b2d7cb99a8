"""A comparison as HTML: for a notebook, or as one page that needs nothing from elsewhere.

Everything that a model wrote or a user gave is escaped: text stays text.
"""

from __future__ import annotations

import codecs
import math
from collections.abc import Sequence
from html import escape

from .comparison import Comparison, TextComparison
from .reading import Reading
from .side_by_side import describe, summary, text_summary

MOST_BITS = 12.0  # of surprise, from where the colour gets no deeper
BAR, HEIGHT = 6, 48  # pixels

STYLE = """\
.gptcompare { font: 15px/1.5 system-ui, sans-serif; color: #1b1b1b; background: #fff; }
.gptcompare .sides { display: flex; flex-wrap: wrap; gap: 2rem; }
.gptcompare .side { flex: 1 1 18rem; min-width: 0; }
.gptcompare h2 { font-size: 1.1rem; margin: 0; }
.gptcompare .what { color: #555; font-size: 0.85rem; margin: 0.2rem 0 0.6rem; }
.gptcompare .text { white-space: pre-wrap; overflow-wrap: anywhere; border-top: 1px solid #bbb; padding-top: 0.6rem; }
.gptcompare .prompt { color: #555; }
.gptcompare pre { font: 13px/1.4 ui-monospace, monospace; white-space: pre-wrap; margin: 1rem 0; }
.gptcompare figure { margin: 1rem 0; overflow-x: auto; }
.gptcompare figcaption, .gptcompare .key { color: #555; font-size: 0.85rem; }
"""
KEY = "The deeper the colour, the more a token surprised its model; point at one to see how much, in bits."


def page(comparison: Comparison | TextComparison, title: str) -> str:
    """A whole HTML document."""
    return document(title, fragment(comparison))


def document(title: str, body: str) -> str:
    """A title and a body of HTML as a whole document."""
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n"
        "<style>body { max-width: 70rem; margin: 2rem auto; padding: 0 1rem; background: #fff; }</style>\n"
        f"</head>\n<body>\n{body}\n</body>\n</html>\n"
    )


def fragment(comparison: Comparison | TextComparison) -> str:
    """What a notebook shows of it."""
    body = _of_text(comparison) if isinstance(comparison, TextComparison) else _of_sides(comparison)
    return f'<div class="gptcompare">\n<style>\n{STYLE}</style>\n{body}\n</div>'


def _of_sides(comparison: Comparison) -> str:
    names = [side.name for side in comparison.sides]
    prompt = f'<span class="prompt">{escape(comparison.prompt)}</span>'
    columns = "\n".join(
        _side(
            side.name,
            describe(side.config),
            prompt + _coloured(reading, number, names) + escape(side.text.removeprefix(reading.text)),
        )
        for number, (side, reading) in enumerate(zip(comparison.sides, comparison.readings, strict=True))
    )
    bars = "\n".join(
        _bars(reading, f"over {name}'s text") for name, reading in zip(names, comparison.readings, strict=True)
    )
    return _body(columns, bars, summary(comparison))


def _of_text(comparison: TextComparison) -> str:
    columns = "\n".join(
        _side(name, describe(config), _coloured(comparison.reading, number, comparison.names))
        for number, (name, config) in enumerate(zip(comparison.names, comparison.configs, strict=True))
    )
    bars = _bars(comparison.reading, "over the text")
    return _body(columns, bars, text_summary(comparison))


def _body(columns: str, bars: str, numbers: str) -> str:
    return f'<div class="sides">\n{columns}\n</div>\n<p class="key">{KEY}</p>\n{bars}\n<pre>{escape(numbers)}</pre>'


def _side(name: str, description: str, text: str) -> str:
    return (
        f'<div class="side">\n<h2>{escape(name)}</h2>\n<p class="what">{escape(description)}</p>\n'
        f'<div class="text">{text}</div>\n</div>'
    )


def _coloured(reading: Reading, number: int, names: Sequence[str]) -> str:
    """The text as one model reads it, each token with its surprise; tokens of one character stand together."""
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
            told = "; ".join([f"{bits[number]:.2f} bits", *(f"{shown[n]} {bits[n]:.2f}" for n in shown if n != number)])
            depth = 0.65 * min(bits[number] / MOST_BITS, 1)
            spans.append(
                f'<span title="{escape(told)}" style="background: rgba(0, 114, 178, {depth:.3f})">{escape(text)}</span>'
            )
            bits = dict.fromkeys(shown, 0.0)
    return "".join(spans)


def _bars(reading: Reading, where: str) -> str:
    """The divergence at each token; nothing where there is none, since there is one model or several vocabularies."""
    if not reading.divergence:
        return ""
    most = max(reading.divergence) or 1.0
    bars = "".join(
        f'<rect x="{position * BAR}" y="{HEIGHT * (1 - bits / most):.1f}" width="{BAR - 1}" '
        f'height="{HEIGHT * bits / most:.1f}" fill="{"#0072B2" if same else "#D55E00"}">'
        f"<title>{escape(token.decode(errors='replace'))}: {bits:.3f} bits</title></rect>"
        for position, (bits, same, token) in enumerate(
            zip(reading.divergence, reading.same_top or (), reading.tokens[0], strict=True)
        )
    )
    n = BAR * len(reading.divergence)
    return (
        f'<figure>\n<svg xmlns="http://www.w3.org/2000/svg" width="{n}" height="{HEIGHT}" viewBox="0 0 {n} {HEIGHT}" '
        f'role="img" aria-label="divergence {escape(where)}">{bars}</svg>\n'
        f"<figcaption>Jensen-Shannon divergence {escape(where)}, a bar a token, the highest "
        f"{max(reading.divergence):.3f} bits; orange where the likeliest tokens differ.</figcaption>\n</figure>"
    )
