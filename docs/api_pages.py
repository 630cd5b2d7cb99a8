"""The pages of the public names: a page for each room, and a page for each name, as reStructuredText.

`pages()` makes them from the package itself: a room's page from its docstring and `__all__`, a name's page as an
instruction to Sphinx's autodoc. Nothing has to be listed by hand but the rooms, in `ROOMS`. It needs nothing but the
library, so that the tests can ask it which names have a page.
"""

from __future__ import annotations

import inspect
import re
import sys
import tokenize
from collections import Counter
from collections.abc import Iterator
from functools import cache
from importlib import import_module
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any, NamedTuple

PACKAGE = "gptcompare"
# The rooms with a page, in the order of the flow; the package itself comes first.
ROOMS = {
    "tokenizer": "text to ids to text",
    "config": "a model as a table of numbers",
    "patterns": "which keys a query sees",
    "parameters": "names, shapes and first values of the weights",
    "model": "ids to logits",
    "generation": "logits to text",
    "comparison": "texts side by side",
    "inspection": "what happens inside",
    "plots": "pictures",
    "uses": "a task by a prompt",
    "evaluation": "how good a model is",
    "training": "how a model learns",
    "checkpoints": "files to parameters",
    "presets": "the published tables",
    "report": "what is published, side by side",
    "arrays": "the kinds of arrays",
}
# Names in the signatures of public names, which no face offers: they have pages, too, below these modules' rooms.
IN_SIGNATURES = {
    "comparison.sides": ["Models"],
    "generation.sampling": ["RandomNumbers"],
    "generation.scoring": ["Window"],
    "model.hooks": ["Readable"],
    "uses.beam": ["Beam"],
    "uses.templates": ["NamedExample"],
    "evaluation.tasks.task": ["Prepared"],
    "evaluation.tasks.protocols": ["Row"],
    "training.backward.gradients": ["Parameters"],
    "checkpoints.catalogue": ["Listed"],
    "checkpoints.folder": ["Tensors"],
    "checkpoints.download.cache": ["Wanted"],
    "checkpoints.download.published_file": ["PublishedFile"],
    "checkpoints.download.publishers": ["Place"],
}
METHODS = (FunctionType, classmethod, staticmethod)
SPECIAL_METHODS = ("__call__", "__getitem__", "__len__", "__iter__", "__enter__")
LONGEST_VALUE = 300  # characters of a constant
# What constants are whose source has no comment that says so by itself.
SAID = {
    "__version__": "The version of this package.",
    "ACTIVATIONS": "The activations that a configuration may name.",
    "ALL": "The slice that takes all keys.",
    "CLASSIFICATION": "The template of `classify`.",
    "COMPLETION": "The template of `choose` for a text that is to go on: the text alone.",
    "Change": "A function of the array at a hook point, which returns what goes on in its place.",
    "DENSE": "The pattern of GPT-2, in which a query sees every key up to its own position.",
    "EMBEDDED_PAIR": "The names of the two models whose weights are in the package.",
    "END_OF_TEXT": "The special token that ends a text.",
    "ENTITIES": "The template of `entities`.",
    "ENTITY_EXAMPLES": "The examples that `entities` shows the model if it is given none.",
    "Example": "A query with its answer.",
    "Float32": "An array of float32 numbers.",
    "Float64": "An array of float64 numbers.",
    "Hook": "A function of a hook point's name and the array there, which returns what goes on in its place.",
    "Integers": "An array of integers of any width.",
    "Mask": "An array of booleans.",
    "AnyArray": "An array of a file, of whose numbers nothing is known yet.",
    "Array": "An array of floating-point numbers, float32 or float64, as the model's.",
    "Ids": "An array of token ids that are known to be in the vocabulary, or of positions.",
    "Models": "What `compare` takes as models: names, folders or language models; or a dict of name -> language model.",
    "NamedExample": "A text, and for each type the names in it.",
    "Parameters": "A dict of name -> array, as `GPT.parameters` returns it.",
    "Row": "What was found of one item: a dict that JSON can hold.",
    "Tensors": "A dict of name -> array, as a file of tensors holds them.",
    "Wanted": "Which files of a model are wanted.",
    "NORMALISATIONS": "The ways in which the log-likelihoods of choices can be made comparable.",
    "PATTERNS": "The attention patterns by the names that a configuration may give them.",
    "Query": "What is put into a template: a text, or a text for each of its fields.",
    "SENTIMENT_EXAMPLES": "Four reviews with their answers, for few-shot prompts of `sentiment`.",
    "SENTIMENT_WORDS": "The word that stands for each label in the prompt of `sentiment`.",
    "TASKS": "The published tasks by name.",
    "WIDTH": "The width of the beam search in GPT-3's paper.",
}
KINDS = {"class": "Classes", "exception": "Exceptions", "function": "Functions", "data": "Constants and types"}


