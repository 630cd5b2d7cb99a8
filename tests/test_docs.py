"""The documentation: every public name has its page, every docstring its parts, every printed term its explanation."""

from __future__ import annotations

import contextlib
import dataclasses
import importlib
import importlib.util
import inspect
import io
import re
import shlex
import subprocess
import sys
from types import FunctionType

import pytest
from support.pages import DOCS, ROOT, module_of_the_docs

import gptcompare as gc
from gptcompare.cli import COMMANDS, main
from gptcompare.comparison.terminal.summary import speeds, summary, text_summary
from gptcompare.evaluation import TASKS
from gptcompare.report.table import CELLS
from gptcompare.verification.data_quantities import DATA_QUANTITIES
from gptcompare.verification.quantities import QUANTITIES

ROOMS = module_of_the_docs("rooms")
FACES = ROOMS.faces()
PAGES = sorted({page for of_face in ROOMS.pages().values() for page in of_face})
FILES = ROOMS.file_names()
KINDS = (FunctionType, classmethod, staticmethod)
SECTION = re.compile(r"^([A-Z][A-Za-z ]+)\n---+\n", re.MULTILINE)
GLOSSARY = (DOCS / "glossary.md").read_text(encoding="utf-8")
TERMS = {
    line.lower()
    for glossary in re.findall(r"^:::\{glossary\}\n(.*?)^:::", GLOSSARY, flags=re.DOTALL | re.MULTILINE)
    for line in glossary.splitlines()
    if re.match(r"\S", line)
}
# Words that --help uses in the sense of this field.
IN_HELP = [
    "token", "vocabulary", "temperature", "prompt", "seed", "end of text", "draft", "few-shot", "normalisation",
    "window", "context", "beam search", "task", "gradient", "dropout", "warm-up", "weight decay", "AdamW", "batch",
    "accumulation", "learning rate", "validation", "parameters", "tokenizer", "special token", "greedy", "stop string",
    "stride", "log-probability", "recorded output", "Muon",
]  # fmt: skip
# Labels that need no explanation.
PLAIN = {"", "as published", "measured"}


def value_of(page):
    """What a page of the API is about."""
    module, _, name = page.rpartition(".")
    return getattr(importlib.import_module(module), name)


def own_members(of):
    """The public methods and properties that a class defines itself."""
    members = vars(of).items() if inspect.isclass(of) else ()
    return [name for name, value in members if isinstance(value, (*KINDS, property)) and not name.startswith("_")]


def callables(page):
    """What the page is about, if it can be called, and the methods of a class."""
    of = value_of(page)
    return [it for it in (of, *(getattr(of, member) for member in own_members(of))) if callable(it)]


DOCUMENTED = [page for page in PAGES if inspect.isclass(value_of(page)) or inspect.isfunction(value_of(page))]


def is_explained(label):
    """Whether one of the glossary's terms is in a label; of a term that has a plural, the singular is there."""
    return any(re.search(rf"(?<![\w-]){re.escape(term)}s?(?!\w)", label.lower()) for term in TERMS)


def singular(label):
    """A label in the singular: probabilities -> probability, losses -> loss."""
    return re.sub(r"(?<!s)s\b", "", re.sub(r"sses\b", "ss", re.sub(r"ies\b", "y", label)))


def test_every_name_of_every_face_has_its_page_and_no_two_share_a_file():
    for face, pages in ROOMS.pages().items():
        values = {name: getattr(FACES[face], name) for name in FACES[face].__all__}
        wanted = [value for name, value in values.items() if ROOMS.has_page(name, value)]
        assert [id(value_of(page)) for page in pages] == [id(value) for value in wanted], face
        assert {page.rpartition(".")[2] for page in pages} == {n for n, v in values.items() if ROOMS.has_page(n, v)}
    assert len({FILES.get(page, page).lower() for page in PAGES}) == len(PAGES)


def test_every_room_that_is_a_name_of_the_package_has_a_page():
    assert {name for name in gc.__all__ if inspect.ismodule(getattr(gc, name))} <= set(ROOMS.ROOMS)


def test_the_api_lists_every_room():
    listed = (DOCS / "api.md").read_text(encoding="utf-8")
    for face in FACES:
        assert f"{{py:mod}}`{face}`" in listed
        assert f"\n   {face}\n" in listed


@pytest.mark.parametrize("page", DOCUMENTED)
def test_a_public_name_and_its_members_have_a_summary_that_is_a_sentence(page):
    of = value_of(page)
    for it in (of, *(getattr(of, member) for member in own_members(of))):
        summary_line, *_ = (inspect.getdoc(it) or "").splitlines() or [""]
        assert summary_line.endswith("."), it


@pytest.mark.parametrize("page", DOCUMENTED)
def test_a_docstring_that_names_parameters_names_all_of_them(page):
    for of in callables(page):
        _, *rest = SECTION.split(inspect.getdoc(of) or "")
        sections = dict(zip(rest[::2], rest[1::2], strict=True))
        if "Parameters" in sections:
            heads = [line.partition(" : ")[0] for line in sections["Parameters"].splitlines() if re.match(r"\S", line)]
            named = [parameter.strip("*") for head in heads for parameter in head.split(", ")]
            there = [parameter for parameter in inspect.signature(of).parameters if parameter != "self"]
            assert sorted(named) == sorted(there), of.__qualname__


@pytest.mark.parametrize("label", sorted({label.strip() for label in CELLS} - PLAIN))
def test_the_glossary_explains_what_a_row_of_the_table_is(label):
    assert is_explained(label)


