"""Make `docs/api.md`, the page of the public names, from their docstrings. Needs nothing but the library.

    python docs/make.py

What is on the page, and in which order, is said by `SECTIONS`: to put a name on it is to add a line there.
"""

from __future__ import annotations

import inspect
import re
import textwrap
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from functools import cache
from importlib import import_module
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any

import gptcompare

PAGE = Path(__file__).with_name("api.md")

TITLE = "The public names"
INTRODUCTION = """\
This page is made from the docstrings by `python docs/make.py`: change those, and run it.

`load` is `gptcompare.load`. A name with a module in front is imported from there: `plots.loss_curve` is what
`from gptcompare.plots import loss_curve` gives. Letters of shapes: B batch, T new tokens, S keys, V vocabulary,
L layers, H heads, K width of a head, D width of the residual stream, M width of the MLP. In signatures:

| type | what it is |
| --- | --- |
| `Array`, `Logits`, `Probabilities` | a NumPy array of floating-point numbers |
| `Ids`, `Tokens`, `Positions` | a NumPy array of integers |
| `Mask` | a NumPy array of booleans |
| `Parameters` | a dict of name -> array |
| `ArrayLike`, `DTypeLike` | what NumPy makes an array or a dtype of |
| `PathLike` | a path, such as a `pathlib.Path` |
| `Hook` | a function of a place's name and the array there, which gives what goes on in its place |
| `Change` | a function of the array at a place, which gives what goes on in its place |
| `Models` | what [`compare`](#compare) takes as models |"""

# Heading -> the public names below it, each with its module in front unless it is a name of the package itself.
# A module is a name, too.
SECTIONS = {
    "Text and ids": [
        "Tokenizer",
        "tokenizer.StreamDecoder",
        "vocabulary.Vocabulary",
    ],
    "From ids to logits": [
        "GPT",
        "KVCache",
        "parameters.parameter_shapes",
    ],
    "From logits to one token": [
        "sampling.Sampling",
    ],
    "Generation": [
        "load",
        "LanguageModel",
        "Completion",
        "completion.TextStream",
        "Score",
    ],
    "Uses": [
        "evaluation",
        "evaluation.classify",
        "evaluation.sentiment",
        "evaluation.Classification",
        "evaluation.choose",
        "evaluation.Choice",
        "evaluation.answer",
        "evaluation.exact_match",
        "evaluation.f1",
        "evaluation.entities",
        "evaluation.Entity",
        "evaluation.Template",
        "evaluation.log_likelihoods",
        "evaluation.LogLikelihood",
        "evaluation.features",
        "evaluation.token_features",
        "evaluation.TokenFeatures",
        "evaluation.Features",
    ],
    "How good a model is": [
        "evaluation.evaluate",
        "evaluation.Evaluation",
        "evaluation.Metric",
        "evaluation.Settings",
        "evaluation.Task",
        "evaluation.Questions",
        "evaluation.WrittenQuestions",
        "evaluation.Texts",
        "evaluation.Choosing",
        "evaluation.LastWord",
        "evaluation.Writing",
        "evaluation.Item",
        "evaluation.Document",
        "scoring.windows",
    ],
    "Models side by side": [
        "compare",
        "Comparison",
        "comparison.Side",
        "comparison.Parting",
        "compare_text",
        "TextComparison",
        "reading.Reading",
    ],
    "How a model learns": [
        "training",
        "training.train",
        "training.Recipe",
        "training.Metrics",
        "training.read_metrics",
        "training.loss_and_grads",
        "training.AdamW",
        "training.Batches",
        "training.tokenize_files",
        "training.DivergedError",
    ],
    "What happens inside": [
        "inspection",
        "inspection.trace",
        "inspection.Trace",
        "inspection.logit_lens",
        "inspection.contributions",
        "inspection.attention_entropy",
        "inspection.changing",
        "inspection.without_heads",
        "inspection.patched",
    ],
    "Pictures": [
        "plots",
        "plots.attention_map",
        "plots.attention_pattern",
        "plots.logit_lens",
        "plots.surprise",
        "plots.loss_curve",
        "plots.size_ladder",
    ],
    "Checkpoints": [
        "download",
        "checkpoints.listing",
        "checkpoints.catalogue.Listed",
        "checkpoints.remove",
        "CheckpointError",
        "DownloadError",
    ],
    "Configurations": [
        "GPTConfig",
        "patterns.Pattern",
        "patterns.Dense",
        "patterns.Banded",
        "patterns.Strided",
        "patterns.Fixed",
    ],
    "Published models": [
        "presets",
        "presets.published",
        "presets.Published",
        "presets.Training",
        "presets.DataSource",
        "presets.Result",
        "table",
        "Table",
        "report",
        "Report",
    ],
}

