"""A complete HTML document around a body: one file that needs nothing from elsewhere."""

from __future__ import annotations

from html import escape

# The style of everything that this library shows on a page; such a fragment begins with <div class="gptcompare">.
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


def document(title: str, body: str) -> str:
    """Make a complete HTML document from a title, as text, and a body, as HTML.

    >>> document("a < b", "<p>Hello</p>").splitlines()[5]
    '<title>a &lt; b</title>'
    """
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n"
        "<style>body { max-width: 70rem; margin: 2rem auto; padding: 0 1rem; background: #fff; }</style>\n"
        f"</head>\n<body>\n{body}\n</body>\n</html>\n"
    )
