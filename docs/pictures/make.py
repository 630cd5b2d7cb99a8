"""Make the pictures of the README and of the documentation's first page: `python docs/pictures/make.py`.

Nothing in them is drawn by hand: the columns are a run of `gptcompare.compare` with a fixed seed, the steps are what
happens to its prompt, the patterns are what `gptcompare.patterns` says, and the models their configurations.
`tests/test_pictures.py` makes them anew and compares. The colours follow the reader's preference for dark or light.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from html import escape
from itertools import groupby
from pathlib import Path

import numpy as np

import gptcompare as gc
from gptcompare.comparison.sides import describe
from gptcompare.generation.noise import Noise
from gptcompare.model.ops import softmax
from gptcompare.patterns import Banded, Dense, Pattern

FOLDER = Path(__file__).parent
PROMPT = "Once upon a time there was a little rabbit"
OPTIONS = {"temperature": 0.8, "top_p": 0.9, "seed": 2}

CELL, LINE = 8.4, 21  # pixels of a character of the text and between two lines
N_CELLS = 43  # of a column
MOST_BITS = 12  # of surprise, from where the colour gets no deeper
SHADES = 10  # of the colour, so that the last digits of a computation do not show
STYLE = """\
text { font-family: ui-monospace, SFMono-Regular, Menlo, Consolas, "DejaVu Sans Mono", monospace; font-size: 14px }
text { fill: #1f2328 } .paper { fill: #ffffff; stroke: #d0d7de } .faint { fill: #59636e; font-size: 12px }
.name { font-weight: bold } .prompt { fill: #59636e } .line { stroke: #d0d7de } .mark { fill: #3b8bd0 }
.dash { stroke: #1f2328; stroke-dasharray: 4 3 }
.seen { fill: #3b8bd0 } .hidden { fill: #59636e; fill-opacity: 0.15 } .arrow { fill: #59636e }
@media (prefers-color-scheme: dark) {
text { fill: #e6edf3 } .paper { fill: #0d1117; stroke: #3d444d } .faint, .prompt, .arrow { fill: #9198a1 }
.dash { stroke: #e6edf3 } .line { stroke: #3d444d } .mark, .seen { fill: #4493f8 }
.hidden { fill: #9198a1; fill-opacity: 0.2 }
}"""

Piece = tuple[str, float]  # a character or more, and how deep the colour behind it is


def svg(width: float, height: float, title: str, parts: Iterable[str]) -> str:
    """A picture on a sheet of its own, which can be read whatever is behind it."""
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:g} {height:g}" width="{width:g}" '
            f'height="{height:g}" role="img">',
            f"<title>{escape(title)}</title>",
            f"<style>\n{STYLE}\n</style>",
            f'<rect class="paper" x="0.5" y="0.5" width="{width - 1:g}" height="{height - 1:g}" rx="8"/>',
            *parts,
            "</svg>\n",
        ]
    )


def text(x: float, y: float, words: str, kind: str = "", anchor: str = "") -> str:
    attributes = "".join(f' {key}="{value}"' for key, value in (("class", kind), ("text-anchor", anchor)) if value)
    return f'<text x="{x:g}" y="{y:g}"{attributes}>{escape(words)}</text>'


def in_cells(x: float, y: float, words: str, kind: str = "") -> str:
    """Text whose every character has the same width, whatever the reader's fonts are."""
    attributes = f' class="{kind}"' if kind else ""
    return (
        f'<text x="{x:g}" y="{y:g}" textLength="{CELL * len(words):g}" lengthAdjust="spacingAndGlyphs" '
        f'xml:space="preserve"{attributes}>{escape(words)}</text>'
    )


def columns() -> str:
    """Two texts side by side, each token on a colour that is the deeper the more it surprised its model."""
    comparison = gc.compare(PROMPT, **OPTIONS)
    laid_out = [
        lines_of(pieces(reading.tokens[number], reading.logprobs[number]), N_CELLS)
        for number, reading in enumerate(comparison.readings)
    ]
    width = N_CELLS * CELL + 40
    top, parts = 28.0, []
    for number, side in enumerate(comparison.sides):
        x = 20 + number * width
        parts.append(text(x, top, side.name, "name"))
        words = [words for words in describe(side.config).split(", ") if not words.startswith("context")]
        for row, part in enumerate((words[:3], words[3:])):
            parts.append(text(x, top + 18 + 16 * row, ", ".join(part), "faint"))
        for row, line in enumerate(laid_out[number]):
            parts += drawn(line, x, top + 64 + LINE * row)
    n_rows = max(map(len, laid_out))
    bottom = top + 64 + LINE * n_rows
    parts.append(f'<path class="line" d="M{width:g} 14 V{bottom:g}"/>')
    for row, words in enumerate(told(comparison)):
        parts.append(text(20, bottom + 24 + 17 * row, words, "faint"))
    title = f"{' and '.join(side.name for side in comparison.sides)} continue the same prompt"
    return svg(2 * width, bottom + 76, title, parts)


def told(comparison: gc.Comparison) -> list[str]:
    """What the summary says of the two texts, in a few lines."""
    first, second = comparison.readings
    mean = [sum(reading.divergence or ()) / len(reading.divergence or (1,)) for reading in (first, second)]
    return [
        "Grey: the prompt. The deeper the blue, the more the token surprised its model.",
        f"Perplexity of each model on its own text: {first.perplexity[0]:.1f} and {second.perplexity[1]:.1f}.",
        f"Jensen-Shannon divergence of the two over these texts: {mean[0]:.3f} and {mean[1]:.3f} bits per token.",
    ]


def pieces(tokens: Sequence[bytes], logprobs: Sequence[float]) -> list[Piece]:
    """The prompt, then each token with its colour."""
    found: list[Piece] = [(character, -1.0) for character in PROMPT]
    for token, logprob in zip(tokens, logprobs, strict=True):
        bits = -logprob / math.log(2)
        depth = round(min(bits / MOST_BITS, 1) * SHADES) / SHADES
        found += [(character, depth) for character in token.decode(errors="replace")]
    return found


def lines_of(characters: Sequence[Piece], n_cells: int) -> list[list[Piece]]:
    """Characters in lines that are broken at spaces."""
    lines: list[list[Piece]] = [[]]
    word: list[Piece] = []
    for character in [*characters, ("\n", -1.0)]:
        if character[0] not in " \n":
            word.append(character)
            continue
        if len(lines[-1]) + len(word) > n_cells:
            lines.append([piece for piece in word if piece[0] != " "])
        else:
            lines[-1] += word
        word = [character] if character[0] == " " else []
        if character[0] == "\n":
            lines.append([])
    while not lines[-1]:
        lines.pop()
    return lines


def drawn(line: Sequence[Piece], x: float, y: float) -> list[str]:
    """Colours, then the text on them: the prompt's part and the rest."""
    parts = []
    for depth, run in groupby(enumerate(line), key=lambda numbered: numbered[1][1]):
        places = [n for n, _ in run]
        if depth > 0:
            place = (
                f'x="{x + places[0] * CELL:.1f}" y="{y - 15:g}" width="{CELL * len(places):.1f}" height="{LINE - 1}"'
            )
            parts.append(f'<rect class="mark" fill-opacity="{0.7 * depth:.2f}" {place}/>')
    n_prompt = sum(depth < 0 for _, depth in line)
    words = "".join(character for character, _ in line)
    if words[:n_prompt]:
        parts.append(in_cells(x, y, words[:n_prompt], "prompt"))
    if words[n_prompt:]:
        parts.append(in_cells(x + n_prompt * CELL, y, words[n_prompt:]))
    return parts


def flow() -> str:
    """What becomes of a prompt, step by step, with a real one's numbers."""
    lm = gc.load("nano-gpt2")
    prompt = "Once upon a"
    ids = lm.tokenizer.encode(prompt)
    logits = lm.model(ids)[-1]
    best = np.argsort(-logits)[:2]
    likeliest = [f"{lm.tokenizer.decode([token])!r} {logits[token]:.1f}" for token in best]
    boxes = [
        ("text", [f'"{prompt}"']),
        ("ids", [", ".join(map(str, ids))]),
        ("logits", [f"{len(logits):,} numbers:", *likeliest, "..."]),
        ("text", [f'"{prompt}', f'{lm.tokenizer.decode([best[0]])}"']),
    ]
    steps = ["tokenizer", "model", "generation"]
    width, gap, height = 122, 98, 96
    parts = []
    for number, (name, lines) in enumerate(boxes):
        x = 16 + number * (width + gap)
        parts.append(f'<rect class="paper" x="{x}" y="18" width="{width}" height="{height}" rx="6"/>')
        parts.append(text(x + 10, 38, name, "name"))
        parts += [text(x + 10, 58 + 16 * row, line, "faint") for row, line in enumerate(lines)]
    for number, step in enumerate(steps):
        x = 16 + number * (width + gap) + width
        middle = x + gap / 2
        parts.append(f'<path class="line" d="M{x + 8} 66 H{x + gap - 14}"/>')
        parts.append(f'<path class="arrow" d="M{x + gap - 8} 66 l-8 -4 v8 z"/>')
        parts.append(text(middle, 58, step, "", "middle"))
    return svg(32 + 4 * width + 3 * gap, height + 36, "text, ids, logits, text", parts)


def patterns(n: int = 16, band_width: int = 4) -> str:
    """Which keys each query sees in a dense and in a banded layer."""
    shown: list[tuple[str, Pattern]] = [
        ("dense: every key up to the query", Dense()),
        (f"banded: the last {band_width} keys", Banded(band_width)),
    ]
    cell, side = 12, 16 * 12
    query, key = np.arange(n)[:, None], np.arange(n)[None, :]
    parts = []
    for number, (words, pattern) in enumerate(shown):
        x = 60 + number * (side + 110)
        parts.append(text(x + side / 2, 26, words, "faint", "middle"))
        mask = pattern.sees(query, key)
        for kind, of_kind in (("seen", mask), ("hidden", ~mask)):
            squares = (f"M{x + column * cell} {38 + row * cell}h11v11h-11z" for row, column in np.argwhere(of_kind))
            parts.append(f'<path class="{kind}" d="{"".join(squares)}"/>')
        parts.append(text(x - 8, 38 + 10, "query", "faint", "end"))
        parts.append(text(x + side, 38 + side + 16, "key", "faint", "end"))
    return svg(2 * side + 200, side + 66, "Dense and banded attention", parts)


def dice(seed: int = 25, u: float = 0.4, n_shown: int = 5) -> str:
    """How one random number, and a random number for each token, choose the next token for two models."""
    models = {name: gc.load(name) for name in ("nano-gpt2", "nano-gpt3")}
    ids = models["nano-gpt2"].prompt_ids(PROMPT)
    decode = models["nano-gpt2"].tokenizer.decode
    p = {name: softmax(lm.model(ids, last_only=True).astype(np.float64)) for name, lm in models.items()}
    parts = [text(20, 28, f"One random number for all, {u}: where do the cumulated probabilities pass it?", "name")]
    left, length = 120, 660
    for row, (name, of_model) in enumerate(p.items()):
        y = 52 + 34 * row
        sums = np.cumsum(of_model)
        chosen = int(np.searchsorted(sums, u))
        parts.append(text(20, y + 16, name, "faint"))
        parts.append(f'<rect class="hidden" x="{left}" y="{y}" width="{length}" height="24"/>')
        for id_ in sorted({*np.flatnonzero(of_model > 0.02).tolist(), chosen}):
            begin, width = left + length * (sums[id_] - of_model[id_]), length * of_model[id_]
            kind = "seen" if id_ == chosen else "mark"
            opacity = "" if id_ == chosen else ' fill-opacity="0.35"'
            parts.append(f'<rect class="{kind}"{opacity} x="{begin:.0f}" y="{y}" width="{width:.0f}" height="24"/>')
            if width > CELL * len(repr(decode([id_]))):
                parts.append(text(round(begin + width / 2), y + 16, repr(decode([id_])), "", "middle"))
        parts.append(text(left + length + 10, y + 16, repr(decode([chosen])), "name"))
    parts.append(f'<path class="dash" d="M{left + length * u:.0f} 44 V118"/>')
    parts.append(
        text(
            20, 158, "A random number for each token: which token's, divided by its probability, is the least?", "name"
        )
    )
    noise = Noise(seed).at(len(ids), len(p["nano-gpt2"]))
    arrivals = {name: noise / of_model for name, of_model in p.items()}
    first = np.argsort(np.minimum(*arrivals.values()))[:n_shown]
    furthest = max(of_model[first].max() for of_model in arrivals.values())
    for row, id_ in enumerate(first):
        y = 176 + 38 * row
        parts.append(text(20, y + 18, repr(decode([id_]))))
        for number, (name, of_model) in enumerate(arrivals.items()):
            wins = id_ == of_model.argmin()
            opacity = "" if wins else ' fill-opacity="0.35"'
            width = max(length * of_model[id_] / furthest, 2)
            place = f'x="{left}" y="{y + 14 * number}" width="{width:.0f}" height="11"'
            parts.append(f'<rect class="{"seen" if wins else "mark"}"{opacity} {place}/>')
            words = f"{noise[id_]:.2f} / {p[name][id_]:.2f}" + (f"  {name} chooses it" if wins else "")
            parts.append(text(left + round(width) + 8, y + 10 + 14 * number, words, "faint"))
    return svg(
        left + length + 110, 190 + 38 * n_shown, "The same random number, and the same noise, for two models", parts
    )


def architecture() -> str:
    """The largest models of the two papers, from text to the next token."""
    return gc.plots.architecture("gpt2-xl", "gpt3-175b").svg


PICTURES = {
    "architecture.svg": architecture,
    "columns.svg": columns,
    "dice.svg": dice,
    "flow.svg": flow,
    "patterns.svg": patterns,
}


if __name__ == "__main__":
    for name, make in PICTURES.items():
        (FOLDER / name).write_text(make(), encoding="utf-8", newline="\n")
