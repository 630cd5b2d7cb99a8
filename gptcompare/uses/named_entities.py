"""The names in a text: of persons, of places, or of any type that has examples.

The model is asked for each type separately, in the form of the examples, and answers with a line of names separated by
commas. A name in the answer counts only if it occurs in the text.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import overload

import regex

from ..checks import each_text, instance, one_text
from ..generation import LanguageModel
from ..tokenizer import AllowedSpecial
from .templates import ENTITIES, ENTITY_EXAMPLES, NO_ENTITY, Example, NamedExample, Query, Template, checked_examples


@dataclass(frozen=True)
class Entity:
    """A name in a text.

    Attributes
    ----------
    text : str
    type : str
    start, end : int
        Position in the whole text, in characters: the name is whole[start:end].
    """

    text: str
    type: str
    start: int
    end: int


@overload
def entities(  # type: ignore[overload-overlap]  # a str is one text, though it can be iterated
    lm: LanguageModel,
    texts: str,
    types: Iterable[str] = ...,
    examples: Sequence[NamedExample] = ...,
    *,
    template: Template = ...,
    max_new_tokens: int = ...,
    allowed_special: AllowedSpecial = ...,
) -> list[Entity]: ...
@overload
def entities(
    lm: LanguageModel, texts: Iterable[str], types: Iterable[str] = ...,
    examples: Sequence[NamedExample] = ..., *, template: Template = ..., max_new_tokens: int = ...,
    allowed_special: AllowedSpecial = ...,
) -> list[list[Entity]]: ...  # fmt: skip
def entities(
    lm: LanguageModel,
    texts: str | Iterable[str],
    types: Iterable[str] = ("person", "place"),
    examples: Sequence[NamedExample] = ENTITY_EXAMPLES,
    *,
    template: Template = ENTITIES,
    max_new_tokens: int = 40,
    allowed_special: AllowedSpecial = (),
) -> list[Entity] | list[list[Entity]]:
    """Find the names in a text, or in each of several.

    Parameters
    ----------
    lm : LanguageModel
    texts : str, or a list of them
    types : list of str
        As the prompt calls them.
    examples : sequence of (text, dict of type -> names in it)
        Without examples, a model cannot know the form of the answer. A type that is missing from an example has no
        names there.
    template : Template
        With the fields {text} and {type}.
    max_new_tokens : int
        For the answer to one type.
    allowed_special
        As for `LanguageModel.generate`.

    Returns
    -------
    list of Entity, in the order of the text; or a list of such lists for a list of texts
        Entities do not overlap: the longer name wins, and among equally long ones the type that is asked for first.

    Raises
    ------
    TypeError, ValueError
        If a text is not a str, there is no type, or a prompt is longer than the model's context.
    """
    lm = instance("lm", lm, LanguageModel).allowing(allowed_special)
    wanted = list(each_text("types", types))
    if not wanted:
        raise ValueError("types is empty: give at least one, such as 'person'")
    several = [texts] if isinstance(texts, str) else list(each_text("texts", texts))
    shown = checked_examples(examples)
    prompts = [entity_prompt(text, type_, shown, template) for text in several for type_ in wanted]
    answers = iter(lm.generate(prompts, max_new_tokens=max_new_tokens, stop="\n"))
    found = []
    for text in several:
        said = [entity for type_ in wanted for entity in _in_text(text, type_, next(answers).text)]
        found.append(_apart(said))
    return found[0] if isinstance(texts, str) else found


def entity_prompt(
    text: str, type_: str, examples: Sequence[NamedExample] = ENTITY_EXAMPLES, template: Template = ENTITIES
) -> str:
    """Return what the model reads when it is asked for the names of a type.

    Parameters
    ----------
    text, type_ : str
    examples, template
        As `entities` takes them.

    Returns
    -------
    str

    Raises
    ------
    TypeError, ValueError
        As `entities`.

    Examples
    --------
    >>> print(entity_prompt("Anna sang.", "person", [("Paul was in Vienna.", {"person": ["Paul"]})]))
    Text: Paul was in Vienna.
    person: Paul
    <BLANKLINE>
    Text: Anna sang.
    person:
    """
    instance("template", template, Template)
    one_text("type_", type_)
    named = [_named(example) for example in checked_examples(examples)]
    shown: list[Example] = [(_query(text, type_), _listed(names.get(type_, ()))) for text, names in named]
    return template.prompt(_query(text, type_), shown)


def _named(example: NamedExample) -> NamedExample:
    if not isinstance(example[1], Mapping):
        raise TypeError(f"an example must be a pair of a text and a dict of type -> names, got {example!r}")
    return example


def _listed(names: Sequence[str]) -> str:
    if isinstance(names, str):
        raise TypeError(f"the names of a type must be a list, got {names!r}: put it into a list")
    return ", ".join(names) or NO_ENTITY


def _query(text: str, type_: str) -> Query:
    return {"text": text, "type": type_}


def _in_text(text: str, type_: str, answer: str) -> Iterator[Entity]:
    """Yield every place in the text where a name of the answer occurs as whole words."""
    for name in dict.fromkeys(part.strip() for part in answer.split(",")):
        if name and name != NO_ENTITY:
            for match in regex.finditer(rf"(?<!\w){regex.escape(name)}(?!\w)", text):
                yield Entity(name, type_, *match.span())


def _apart(found: Sequence[Entity]) -> list[Entity]:
    """Return the entities that remain when the longer of two that overlap wins, in the order of the text."""
    kept: list[Entity] = []
    for entity in sorted(found, key=lambda one: one.start - one.end):
        if all(entity.end <= other.start or other.end <= entity.start for other in kept):
            kept.append(entity)
    return sorted(kept, key=lambda one: one.start)
