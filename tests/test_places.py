"""Whoever adds something is told which place was forgotten: see CONTRIBUTING.md."""

import importlib
import inspect
import re
from pathlib import Path

import pytest

import gptcompare as gc
from gptcompare.checkpoints import families
from gptcompare.checkpoints.single_files.recognition import FORMATS
from gptcompare.cli import COMMANDS, EXAMPLES, main
from gptcompare.evaluation import TASKS
from gptcompare.presets import published

PACKAGE = Path(gc.__file__).parent
TESTS = Path(__file__).parent
ROOT = TESTS.parent


def modules_of(room):
    return sorted(path.stem for path in (PACKAGE / room).glob("[!_]*.py"))


FAMILIES = [name for name in modules_of("checkpoints/families") if name not in ("common", "linear_layers")]
SINGLE_FILES = [name for name in modules_of("checkpoints/single_files") if name != "recognition"]
CLI = [name for name in modules_of("cli") if not name.endswith("options")]


@pytest.mark.parametrize("name", FAMILIES)
class TestAFamilyOfCheckpoints:
    def test_it_reads_a_description_and_parameters(self, name):
        module = importlib.import_module(f"gptcompare.checkpoints.families.{name}")
        assert callable(module.config)

    def test_it_is_registered(self, name):
        module = importlib.import_module(f"gptcompare.checkpoints.families.{name}")
        registered = [family.config for family in (*families.FAMILIES.values(), families.OPENAI)]
        assert module.config in registered, "add a line to FAMILIES in checkpoints/families/__init__.py"

    def test_it_has_tests(self, name):
        assert (TESTS / "checkpoints" / "families" / f"test_{name}.py").is_file()


@pytest.mark.parametrize("name", SINGLE_FILES)
class TestAFormatOfASingleFile:
    def test_it_is_registered(self, name):
        module = importlib.import_module(f"gptcompare.checkpoints.single_files.{name}")
        registered = [(known.config, known.parameters, known.end_ids) for known in FORMATS]
        wanted = (module.config, module.parameters, module.end_ids)
        assert wanted in registered, "add a Format to FORMATS in checkpoints/single_files/recognition.py"

    def test_it_has_tests(self, name):
        assert (TESTS / "checkpoints" / "single_files" / f"test_{name}.py").is_file()


@pytest.mark.parametrize("name", modules_of("presets"))
def test_a_table_of_presets_is_among_the_models(name):
    module = importlib.import_module(f"gptcompare.presets.{name}")
    for model in getattr(module, "MODELS", {}):
        assert model in gc.presets(), "add the module's MODELS to MODELS in presets/__init__.py"
        assert published(model).hyperparameters


@pytest.mark.parametrize("task", TASKS.values(), ids=TASKS.keys())
class TestAPublishedTask:
    def test_it_says_where_it_is_from(self, task):
        assert task.source
        assert task.data is None or task.data.published

    def test_its_reader_is_tested(self, task):
        tests = "\n".join(
            path.read_text(encoding="utf-8") for path in (TESTS / "evaluation" / "tasks").glob("test_*.py")
        )
        assert re.search(rf"\b{task.read.__name__}\b", tests), f"add {task.read.__name__} to FILES of test_readers.py"


@pytest.mark.parametrize("name", COMMANDS)
class TestACommand:
    def test_its_help_describes_it_and_every_option(self, name, capsys):
        with pytest.raises(SystemExit) as end:
            main([name, "--help"])
        assert end.value.code == 0
        _, description, *_ = capsys.readouterr().out.split("\n\n")
        assert len(description) > 20

    def test_the_help_of_the_whole_has_an_example_of_it(self, name):
        assert re.search(rf"^  gptcompare {name}\b", EXAMPLES, flags=re.MULTILINE), "add one to EXAMPLES"

    def test_it_has_tests(self, name):
        tests = "\n".join(path.read_text(encoding="utf-8") for path in (TESTS / "cli").glob("test_*.py"))
        assert f'"{name}"' in tests


@pytest.mark.parametrize("name", CLI)
def test_every_function_that_adds_a_command_is_in_the_table_of_commands(name):
    module = importlib.import_module(f"gptcompare.cli.{name}")
    own = [
        it for it, value in vars(module).items() if inspect.isfunction(value) and value.__module__ == module.__name__
    ]
    added = {it.removeprefix("add_") for it in own if it.startswith("add_")}
    assert added == {command for command, (of, _) in COMMANDS.items() if of == name}, "see COMMANDS in cli/__init__.py"


def test_the_citation_has_the_version_of_the_library():
    citation = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    assert re.search(r"^version: (.+)$", citation, flags=re.MULTILINE)[1] == gc.__version__
