"""The items of a published task, whatever file they come from: questions, or texts to read."""

from __future__ import annotations

from dataclasses import dataclass, field

from ...checks import brief_fields


@dataclass(frozen=True)
class Item:
    """One question of a task, with its possible answers.

    Attributes
    ----------
    pairs : tuple of (context, continuation)
        One for each possible answer; only one if the answer must be written, or must be the likeliest of all texts. A
        continuation begins with a space if it begins a word.
    right : int
        The index of the pair that has the right answer.
    place : str
        The file and line that it comes from, for messages; it makes no other item.
    n_before : int
        How many characters of each context come before the item itself: an instruction and few-shot examples.
    """

    pairs: tuple[tuple[str, str], ...]
    right: int = 0
    place: str = field(default="", compare=False, repr=False)
    n_before: int = field(default=0, compare=False, repr=False)

    __repr__ = brief_fields

    @property
    def context(self) -> str:
        """The context of the right answer."""
        return self.pairs[self.right][0]

    @property
    def answer(self) -> str:
        """The right answer."""
        return self.pairs[self.right][1]


@dataclass(frozen=True)
class Document:
    """A text whose every token is predicted.

    Attributes
    ----------
    text : str
        What the model reads.
    n_words, n_bytes : int
        The size of the text as it is published, which may have spaces between all words and punctuation marks; metrics
        per word or per byte divide by these.
    """

    text: str
    n_words: int
    n_bytes: int

    __repr__ = brief_fields
