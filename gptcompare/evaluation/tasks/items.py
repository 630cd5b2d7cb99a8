"""What a published task consists of, whatever file it is from: questions, or texts to be read."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Item:
    """One question of a task, with everything that could be its answer.

    Attributes
    ----------
    pairs : tuple of (context, continuation)
        One for each possible answer; a single one where the answer is to be written, or to be the likeliest of all
        texts. A continuation begins with a space if it begins a word.
    right : int
        Which pair has the right answer.
    """

    pairs: tuple[tuple[str, str], ...]
    right: int = 0

    @property
    def context(self) -> str:
        """What stands before the right answer."""
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
        Of the text as it is published, which may have been written with spaces between all words and marks;
        probabilities for each word or byte are for these.
    """

    text: str
    n_words: int
    n_bytes: int
