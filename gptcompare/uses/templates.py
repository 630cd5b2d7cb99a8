"""Templates write a task as a text: an instruction, some examples with their answers, and finally the question.

Brown et al. 2020 (arXiv:2005.14165), section 2 and figure 2.1: no example is "zero-shot", one is "one-shot", several
are "few-shot". The templates below are data: print them (`print(SENTIMENT)`) or change them
(`dataclasses.replace(SENTIMENT, instruction="...")`). Each function that uses one accepts another in its place.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from string import Formatter
from typing import Any, TypeAlias, TypeVar

from ..checks import elements, one_text, path
from ..files.json_lines import json_objects
from ..files.whole_file import MAX_INPUT, read_whole

Query: TypeAlias = "str | Mapping[str, str]"  # what is put into a template: the text, or a text for each field
Example: TypeAlias = tuple[Query, str]  # a query and its answer
Pair = TypeVar("Pair")
NamedExample: TypeAlias = tuple[str, Mapping[str, Sequence[str]]]  # a text, and the names of each type in it


@dataclass(frozen=True)
class Template:
    """The form in which the model is asked.

    Parameters
    ----------
    query : str
        What is asked, with a field in braces for each part of the query, such as "Question: {question}\\nAnswer:". It
        should not end with a space, since a token is a word with the space before it.
    answer : str
        The answer as it follows the query, with the field {answer}.
    instruction : str
        Comes first, if it is not empty.
    separator : str
        Between instruction, examples and query.
    answer_context : str
        Stands for any question at all where an answer's own probability is needed (`choose`, "unconditional"). Between
        it and an answer that begins with a space stands that space alone.

    Raises
    ------
    TypeError, ValueError
        If one of them is not a str, the query has no field, a field is not a valid name, or the answer has a field
        other than {answer}.
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
        """Write the whole text that the model reads: instruction, examples with their answers, query.

        Parameters
        ----------
        query : str, or dict of field -> str
        examples : sequence of (query, answer)

        Returns
        -------
        str

        Raises
        ------
        TypeError, ValueError
            If a query or an answer is not a str, or the texts of a query are not those of the template's fields.

        Examples
        --------
        >>> print(QUESTION.prompt("What is blue?", [("What is green?", "grass")]))
        Q: What is green?
        A: grass
        <BLANKLINE>
        Q: What is blue?
        A:
        """
        shown = [self.asked(example) + self.answered(answer) for example, answer in checked_examples(examples)]
        return self.separator.join([*([self.instruction] if self.instruction else []), *shown, self.asked(query)])

    def asked(self, query: Query) -> str:
        """Write a query without its answer."""
        if isinstance(query, str):
            if len(self.fields) > 1:
                raise ValueError(
                    f"the template has the fields {', '.join(self.fields)}: give a dict with a text for each"
                )
            query = {self.fields[0]: query}
        if not isinstance(query, Mapping) or not all(isinstance(text, str) for pair in query.items() for text in pair):
            raise TypeError(
                f"a query must be a str, or a dict of field -> str, got {query!r}: several are a list of them"
            )
        if {*query} != {*self.fields}:
            raise ValueError(f"the template has the fields {', '.join(self.fields)}, the query {', '.join(query)}")
        return self.query.format_map(query)

    def answered(self, answer: str) -> str:
        """Write an answer as it follows the query."""
        if not isinstance(answer, str):
            raise TypeError(f"an answer must be a str, got {answer!r}")
        return self.answer.format(answer=answer)

    def __str__(self) -> str:
        """Return a one-shot prompt, with the name of each field in its place."""
        fields = {name: f"{{{name}}}" for name in self.fields}
        return self.prompt(fields, [(fields, "{answer}")])


def _fields_of(text: str) -> tuple[str, ...]:
    """Return the names of the fields of a text, in order, each once."""
    try:
        fields = [field for field in Formatter().parse(text) if field[1] is not None]
    except ValueError as error:
        raise ValueError(f"{text!r} is not a template ({error}): write a brace of the text itself twice") from None
    names = [str(name) for _, name, _, _ in fields]
    if not all(map(str.isidentifier, names)) or any(form or conversion for _, _, form, conversion in fields):
        raise ValueError(
            f"a field of {text!r} is not a name such as {{text}}: write a brace of the text itself twice, {{{{"
        )
    return tuple(dict.fromkeys(names))


def several(name: str, queries: Query | Iterable[Query]) -> list[Query]:
    """Return one query, or several, as a list; raise TypeError if they are none, naming the argument."""
    if isinstance(queries, (str, Mapping)):
        return [queries]
    return [
        query if isinstance(query, Mapping) else one_text(f"{name}[{number}]", query)
        for number, query in enumerate(elements(name, queries))
    ]


def checked_examples(examples: Iterable[Pair]) -> list[Pair]:
    """Return the examples as a list, after checking that each is a pair."""
    if not isinstance(examples, Iterable):
        raise TypeError(f"examples must be a list of pairs, got {type(examples).__name__}")
    several = list(examples)
    for example in several:
        if isinstance(example, str) or not isinstance(example, Sequence) or len(example) != 2:
            raise TypeError(f"an example must be a pair of a query and its answer, got {example!r}")
    return several


CLASSIFICATION = Template("Text: {text}\nLabel:", answer_context="Label: ")

# A review and one word about it, which even a model that has read nothing but books can continue. The pattern is the
# one of Gao et al. 2021 (arXiv:2012.15723) for sentiment, with simpler words.
SENTIMENT = Template("{text} It was", answer=" {answer}.", answer_context="It was ")
SENTIMENT_WORDS = {"positive": "good", "negative": "bad"}

# Similar to the questions of the GPT-3 paper (Brown et al. 2020, appendix G: "Q: ... A: ...").
QUESTION = Template("Q: {question}\nA:", answer_context="A: ")
COMPLETION = Template("{text}", answer_context="")

ENTITIES = Template("Text: {text}\n{type}:", separator="\n\n")
NO_ENTITY = "none"


# Ready-made examples, written for this project.
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
    """Read examples from a UTF-8 file with a JSON object on each line, such as {"text": "...", "answer": "..."}.

    An object has a text for each field of the template, and "answer". Empty lines are skipped.

    Parameters
    ----------
    file : path

    Returns
    -------
    list of (query, answer)

    Raises
    ------
    OSError
        If the file cannot be read.
    ValueError
        If a line is anything else, or there is no example.
    """
    examples: list[Example] = []
    for place, fields in _objects(file):
        if "answer" not in fields or len(fields) < 2 or not all(isinstance(value, str) for value in fields.values()):
            raise ValueError(f'{place}: an example is an object such as {{"text": "...", "answer": "..."}}, all texts')
        examples.append(({name: value for name, value in fields.items() if name != "answer"}, fields["answer"]))
    return examples


def read_entity_examples(file: str | os.PathLike[str]) -> list[NamedExample]:
    """Read examples for `entities`, such as {"text": "Anna went to Rome.", "person": ["Anna"], "place": ["Rome"]}.

    Parameters
    ----------
    file : path

    Returns
    -------
    list of (text, dict of type -> names in it)

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
    """Yield the object on each line, with the name of its place."""
    return json_objects(path("file", file), read_whole(file, MAX_INPUT), "example")


def _are_texts(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(one, str) for one in value)
