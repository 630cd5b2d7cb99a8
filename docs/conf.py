"""How Sphinx makes the documentation: `sphinx-build -W -n docs build/docs`.

The pages of the API are autosummary's, from the docstrings; `rooms` says which names a room offers. The notebooks and
some files of the repository become pages before Sphinx looks for pages: see `copied_pages`. What is made is ignored by
git.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent)]

import copied_pages  # noqa: E402  found by the line above
import rooms  # noqa: E402

import gptcompare  # noqa: E402

project = "gptcompare"
author = "the gptcompare authors"
copyright = "the gptcompare authors"
version = release = gptcompare.__version__

extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.viewcode",
    "numpydoc",
    "myst_nb",
]
templates_path = ["_templates"]
exclude_patterns = ["_build", "_templates"]
nitpicky = True

autosummary_generate = True
autosummary_context = {"pages": rooms.pages()}
autosummary_filename_map = rooms.file_names()
autodoc_typehints = "none"  # the docstrings say them, with shapes
numpydoc_show_class_members = False
numpydoc_xref_param_type = False
add_module_names = False
python_maximum_signature_line_length = 88
toc_object_entries_show_parents = "hide"
viewcode_line_numbers = True

myst_enable_extensions = ["colon_fence", "deflist", "dollarmath"]
myst_heading_anchors = 3
nb_execution_mode = "off"
nb_merge_streams = True
nb_ipywidgets_js = {}  # no notebook has widgets, and no page needs the network for their scripts

html_theme = "pydata_sphinx_theme"
html_title = "gptcompare"
html_static_path = ["_static"]
html_css_files = ["gptcompare.css"]
html_show_sourcelink = False
html_copy_source = False
html_theme_options = {
    "logo": {"text": "gptcompare"},
    "navbar_align": "left",
    "header_links_before_dropdown": 6,
    "show_prev_next": True,
    "show_toc_level": 2,
    "navigation_with_keys": False,
    "collapse_navigation": True,
    "footer_start": ["copyright"],
    "footer_end": [],
    "secondary_sidebar_items": {pages: ["page-toc"] for pages in ("api/*", "glossary", "notebooks/*", "repository/*")},
}
html_sidebars = {"index": [], "start": [], "glossary": []}

copied_pages.copy(HERE)


CODE = re.compile(r"(?<![`:\w])`([^`]+)`(?![`_])")
PAGE_OF = rooms.page_of()


def as_restructured_text(app: Any, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:
    """Turn the `code` of docstrings into a link if it is a public name, and otherwise into literal text."""

    def one(code: re.Match[str]) -> str:
        page = PAGE_OF.get(
            code[1].removesuffix("()").rpartition(".")[2] if code[1].startswith("gptcompare.") else code[1]
        )
        return f":py:obj:`{code[1]} <{page}>`" if page else f"``{code[1]}``"

    lines[:] = [CODE.sub(one, line) for line in lines]


def setup(app: Any) -> None:
    """Put that before numpydoc, which reads the sections."""
    app.connect("autodoc-process-docstring", as_restructured_text, priority=400)
