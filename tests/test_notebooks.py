"""The notebooks: as they lie in the repository, and as they run."""

import json
import re
from itertools import pairwise
from pathlib import Path

import pytest
from support.notebooks import cells_of, of_kind, printed

from gptcompare.lessons import NOT_YET, RIGHT

FOLDER = Path(__file__).parents[1] / "notebooks"
PATHS = sorted(FOLDER.glob("*.ipynb"), key=lambda path: int(path.stem.partition("_")[0]))

LARGEST = 600_000  # bytes
# An exercise is four cells: the question, a cell for the reader's attempt, one that checks it, and the folded answer.
EXERCISE = ("question", "attempt", "check", "answer")
ANSWER = re.compile(r"<details><summary>Answer</summary>\n\n(.+)\n\n</details>", flags=re.DOTALL)
FENCE = re.compile(r"^```(\w+)\n(.*?)^```$", flags=re.DOTALL | re.MULTILINE)
# Words that are explained in the glossary, and linked to it in the cell of each notebook where they first come.
EXPLAINED = ("nats?", "hooks?", "prefill", "FLOPs", "decoder", "perplexity", "entropy", "residual stream", "logits")
GLOSSARY = "../docs/glossary.md"
# Where a word counts as no use of it: code, formulas and quotations.
CODE = re.compile(r"```.*?```|`[^`]*`|\$[^$]*\$|^> .*?$", flags=re.DOTALL | re.MULTILINE)
ABSOLUTE_PATH = re.compile(r"(?<![\w.:/])/(?:home|root|tmp|Users|private|var|usr|opt|mnt|work|srv)/|\b[A-Z]:\\")
# What a notebook may not do here, said in a cell in front of its own.
WITHOUT_NETWORK = """
import socket

def refuse(*address, **options):
    raise OSError("a notebook asks for the network")

socket.getaddrinfo = socket.create_connection = refuse
"""
# The pictures are looked at as they are drawn: what is wrong with them is kept, since an error would only be printed.
LOOKED_AT = """
import matplotlib.backend_bases, matplotlib.text

_faults_of_pictures, _drawn = set(), matplotlib.backend_bases.FigureCanvasBase.print_figure

def _looked_at(canvas, *arguments, **options):
    if canvas.figure.dpi != 110:
        _faults_of_pictures.add(f"{canvas.figure.dpi} dots an inch")
    for text in canvas.figure.findobj(matplotlib.text.Text):
        if text.get_visible() and text.get_text().strip() and text.get_fontsize() < 8:
            _faults_of_pictures.add(f"{text.get_fontsize()} points: {text.get_text()}")
    return _drawn(canvas, *arguments, **options)

matplotlib.backend_bases.FigureCanvasBase.print_figure = _looked_at
"""
NO_FAULTS = "assert not _faults_of_pictures, sorted(_faults_of_pictures)[:10]"


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
    return cells_of(path)


def text_of(cell):
    return "".join(cell["source"])


def outputs_of(cells):
    return [output for cell in of_kind(cells, "code") for output in cell["outputs"]]


def strings_in(value):
    """All texts in a nest of lists and dicts."""
    if isinstance(value, str):
        return [value]
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else []
    return [text for part in inner for text in strings_in(part)]


def tag_of(cell):
    return next((tag for tag in cell["metadata"].get("tags", ()) if tag in EXERCISE), None)


def exercises_of(cells):
    """The cells of each exercise, by their part in it."""
    tagged = [cell for cell in cells if tag_of(cell)]
    groups = [tagged[n : n + len(EXERCISE)] for n in range(0, len(tagged), len(EXERCISE))]
    return [dict(zip(EXERCISE, group, strict=True)) for group in groups]


def fences_of(exercise, language):
    """The blocks of a language in the folded answer, together."""
    answer = ANSWER.fullmatch(text_of(exercise["answer"]))[1]
    return "".join(block for kind, block in FENCE.findall(answer) if kind == language)


