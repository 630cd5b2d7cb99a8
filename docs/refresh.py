"""Run the commands that the pages show and the examples in docstrings, and put what they print now below them.

    python docs/refresh.py            # the README, all pages and all modules
    python docs/refresh.py start      # those whose name has this word

For changes after which many outputs are new, such as another embedded pair. Read the differences before you commit
them: a test compares the same outputs and cannot tell a better one from a worse. Needs the package as it is here,
installed with `pip install -e .`; what the commands write goes to a temporary folder.
"""

from __future__ import annotations

import doctest
import importlib
import os
import pkgutil
import re
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import gptcompare

ROOT = Path(__file__).parents[1]
BLOCK = re.compile(r"(?<=^```console\n).*?(?=^```)", re.DOTALL | re.MULTILINE)
PART = re.compile(r"(?<=^\$ )(gptcompare [^\n]*)\n(.*?)(?=^\$ |\Z)", re.DOTALL | re.MULTILINE)
OWN = ("evaluations", "runs")  # folders that stay out of the way
ENVIRONMENT = {"COLUMNS": "100", "GPTCOMPARE_OFFLINE": "1"}  # as in tests/test_readme.py


def printed(command: str, folder: Path) -> str:
    """Return what a command prints on standard output, without lines that are empty at its end."""
    words = [sys.executable, "-m", *shlex.split(command)]
    done = subprocess.run(words, cwd=folder, env=os.environ | ENVIRONMENT, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{command}\n{done.stderr}")
    return done.stdout.rstrip("\n") + "\n"


def refreshed(page: str, folder: Path) -> str:
    """Return a page's text with new outputs; an empty line between two commands stays."""

    def of_part(part: re.Match[str]) -> str:
        ends = "\n" * (len(part[2]) - len(part[2].rstrip("\n")) - 1)
        return f"{part[1]}\n{printed(part[1], folder)}{ends}"

    return BLOCK.sub(lambda block: PART.sub(of_part, block[0]), page)


class Examples(doctest.DocTestRunner):
    """Runs the examples of docstrings. `changed` has those that print something else, by the line of their output."""

    def __init__(self) -> None:
        super().__init__(verbose=False)
        self.changed: dict[int, tuple[doctest.Example, str]] = {}

    def report_failure(self, out: Any, test: doctest.DocTest, example: doctest.Example, got: str) -> None:
        self.changed[(test.lineno or 0) + example.lineno + example.source.count("\n")] = (example, got)

    def report_unexpected_exception(self, out: Any, test: Any, example: doctest.Example, exc_info: Any) -> None:
        sys.exit(f"{test.name}\n{example.source}{exc_info[1]!r}")


def refreshed_docstrings(module: str, source: str) -> str:
    """Return a module's source with new outputs in its docstrings."""
    runner, lines = Examples(), source.splitlines(keepends=True)
    for test in doctest.DocTestFinder().find(importlib.import_module(module)):
        runner.run(test)
    for first, (example, got) in sorted(runner.changed.items(), reverse=True):
        indent = " " * example.indent
        lines[first : first + example.want.count("\n")] = [indent + line for line in got.splitlines(keepends=True)]
    return "".join(lines)


def refresh(path: Path, new: str) -> None:
    if new != path.read_text(encoding="utf-8"):
        path.write_text(new, encoding="utf-8")
        print(f"changed: {path.relative_to(ROOT)}")


def main() -> None:
    wanted = sys.argv[1] if len(sys.argv) > 1 else ""
    pages = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
    with tempfile.TemporaryDirectory() as temporary:
        for entry in ROOT.iterdir():
            if entry.name not in OWN:
                (Path(temporary) / entry.name).symlink_to(entry)
        for path in pages:
            if wanted in path.stem:
                refresh(path, refreshed(path.read_text(encoding="utf-8"), Path(temporary)))
        os.environ |= ENVIRONMENT
        os.chdir(temporary)
        for found in pkgutil.walk_packages(gptcompare.__path__, "gptcompare."):
            path = ROOT / (found.name.replace(".", "/") + ("/__init__.py" if found.ispkg else ".py"))
            if wanted in path.stem and ">>>" in (source := path.read_text(encoding="utf-8")):
                refresh(path, refreshed_docstrings(found.name, source))


if __name__ == "__main__":
    main()
