"""The page that the server sends: the controls, and below them the page of a comparison."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields

from ..comparison.page.document import as_json, part
from ..display.page import document
from ..generation import GenerationOptions
from ..generation.options import SAMPLED
from .writing import LONGEST

# The options of generation that have a control, with what a number in it may be: (least, most, step).
CONTROLS: dict[str, tuple[int, int | None, int | str]] = {
    "temperature": (0, None, "any"),
    "top_k": (1, None, 1),
    "top_p": (0, 1, "any"),
    "min_p": (0, 1, "any"),
    "max_new_tokens": (1, LONGEST, 1),
    "seed": (0, 2**53 - 1, 1),  # the most that a number in JavaScript holds exactly
}
NEEDED = ("temperature", "max_new_tokens")  # the others may be empty


def play_page(names: Sequence[str]) -> str:
    """Return the page for these models."""
    texts = {field.name: field.metadata["help"] for field in fields(GenerationOptions)}
    settings = {
        "models": list(names),
        "prompt": "Once upon a time",
        "options": SAMPLED.to_dict(),
        "controls": [
            {"name": name, "help": texts[name], "min": least, "max": most, "step": step, "required": name in NEEDED}
            for name, (least, most, step) in CONTROLS.items()
        ],
    }
    body = (
        '<h1>gptcompare</h1>\n<form id="play"></form>\n<p id="status" role="status"></p>\n<main></main>\n'
        "<noscript><p>This page works by its script, which is switched off.</p></noscript>\n"
        f'<script type="application/json" id="settings">{as_json(settings)}</script>'
    )
    scripts = [part("attention.js"), part("page.js"), part("play.js", __package__)]
    return document("gptcompare", body, style=part("page.css"), scripts=scripts, connects=True)
