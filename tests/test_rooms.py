"""The house: a module imports only from floors below its own, and a folder can be taken in at first sight."""

import ast
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

import gptcompare

PACKAGE = Path(gptcompare.__file__).parent
# From the ground up: a room imports only from rooms of the lines before its own. Nothing runs back up, not even an
# import inside a function.
FLOORS = [
    ["version", "arrays", "checks", "callable_module", "files", "display"],
    ["sixteen_bits", "patterns", "presets"],
    ["config"],
    ["parameters"],
    ["parallel"],
    ["checkpoints"],
    ["tokenizer", "model"],
    ["backward"],
    ["inspection", "generation"],
    ["uses", "comparison"],
    ["training", "evaluation", "report", "play"],
    ["verification"],
    ["plots", "cli", "lessons"],
    ["__main__"],
]
FLOOR_OF = {room: number for number, rooms in enumerate(FLOORS) for room in rooms}
MOST_FILES = 9  # of a folder, without its __init__.py, and so on
LONGEST = 340  # lines of a module
FRAMEWORKS = {"torch", "transformers", "tensorflow", "safetensors", "tiktoken", "tokenizers"}


def name_of(path: Path) -> str:
    parts = [PACKAGE.name, *path.relative_to(PACKAGE).with_suffix("").parts]
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def room_of(name: str) -> str:
    return name.split(".")[1]


def imports(path: Path) -> set[str]:
    """Full names of what a file imports, at its top or inside a function: modules, or names in them."""
    package = [PACKAGE.name, *path.relative_to(PACKAGE).parts[:-1]]
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            module = ".".join([*base, *([node.module] if node.module else [])])
            found |= {f"{module}.{alias.name}" for alias in node.names}
    return found


PATHS = [path for path in sorted(PACKAGE.rglob("*.py")) if path != PACKAGE / "__init__.py"]
MODULES = {name_of(path): path for path in PATHS}


def modules_imported(path: Path) -> set[str]:
    """The modules of the package that a file imports, or imports a name from."""
    found = set()
    for name in imports(path):
        module = name if name in MODULES else name.rpartition(".")[0]
        if module in MODULES:
            found.add(module)
    return found - {name_of(path)}


@pytest.mark.parametrize("path", PATHS, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_module_imports_only_from_floors_below_its_own(path):
    room = room_of(name_of(path))
    others = {room_of(module) for module in modules_imported(path)} - {room}
    assert {other for other in others if FLOOR_OF[other] >= FLOOR_OF[room]} == set()


def test_no_imports_run_in_a_circle_also_inside_a_room():
    try:
        TopologicalSorter({name: modules_imported(path) for name, path in MODULES.items()}).prepare()
    except CycleError as error:
        pytest.fail(" -> ".join(error.args[1]))


def test_the_face_of_the_package_is_imported_by_nobody():
    assert [path for path in PATHS if any(name.count(".") == 1 and name not in MODULES for name in imports(path)
            if name.startswith("gptcompare."))] == []  # fmt: skip


def test_every_room_is_on_a_floor():
    assert {room_of(name) for name in MODULES} == set(FLOOR_OF)


@pytest.mark.parametrize("path", PATHS, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_no_module_imports_a_framework(path):
    assert not {name.split(".")[0] for name in imports(path)} & FRAMEWORKS


@pytest.mark.parametrize("folder", sorted({path.parent for path in PATHS}), ids=lambda path: path.name)
def test_a_folder_can_be_taken_in_at_first_sight(folder):
    assert len([path for path in folder.glob("*.py") if not path.name.startswith("__")]) <= MOST_FILES


@pytest.mark.parametrize("path", PATHS, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_module_fits_in_an_afternoon(path):
    assert len(path.read_text(encoding="utf-8").splitlines()) <= LONGEST


@pytest.mark.parametrize(
    "path", [path for path in PATHS if path.name == "__init__.py"], ids=lambda path: path.parent.name
)
def test_a_room_says_what_it_does(path):
    assert len(ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or "") > 40


def test_the_tests_have_the_rooms_of_the_house():
    tests = Path(__file__).parent
    folders = {str(path.relative_to(tests)) for path in tests.rglob("*") if path.is_dir() and any(path.glob("*.py"))}
    folders = {folder for folder in folders if folder.split("/")[0] not in ("data", "support")}
    assert folders <= {str(path.parent.relative_to(PACKAGE)) for path in PATHS}
