"""Prompting with more and more examples: a task at several numbers of shots, as in figure 1.2 of GPT-3's paper."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..checks import brief, integer, path, together
from ..comparison.writers import Models, load_models
from ..display.colours import COLOURS
from ..display.page import STYLE, document, isolated_words, visible
from ..display.text_width import aligned
from .metrics import Metric
from .result import DASH, Evaluation
from .run import evaluate, folder_for, folder_names
from .tasks.published import task_named
from .tasks.task import Task

WIDTH, HEIGHT, LEFT, BELOW = 560, 300, 60, 50  # pixels of the picture and of its margins


@dataclass(frozen=True, repr=False)
class Curve:
    """How well models do a task with 0, 1 or more examples in the prompt.

    Attributes
    ----------
    task : str
    shots : tuple of int
    evaluations : dict of name -> tuple of Evaluation
        Of each model, one for each number of shots.
    """

    task: str
    shots: tuple[int, ...]
    evaluations: Mapping[str, tuple[Evaluation, ...]]

    @property
    def metric(self) -> str:
        """The name of the task's first metric, which is drawn."""
        return next(iter(self.evaluations.values()))[0].metrics[0].name

    def points(self, name: str) -> list[Metric]:
        """Return a model's first metric at each number of shots."""
        return [evaluation.metrics[0] for evaluation in self.evaluations[name]]

    def to_dict(self) -> dict[str, Any]:
        """Return plain values that JSON can hold."""
        return {
            "task": self.task,
            "shots": list(self.shots),
            "evaluations": {name: [one.to_dict() for one in of_model] for name, of_model in self.evaluations.items()},
        }

    def to_text(self) -> str:
        """Return a table: a row for each number of shots, with the 95% intervals."""
        rows = [("shots", *self.evaluations)]
        for place, n in enumerate(self.shots):
            rows.append((str(n), *(_cell(self.points(name)[place]) for name in self.evaluations)))
        return "\n".join([f"{self.task}: {self.metric}, by the number of examples in the prompt", "", aligned(rows)])

    __str__ = to_text

    def __repr__(self) -> str:
        return brief(self, f"{self.task} with {together(self.shots)} examples, of {together(self.evaluations)}")

    def to_html(self, title: str | None = None) -> str:
        """Return a complete HTML document with the curve, which loads nothing from elsewhere."""
        title = f"{self.task}, by the number of examples" if title is None else title
        return document(title, f"<h1>{visible(title)}</h1>\n{self._repr_html_()}")

    def _repr_html_(self) -> str:
        text = isolated_words(self.to_text())
        return f'<div class="gptcompare">\n<style>\n{STYLE}</style>\n{self._repr_svg_()}\n<pre>{text}</pre>\n</div>'

    def _repr_svg_(self) -> str:
        """Draw the curves: evenly spaced numbers of shots, and the metric with its intervals."""
        ends = [end for name in self.evaluations for one in self.points(name) for end in (one.low, one.value, one.high)]
        known = [end for end in ends if end is not None]
        low, high = min(known), max(known)
        span = (high - low) or 1.0
        step = (WIDTH - LEFT - 30) / max(len(self.shots) - 1, 1)

        def x(place: int) -> float:
            return LEFT + 15 + place * step

        def y(value: float) -> float:
            return HEIGHT - BELOW - (value - low) / span * (HEIGHT - BELOW - 30)

        parts = [
            f'<text x="{LEFT - 8}" y="{y(value) + 4:.1f}" text-anchor="end">{value:.3g}</text>' for value in (low, high)
        ]
        parts += [
            f'<text x="{x(place):.1f}" y="{HEIGHT - BELOW + 20}" text-anchor="middle">{n}</text>'
            for place, n in enumerate(self.shots)
        ]
        parts.append(f'<text x="{WIDTH / 2}" y="{HEIGHT - 8}" text-anchor="middle">examples in the prompt</text>')
        parts.append(f'<text x="{LEFT}" y="16">{visible(self.metric)}</text>')
        for number, name in enumerate(self.evaluations):
            parts += _drawn(name, self.points(name), COLOURS[number % len(COLOURS)], number, x, y)
        title = f"{self.task} by the number of examples"
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" '
            f'style="max-width: {WIDTH}px; width: 100%; font: 13px system-ui, sans-serif" fill="currentColor">'
            f"<title>{visible(title)}</title>{''.join(parts)}</svg>"
        )


def _drawn(name: str, points: Sequence[Metric], colour: str, number: int, x: Any, y: Any) -> list[str]:
    line = " ".join(f"{x(place):.1f},{y(one.value):.1f}" for place, one in enumerate(points))
    parts = [f'<polyline points="{line}" fill="none" stroke="{colour}" stroke-width="2"/>']
    for place, one in enumerate(points):
        if one.low is not None and one.high is not None:
            parts.append(
                f'<line x1="{x(place):.1f}" x2="{x(place):.1f}" y1="{y(one.low):.1f}" y2="{y(one.high):.1f}" '
                f'stroke="{colour}"/>'
            )
        parts.append(f'<circle cx="{x(place):.1f}" cy="{y(one.value):.1f}" r="4" fill="{colour}"/>')
    parts.append(
        f'<text x="{WIDTH - 10}" y="{16 + 16 * number}" text-anchor="end" fill="{colour}">{visible(name)}</text>'
    )
    return parts


def curve(
    models: Models,
    task: str | Task,
    shots: Iterable[int],
    data: str | os.PathLike[str] | None = None,
    *,
    folder: str | os.PathLike[str] | None = None,
    **settings: Any,
) -> Curve:
    """Evaluate models on a task with several numbers of examples in the prompt.

    Parameters
    ----------
    models : sequence of names, folders or LanguageModels; or dict of name -> LanguageModel
    task : str or Task
    shots : sequence of int
        At least one number, such as (0, 1, 10).
    data
        As for `evaluate`.
    folder : path, optional
        Where to save the rows, in a folder for each model and in it for each number of shots.
    **settings
        limit, seed and beams, as for `evaluate`.

    Returns
    -------
    Curve

    Raises
    ------
    TypeError, ValueError, FileNotFoundError
        As for `evaluate`.
    """
    numbers = tuple(sorted({integer("shots", one, at_least=0) for one in shots}))
    if not numbers:
        raise ValueError("there is no number of shots")
    lms = load_models(models)
    chosen = task if isinstance(task, Task) else task_named(task)
    found: dict[str, list[Evaluation]] = {name: [] for name in lms}
    folders = folder_names(lms)
    for name, lm in lms.items():
        for n in numbers:
            own = {**settings, "shots": n}
            place = None if folder is None else folder_for(path("folder", folder), folders[name], chosen, data, own)
            found[name].append(evaluate(lm, chosen, data, folder=place, **own))
    return Curve(chosen.name, numbers, {name: tuple(of_model) for name, of_model in found.items()})


def _cell(metric: Metric) -> str:
    interval = DASH if metric.low is None or metric.high is None else f"{metric.low:.2f} to {metric.high:.2f}"
    return f"{metric.value:.2f} ({interval})"
