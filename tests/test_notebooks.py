"""The notebooks: as they lie in the repository, and as they run."""

import json
import re
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[1] / "notebooks"
PATHS = sorted(FOLDER.glob("*.ipynb"), key=lambda path: int(path.stem.partition("_")[0]))

ANSWER = "<summary>Answer</summary>"
LARGEST = 400_000  # bytes
ABSOLUTE_PATH = re.compile(r"(?<![\w.:/])/(?:home|root|tmp|Users|private|var|usr|opt|mnt|work|srv)/|\b[A-Z]:\\")
# What a notebook may not do here, said in a cell in front of its own.
WITHOUT_NETWORK = """
import socket

def refuse(*address, **options):
    raise OSError("a notebook asks for the network")

socket.getaddrinfo = socket.create_connection = refuse
"""


@pytest.fixture
def nbclient():
    for module in ("ipykernel", "nbformat", "matplotlib", "sklearn"):  # the `docs` extra has the first two
        pytest.importorskip(module, reason="needs the `notebooks` extra")
    return pytest.importorskip("nbclient", reason="needs the `notebooks` extra")


@pytest.fixture(params=PATHS, ids=lambda path: path.stem)
def path(request):
    return request.param


@pytest.fixture
def cells(path):
    return json.loads(path.read_text(encoding="utf-8"))["cells"]


def text_of(cell):
    return "".join(cell["source"])


def of_kind(cells, kind):
    return [cell for cell in cells if cell["cell_type"] == kind]


def outputs_of(cells):
    return [output for cell in of_kind(cells, "code") for output in cell["outputs"]]


def strings_in(value):
    """All texts in a nest of lists and dicts."""
    if isinstance(value, str):
        return [value]
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else []
    return [text for part in inner for text in strings_in(part)]


@pytest.mark.notebooks
@pytest.mark.filterwarnings("default")  # of Jupyter's own packages
def test_it_runs_from_the_first_cell_to_the_last_without_a_network(nbclient, path, monkeypatch):
    import nbformat

    monkeypatch.setenv("PYTHONWARNINGS", "error::RuntimeWarning")
    notebook = nbformat.read(path, as_version=4)
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    notebook.cells.insert(0, nbformat.v4.new_code_cell(WITHOUT_NETWORK))
    there = sorted(FOLDER.iterdir())
    client = nbclient.NotebookClient(
        notebook, timeout=900, kernel_name="python3", resources={"metadata": {"path": str(FOLDER)}}
    )
    client.execute()  # CellExecutionError, with the cell and its traceback, if one fails
    assert sorted(FOLDER.iterdir()) == there


@pytest.mark.parametrize("page", ["README.md", "docs/notebooks.md"])
def test_they_are_numbered_without_gaps_and_named_by_the_readme_and_the_documentation(page):
    assert [int(path.stem.partition("_")[0]) for path in PATHS] == list(range(1, len(PATHS) + 1))
    text = (FOLDER.parent / page).read_text(encoding="utf-8")
    named = re.findall(r"\]\(notebooks/(.+?\.ipynb)\)", text)
    assert list(dict.fromkeys(named)) == [path.name for path in PATHS]


def test_it_opens_with_a_title_and_what_one_will_be_able_to_do(path, cells):
    opening = cells[0]
    number = path.stem.partition("_")[0]
    assert opening["cell_type"] == "markdown"
    assert text_of(opening).startswith(f"# {number}. ")
    _, promise, rest = text_of(opening).partition("At the end you will be able to")
    assert promise
    assert 3 <= len(re.findall(r"^[-*] ", rest, flags=re.MULTILINE)) <= 5


def test_it_ends_with_three_exercises_and_their_answers(cells):
    texts = [text_of(cell) for cell in of_kind(cells, "markdown")]
    (start,) = (n for n, text in enumerate(texts) if re.search(r"^## Exercises$", text, flags=re.MULTILINE))
    exercises = "\n".join(texts[start:])
    answers = re.findall(r"<details>\s*<summary>Answer</summary>(.+?)</details>", exercises, flags=re.DOTALL)
    assert len(answers) == exercises.count(ANSWER) == 3
    assert ANSWER not in "\n".join(texts[:start])
    assert not re.search(r"^## (?!Exercises)", exercises, flags=re.MULTILINE)


def test_its_cells_were_executed_in_order(cells):
    executed = of_kind(cells, "code")
    assert [cell["execution_count"] for cell in executed] == list(range(1, len(executed) + 1))


def test_its_outputs_have_no_errors_and_no_warnings(cells):
    for output in outputs_of(cells):
        assert output["output_type"] != "error"
        assert output.get("name") != "stderr"


def test_it_does_not_say_where_it_was_made(cells):
    texts = [*strings_in(outputs_of(cells)), *map(text_of, cells)]
    assert [text[:200] for text in texts if ABSOLUTE_PATH.search(text)] == []


def test_it_opens_in_any_jupyter(path):
    notebook = json.loads(path.read_text(encoding="utf-8"))
    assert (notebook["nbformat"], notebook["nbformat_minor"]) == (4, 5)
    assert notebook["metadata"]["kernelspec"]["name"] == "python3"
    ids = [cell["id"] for cell in notebook["cells"]]
    assert len(set(ids)) == len(ids)


def test_it_is_small(path):
    assert path.stat().st_size < LARGEST