class Name(NamedTuple):
    """A public name, where its page says it is imported from."""

    full: str  # such as gptcompare.model.CHUNK
    value: Any

    @property
    def last(self) -> str:
        return self.full.rpartition(".")[2]

    @property
    def kind(self) -> str:
        if isinstance(self.value, type):
            return "exception" if issubclass(self.value, BaseException) else "class"
        return "function" if isinstance(self.value, FunctionType) else "data"


def faces() -> dict[str, ModuleType]:
    """Full name -> module: the package, and each room."""
    return {PACKAGE: import_module(PACKAGE)} | {
        f"{PACKAGE}.{room}": import_module(f"{PACKAGE}.{room}") for room in ROOMS
    }


def public_names(module: ModuleType) -> list[str]:
    """What a module offers: its `__all__`, or else what it defines and does not hide."""
    if hasattr(module, "__all__"):
        return list(module.__all__)
    own = [
        name
        for name, value in vars(module).items()
        if name[0] != "_" and getattr(value, "__module__", None) == module.__name__
    ]
    return sorted({*own, *constants(module)} - {"annotations"})


@cache
def constants(module: ModuleType) -> dict[str, str]:
    """The names in capitals, and of types, that a module's source assigns, each with the comment beside or above it."""
    if not (module.__file__ or "").endswith(".py"):
        return {}
    found, above = {}, []
    for line in Path(str(module.__file__)).read_text(encoding="utf-8").splitlines():
        if line.startswith("# "):
            above.append(line[2:])
            continue
        if assigned := re.match(r"([A-Z][A-Za-z0-9_]*)(?:: TypeAlias)? = ", line):
            beside = comment_of(line)
            found[assigned[1]] = beside or " ".join(above)
        above = []
    return found


def comment_of(line: str) -> str:
    """The comment at the end of a line of source; none if the statement goes on in the next line."""
    lines = iter([line + "\n"])
    try:
        tokens = list(tokenize.generate_tokens(lambda: next(lines, "")))
    except tokenize.TokenError:
        return ""
    return next((token.string.lstrip("# ") for token in tokens if token.type == tokenize.COMMENT), "")


@cache
def names() -> tuple[Name, ...]:
    """Every public name once, at the first face that offers it."""
    found: dict[int | str, Name] = {}
    for face, module in faces().items():
        for name in public_names(module):
            value = getattr(module, name)
            if not isinstance(value, ModuleType):  # rooms have pages of their own
                found.setdefault(identity(name, value), Name(f"{face}.{name}", value))
    further = [(f"{PACKAGE}.{module}", name) for module, several in IN_SIGNATURES.items() for name in several]
    return (
        *found.values(),
        *(Name(f"{module}.{name}", getattr(import_module(module), name)) for module, name in further),
    )


def identity(name: str, value: Any) -> int | str:
    """What two faces that offer the same thing have in common; small numbers and strings are not told apart by id."""
    return f"{name} {value!r}" if isinstance(value, (int, str)) else id(value)


def full_name(name: str, value: Any) -> str:
    """Where the page of a value says that it is imported from."""
    if isinstance(value, ModuleType):
        return value.__name__
    return next(one.full for one in names() if identity(one.last, one.value) == identity(name, value))


@cache
def page_of() -> dict[str, str]:
    """Full name of a room or a name -> its page. Names that differ only in capitals get different files everywhere."""
    every = [*faces(), *(name.full for name in names())]
    n_alike = Counter(full.lower() for full in every)
    kinds = {name.full: name.kind for name in names() if name.kind != "function"}
    return {full: f"{full}-{kinds[full]}" if n_alike[full.lower()] > 1 and full in kinds else full for full in every}


def own_members(of: Any) -> list[str]:
    """The public methods and properties that a class itself defines, in the order of its source."""
    members = vars(of).items() if isinstance(of, type) else ()
    return [
        name
        for name, member in members
        if isinstance(member, (*METHODS, property)) and member.__doc__ and (name[0] != "_" or name in SPECIAL_METHODS)
    ]


@cache
def targets() -> dict[str, str]:
    """What a docstring may call a name -> its full name: that itself, `GPT`, `Tokenizer.encode`.

    A room or a member of a class is not meant by a single word such as `model` or `text`; nor does a name lead anywhere
    that several have.
    """
    fulls = list(faces())
    for name in names():
        fulls += [name.full, *(f"{name.full}.{member}" for member in own_members(name.value))]
    several = Counter(end for full in fulls for end in ends(full))
    found = {end: full for full in fulls for end in ends(full) if several[end] == 1 and "." in end}
    found |= {
        f"{name.value.__module__}.{name.last}": name.full for name in names() if hasattr(name.value, "__module__")
    }
    return found | {name.last: name.full for name in names()} | {full: full for full in faces()}


def ends(full: str) -> Iterator[str]:
    """All that a full name ends in: a.b.c, b.c, c."""
    parts = full.split(".")
    yield from (".".join(parts[start:]) for start in range(len(parts)))


def summary(of: Any) -> str:
    """The first line of a docstring."""
    return (inspect.getdoc(of) or "").partition("\n")[0]