@pytest.mark.notebooks
@pytest.mark.filterwarnings("default")  # of Jupyter's own packages
def test_it_runs_from_the_first_cell_to_the_last_and_its_answers_solve_its_exercises(nbclient, path, monkeypatch):
    import nbformat

    monkeypatch.setenv("PYTHONWARNINGS", "error::RuntimeWarning")
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    new_cell = nbformat.v4.new_code_cell
    notebook, cells, solved = nbformat.read(path, as_version=4), [], []
    for exercise in exercises_of(notebook.cells):
        answer = new_cell(fences_of(exercise, "python"))
        solved.append((exercise, answer, new_cell(text_of(exercise["check"]))))
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
        cells += [cell, *(new for exercise, *both in solved if cell is exercise["check"] for new in both)]
    notebook.cells = [new_cell(WITHOUT_NETWORK), new_cell(LOOKED_AT), *cells, new_cell(NO_FAULTS)]
    there = sorted(FOLDER.iterdir())
    client = nbclient.NotebookClient(
        notebook, timeout=900, kernel_name="python3", resources={"metadata": {"path": str(FOLDER)}}
    )
    client.execute()  # CellExecutionError, with the cell and its traceback, if one fails
    assert sorted(FOLDER.iterdir()) == there
    for exercise, answer, checked in solved:
        assert {line[0] for line in printed(exercise["check"]).splitlines()} == {NOT_YET}
        assert {line[0] for line in printed(checked).splitlines()} == {RIGHT}, printed(checked)
        if said := fences_of(exercise, "text"):
            assert printed(answer) == said


@pytest.mark.parametrize("page", ["README.md", "docs/notebooks.md"])
def test_they_are_numbered_without_gaps_and_named_by_the_readme_and_the_documentation(page):
    assert [int(path.stem.partition("_")[0]) for path in PATHS] == list(range(len(PATHS)))
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


def test_it_ends_with_three_exercises_whose_solutions_are_folded_away(cells):
    start = next(n for n, cell in enumerate(cells) if re.search(r"^## Exercises$", text_of(cell), flags=re.MULTILINE))
    exercises = exercises_of(cells[start:])
    assert [tag_of(cell) for cell in cells[start:]] == list(EXERCISE) * 3
    assert not any(map(tag_of, cells[:start]))
    for number, exercise in enumerate(exercises, 1):
        assert f"**{number}.** " in text_of(exercise["question"])
        assert "check(" in text_of(exercise["check"])
        assert fences_of(exercise, "python")
        assert text_of(exercise["attempt"]).strip() not in fences_of(exercise, "python")
        assert {line[0] for line in printed(exercise["check"]).splitlines()} == {NOT_YET}


def test_it_says_where_in_the_whole_it_is(path, cells):
    here = [cell for cell in of_kind(cells, "code") if re.search(r"plots\.architecture\(.*here=", text_of(cell))]
    assert len(here) == (path.stem[0] != "0")


def test_a_word_of_the_field_is_linked_to_the_glossary_where_it_first_comes(cells):
    missing = []
    texts = [
        re.sub(r"`[^`]*`|```.*?```|\$[^$]*\$", "", text_of(cell), flags=re.DOTALL)
        for cell in of_kind(cells, "markdown")
    ]
    for word in EXPLAINED:
        first = next((text for text in texts if re.search(rf"\b{word}\b", text)), None)
        if first and not re.search(rf"\[[^\]]*\b{word}\b[^\]]*\]\({re.escape(GLOSSARY)}\)", first):
            missing.append(word)
    assert missing == []


def test_its_outputs_are_whole_and_have_no_times(cells):
    for cell in of_kind(cells, "code"):
        names = [output.get("name") for output in cell["outputs"]]
        assert not any(one and one == two for one, two in pairwise(names)), text_of(cell)
        assert "execution" not in cell["metadata"]


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
