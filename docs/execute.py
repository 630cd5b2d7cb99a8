"""Execute the notebooks, and keep what they print now: their outputs, and those in the answers to their exercises.

    python docs/execute.py            # all notebooks
    python docs/execute.py 5 11       # those with these numbers

For changes after which many outputs are new, such as another embedded pair; `refresh.py` does the same for the pages.
Look at the differences before you commit them. Needs the `notebooks` extra, and the package as it is here, installed
with `pip install -e .`. A notebook that fails, be it in an answer, is left as it was.
"""

from __future__ import annotations

import base64
import io
import re
import sys
from pathlib import Path
from typing import Any

import nbclient
import nbformat
from PIL import Image

FOLDER = Path(__file__).parents[1] / "notebooks"
PYTHON = re.compile(r"(?<=^```python\n).*?(?=^```)", re.DOTALL | re.MULTILINE)
TEXT = re.compile(r"(?<=^```text\n).*?(?=^```)", re.DOTALL | re.MULTILINE)


def executed(notebook: Any) -> Any:
    """Return a notebook with new outputs. The answers are executed after everything else, in their order."""
    answers = [cell for cell in notebook.cells if "answer" in cell.metadata.get("tags", ())]
    added = [nbformat.v4.new_code_cell("".join(PYTHON.findall(cell.source))) for cell in answers]
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    whole = nbformat.v4.new_notebook(cells=[*notebook.cells, *added])
    nbclient.NotebookClient(
        whole, timeout=900, kernel_name="python3", resources={"metadata": {"path": str(FOLDER)}}
    ).execute()
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)  # the times
        if cell.cell_type == "code":
            cell.outputs = joined(cell.outputs)
            for output in cell.outputs:
                if "image/png" in output.get("data", {}):
                    output.data["image/png"] = compressed(output.data["image/png"])
    for answer, cell in zip(answers, added, strict=True):
        said = "".join(output.text for output in cell.outputs if output.output_type == "stream")
        answer.source = TEXT.sub(lambda _, said=said: said, answer.source)
    return notebook


def compressed(png: str) -> str:
    """Return a picture in fewer bytes, with the same pixels: matplotlib writes an opaque one with transparency."""
    picture = Image.open(io.BytesIO(base64.b64decode(png)))
    if picture.mode == "RGBA" and picture.getchannel("A").getextrema() == (255, 255):
        picture = picture.convert("RGB")
    if colours := picture.getcolors(256):
        picture = picture.convert("P", palette=Image.Palette.ADAPTIVE, colors=len(colours))
    file = io.BytesIO()
    picture.save(file, "PNG", optimize=True)
    return base64.b64encode(file.getvalue()).decode()


def joined(outputs: list[Any]) -> list[Any]:
    """Make one of pieces of the same stream that follow each other."""
    whole: list[Any] = []
    for output in outputs:
        if whole and output.output_type == "stream" == whole[-1].output_type and output.name == whole[-1].name:
            whole[-1].text += output.text
        else:
            whole.append(output)
    return whole


def main() -> None:
    paths = sorted(FOLDER.glob("*.ipynb"), key=lambda path: int(path.stem.partition("_")[0]))
    for path in paths:
        if sys.argv[1:] and path.stem.partition("_")[0] not in sys.argv[1:]:
            continue
        notebook = nbformat.read(path, as_version=4)
        try:
            nbformat.write(executed(notebook), path)
        except nbclient.exceptions.CellExecutionError as error:
            print(f"{path.name}: {error}", file=sys.stderr)
            continue
        print(path.name, flush=True)


if __name__ == "__main__":
    main()