def described(name: Name) -> str:
    """A line about a name: its summary, or, of a constant, the comment beside it."""
    if name.kind != "data":
        return summary(name.value)
    if name.last in SAID:
        return SAID[name.last]
    comment = next((text for module in modules() if (text := comment_in(module, name))), "")
    return comment[:1].upper() + comment[1:] + ("" if not comment or comment.endswith(".") else ".")


def comment_in(module: ModuleType, name: Name) -> str:
    own = getattr(module, name.last, None) is name.value
    return constants(module).get(name.last, "") if own else ""


@cache
def modules() -> tuple[ModuleType, ...]:
    """Every module of the package that is imported by its faces."""
    faces()
    return tuple(module for name, module in list(sys.modules.items()) if name.startswith(PACKAGE) and module)


def heading(text: str) -> list[str]:
    return [text, "=" * len(text), ""]


def places(name: Name) -> list[str]:
    """From where else a name can be imported."""
    return [
        f"{face}.{other}"
        for face, module in faces().items()
        for other in public_names(module)
        if not isinstance(value := getattr(module, other), ModuleType)
        and identity(other, value) == identity(name.last, name.value)
        and f"{face}.{other}" != name.full
    ]


def name_page(name: Name) -> str:
    """The page of a class, a function, an exception or a constant."""
    lines = heading(name.last)
    if name.kind == "data":
        value = re.sub(r"<(?:class|function) '?(?:\w+\.)*(\w+)[^>]*>", r"\1", repr(name.value))  # their names alone
        shown = value if len(value) <= LONGEST_VALUE else value[: LONGEST_VALUE - 4] + " ..."
        lines += [f".. py:data:: {name.full}", ""]
        lines += [f"   {plain(described(name))}", ""] if described(name) else []
        lines += ["   .. code-block:: python", "", f"      {' '.join(shown.split())}", ""]
    else:
        lines += [f".. auto{name.kind}:: {name.full}"]
        if members := own_members(name.value):
            lines += [f"   :members: {', '.join(m for m in members if m[0] != '_')}"]
            special = [member for member in members if member[0] == "_"]
            lines += [f"   :special-members: {', '.join(special)}"] if special else []
        lines += [""]
    if elsewhere := places(name):
        lines += ["Also importable as " + ", ".join(f"``{place}``" for place in elsewhere) + ".", ""]
    return "\n".join(lines)


def plain(text: str) -> str:
    """Prose with code in single backquotes, as docstrings have it, as reStructuredText."""
    parts = re.split(r"(`[^`\n]+`)", text)
    return "".join(code(part) if part[:1] == "`" else re.sub(r"([\\*|_])", r"\\\1", part) for part in parts)


def code(quoted: str) -> str:
    """Code, which leads to the page of the name that it is, if it is one."""
    return rf"\ :named:{quoted.replace(chr(92), chr(92) * 2)}\ "


def room_page(full: str, module: ModuleType) -> str:
    """The page of a room: what it does, and its names by kind with a line about each."""
    room = full.removeprefix(f"{PACKAGE}.")
    title = f"{PACKAGE}: the names of the package" if full == PACKAGE else f"{room}: {ROOMS[room]}"
    by_name = {name.full: name for name in names()}
    offered = [(name, full_name(name, getattr(module, name))) for name in public_names(module)]
    here = [by_name[target] for _, target in offered if target in by_name]
    further = [name for name in names() if home(name) == full and name not in here]
    lines = [*heading(title), f".. py:module:: {full}", "", f".. currentmodule:: {full}", ""]
    lines += [".. docstring-of:: " + full, ""]
    for kind, words in KINDS.items():
        own = [name for name in here if name.kind == kind]
        if own:
            lines += [words, "-" * len(words), "", *table(own), ""]
    if further:
        lines += ["In signatures", "-------------", "", *table(further), ""]
    own_pages = [page_of()[name.full] for name in names() if home(name) == full]
    if own_pages:
        lines += [".. toctree::", "   :hidden:", "", *[f"   {page}" for page in own_pages], ""]
    rooms = [target for _, target in offered if target in faces()]
    if rooms:
        lines += ["Rooms", "-----", "", *[f"- :doc:`{page_of()[room]}`" for room in rooms], ""]
    return "\n".join(lines)


def home(name: Name) -> str:
    """The face on whose page a name's page hangs."""
    parts = name.full.split(".")[:-1]
    return ".".join(parts[:2])


def table(rows: list[Name]) -> list[str]:
    """A table of names with their summaries."""
    lines = [".. list-table::", "   :widths: 30 70", "   :class: names", ""]
    for name in sorted(rows, key=lambda name: name.last.lower()):
        lines += [f"   * - :py:obj:`{name.last} <{name.full}>`", f"     - {plain(described(name))}"]
    return lines


def pages() -> dict[str, str]:
    """Name of a file without its ending -> its text."""
    rooms = {page_of()[full]: room_page(full, module) for full, module in faces().items()}
    return rooms | {page_of()[name.full]: name_page(name) for name in names()}
