"""What notebooks hold, as they lie in the repository."""

import json


def cells_of(path):
    return json.loads(path.read_text(encoding="utf-8"))["cells"]


def of_kind(cells, kind):
    return [cell for cell in cells if cell["cell_type"] == kind]


def printed(cell):
    return "".join("".join(output["text"]) for output in cell["outputs"] if output["output_type"] == "stream")
