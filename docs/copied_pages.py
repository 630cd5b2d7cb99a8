"""Pages that are kept elsewhere in the repository: the notebooks, and Markdown files that readers also find there.

They are copied into folders that git ignores. A link in them to another of these files becomes a link between pages;
one to a file that is no page becomes the file's path, as code.
"""

from __future__ import annotations

import json
import posixpath
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
# File in the repository -> the page that it becomes.
PAGES = {
    "CHANGELOG.md": "repository/changelog.md",
    "CONTRIBUTING.md": "repository/contributing.md",
    "benchmarks/RESULTS.md": "repository/benchmarks.md",
    "findings/README.md": "repository/findings.md",
    "weights/README.md": "repository/pair.md",
}
LINK = re.compile(r"(!?)\[([^\]]*)\]\((?!https?:|#)([^)\s#]+)(#[^)]*)?\)")


def notebooks() -> list[Path]:
    """In their order."""
    return sorted((ROOT / "notebooks").glob("*.ipynb"), key=lambda path: int(path.stem.partition("_")[0]))


def pages() -> dict[str, str]:
    """File in the repository -> page, of those that are there."""
    here = {source: page for source, page in PAGES.items() if (ROOT / source).exists()}
    return here | {f"notebooks/{path.name}": f"notebooks/{path.name}" for path in notebooks()}


def relinked(text: str, source: str) -> tuple[str, list[str]]:
    """Markdown with its links as they must be in its page; and the pictures that it shows."""
    folder, page_folder = posixpath.dirname(source), posixpath.dirname(pages()[source])
    pictures = []

    def one(link: re.Match[str]) -> str:
        picture, words, path, _ = link.groups()
        target = posixpath.normpath(posixpath.join(folder, path))
        if picture:
            pictures.append(target)
            return f"![{words}]({posixpath.basename(target)})"
        if target in pages():
            return f"[{words}]({posixpath.relpath(pages()[target], page_folder)})"
        if target.startswith("docs/") and target.endswith(".md"):
            return f"[{words}]({posixpath.relpath(target.removeprefix('docs/'), page_folder)})"
        if target == "README.md":
            return f"[{words}]({posixpath.relpath('index.md', page_folder)})"
        return f"{words} (`{target}`)" if words.strip("`") != target else f"`{target}`"

    return LINK.sub(one, text), pictures


def copy(docs: Path) -> None:
    """Write all of them into the documentation's folder."""
    for source, page in pages().items():
        text = (ROOT / source).read_text(encoding="utf-8")
        if source.endswith(".ipynb"):
            notebook = json.loads(text)
            for cell in notebook["cells"]:
                if cell["cell_type"] == "markdown":
                    cell["source"] = relinked("".join(cell["source"]), source)[0]
            write(docs / page, json.dumps(notebook, ensure_ascii=False))
            continue
        text, pictures = relinked(text, source)
        write(docs / page, text)
        for picture in pictures:
            (docs / page).with_name(Path(picture).name).write_bytes((ROOT / picture).read_bytes())


def write(path: Path, text: str) -> None:
    """A file only if it is not as it should be already, so that Sphinx reads again only what has changed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.exists() or path.read_text(encoding="utf-8") != text:
        path.write_text(text, encoding="utf-8", newline="\n")
