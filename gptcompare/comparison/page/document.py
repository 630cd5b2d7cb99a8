"""The page of a comparison as one document: its data, its style and its script, and nothing from elsewhere."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime, timezone
from functools import cache
from importlib.resources import files
from typing import Any

import numpy as np

from ...display.page import document, isolated_words, visible
from ...generation import LanguageModel
from ...version import __version__
from ..sides import describe_model


@cache
def part(name: str, room: str = __package__) -> str:
    """Return a file that is part of a page: its style, or a script, in this room or in another."""
    return files(room).joinpath(name).read_text(encoding="utf-8")


def as_json(data: Any) -> str:
    r"""Return values as JSON that can stand inside a <script> element.

    >>> as_json("</script>")
    '"\\u003c/script>"'
    """
    return json.dumps(data, ensure_ascii=False, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c")


def page(data: dict[str, Any]) -> str:
    """Make the page of a comparison from what `page_data` returns."""
    body = (
        f"<main>\n<noscript><h1>{visible(data['title'])}</h1>\n<pre>{isolated_words(data['summary'])}</pre>\n"
        "<p>What each model would have said is shown by the page's script, which is switched off.</p></noscript>\n"
        f'</main>\n<script type="application/json" id="comparison">{as_json(data)}</script>'
    )
    return document(data["title"], body, style=part("page.css"), scripts=[part("attention.js"), part("page.js")])


def how_made(command: str | None, models: Mapping[str, LanguageModel], options: Mapping[str, Any]) -> dict[str, str]:
    """Say how a comparison was made, so that it can be made again: a dict of what -> how."""
    said = {} if command is None else {"command": command}
    for n, (name, lm) in enumerate(models.items(), 1):
        said[f"model {n}"] = f"{name}: {describe_model(lm)}"
    said |= {name: str(value) for name, value in options.items() if value not in (None, [], "")}
    said["version"] = f"gptcompare {__version__}, NumPy {np.__version__}"
    said["date"] = datetime.now(timezone.utc).strftime("%Y-%m-%d %H:%M UTC")
    return said
