#!/usr/bin/env bash
# Whether a wide SVG output of a notebook stays within the page that nbconvert makes of it.
# Guess: yes. JupyterLab puts the SVG into the page and confines it (`.jp-RenderedSVG svg { max-width: 100% }`), and
# nbconvert's page has that rule, too; else the picture's own style can say `max-width: 100%`.
# Seen with nbconvert 7.17.2: nbconvert writes the SVG as an <img> with the picture as its address. The rule speaks of `svg`,
# no rule speaks of an `img` at that place, and a style inside the picture reaches nothing outside of it. So a picture of 1,100
# pixels is cut off at the right on a narrower page, in the same notebook that JupyterLab shows whole.
# It matters for drawn models that stand beside each other: such a page must be 1,200 pixels wide, or show them one by one.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet nbconvert==7.17.2 nbformat==5.11.1
cat > "$folder/wide.py" <<'PROGRAM'
import re
import sys

import nbconvert
import nbformat

svg = '<svg xmlns="http://www.w3.org/2000/svg" width="1100" height="50" viewBox="0 0 1100 50"><circle r="9"/></svg>'
output = nbformat.v4.new_output("display_data", {"image/svg+xml": svg})
notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("picture", outputs=[output])])
page, _ = nbconvert.HTMLExporter().from_notebook_node(notebook)

shown = re.search(r'<div class="jp-RenderedSVG.*?>\s*<(\w+)', page)[1]
confined = re.findall(r"\.jp-RenderedSVG (\w+)[^{}]*\{[^{}]*max-width: 100%", page)
print(f"nbconvert {nbconvert.__version__}: the picture is <{shown}>, and the rule that confines it is for {confined}")
if shown != "img" or confined != ["svg"]:
    sys.exit("this has changed")
PROGRAM
"$folder/venv/bin/python" "$folder/wide.py"
