"""The items at which two or more models differ most, with each one's answer and how probable it was."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ...display.text_width import printable, wrap
from ..metrics import Rights
from ..result import Evaluation
from ..tasks.items import Item
from ..tasks.protocols import Choosing, LastWord, Row, Writing

LONGEST = 300  # characters of a context, from its end


@dataclass(frozen=True)
class Example:
    """One item, and what the models answered.

    Attributes
    ----------
    task : str
    number : int
        Of the item, from 0, in the order of the file; of the text, if the models read the texts in other windows.
    difference : float
        How far the models' measures of it are apart, in nats where there are any.
    context, right : str
        What was asked, and the right answer; empty if the items are not at hand.
    answers : dict of name -> str
        What each model answered, or what it did instead, with the probability.
    """

    task: str
    number: int
    difference: float
    context: str
    right: str
    answers: dict[str, str]


def examples(by_task: Sequence[Mapping[str, Evaluation]], n: int) -> list[Example]:
    """Return the n items at which the first model and another differ most, those that only one has right first."""
    found = []
    for of_task in by_task:
        evaluations = _of_same_items(of_task)
        several = list(evaluations.values())
        rights = [_rights(one) for one in several]
        for number in range(min(len(one.rows) for one in several)):
            is_apart = len({of_model[number] for of_model in rights}) > 1
            measures = [_measure(several[0], one.rows[number]) for one in several]
            difference = max(abs(one - measures[0]) for one in measures)
            found.append((is_apart, difference, evaluations, number))
    found.sort(key=lambda one: (one[0], one[1]), reverse=True)
    return [_example(evaluations, number, difference) for _, difference, evaluations, number in found[:n]]


def _of_same_items(evaluations: Mapping[str, Evaluation]) -> Mapping[str, Evaluation]:
    """Return the evaluations, with a row for each whole document if the models read them in other windows."""
    if len({evaluation.items_digest for evaluation in evaluations.values()}) == 1:
        return evaluations
    return {name: replace(one, rows=_of_documents(one.rows), items=[]) for name, one in evaluations.items()}


def _of_documents(rows: Sequence[Row]) -> list[Row]:
    """Return a row for each document: the sums over its windows."""
    found: dict[int, Row] = {}
    for row in rows:
        document = found.setdefault(row["document"], {**row, "logprob": 0.0, "n_tokens": 0, "n_bytes": 0})
        for name in ("logprob", "n_tokens", "n_bytes"):
            document[name] += row[name]
    return list(found.values())


def _rights(evaluation: Evaluation) -> Sequence[bool]:
    """Return which items are right by the first metric; where nothing is right or wrong, all are."""
    units = evaluation.units[0]
    return units.is_right if isinstance(units, Rights) else [True] * len(evaluation.rows)


def _measure(evaluation: Evaluation, row: Row) -> float:
    """Return the log-probability of what is right; for texts, of the whole window, per byte."""
    if isinstance(evaluation.protocol, Choosing):
        return math.log(max(float(_shares(row)[row["right"]]), 1e-300))
    if isinstance(evaluation.protocol, Writing):
        return 0.0
    logprob, n_bytes = float(row["logprob"]), int(row.get("n_bytes", 1))
    return logprob / max(n_bytes, 1)


def _shares(row: Row) -> Any:
    """Return the probability of each choice, if one of them must come."""
    logprobs = np.array(row["logprobs"])
    weights = np.exp(logprobs - logprobs.max())
    return weights / weights.sum()


def _example(evaluations: Mapping[str, Evaluation], number: int, difference: float) -> Example:
    first = next(iter(evaluations.values()))
    item = first.items[number] if first.items else None
    context, right = (item.context[-LONGEST:], item.answer.strip()) if isinstance(item, Item) else ("", "")
    answers = {name: _answer(evaluation, number, item) for name, evaluation in evaluations.items()}
    return Example(first.label, number, difference, context, right, answers)


def _answer(evaluation: Evaluation, number: int, item: Any) -> str:
    row = evaluation.rows[number]
    if isinstance(evaluation.protocol, Choosing):
        shares = _shares(row)
        chosen = int(shares.argmax())
        words = repr(item.pairs[chosen][1].strip()) if isinstance(item, Item) else f"choice {chosen + 1}"
        return f"{words} ({shares[chosen]:.1%}), the right one {shares[row['right']]:.1%}"
    if isinstance(evaluation.protocol, LastWord):
        came = "the right word" if row["is_greedy"] else "another word"
        return f"{came}; the right one had {math.exp(row['logprob']):.2%}"
    if isinstance(evaluation.protocol, Writing):
        return repr(row["answer"])
    return f"{-row['logprob'] / math.log(2) / max(row['n_bytes'], 1):.3f} bits per byte"


def shown(example: Example, n_cells: int) -> list[str]:
    """Return an example as lines of at most `n_cells` cells."""
    asked = f"{example.task}, item {example.number + 1}"
    lines = wrap(printable(f"{asked}: {example.context!r}" if example.context else asked), n_cells)
    if example.right:
        lines += wrap(printable(f"  right: {example.right!r}"), n_cells)
    for name, answer in example.answers.items():
        lines += wrap(printable(f"  {name}: {answer}"), n_cells)
    return lines
