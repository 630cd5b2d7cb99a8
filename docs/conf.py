"""How Sphinx makes the documentation: `sphinx-build -W -n docs build/docs`.

The API's pages, the notebooks and some files of the repository become pages here before Sphinx looks for pages: see
`api_pages` and `copied_pages`. What they write is ignored by git.
"""

from __future__ import annotations

import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent)]

import api_pages  # noqa: E402  found by the line above
import copied_pages  # noqa: E402

import gptcompare  # noqa: E402

project = "gptcompare"
author = "the gptcompare authors"
copyright = "the gptcompare authors"
version = release = gptcompare.__version__

extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.viewcode",
    "numpydoc",
    "myst_nb",
    "docstrings",
]
exclude_patterns = ["_build"]
nitpicky = True
# Types in signatures that are not this project's, and that an offline build cannot look up: NumPy's, the standard
# library's, and optional packages'.
nitpick_ignore_regex = [("py:.*", r"(np|npt|numpy|os|collections)\..*|(pathlib\.)?Path|Field")]

numpydoc_show_class_members = False
numpydoc_xref_param_type = False
add_module_names = False
python_use_unqualified_type_names = True
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
made = {HERE / "api" / f"{name}.rst": text for name, text in api_pages.pages().items()}
for path, text in made.items():
    copied_pages.write(path, text)
for path in {*(HERE / "api").iterdir()} - {*made}:
    path.unlink()  # of a name that is gone
