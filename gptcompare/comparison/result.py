"""A comparison as one object: the sides, how each model finds each text, where the texts part, and how it is shown."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ..config import GPTConfig
from ..display.page import document
from .columns import rows
from .html import sides_as_html, text_as_html
from .reading import Reading
from .sides import Parting, Side, describe
from .summary import summary, text_summary


@dataclass(frozen=True)
class Comparison:
    """Texts side by side, and how each model finds each of them.

    Attributes
    ----------
    prompt : str
    options : dict
        Of the generation: the fields of `GenerationOptions`, as plain values.
    sides : tuple of Side
        In the order of the models.
    share_vocabulary : bool
        Whether every id is the same token to all models.
    readings : tuple of Reading
        Of each side's text, after the prompt, by all models: of its tokens up to the last whole character. What a
        stop string has cut off, and the token that it begins in, is not read.
    parting : Parting, optional
        None if no token of these differs, or the models do not share a vocabulary.
    """

    prompt: str
    options: dict[str, Any]
    sides: tuple[Side, ...]
    share_vocabulary: bool
    readings: tuple[Reading, ...]
    parting: Parting | None

    def to_dict(self) -> dict[str, Any]:
        """Everything as plain values that JSON can hold, but for what the clock says: the same for the same seed."""
        return {
            "prompt": self.prompt,
            "options": self.options,
            "share_vocabulary": self.share_vocabulary,
            "sides": [side.to_dict() for side in self.sides],
            "readings": [reading.to_dict() for reading in self.readings],
            "parting": None if self.parting is None else self.parting.to_dict(),
        }

    def summary(self, n_cells: int = 100) -> str:
        """What the texts and the readings say about the models: numbers, and sentences of at most `n_cells` cells."""
        return summary(self.sides, self.readings, self.parting, self.share_vocabulary, n_cells)

    def to_text(self, n_cells: int = 100) -> str:
        """The texts in columns that are `n_cells` wide together, and the summary below them."""
        headers = [(side.name, describe(side.config)) for side in self.sides]
        texts = rows(headers, [self.prompt + side.text for side in self.sides], n_cells)
        return "\n".join([*texts, "", self.summary(n_cells)])

    def to_html(self, title: str | None = None) -> str:
        """A whole HTML document that loads nothing from elsewhere; its title is the prompt if not given."""
        return document(self.prompt if title is None else title, self._repr_html_())

    def __str__(self) -> str:
        return self.to_text()

    def _repr_html_(self) -> str:
        return sides_as_html(self.prompt, self.sides, self.readings, self.summary())


@dataclass(frozen=True)
class TextComparison:
    """One text that several models read.

    Attributes
    ----------
    names : tuple of str
        Of the models, in their order.
    configs : tuple of GPTConfig
    reading : Reading
        Of the whole text, by all models.
    """

    names: tuple[str, ...]
    configs: tuple[GPTConfig, ...]
    reading: Reading

    def to_dict(self) -> dict[str, Any]:
        """Everything as plain values that JSON can hold."""
        return {
            "models": list(self.names),
            "configs": [config.to_dict() for config in self.configs],
            **self.reading.to_dict(),
        }

    def to_text(self, n_cells: int = 100) -> str:
        """What the reading says about the models: numbers, and sentences of at most `n_cells` cells."""
        return text_summary(self.names, self.reading, n_cells)

    def to_html(self, title: str = "A text, read by several models") -> str:
        """A whole HTML document that loads nothing from elsewhere."""
        return document(title, self._repr_html_())

    def __str__(self) -> str:
        return self.to_text()

    def _repr_html_(self) -> str:
        return text_as_html(self.names, self.configs, self.reading, self.to_text())
