"""What the README and the documentation's pages show: commands with their output, commands alone, Python, and links."""

from __future__ import annotations

import importlib.util
import re
import shlex
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
MADE = {"api", "notebooks", "repository"}  # folders of the documentation whose pages are made or copied
PAGES = [
    ROOT / "README.md",
    *sorted(path for path in DOCS.rglob("*.md") if path.relative_to(DOCS).parts[0] not in MADE),
]
LINK = re.compile(r"!?\[[^\]]*\]\((?!https?://)([^)\s]*)\)")
COMMAND = "gptcompare "


def module_at(path: Path) -> ModuleType:
    """A script outside the package."""
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def module_of_the_docs(name: str) -> ModuleType:
    """A script of the documentation's folder, such as rooms."""
    return module_at(DOCS / f"{name}.py")


# Page that is copied from elsewhere in the repository -> the file there.
COPIED = {page: source for source, page in module_of_the_docs("copied_pages").pages().items()}


class Shown(NamedTuple):
    """A command as a page shows it, and what stands below it."""

    page: str
    command: str
    output: str


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def blocks(path: Path, language: str) -> list[str]:
    """The fenced blocks of a language."""
    return blocks_of(path.read_text(encoding="utf-8"), language)


def blocks_of(text: str, language: str) -> list[str]:
    """The fenced blocks of a language in a page's text."""
    return re.findall(rf"^```{language}\n(.*?)^```", text, flags=re.DOTALL | re.MULTILINE)


def commands_with_output() -> list[Shown]:
    """Of all pages; each once, although the README and a page may show the same."""
    found: dict[tuple[str, str], Shown] = {}
    for path in PAGES:
        for block in blocks(path, "console"):
            for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
                command, _, output = part.partition("\n")
                output = output.rstrip("\n") + "\n"
                found.setdefault((command, output), Shown(name_of(path), command, output))
    return list(found.values())


def commands_alone() -> list[tuple[str, list[str]]]:
    """Of the blocks for a shell: the arguments of every call of the command, with the page."""
    return [(name_of(path), words) for path in PAGES for words in commands_of(path.read_text(encoding="utf-8"))]


def commands_of(text: str) -> list[list[str]]:
    """The arguments of every call of the command in the blocks for a shell of a page."""
    found = []
    for line in "".join(blocks_of(text, "sh")).splitlines():
        for part in line.split("&&"):
            if part.strip().startswith(COMMAND):
                words = shlex.split(part, comments=True)[1:]
                redirected = words.index("<") if "<" in words else len(words)
                found.append(words[:redirected])
    return found


def anchors(text: str) -> list[str]:
    """Of the headings of a page."""
    headings = re.findall(r"^#+ (.*)$", text, flags=re.MULTILINE)
    return [re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings]


def leads_somewhere(path: Path, target: str) -> bool:
    """Whether a link of a page leads to a file of the repository, or to a page that is made of one."""
    file, _, anchor = target.partition("#")
    there = (path.parent / file).resolve() if file else path
    name = there.relative_to(ROOT).as_posix().removeprefix("docs/")
    there = ROOT / COPIED[name] if name in COPIED else there
    if name.startswith("api/"):
        return there.stem in module_of_the_docs("rooms").faces()
    return there.is_file() and (not anchor or anchor in anchors(there.read_text(encoding="utf-8")))


def links(path: Path) -> list[str]:
    """Targets inside the repository."""
    text = re.sub(r"^(```|~~~).*?^\1", "", path.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)
    return LINK.findall(text)
