"""What the README and the documentation's pages show is what happens, and their links lead somewhere."""

from __future__ import annotations

import ast
import re
import shlex

import pytest
from support.notebooks import cells_of, of_kind, printed
from support.pages import (
    PAGES,
    ROOT,
    blocks,
    commands_alone,
    commands_of,
    commands_with_output,
    leads_somewhere,
    links,
    module_at,
    name_of,
)

from gptcompare.cli import COMMANDS, _parser, main

LONGEST_README = 160  # lines
SHOWN = commands_with_output()
EXAMPLES = [
    pytest.param(
        shown, id=f"{shown.page}: {shown.command}", marks=[pytest.mark.slow] if "evaluate" in shown.command else []
    )
    for shown in SHOWN
]
ALONE = commands_alone()
DOWNLOADED = "With larger models, which are downloaded once:"
WITHOUT_A_DOWNLOAD = [
    pytest.param(words, id=" ".join(words), marks=[pytest.mark.slow] if words[0] == "train" else [])
    for words in commands_of((ROOT / "README.md").read_text(encoding="utf-8").partition(DOWNLOADED)[0])
    if words[0] != "play"  # which serves until Ctrl-C: tests/cli/test_play.py
]
SHAPE = re.compile(r"#.*?(\((?:\d+, )+\d*\))")  # in the comment behind an example
WITH_PYTHON = [path for path in PAGES if blocks(path, "python")]

MEASURED_BY = re.compile(r"\[Notebook \d+\]\(\.\./notebooks/([^)]*)\) measures")
SHARE = re.compile(r"([\d.]+)%|\b(0\.\d+)\b")
WITH_MEASURED_NUMBERS = [path for path in PAGES if MEASURED_BY.search(path.read_text(encoding="utf-8"))]


@pytest.fixture
def elsewhere(monkeypatch, tmp_path):
    """A folder with everything that is in the repository, in which what is written does not stay."""
    for entry in ROOT.iterdir():
        if entry.name not in ("evaluations", "runs"):
            (tmp_path / entry.name).symlink_to(entry)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.setenv("GPTCOMPARE_OFFLINE", "1")
    return tmp_path


@pytest.mark.parametrize("shown", EXAMPLES)
def test_a_command_prints_what_stands_below_it(shown, elsewhere, capsys):
    program, *arguments = shlex.split(shown.command)
    assert program == "gptcompare"
    assert main(arguments) == 0
    assert capsys.readouterr().out.rstrip("\n") == shown.output.rstrip("\n")


@pytest.mark.parametrize("path", WITH_PYTHON, ids=name_of)
def test_the_python_examples_of_a_page_run_one_after_the_other_and_have_the_shapes_beside_them(path, elsewhere):
    source, names = "\n".join(blocks(path, "python")), {}
    for statement in ast.parse(source).body:
        exec(compile(ast.Module([statement], []), name_of(path), "exec"), names)
        if shape := SHAPE.search(source.splitlines()[statement.end_lineno - 1]):
            value = eval(ast.unparse(shown_by(statement)), names)
            assert str(value if isinstance(value, tuple) else value.shape) == shape[1], ast.unparse(statement)


def shown_by(statement):
    """What an example is about: the name that it assigns, or what it prints or only says."""
    if isinstance(statement, ast.Assign):
        return statement.targets[0]
    printed = isinstance(statement.value, ast.Call) and ast.unparse(statement.value.func) == "print"
    return statement.value.args[0] if printed else statement.value


def test_a_saved_model_of_an_example_is_there(elsewhere):
    exec("\n".join(blocks(ROOT / "docs" / "start.md", "python")), {})
    assert (elsewhere / "runs" / "example" / "model.safetensors").exists()


@pytest.mark.parametrize("path", WITH_MEASURED_NUMBERS, ids=name_of)
def test_the_numbers_that_a_notebook_measures_are_those_that_it_printed(path):
    for paragraph in path.read_text(encoding="utf-8").split("\n\n"):
        for notebook in MEASURED_BY.findall(paragraph):
            cells = of_kind(cells_of(ROOT / "notebooks" / notebook), "code")
            outputs = "".join(map(printed, cells))
            there = {f"{float(one):.0f}%" if one else other for one, other in SHARE.findall(outputs)}
            said = {f"{one}%" if one else other for one, other in SHARE.findall(paragraph)}
            assert said - there == set()


@pytest.mark.slow
def test_the_shares_of_the_dice_are_those_that_the_benchmark_measures(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    measured = dict(module_at(ROOT / "benchmarks" / "same_tokens.py").two_models())
    page = (ROOT / "docs" / "guides" / "dice.md").read_text(encoding="utf-8")
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    for kind, share in measured.items():
        assert f"| {kind} | {share:.1%} |" in page
        assert f" {100 * share:.0f} %" in readme or kind == "dice of their own"


@pytest.mark.parametrize(("page", "arguments"), ALONE, ids=[f"{page}: {' '.join(words)}" for page, words in ALONE])
def test_a_command_without_output_is_one_that_the_command_line_understands(page, arguments):
    assert _parser(arguments).parse_args(arguments).run, page


@pytest.mark.parametrize("arguments", WITHOUT_A_DOWNLOAD)
def test_a_command_of_the_readme_works_without_a_network(arguments, elsewhere, capsys):
    assert main(arguments) == 0
    assert "".join(capsys.readouterr())


def test_the_pages_show_every_command():
    shown = " ".join(shown.command for shown in SHOWN) + " " + " ".join(" ".join(words) for _, words in ALONE)
    text = shown + " ".join(path.read_text(encoding="utf-8") for path in PAGES)
    assert [name for name in COMMANDS if f"gptcompare {name}" not in text] == []


@pytest.mark.parametrize("path", PAGES, ids=name_of)
def test_every_link_leads_to_a_file_of_the_repository_or_to_a_page(path):
    assert [target for target in links(path) if not leads_somewhere(path, target)] == []


@pytest.mark.parametrize("path", PAGES, ids=name_of)
def test_an_address_outside_is_well_formed(path):
    for address in re.findall(r"https?://[^\s)>\"'`]*", path.read_text(encoding="utf-8")):
        assert re.fullmatch(r"https://[\w.-]+\.[a-z]{2,}(/[\w./#%?=&~+-]*)?", address), address


def test_the_readme_is_short():
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) <= LONGEST_README
