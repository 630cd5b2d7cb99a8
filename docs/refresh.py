"""Run the commands that the pages show, and put what they print now below them.

    python docs/refresh.py            # the README and all pages
    python docs/refresh.py start      # those whose name has this word

For changes after which many outputs are new, such as another embedded pair. Read the differences before you commit
them: a test compares the same outputs and cannot tell a better one from a worse. Needs the package as it is here,
installed with `pip install -e .`; what the commands write goes to a temporary folder.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path

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


def main() -> None:
    wanted = sys.argv[1] if len(sys.argv) > 1 else ""
    pages = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
    with tempfile.TemporaryDirectory() as temporary:
        for entry in ROOT.iterdir():
            if entry.name not in OWN:
                (Path(temporary) / entry.name).symlink_to(entry)
        for path in pages:
            old = path.read_text(encoding="utf-8")
            if wanted in path.stem and (new := refreshed(old, Path(temporary))) != old:
                path.write_text(new, encoding="utf-8")
                print(f"changed: {path.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