METHODS = (FunctionType, classmethod, staticmethod)
SPECIAL_METHODS = ("__call__", "__getitem__", "__len__")
WIDTH = 100  # of a signature on one line
NUMPYDOC = re.compile(r"^([A-Z][A-Za-z ]+)\n---+\n", re.MULTILINE)
CODE = re.compile(r"(`[^`]*`)")


def resolved(name: str) -> Any:
    """What a name of `SECTIONS` is the name of: of a function and a module called the same, the function."""
    module, _, last = f"gptcompare.{name}".rpartition(".")
    found = getattr(import_module(module), last, None)
    return import_module(f"gptcompare.{name}") if found is None else found


def members(of: Any, kinds: type | tuple[type, ...]) -> dict[str, Any]:
    """A class's own members of some kinds that have a docstring, in the order of its source."""
    return {
        name: getattr(of, name)
        for name, member in (vars(of).items() if isinstance(of, type) else ())
        if isinstance(member, kinds) and member.__doc__ and (name[0] != "_" or name in SPECIAL_METHODS)
    }


def headings() -> Iterator[str]:
    """Of the whole page, in their order."""
    yield from (TITLE, "Contents")
    for section, names in SECTIONS.items():
        yield section
        for name in names:
            yield name
            yield from (f"{name}.{method}" for method in members(resolved(name), METHODS))


@cache
def anchors() -> dict[str, str]:
    """Heading -> the anchor that GitHub gives it: where several would be the same, the later ones have a number."""
    n_before: Counter[str] = Counter()
    found = {}
    for heading in headings():
        anchor = re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
        found[heading] = f"{anchor}-{n_before[anchor]}" if n_before[anchor] else anchor
        n_before[anchor] += 1
    return found


@cache
def places() -> dict[str, str]:
    """Name -> anchor: the headings, and the last part of each, such as a method's name, that no other one ends in."""
    last = {heading: heading.rpartition(".")[2] for heading in anchors()}
    n = Counter(last.values())
    return {last[heading]: anchor for heading, anchor in anchors().items() if n[last[heading]] == 1} | anchors()


def link(code: str) -> str:
    """Code that is a name on the page leads there."""
    name = code.strip("`").removeprefix("gptcompare.").removesuffix("()")
    return f"[{code}](#{places()[name]})" if name in places() else code


def prose(text: str) -> str:
    """Text with what Markdown would read as its own escaped; code stays as it is."""
    parts = CODE.split(text)
    return "".join(link(part) if part[:1] == "`" else re.sub(r"([\\*|<])", r"\\\1", part) for part in parts)


def kind_of_value(text: str) -> str:
    """What a docstring says in the place of a type: the classes in it are code."""
    return prose(re.sub(r"\b[A-Z]\w+", lambda word: f"`{word[0]}`" if word[0] in places() else word[0], text))


def paragraph(text: str) -> str:
    """An indented paragraph is an example, or drawn by hand."""
    return f"```text\n{textwrap.dedent(text)}\n```" if text.startswith("    ") else prose(text)


def readable(annotation: Any) -> str:
    """A type as its author wrote it, but for NumPy's and the system's modules."""
    return re.sub(r"\b(?:npt|os)\.", "", str(annotation))


def written(parameter: inspect.Parameter) -> str:
    """A parameter as its author wrote it."""
    stars = {parameter.VAR_POSITIONAL: "*", parameter.VAR_KEYWORD: "**"}.get(parameter.kind, "")
    text = stars + parameter.name
    if parameter.annotation is not parameter.empty:
        text += f": {readable(parameter.annotation)}"
    if parameter.default is parameter.empty:
        return text
    default = parameter.default
    value = f"np.{default.__name__}" if isinstance(default, type) else repr(default)
    return f"{text} = " + value.replace("'", '"').replace("<factory>", "...")


def parameters_of(function: Callable[..., Any]) -> dict[str, inspect.Parameter]:
    """Name -> parameter, without the object that a method is of."""
    return {name: p for name, p in inspect.signature(function).parameters.items() if name != "self"}


def call(function: Callable[..., Any], result: bool = True) -> str:
    """A signature, on one line or, where that is too long, with a line for each parameter."""
    parts: list[str] = []
    for parameter in parameters_of(function).values():
        if parameter.kind is parameter.KEYWORD_ONLY and not any(part.startswith("*") for part in parts):
            parts.append("*")
        parts.append(written(parameter))
    returned = inspect.signature(function).return_annotation
    end = f") -> {readable(returned)}" if result and returned is not inspect.Signature.empty else ")"
    line = f"{function.__qualname__}({', '.join(parts)}{end}"
    if len(line) <= WIDTH:
        return line
    return "\n".join([f"{function.__qualname__}(", *(f"    {part}," for part in parts), end])


