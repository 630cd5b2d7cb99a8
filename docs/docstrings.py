"""An extension of Sphinx for this project's docstrings, which are plain text: prose, `code`, and numpydoc's sections.

reStructuredText would read stars, bars and trailing underscores in them as its own; here they stay what they are, an
indented paragraph is an example, and code that is a public name leads to its page. Signatures stand as their authors
wrote them, and the names of types in them lead to their pages, too.
"""

from __future__ import annotations

import inspect
import re
import textwrap
from collections.abc import Callable
from importlib import import_module
from typing import Any

import api_pages
from docutils import nodes
from docutils.statemachine import StringList
from sphinx.addnodes import pending_xref
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.pycode import ModuleAnalyzer
from sphinx.util.docutils import SphinxDirective, SphinxRole

OF_HEADS = {"Parameters", "Attributes", "Returns", "Yields", "Raises"}  # sections with lines that numpydoc reads
SECTION = re.compile(r"^([A-Z][A-Za-z ]+)\n---+$", re.MULTILINE)


class Named(SphinxRole):
    """Code in a docstring: a link if it is a public name, otherwise plain code."""

    def run(self) -> tuple[list[nodes.Node], list[nodes.system_message]]:
        literal = nodes.literal(self.rawtext, self.text, classes=["xref", "py"])
        target = api_pages.targets().get(self.text.removesuffix("()"))
        if target is None:
            return [nodes.literal(self.rawtext, self.text)], []
        reference = pending_xref(
            self.rawtext, literal, refdomain="py", reftype="obj", reftarget=target, refexplicit=True,
            refdoc=self.env.docname,
        )  # fmt: skip
        return [reference], []


class DocstringOf(SphinxDirective):
    """The docstring of a module, in the place of the directive."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        lines = (inspect.getdoc(import_module(self.arguments[0])) or "").splitlines()
        as_restructured_text(lines)
        container = nodes.container()
        self.state.nested_parse(StringList(lines, self.arguments[0]), self.content_offset, container)
        return container.children


def as_restructured_text(lines: list[str]) -> None:
    """Rewrite the lines of a docstring in place, before numpydoc reads its sections."""
    text, *rest = SECTION.split("\n".join(lines).strip("\n"))
    parts = [_prose(text)]
    for title, content in zip(rest[::2], rest[1::2], strict=True):
        body = _items(content.strip("\n")) if title in OF_HEADS else _prose(content.strip("\n"))
        parts.append(f"{title}\n{'-' * len(title)}\n{body}")
    lines[:] = "\n\n".join(parts).splitlines()


def _prose(text: str) -> str:
    """Paragraphs, some of which are indented, which makes them examples, or sessions with the interpreter, or lists."""
    paragraphs = re.split(r"\n\s*\n", text)
    return "\n\n".join(_paragraph(paragraph) for paragraph in paragraphs)


def _paragraph(paragraph: str) -> str:
    if paragraph.startswith("    "):
        return ".. code-block:: text\n\n" + textwrap.indent(textwrap.dedent(paragraph), "   ")
    if paragraph.startswith(">>>"):
        return paragraph
    return api_pages.plain(paragraph)


def _items(section: str) -> str:
    """Heads at the margin, which numpydoc reads itself, with prose below them."""
    return "\n".join(
        ("    " + api_pages.plain(line.strip()) if line.strip() else "") if line[:1] in ("", " ") else _head(line)
        for line in section.splitlines()
    )


def _head(line: str) -> str:
    """A name and a type; of values returned, the type alone."""
    return line.replace("`", "").replace("|", r"\|") if "|" in line else line.replace("`", "")


def process_docstring(app: Sphinx, what: str, name: str, of: Any, options: Any, lines: list[str]) -> None:
    as_restructured_text(lines)


def process_signature(
    app: Sphinx, what: str, name: str, of: Any, options: Any, signature: str | None, returned: str | None
) -> tuple[str, str | None] | None:
    """As the author wrote it; a class whose docstring has no parameters is not made by its users."""
    if what in ("class", "exception"):
        if "\nParameters\n---" not in (inspect.getdoc(of) or ""):
            return None if what == "exception" else ("", None)
        return written(of, skip=0), None
    if not callable(of):
        return None
    result = inspect.signature(of).return_annotation
    skip = int(
        what == "method" and not inspect.ismethod(of) and next(iter(inspect.signature(of).parameters), "") == "self"
    )
    return written(of, skip), None if result is inspect.Signature.empty else str(result)


def written(of: Any, skip: int) -> str:
    """The parameters of a function, without the first ones."""
    parameters = list(inspect.signature(of).parameters.values())[skip:]
    parts, stars = [], False
    for parameter in parameters:
        kind = parameter.kind
        if kind is parameter.KEYWORD_ONLY and not stars:
            parts.append("*")
        stars = stars or kind in (parameter.KEYWORD_ONLY, parameter.VAR_POSITIONAL)
        star = {parameter.VAR_POSITIONAL: "*", parameter.VAR_KEYWORD: "**"}.get(kind, "")
        annotation = "" if parameter.annotation is parameter.empty else f": {parameter.annotation}"
        default = "" if parameter.default is parameter.empty else f" = {value(parameter.default)}"
        parts.append(f"{star}{parameter.name}{annotation}{default}")
    return f"({', '.join(parts)})"


def value(default: Any) -> str:
    """The default of a parameter as one writes it in Python."""
    if isinstance(default, type):
        return f"np.{default.__name__}" if default.__module__ == "numpy" else default.__name__
    found = repr(default)
    return "..." if found.startswith("<") else found


def missing_reference(
    app: Sphinx, env: BuildEnvironment, node: pending_xref, content: nodes.TextElement
) -> nodes.reference | None:
    """A type in a signature, by its short name."""
    if node.get("refdomain") != "py":
        return None
    target = api_pages.targets().get(str(node.get("reftarget")))
    if target is None or target == node.get("reftarget"):
        return None
    found: nodes.reference | None = env.domains.python_domain.resolve_xref(
        env, node.get("refdoc"), app.builder, "obj", target, node, content
    )
    return found


def without_overloads(analyze: Callable[[ModuleAnalyzer], None]) -> Callable[[ModuleAnalyzer], None]:
    """Overloads are for type checkers. Readers get one signature, which has all options where there are several."""

    def analyze_without(self: ModuleAnalyzer) -> None:
        analyze(self)
        self.overloads = {}

    return analyze_without


def setup(app: Sphinx) -> dict[str, bool]:
    ModuleAnalyzer.analyze = without_overloads(ModuleAnalyzer.analyze)  # type: ignore[method-assign]
    app.add_role("named", Named())
    app.add_directive("docstring-of", DocstringOf)
    app.connect("autodoc-process-docstring", process_docstring, priority=100)  # before numpydoc's
    app.connect("autodoc-process-signature", process_signature, priority=900)
    app.connect("missing-reference", missing_reference)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
