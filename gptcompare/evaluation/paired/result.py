"""The differences of several models at the same items, as text, as plain values, and as a page."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ...checks import brief, together
from ...display.page import STYLE, document, isolated_words, visible
from ...display.text_width import aligned, wrap
from ..result import DASH, Evaluation
from .difference import Difference
from .examples import Example, examples, shown
from .picture import picture

HEADER = ("difference", "95% interval", "p", "only one right", "items needed")


@dataclass(frozen=True)
class PairedEvaluation:
    """Several models at the same items of one or more tasks.

    Attributes
    ----------
    evaluations : tuple of dict of name -> Evaluation
        For each task, of each model.
    differences : tuple of Difference
        Of the first model from each other one, for each metric of each task.
    """

    evaluations: tuple[Mapping[str, Evaluation], ...]
    differences: tuple[Difference, ...]

    @property
    def models(self) -> tuple[str, ...]:
        """The names of the models."""
        return tuple(self.evaluations[0])

    def examples(self, n: int = 5) -> list[Example]:
        """Return the items at which the models differ most, the most different first, of all tasks together."""
        return examples(self.evaluations, n)

    def to_dict(self) -> dict[str, Any]:
        """Return plain values that JSON can hold, without the rows."""
        return {
            "models": list(self.models),
            "evaluations": [
                {name: evaluation.to_dict() for name, evaluation in by_model.items()} for by_model in self.evaluations
            ],
            "differences": [one.to_dict() for one in self.differences],
        }

    def to_text(self, n_cells: int = 100, n_examples: int = 0) -> str:
        """Return a table for a terminal, what it means in sentences, and some of the most different items."""
        sentences = [line for sentence in self._sentences() for line in ["", *wrap(sentence, n_cells)]]
        found = [line for one in self.examples(n_examples) for line in ["", *shown(one, n_cells)]] if n_examples else []
        return "\n".join([aligned(self._rows()), *sentences, *found])

    __str__ = to_text

    def __repr__(self) -> str:
        tasks = dict.fromkeys(one.task for one in self.differences)
        return brief(self, f"{together(self.models)} at {together(tasks)}")

    def to_markdown(self) -> str:
        """Return the table and the sentences as Markdown."""
        first, *rows = self._rows()
        table = [first, ["---", *["---:"] * (len(first) - 1)], *rows]
        return "\n".join([*("| " + " | ".join(row) + " |" for row in table), "", "\n\n".join(self._sentences())]) + "\n"

    def to_html(self, title: str = "Is the difference real?", n_examples: int = 5) -> str:
        """Return a complete HTML document that loads nothing from elsewhere, with a picture of the differences."""
        return document(title, f"<h1>{visible(title)}</h1>\n{self._shown(n_examples)}")

    def _repr_html_(self) -> str:
        return self._shown(0)

    def _shown(self, n_examples: int) -> str:
        text = isolated_words(self.to_text(n_examples=n_examples))
        shown = f'{picture(self.differences)}\n<pre style="white-space: pre; overflow-x: auto">{text}</pre>'
        return f'<div class="gptcompare">\n<style>\n{STYLE}</style>\n{shown}\n</div>'

    def _rows(self) -> list[list[str]]:
        rows = [["", "first", "second", *HEADER]]
        for one in self.differences:
            interval = one.interval or DASH
            only = DASH if one.only is None else f"{one.only[0]:,} / {one.only[1]:,} of {one.n:,}"
            needed = DASH if one.n_needed is None else f"{one.n_needed:,}"
            label = f"{one.task}, {one.metric}"
            if len(self.models) > 2:
                label += f": {' - '.join(one.models)}"
            digits = one.n_digits
            values = [f"{metric.value:.{digits}f}" for metric in one.values]
            difference = f"{one.value:+.{digits}f}" if math.isfinite(one.value) else DASH
            rows.append([label, *values, difference, interval, _p(one.p_value), only, needed])
        if len(self.models) == 2:
            rows[0][1:3] = list(self.models)
        return rows

    def _sentences(self) -> list[str]:
        real = [one for one in self.differences if one.is_real]
        n, said = len(self.differences), []
        for one in real:
            more = "higher" if one.value > 0 else "lower"
            said.append(f"{one.task}: the {one.metric} of {one.models[0]} is {more} than that of {one.models[1]}.")
        if n == 1:
            said = said or ["No difference was seen. That does not mean that there is none: see the interval."]
        else:
            seen = f"{len(real)} of them" if len(real) < n else "all of them"
            verdict = (
                f"{seen} can be seen: the probability that any of these is an accident is at most 5%"
                if real
                else "none can be seen; that does not mean that there is none, see the intervals"
            )
            said.append(
                f"{n} differences were tested at once, and an accident is likelier among many. By Holm's correction, "
                f"{verdict}."
            )
        counts = ""
        if any(one.only for one in self.differences):
            counts = " Where only one model is right is what tells them apart."
        said.append(
            "The intervals are paired: they are of the difference at the same items, not of two scores by themselves."
            f"{counts} The last column is how many items, texts or windows would show the present difference, if it is "
            "the true one, with a probability of 80%."
        )
        return said


def _p(value: float) -> str:
    return f"{value:.3f}" if value >= 0.001 else f"{value:.0e}"
