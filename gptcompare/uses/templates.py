"""How a task is written as a text: an instruction, some examples with their answers, and the question at last.

Brown et al. 2020 (arXiv:2005.14165), section 2 and figure 2.1: no example is "zero-shot", one is "one-shot", several
are "few-shot". The templates below are data, to be looked at (`print(SENTIMENT)`), and to be replaced: each function
takes another one, and `dataclasses.replace(SENTIMENT, instruction="...")` makes it.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from string import Formatter
from typing import Any, TypeAlias

from ..files.json_lines import json_objects

Query: TypeAlias = "str | Mapping[str, str]"  # what is put into a template: the text, or a text for each field
Example: TypeAlias = tuple[Query, str]  # with its answer
NamedExample: TypeAlias = tuple[str, Mapping[str, Sequence[str]]]  # a text, and for each type the names in it


@dataclass(frozen=True)
class Template:
    """How the model is asked.

    Parameters
    ----------
    query : str
        Where a field in braces stands for what is asked, such as "Question: {question}\\nAnswer:". It had better not
        end with a space: a token is a word with the space before it.
    answer : str
        How an answer follows the query, with the field {answer}.
    instruction : str
        Stands first, if it is not empty.
    separator : str
        Between instruction, examples and query.
    answer_context : str
        Stands for any question at all where an answer's own probability is taken (`choose`, "unconditional").

    Raises
    ------
    TypeError, ValueError
        If one of them is not a str, query has no field, a field is no name, or answer has another field than {answer}.
    """

    query: str
    answer: str = " {answer}"
    instruction: str = ""
    separator: str = "\n\n"
    answer_context: str = "Answer: "

    def __post_init__(self) -> None:
        if wrong := [(name, value) for name, value in vars(self).items() if not isinstance(value, str)]:
            raise TypeError(f"a template's {wrong[0][0]} must be a str, got {wrong[0][1]!r}")
        if not self.fields:
            raise ValueError(f"a template's query needs a field, such as {{text}}, got {self.query!r}")
        if _fields_of(self.answer) != ("answer",):
            raise ValueError(f"a template's answer must have the field {{answer}} and no other, got {self.answer!r}")

    @property
    def fields(self) -> tuple[str, ...]:
        """The names of the query's fields."""
        return _fields_of(self.query)

    def prompt(self, query: Query, examples: Sequence[Example] = ()) -> str:
        """The whole text that the model reads: instruction, examples with their answers, query.

        Parameters
        ----------
        query : str, or dict of field -> str
        examples : sequence of (query, answer)

        Raises
        ------
        TypeError, ValueError
            If what is given is no text, or not one for each of the template's fields.
        """
        shown = [self.asked(example) + self.answered(answer) for example, answer in checked_examples(examples)]
        return self.separator.join([*([self.instruction] if self.instruction else []), *shown, self.asked(query)])

    def asked(self, query: Query) -> str:
        """The query alone, without an answer."""
        if isinstance(query, str):
            if len(self.fields) > 1:
                raise ValueError(f"the template has the fields {', '.join(self.fields)}: give a dict with a text each")
            query = {self.fields[0]: query}
        if not isinstance(query, Mapping) or not all(isinstance(text, str) for text in query.values()):
            raise TypeError(f"a query must be a str, or a dict of field -> str, got {query!r}")
        if {*query} != {*self.fields}:
            raise ValueError(f"the template has the fields {', '.join(self.fields)}, the query {', '.join(query)}")
        return self.query.format_map(query)

    def answered(self, answer: str) -> str:
        """How an answer goes on from the query."""
        if not isinstance(answer, str):
            raise TypeError(f"an answer must be a str, got {answer!r}")
        return self.answer.format(answer=answer)

    def __str__(self) -> str:
        """A one-shot prompt, with the names of the fields where they stand."""
        fields = {name: f"{{{name}}}" for name in self.fields}
        return self.prompt(fields, [(fields, "{answer}")])


def _fields_of(text: str) -> tuple[str, ...]:
    """The names of the fields of a text, in order, each once."""
    try:
        fields = [field for field in Formatter().parse(text) if field[1] is not None]
    except ValueError as error:
        raise ValueError(f"{text!r} is no template ({error}): a brace of the text itself is written twice") from None
    names = [str(name) for _, name, _, _ in fields]
    if not all(map(str.isidentifier, names)) or any(form or conversion for _, _, form, conversion in fields):
        raise ValueError(f"a field of {text!r} is no name: {{text}} is one, and a brace of the text itself is {{{{")
    return tuple(dict.fromkeys(names))


def several(queries: Query | Sequence[Query]) -> list[Query]:
    """One query or more as a list of them."""
    return [queries] if isinstance(queries, (str, Mapping)) else list(queries)


def checked_examples(examples: Sequence[Example]) -> Sequence[Example]:
    """The examples, each known to be a pair."""
    for example in examples:
        if isinstance(example, str) or not isinstance(example, Sequence) or len(example) != 2:
            raise TypeError(f"an example must be a pair of a query and its answer, got {example!r}")
    return examples


CLASSIFICATION = Template("Text: {text}\nLabel:", answer_context="Label: ")

# A review and one word about it: what a model that has only ever read books can go on with, too. The pattern is that
# of Gao et al. 2021 (arXiv:2012.15723) for sentiment; the words are simpler ones.
SENTIMENT = Template("{text} It was", answer=" {answer}.", answer_context="It was ")
SENTIMENT_WORDS = {"positive": "good", "negative": "bad"}

# Much as the GPT-3 paper writes questions (Brown et al. 2020, appendix G: "Q: ... A: ...").
QUESTION = Template("Q: {question}\nA:", answer_context="A: ")
COMPLETION = Template("{text}", answer_context="")

ENTITIES = Template("Text: {text}\n{type}:", separator="\n\n")
NO_ENTITY = "none"


# Examples that are ready: written for this project.
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
