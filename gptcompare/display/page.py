"""A complete HTML document around a body, and texts in it that change nothing around them.

The document is one file that needs nothing from elsewhere. A text of a model, or a name, may have anything in it: in
HTML it is escaped, its control characters are visible as on a terminal, and it stands in isolation, so that what runs
from right to left in it does not turn round what stands beside it (Unicode Annex 9).
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Sequence
from html import escape
from itertools import groupby

import regex

from .text_width import printable

FROM_THE_RIGHT = regex.compile(r"[\p{Bidi_Class=R}\p{Bidi_Class=AL}]")
FIRST_STRONG_ISOLATE, POP_ISOLATE = "\u2068", "\u2069"

PLAIN_STYLE = "body { max-width: 70rem; margin: 2rem auto; padding: 0 1rem; background: #fff; }"
# The style of everything that this library shows on a page; such a fragment begins with <div class="gptcompare">.
STYLE = """\
.gptcompare { font: 15px/1.5 system-ui, sans-serif; color: #1b1b1b; background: #fff; overflow-wrap: anywhere; }
.gptcompare .sides { display: flex; flex-wrap: wrap; gap: 2rem; }
.gptcompare .side { flex: 1 1 18rem; min-width: 0; }
.gptcompare h2 { font-size: 1.1rem; margin: 0; }
.gptcompare .what { color: #555; font-size: 0.85rem; margin: 0.2rem 0 0.6rem; }
.gptcompare .text { white-space: pre-wrap; unicode-bidi: plaintext; border-top: 1px solid #bbb; padding-top: 0.6rem; }
.gptcompare .prompt { color: #555; }
.gptcompare pre { font: 13px/1.4 ui-monospace, monospace; white-space: pre-wrap; margin: 1rem 0; }
.gptcompare figure { margin: 1rem 0; overflow-x: auto; }
.gptcompare figcaption, .gptcompare .key { color: #555; font-size: 0.85rem; }
"""


def isolated(text: str) -> str:
    """Return a text as HTML that stands in isolation.

    >>> isolated("a < b")
    '<bdi>a &lt; b</bdi>'
    """
    return f"<bdi>{visible(text)}</bdi>"


def isolated_words(text: str) -> str:
    """Return a text from left to right as HTML, in which words from right to left stand in isolation.

    >>> isolated_words("it is שלום (+0.5)")
    'it is <bdi>שלום</bdi> (+0.5)'
    """
    cells = re.split(r"( {2,}|\n)", text)  # of a table, and lines
    return "".join(map(_cell, cells))


def _cell(text: str) -> str:
    turned = groupby(text.split(" "), lambda word: bool(FROM_THE_RIGHT.search(word)))
    return " ".join((isolated if is_turned else visible)(" ".join(words)) for is_turned, words in turned)


def isolated_in_attribute(text: str) -> str:
    """Return a text that stands in isolation where there can be no markup: in an attribute, or an SVG's title."""
    if not FROM_THE_RIGHT.search(text):
        return visible(text)
    return FIRST_STRONG_ISOLATE + visible(text) + POP_ISOLATE


def visible(text: str) -> str:
    r"""Return a text as HTML, with its control characters visible.

    >>> visible("<b>\x1b")
    '&lt;b&gt;␛'
    """
    return escape(printable(text))


def document(
    title: str, body: str, *, style: str = PLAIN_STYLE, scripts: Sequence[str] = (), connects: bool = False
) -> str:
    """Make a complete HTML document from a title, as text, and a body, as HTML.

    A browser runs and loads nothing but what is in the document: no other scripts than these, no pictures from
    elsewhere, no forms, no other base.

    Parameters
    ----------
    title, body, style : str
    scripts : sequence of str
        The scripts, which follow the body; each is allowed by its digest (Content Security Policy Level 3).
    connects : bool
        True if they may ask the server that the document came from.

    Examples
    --------
    >>> document("a < b", "<p>Hello</p>").splitlines()[6]
    '<title>a &lt; b</title>'
    """
    rules = ["default-src 'none'", "style-src 'unsafe-inline'", "base-uri 'none'", "form-action 'none'"]
    if scripts:
        rules.append("script-src" + "".join(f" '{_digest(script)}'" for script in scripts))
    if connects:
        rules.append("connect-src 'self'")
    policy = "; ".join(rules)
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
        f"<title>{visible(title)}</title>\n<style>{style}</style>\n</head>\n<body>\n{body}\n"
        + "".join(f"<script>{script}</script>\n" for script in scripts)
        + "</body>\n</html>\n"
    )


def _digest(script: str) -> str:
    """Return a script's digest as a policy names it."""
    return "sha256-" + base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
