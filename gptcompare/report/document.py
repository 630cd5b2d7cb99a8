"""A report on published models in four chapters: structure, training data, performance and applications.

Every number is computed from a configuration or quoted from `presets` with its source. A module for each chapter gives
its blocks, and `blocks.py` writes them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ..checks import brief, together
from ..config import GPTConfig
from ..display import page
from ..presets import published
from . import blocks
from .applications import applications
from .blocks import Block, Heading, Items, Sources, merged
from .performance import performance
from .structure import Model, structure
from .table import NOT_PUBLISHED, table
from .training_data import training_data

__all__ = ["Report", "report"]

GPT2_AND_GPT3 = ("gpt2-xl", "gpt3-175b")


@dataclass(frozen=True)
class Report:
    """Structure, training data, performance and applications of models, in the order of their names.

    Attributes
    ----------
    names : tuple of str
        As `gptcompare.presets()` has them.
    """

    names: tuple[str, ...]

    def __repr__(self) -> str:
        return brief(self, together(self.names))

    def __str__(self) -> str:
        return self.to_markdown()

    def to_markdown(self) -> str:
        """Return the whole report as Markdown; the pictures are made of characters."""
        return "\n\n".join(blocks.to_markdown(block) for block in self._blocks()) + "\n"

    def to_html(self) -> str:
        """Return the whole report as an HTML page, without scripts, that loads nothing."""
        return page.document(together(self.names), self._repr_html_())

    def _repr_html_(self) -> str:
        body = "\n".join(blocks.to_html(block) for block in self._blocks())
        return f'<div class="gptcompare report">\n<style>\n{page.STYLE}{blocks.STYLE}</style>\n{body}\n</div>'

    def _blocks(self) -> list[Block]:
        models = [Model(name, GPTConfig.preset(name), published(name)) for name in self.names]
        sources = Sources()
        return [
            Heading(1, together(self.names)),
            f"Numbers in brackets are the sources, listed at the end; {NOT_PUBLISHED} is what they do not say. What "
            "has no source is computed from the configurations.",
            *structure(models, sources),
            *training_data(models, sources),
            *performance(models, sources),
            *applications(models),
            *_notes(models),
            Heading(2, "Sources"),
            Items(sources.texts, numbered=True),
        ]


def _notes(models: Sequence[Model]) -> list[Block]:
    notes = merged((model.name, note) for model in models for note in model.published.notes)
    return [Heading(2, "Notes on the sources"), Items(notes)] if notes else []


def report(names: Sequence[str] = GPT2_AND_GPT3) -> Report:
    """Report on GPT-2 and GPT-3, or other published models: structure, training data, performance, applications.

    Parameters
    ----------
    names : sequence of str
        As `gptcompare.presets()` has them, or aliases; repetitions count once.

    Returns
    -------
    Report

    Raises
    ------
    TypeError
        If a single string is given.
    ValueError
        If no name is given, or one is unknown; the message gives the nearest names.
    """
    return Report(table(names).names)
