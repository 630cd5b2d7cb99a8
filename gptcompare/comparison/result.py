"""A comparison as one object: the sides, each model's reading of each text, where they part, and how to show it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ..checks import brief, integer, shown, together
from ..config import GPTConfig
from ..generation import LanguageModel
from ..model.changes import in_words
from .page.data import Text, page_data
from .page.document import how_made, page
from .page.fragment import sides_as_html, text_as_html
from .reading import Reading
from .sides import Parting, Side, describe, describe_model
from .terminal.columns import rows
from .terminal.summary import explained, summary, text_summary


@dataclass(frozen=True)
class Comparison:
    """Texts side by side, and each model's reading of each text.

    Attributes
    ----------
    prompt : str
    options : dict
        The options of all sides that have none of their own (`Side.options`): the fields of `GenerationOptions`, as
        plain values, and `allowed_special`, if any are.
    sides : tuple of Side
        What each model wrote, in the order of the models.
    share_vocabulary : bool
        True if every id is the same token in all models.
    readings : tuple of Reading
        For each side, its text as read by all models after the prompt: its tokens up to the last whole character. Text
        that a stop string cut off, and the token in which the stop string begins, are not read.
    parting : Parting, optional
        None if no token differs, or the models do not share a vocabulary.
    models : dict of name -> LanguageModel
        The models, which the page asks what happens inside them.
    """

    prompt: str
    options: dict[str, Any]
    sides: tuple[Side, ...]
    share_vocabulary: bool
    readings: tuple[Reading, ...]
    parting: Parting | None
    models: Mapping[str, LanguageModel] = field(repr=False, compare=False)

    def __repr__(self) -> str:
        names = together(side.name for side in self.sides)
        lengths = together(len(side.completion.ids) for side in self.sides)
        return brief(self, f"{names} after {shown(self.prompt, 40)}, {lengths} tokens")

    def to_dict(self) -> dict[str, Any]:
        """Return everything but the times, as plain values that JSON can hold: the same for the same seed."""
        return {
            "prompt": self.prompt,
            "options": self.options,
            "share_vocabulary": self.share_vocabulary,
            "sides": [side.to_dict() for side in self.sides],
            "readings": [reading.to_dict() for reading in self.readings],
            "parting": None if self.parting is None else self.parting.to_dict(),
        }

    def summary(self, n_cells: int = 100) -> str:
        """Summarise the texts and the readings in numbers, and in sentences wrapped to `n_cells` terminal cells."""
        return summary(self.sides, self.readings, self.parting, self.share_vocabulary, n_cells, self.options)

    def explain(self, n: int = 3, n_cells: int = 100) -> str:
        """Show what each model held likeliest where they differ most: the n most different positions of all texts.

        Raises
        ------
        ValueError
            If there are no alternatives, or the models do not share a vocabulary.
        """
        texts = [(f"{side.name}'s text", reading) for side, reading in zip(self.sides, self.readings, strict=True)]
        return _explanation([side.name for side in self.sides], texts, n, n_cells)

    def to_text(self, n_cells: int = 100) -> str:
        """Return the texts in columns, `n_cells` terminal cells wide in all, with the summary below them."""
        headers = [(side.name, describe(side.config, side.changes)) for side in self.sides]
        texts = rows(headers, [self.prompt + side.text for side in self.sides], n_cells)
        return "\n".join([*texts, "", self.summary(n_cells)])

    def to_html(self, title: str | None = None, *, first: int = 0, command: str | None = None) -> str:
        """Return a page to explore the comparison in: one HTML document that loads nothing from elsewhere.

        The models read the texts once more for it. It is at most 2 MB long, and says what it leaves out.

        Parameters
        ----------
        title : str, optional
            The prompt if not given.
        first : int
            The number of the token, from 0, with which the page begins.
        command : str, optional
            The command that made the comparison, for the page to say.
        """
        return page(self.page_data(title, first=first, command=command))

    def page_data(self, title: str | None = None, *, first: int = 0, command: str | None = None) -> dict[str, Any]:
        """Return what the page knows, as plain values: see `gptcompare.comparison.page.data`."""
        lms = list(self.models.values())
        contexts = tuple(lm.prompt_ids(self.prompt) for lm in lms)
        texts = []
        for number, (side, reading) in enumerate(zip(self.sides, self.readings, strict=True)):
            ids = side.completion.ids[: len(reading.tokens[number])]
            texts.append(Text(number, reading, contexts, (ids,) * len(lms), side.text.removeprefix(reading.text)))
        options = {name.replace("_", "-"): value for name, value in self.options.items()}  # as the command has them
        made = how_made(command, self.models, {"prompt": self.prompt, **options, **self._own_options()})
        title = self.prompt if title is None else title
        first = integer("first", first, at_least=0)
        parts_at = None if self.parting is None else self.parting.position
        return page_data(title, self.models, texts, self.share_vocabulary, self.summary(), made, first, parts_at)

    def _own_options(self) -> dict[str, str]:
        """Return for each side with options of its own what they are, in words."""
        found = {}
        for side in self.sides:
            own = {name: value for name, value in side.options.items() if value != self.options[name]}
            if own:
                found[f"options of {side.name}"] = ", ".join(f"{name} {value}" for name, value in own.items())
        return found

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
        The names of the models, in their order.
    configs : tuple of GPTConfig
    reading : Reading
        The whole text as read by all models.
    models : dict of name -> LanguageModel
        The models, which the page asks what happens inside them.
    """

    names: tuple[str, ...]
    configs: tuple[GPTConfig, ...]
    reading: Reading
    models: Mapping[str, LanguageModel] = field(repr=False, compare=False)

    def __repr__(self) -> str:
        measured = together("nothing" if bits is None else f"{bits:.3f}" for bits in self.reading.bits_per_byte)
        return brief(self, f"{together(self.names)} read {shown(self.reading.text, 40)}, {measured} bits per byte")

    def to_dict(self) -> dict[str, Any]:
        """Return everything as plain values that JSON can hold."""
        return {
            "models": list(self.names),
            "configs": [config.to_dict() for config in self.configs],
            "changes": [[*map(in_words, lm.model.hooks)] for lm in self.models.values()],
            **self.reading.to_dict(),
        }

    def explain(self, n: int = 3, n_cells: int = 100) -> str:
        """Show what each model held likeliest where they differ most, as `Comparison.explain` does."""
        return _explanation(self.names, [("the text", self.reading)], n, n_cells)

    def to_text(self, n_cells: int = 100) -> str:
        """Summarise the reading in numbers, and in sentences wrapped to `n_cells` terminal cells."""
        return text_summary(self.names, self.reading, n_cells)

    def to_html(
        self, title: str = "A text, read by several models", *, first: int = 0, command: str | None = None
    ) -> str:
        """Return a page to explore the readings in, as `Comparison.to_html` does."""
        return page(self.page_data(title, first=first, command=command))

    def page_data(
        self, title: str = "A text, read by several models", *, first: int = 0, command: str | None = None
    ) -> dict[str, Any]:
        """Return what the page knows, as plain values: see `gptcompare.comparison.page.data`."""
        lms = list(self.models.values())
        contexts, ids = (tuple(lm.prompt_ids("") for lm in lms), tuple(lm.encode(self.reading.text) for lm in lms))
        text = Text(None, self.reading, contexts, ids)
        made = how_made(command, self.models, {"text": f"{len(self.reading.text):,} characters"})
        first = integer("first", first, at_least=0)
        shared = self.reading.divergence is not None or len(lms) == 1
        return page_data(title, self.models, [text], shared, self.to_text(), made, first)

    def __str__(self) -> str:
        return self.to_text()

    def _repr_html_(self) -> str:
        descriptions = [describe_model(lm) for lm in self.models.values()]
        return text_as_html(self.names, descriptions, self.reading, self.to_text())


def _explanation(names: Sequence[str], texts: Sequence[tuple[str, Reading]], n: int, n_cells: int) -> str:
    compared = [(whose, reading) for whose, reading in texts if reading.divergence is not None]
    if not compared:
        raise ValueError("there is nothing to explain: it needs two models that share a vocabulary")
    if any(reading.alternatives is None for _, reading in compared if reading.divergence):
        raise ValueError("there is nothing to explain: the comparison was made without alternatives")
    return explained(names, compared, integer("n", n, at_least=1), n_cells)
