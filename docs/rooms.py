"""The rooms that the API has a page for, and the names that each of them offers: its `__all__`."""

from __future__ import annotations

from importlib import import_module
from types import ModuleType
from typing import Any, get_origin

PACKAGE = "gptcompare"
# In the order in which a prompt goes through them; the package itself comes first.
ROOMS = (
    "tokenizer", "config", "patterns", "parameters", "model", "generation", "comparison", "play", "inspection", "plots",
    "uses", "evaluation", "verification", "training", "checkpoints", "presets", "report",
    "lessons",
)  # fmt: skip


def faces() -> dict[str, ModuleType]:
    """Return full name -> module of the package and its rooms."""
    return {name: import_module(name) for name in (PACKAGE, *(f"{PACKAGE}.{room}" for room in ROOMS))}


def has_page(name: str, value: Any) -> bool:
    """Tell whether a name of a face has a page of its own: not a room, a version, or another name for a type."""
    return not isinstance(value, ModuleType) and name != "__version__" and get_origin(value) is None


def pages() -> dict[str, list[str]]:
    """Return the full name of each face -> the pages of its names, which faces share that offer the same thing."""
    found: dict[tuple[str, int], str] = {}  # a name and what it stands for -> the first face that offers it
    return {
        face: [
            found.setdefault((name, id(getattr(module, name))), f"{face}.{name}")
            for name in module.__all__
            if has_page(name, getattr(module, name))
        ]
        for face, module in faces().items()
    }


def page_of() -> dict[str, str]:
    """Return name -> its page, of the names that stand for one thing only."""
    every = {page for of_face in pages().values() for page in of_face}
    by_name: dict[str, list[str]] = {}
    for page in sorted(every):
        by_name.setdefault(page.rpartition(".")[2], []).append(page)
    return {name: several[0] for name, several in by_name.items() if len(several) == 1}


def file_names() -> dict[str, str]:
    """Return page -> file, where two pages differ in case only, which some file systems do not tell apart."""
    every = sorted({page for of_face in pages().values() for page in of_face})
    lower = [page.lower() for page in every]
    return {page: f"{page}-{n}" for n, page in enumerate(every) if lower.index(page.lower()) < n}
