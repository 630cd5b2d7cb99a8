"""The names of the package: there when they are used, and not before."""

import ast
import importlib
import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import pytest

import gptcompare as gc

FACE = Path(gc.__file__)


def imported_by(*lines):
    """Every module that is imported when a program of these lines has run in a process of its own."""
    program = "\n".join(["import sys, json", *lines, "print(json.dumps(sorted(sys.modules)))"])
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    return set(json.loads(result.stdout.splitlines()[-1]))


def rooms_imported_by_command(*arguments):
    """The rooms of the library that a command needs."""
    lines = [
        "import contextlib, io",
        "from gptcompare.cli import main",
        "with contextlib.redirect_stdout(io.StringIO()), contextlib.suppress(SystemExit):",
        f"    main({[*arguments]!r})",
    ]
    return {name.split(".")[1] for name in imported_by(*lines) if name.startswith("gptcompare.")}


def test_importing_the_package_imports_nothing_else():
    modules = imported_by("import gptcompare")
    assert "numpy" not in modules
    assert {name for name in modules if name.startswith("gptcompare")} == {"gptcompare", "gptcompare.version"}


@pytest.mark.parametrize("name", gc.__all__)
def test_every_name_is_there(name):
    assert getattr(gc, name) is not None
    assert name in dir(gc)


def test_what_a_type_checker_sees_is_what_there_is():
    (checked,) = [node for node in ast.parse(FACE.read_text(encoding="utf-8")).body if isinstance(node, ast.If)]
    modules, names = set(), {}
    for node in checked.body:
        if node.module is None:
            modules |= {alias.name for alias in node.names}
        else:
            names[node.module] = {alias.name for alias in node.names}
    callables = {"presets": {"presets"}, "report": {"report"}}
    assert modules | set(callables) == set(gc._MODULES)
    expected = {module: set(of_module) | callables.get(module, set()) for module, of_module in gc._NAMES.items()}
    assert names == {**callables, **expected}
    assert sorted([*modules, *(name for of_module in names.values() for name in of_module), "__version__"]) == sorted(
        gc.__all__
    )


def test_a_name_that_there_is_not_is_an_attribute_error():
    with pytest.raises(AttributeError, match="module 'gptcompare' has no attribute 'lod'"):
        gc.lod  # noqa: B018


@pytest.mark.parametrize("first", ["import gptcompare as gc; gc.presets()", "import gptcompare.presets", ""])
def test_presets_and_report_are_functions_and_packages_whatever_comes_first(first):
    imported_by(
        first, "import gptcompare as gc", "import gptcompare.presets as p", "import gptcompare.report as r",
        "assert p.published('gpt2').repository == 'openai-community/gpt2'", "assert gc.presets() == p.presets()",
        "assert gc.report(['gpt2']) == r.report(['gpt2']) == gc.report.report(['gpt2'])",
        "assert gc.report.Report is gc.Report",
    )  # fmt: skip


def test_no_function_that_a_room_gives_out_hides_a_module_of_the_room():
    for path in FACE.parent.rglob("*.py"):
        module = ".".join([FACE.parent.name, *path.relative_to(FACE.parent).with_suffix("").parts]).removesuffix(
            ".__init__"
        )
        if module.endswith("__main__"):
            continue
        if module == "gptcompare.evaluation.cluster" and not importlib.util.find_spec("dask"):
            continue  # it needs an extra
        importlib.import_module(module)
        package, _, name = module.rpartition(".")
        if package:
            assert getattr(sys.modules[package], name) is sys.modules[module], module


@pytest.mark.parametrize(
    ("arguments", "needless"),
    [
        (["--help"], {"arrays", "presets", "model", "generation", "training"}),
        (["table", "gpt2"], {"model", "generation", "training", "evaluation", "uses", "comparison"}),
        (["models"], {"model", "generation", "training", "evaluation", "uses", "comparison"}),
        (["tokenize", "Hi"], {"model", "training", "evaluation", "uses", "comparison", "report"}),
        (["generate", "Hi", "--max-new-tokens", "1"], {"training", "evaluation", "uses", "comparison", "report"}),
        (["compare", "Hi", "--max-new-tokens", "1"], {"training", "evaluation", "uses"}),
        (["tasks"], {"training", "report", "plots"}),
        (["choose", "Is it?", "yes", "no", "--show-prompt"], {"training", "evaluation", "comparison", "report"}),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else "",
)
def test_a_command_imports_only_what_it_needs(arguments, needless):
    assert rooms_imported_by_command(*arguments) & needless == set()
