"""The order of the rooms: a module imports only from rooms above its own, and none imports a framework."""

import ast
from pathlib import Path

import pytest

import gptcompare

PACKAGE = Path(gptcompare.__file__).parent
ROOMS = [
    "atomic_files", "units", "threads", "text_width", "progress", "patterns", "config", "presets", "vocabulary",
    "tokenizer_files", "tokenizer", "parameters", "ops", "attention", "kv_cache", "model", "inspection",
    "checkpoints", "sampling", "stop_strings", "completion", "speculation", "scoring", "generation", "reading",
    "evaluation", "comparison", "training", "table", "side_by_side", "pages", "report", "plots", "cli", "__main__",
]  # fmt: skip
# A class's own constructors that open what lies below it: imported when called, and nowhere else.
DOORS = {
    ("config", "presets"), ("tokenizer", "checkpoints"), ("model", "checkpoints"), ("model", "inspection"),
    ("comparison", "pages"),
}  # fmt: skip
FRAMEWORKS = {"torch", "transformers", "tensorflow", "safetensors", "tiktoken", "tokenizers"}


def room_of(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imports(path: Path) -> set[str]:
    """Full names of the modules that a file imports, at its top or inside a function."""
    package = ["gptcompare", *path.relative_to(PACKAGE).parts[:-1]]
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            module = ".".join([*base, *([node.module] if node.module else [])])
            found |= {module} if node.module else {f"{module}.{alias.name}" for alias in node.names}
    return found


MODULES = [path for path in sorted(PACKAGE.rglob("*.py")) if path != PACKAGE / "__init__.py"]


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_module_imports_only_from_rooms_above_its_own(path):
    room = room_of(path)
    others = {name.split(".")[1] for name in imports(path) if name.startswith("gptcompare.")} - {room, "__version__"}
    below = {other for other in others if ROOMS.index(other) > ROOMS.index(room)}
    assert below <= {other for door, other in DOORS if door == room}


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_no_module_imports_a_framework(path):
    assert not {name.split(".")[0] for name in imports(path)} & FRAMEWORKS


def test_every_module_has_its_place_in_the_order():
    assert {room_of(path) for path in MODULES} == set(ROOMS)