def signature(of: Any) -> str:
    """How a function is called, or a class; one whose docstring has no parameters is not made by its users."""
    if not isinstance(of, type):
        return f"classmethod {call(of)}" if inspect.ismethod(of) else call(of)
    if "Parameters" in parsed(of)[1]:
        return f"class {call(of, result=False)}"
    bases = ", ".join(base.__name__ for base in of.__bases__ if base is not object)
    return f"class {of.__qualname__}({bases})" if bases else f"class {of.__qualname__}"


def parsed(of: Any) -> tuple[list[str], dict[str, str]]:
    """A docstring: its paragraphs, and title -> content of its numpydoc sections."""
    text, *rest = NUMPYDOC.split(inspect.getdoc(of) or "")
    return text.strip("\n").split("\n\n"), dict(zip(rest[::2], rest[1::2], strict=True))


def items(section: str) -> list[tuple[str, str]]:
    """The lines at the margin of a section, each with the text that is indented below it."""
    parts = (part.partition("\n") for part in re.split(r"^(?=\S)", section, flags=re.MULTILINE) if part)
    return [(head, " ".join(body.split())) for head, _, body in parts]


def grid(header: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    """A table."""
    return "\n".join(f"| {' | '.join(row)} |" for row in (header, ("---",) * len(header), *rows))


def type_in_grid(annotations: Iterable[Any]) -> str:
    """Types as code, each once; a `|` in them must not end the cell."""
    return ", ".join(dict.fromkeys(link(f"`{readable(annotation)}`").replace("|", r"\|") for annotation in annotations))


def variables(title: str, section: str, of: Any) -> str:
    """Parameters or attributes as a table; the types are those of the signature where the docstring has none."""
    rows = []
    for head, body in items(section):
        names, _, kind = head.partition(" : ")
        known = {} if kind else parameters_of(of)
        annotations = [known[name].annotation for name in names.replace("*", "").split(", ") if name in known]
        named = ", ".join(f"`{name}`" for name in names.split(", "))
        rows.append((named, kind_of_value(kind) or type_in_grid(annotations), prose(body)))
    return grid((title.lower().removesuffix("s"), "type", "meaning"), rows)


def outcomes(title: str, section: str) -> str:
    """What is returned or raised, and when, as a list."""
    lines = []
    for head, body in items(section):
        name, _, kind = head.partition(" : ")
        if title == "Raises":
            what = ", ".join(link(f"`{error}`") for error in head.split(", "))
        else:
            what = f"`{name}`, {kind_of_value(kind)}" if kind else kind_of_value(head)
        lines.append(f"- {what}: {prose(body)}" if body else f"- {what}")
    return "\n".join([f"**{title}**\n", *lines])


def documentation(of: Any, where: str = "") -> Iterator[str]:
    """The blocks of a docstring as Markdown; `where` stands behind the summary."""
    (summary, *rest), sections = parsed(of)
    yield prose(summary) + where
    yield from map(paragraph, rest)
    for title, section in sections.items():
        if title in ("Parameters", "Attributes"):
            yield variables(title, section, of)
        elif title in ("Returns", "Yields", "Raises"):
            yield outcomes(title, section)
        else:
            yield f"**{title}**"
            yield from map(paragraph, section.strip("\n").split("\n\n"))


def source(of: Any) -> str:
    """A link to the file that a name is defined in."""
    module = of if isinstance(of, ModuleType) else import_module(of.__module__)
    path = Path(str(module.__file__)).relative_to(Path(gptcompare.__file__).parent).as_posix()
    return f"[`{path}`](../gptcompare/{path})"


def property_row(name: str, of: property) -> tuple[str, str, str]:
    annotation = inspect.signature(of.fget).return_annotation
    return f"`{name}`", type_in_grid([annotation]), prose(" ".join(of.__doc__.split()))


def python(code: str) -> str:
    return f"```python\n{code}\n```"


def entry(name: str) -> Iterator[str]:
    """The blocks about one name: itself, then its properties and methods."""
    of = resolved(name)
    yield f"### `{name}`"
    if not isinstance(of, ModuleType):
        yield python(signature(of))
    yield from documentation(of, f" {source(of)}")
    if properties := members(of, property):
        yield grid(("property", "type", "meaning"), (property_row(key, it) for key, it in properties.items()))
    for key, method in members(of, METHODS).items():
        yield f"#### `{name}.{key}`"
        yield python(signature(method))
        yield from documentation(method)


def contents() -> Iterator[str]:
    """A line for each section, with its names."""
    for section, names in SECTIONS.items():
        yield f"- [{section}](#{anchors()[section]}): " + ", ".join(link(f"`{name}`") for name in names)


def page() -> str:
    """All of it."""
    blocks = [f"# {TITLE}", INTRODUCTION, "## Contents", "\n".join(contents())]
    for section, names in SECTIONS.items():
        blocks += [f"## {section}", *(block for name in names for block in entry(name))]
    return "\n\n".join(blocks) + "\n"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8", newline="\n")