def test_the_glossary_explains_what_the_summaries_print():
    comparison = gc.compare("Once upon a time", seed=1, temperature=0.8, max_new_tokens=4)
    reading = comparison.readings[0]
    names = [side.name for side in comparison.sides]
    printed = [
        summary(comparison.sides, comparison.readings, comparison.parting, True),
        summary(comparison.sides, comparison.readings, comparison.parting, False),
        text_summary(names, reading),
        speeds(comparison.sides),
    ]
    tables = [text.partition("\n\n")[0] for text in printed]
    labels = {re.split(r" {2,}", line)[0].strip() for text in tables for line in text.splitlines()} - PLAIN
    assert len(labels) >= 8
    assert [label for label in sorted(labels) if not is_explained(label)] == []
    assert {"jensen-shannon divergence", "nat", "agree"} <= TERMS


def test_the_glossary_explains_the_metrics_of_every_task():
    results = {result.metric for name in gc.presets() for result in gc.presets.published(name).results}
    assert [metric for metric in sorted(results) if not is_explained(metric)] == []
    assert "95% interval" in TERMS
    assert TASKS


def test_the_glossary_explains_the_quantities_that_were_recorded():
    names = {*QUANTITIES, *DATA_QUANTITIES} - {"final bias"}  # the bias of the final layer norm
    assert [name for name in sorted(names) if not is_explained(name) and not is_explained(singular(name))] == []


def test_the_glossary_explains_every_option_of_generation():
    assert [
        field.name
        for field in dataclasses.fields(gc.GenerationOptions)
        if not is_explained(field.name.replace("_", " "))
        and not is_explained(field.name.replace("_", "-"))
        and field.name != "stop"
    ] == []


@pytest.mark.parametrize("term", IN_HELP)
def test_the_glossary_explains_a_word_of_the_help(term):
    assert term.lower() in TERMS


def test_the_words_that_the_help_was_said_to_use_are_used():
    texts = []
    for command in COMMANDS:
        with contextlib.redirect_stdout(io.StringIO()) as said, contextlib.suppress(SystemExit):
            main([command, "--help"])
        texts.append(" ".join(said.getvalue().split()).lower())
    together = " ".join(texts)
    for word in (
        "token",
        "vocabulary",
        "few-shot",
        "gradient",
        "dropout",
        "beam",
        "log-probabilities",
        "seed",
        "window",
    ):
        assert word in together


def test_a_term_is_explained_once():
    lines = [line for line in GLOSSARY.splitlines() if line.lower() in TERMS]
    assert len(lines) == len(TERMS)


def test_the_layout_names_every_module():
    tree = (DOCS / "layout.md").read_text(encoding="utf-8").partition("## The floors")[0]
    package = ROOT / "gptcompare"
    for path in package.rglob("*.py"):
        name = path.parent.name if path.name == "__init__.py" and path.parent != package else path.stem
        assert re.search(rf"(?<!\w){re.escape(name)}(?!\w)", tree), path.relative_to(ROOT)


def test_every_page_is_in_a_table_of_contents():
    listed = set()
    for page in DOCS.rglob("*.md"):
        for tree in re.findall(
            r"^```\{toctree\}\n(.*?)^```", page.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE
        ):
            entries = [line for line in tree.splitlines() if line and line[0] != ":"]
            listed |= {(page.parent / entry).relative_to(DOCS).as_posix() for entry in entries}
    own = [path for path in DOCS.rglob("*.md") if path.relative_to(DOCS).parts[0] not in ("api", "repository")]
    pages = {path.relative_to(DOCS).with_suffix("").as_posix() for path in own} - {"index"}
    copied = {page.rpartition(".")[0] for page in module_of_the_docs("copied_pages").pages().values()}
    assert pages | copied <= listed


def test_a_copied_page_leads_to_pages_or_names_files():
    relinked, pictures = module_of_the_docs("copied_pages").relinked(
        "[a](../weights/README.md) ![b](../weights/training.png) [`c`](../README.md) [d](https://x.y) [e](../LICENSE)",
        "notebooks/5_gpt2_and_gpt3.ipynb",
    )
    assert relinked == "[a](../repository/pair.md) ![b](training.png) [`c`](../index.md) [d](https://x.y) e (`LICENSE`)"
    assert pictures == ["weights/training.png"]


def test_a_refreshed_page_shows_what_its_commands_print_now_and_is_otherwise_as_it_was(tmp_path):
    command = 'gptcompare tokenize "Once upon a time" --ids --model nano-gpt2'
    page = "# One\n\n```console\n$ {0}\n{1}\n$ {0}\n{1}```\n\n```console\n$ ls\nstays\n```\n"
    with contextlib.redirect_stdout(io.StringIO()) as out:
        main(shlex.split(command)[1:])
    refreshed = module_of_the_docs("refresh").refreshed(page.format(command, "old\nlines\n"), tmp_path)
    assert refreshed == page.format(command, out.getvalue())


needs_sphinx = pytest.mark.skipif(
    any(importlib.util.find_spec(name) is None for name in ("sphinx", "numpydoc", "myst_nb", "pydata_sphinx_theme")),
    reason="needs the `docs` extra",
)


@needs_sphinx
def test_sphinx_builds_it_without_a_warning_and_with_a_page_for_every_name(tmp_path):
    command = [sys.executable, "-m", "sphinx", "-W", "-n", "-q", "-b", "dummy", str(DOCS), str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)
    assert done.returncode == 0, done.stderr
    assert [page for page in PAGES if not (DOCS / "api" / f"{FILES.get(page, page)}.rst").is_file()] == []
