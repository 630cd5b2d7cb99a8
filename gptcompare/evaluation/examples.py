"""Examples for few-shot prompts: some that are ready, and how others are read from a file."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

from .json_lines import json_objects
from .templates import Example

NamedExample: TypeAlias = tuple[str, Mapping[str, Sequence[str]]]  # a text, and for each type the names in it

# Written for this project.
SENTIMENT_EXAMPLES: tuple[Example, ...] = (
    ("The soup was warm and tasted of summer.", "positive"),
    ("He broke the cup and did not say that he was sorry.", "negative"),
    ("Nobody came to the feast, and the bread was stale.", "negative"),
    ("We laughed the whole evening.", "positive"),
)
ENTITY_EXAMPLES: tuple[NamedExample, ...] = (
    ("Anna and her brother Paul took the train to Vienna.", {"person": ["Anna", "Paul"], "place": ["Vienna"]}),
    ("It rained all day, and the cat stayed in bed.", {"person": [], "place": []}),
    ("In Egypt the river rises every summer, said old Mr. Brown.", {"person": ["Mr. Brown"], "place": ["Egypt"]}),
)


def read_examples(file: str | os.PathLike[str]) -> list[Example]:
    """Examples from a file in UTF-8 with a JSON object on each line, such as {"text": "...", "answer": "..."}.

    An object has a text for each field of the template, and "answer". Empty lines are passed over.

    Raises
    ------
    OSError
        If the file cannot be read.
    ValueError
        If a line is something else, or there is none.
    """
    examples: list[Example] = []
    for place, fields in _objects(file):
        if "answer" not in fields or len(fields) < 2 or not all(isinstance(value, str) for value in fields.values()):
            raise ValueError(f'{place}: an example is an object such as {{"text": "...", "answer": "..."}}, all texts')
        examples.append(({name: value for name, value in fields.items() if name != "answer"}, fields["answer"]))
    return examples


def read_entity_examples(file: str | os.PathLike[str]) -> list[NamedExample]:
    """The same for `entities`: objects such as {"text": "Anna went to Rome.", "person": ["Anna"], "place": ["Rome"]}.

    Raises
    ------
    OSError, ValueError
        As `read_examples`.
    """
    examples: list[NamedExample] = []
    for place, fields in _objects(file):
        text, names = fields.pop("text", None), fields
        if not isinstance(text, str) or not all(_are_texts(several) for several in names.values()):
            raise ValueError(f'{place}: an example is an object such as {{"text": "Anna sang.", "person": ["Anna"]}}')
        examples.append((text, names))
    return examples


def _objects(file: str | os.PathLike[str]) -> Iterator[tuple[str, dict[str, Any]]]:
    """The objects of the lines, each with the name of its place."""
    return json_objects(os.fspath(file), Path(file).read_bytes(), "example")


def _are_texts(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(one, str) for one in value)
