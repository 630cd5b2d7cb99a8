"""The report's third chapter: the published results that models can be compared by."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

from ..checks import together
from ..presets import Result
from ..presets.record import (
    BITS_PER_BYTE,
    BITS_PER_CHARACTER,
    HARNESS_PERPLEXITY,
    LOSS,
    ONE_SHOT,
    PERPLEXITY,
    SHOTS,
    ZERO_SHOT,
)
from .blocks import Block, Drawing, Grid, Heading, Sources, merged
from .pictures.results import dots
from .structure import Model
from .table import NOT_PUBLISHED

LOWER_IS_BETTER = {PERPLEXITY, HARNESS_PERPLEXITY, LOSS, BITS_PER_BYTE, BITS_PER_CHARACTER}
MANY = 60  # if a model has more results than this, only the zero-shot ones are shown
Key: TypeAlias = tuple[str, str, str]  # task, metric, shots
Results: TypeAlias = "dict[str, dict[Key, Result]]"  # model -> its results


def performance(models: Sequence[Model], sources: Sources) -> list[Block]:
    results: Results = {
        model.name: {(result.task, result.metric, result.shots): result for result in model.published.results}
        for model in models
    }
    keys = [key for of_model in results.values() for key in of_model]
    shared = [key for key in dict.fromkeys(keys) if keys.count(key) > 1]
    if any(shots == ZERO_SHOT for *_, shots in shared):
        shared = [key for key in shared if key[2] != ONE_SHOT]
    unshared = {name: _selected(of_model) for name, of_model in results.items() if not of_model.keys() & set(shared)}
    n_shown = sum(key in of_model for of_model in results.values() for key in shared) + sum(map(len, unshared.values()))
    n_more = len(keys) - n_shown
    return [
        Heading(2, "3. Performance"),
        *_introduction(bool(shared), len(models)),
        *(
            block
            for shots in SHOTS
            for block in _beside(shots, [key for key in shared if key[2] == shots], results, sources)
        ),
        *(block for name, of_model in unshared.items() for block in _own(name, of_model, sources)),
        *([f"`gptcompare table {' '.join(results)} --json` has {n_more} results more."] if n_more else []),
    ]


def _introduction(shared: bool, n_models: int) -> list[Block]:
    if shared:
        return [
            "Published results of the same task, metric and number of examples in the context: none, one or a few. "
            "Where they were measured under different conditions, their difference is not the models' alone."
        ]
    return ["No two of these models share a published result; each one's own are below."] if n_models > 1 else []


def _selected(results: dict[Key, Result]) -> list[Result]:
    """Return all results or, if there are many, the zero-shot ones."""
    return [result for result in results.values() if len(results) <= MANY or result.shots == ZERO_SHOT]


def _beside(shots: str, keys: Sequence[Key], results: Results, sources: Sources) -> list[Block]:
    """Put the results of several models into a table."""
    rows = [["task", "metric", *results, "conditions"]]
    for key in keys:
        found = {name: of_model[key] for name, of_model in results.items() if key in of_model}
        cells = (_quoted(found[name], sources) if name in found else NOT_PUBLISHED for name in results)
        notes = merged((name, result.note) for name, result in found.items() if result.note)
        rows.append([key[0], _metric(key[1]), *cells, "; ".join(notes)])
    if not keys:
        return []
    better = _better(keys, *results.items()) if len(results) == 2 else []
    table = Grid(rows, range(2, 2 + len(results)))
    return [Heading(3, shots.capitalize()), *_drawn(shots, keys, results), table, *better]


def _drawn(shots: str, keys: Sequence[Key], results: Results) -> list[Block]:
    """Draw the values that are higher if they are better, which all are on a scale from 0 to 100."""
    rows = {
        f"{key[0]}, {key[1].removesuffix(', %')}": {
            name: of_model[key].value for name, of_model in results.items() if key in of_model
        }
        for key in keys
        if key[1] not in LOWER_IS_BETTER
    }
    if not rows:
        return []
    names = [name for name in results if any(name in values for values in rows.values())]
    command = f"`gptcompare compare --report --models {','.join(results)} --html report.html` draws them."
    return [Drawing(dots(f"{shots.capitalize()} results of {together(names)}", names, rows), command)]


def _better(
    keys: Sequence[Key], first: tuple[str, dict[Key, Result]], second: tuple[str, dict[Key, Result]]
) -> list[Block]:
    """Count how often each of two models has the better value."""
    signs = [-1 if metric in LOWER_IS_BETTER else 1 for _, metric, _ in keys]
    ahead = [sign * (first[1][key].value - second[1][key].value) for key, sign in zip(keys, signs, strict=True)]
    wins = ((first[0], sum(x > 0 for x in ahead)), (second[0], sum(x < 0 for x in ahead)))
    return ["The better value: " + ", ".join(f"{name} has {n} of {len(keys)}" for name, n in wins) + "."]


def _own(name: str, results: Sequence[Result], sources: Sources) -> list[Block]:
    """Put the results of a model that shares none into a table."""
    if not results:
        return [f"No result of {name} is in the presets."]
    rows = [[r.task, _metric(r.metric), r.shots, _quoted(r, sources), r.note] for r in results]
    return [Heading(3, name), Grid([["task", "metric", "shots", name, "conditions"], *rows], numbers=(3,))]


def _metric(metric: str) -> str:
    return f"{metric} (lower is better)" if metric in LOWER_IS_BETTER else metric


def _quoted(result: Result, sources: Sources) -> str:
    return f"{result.value:.10g} {sources.cite(result.source)}"
