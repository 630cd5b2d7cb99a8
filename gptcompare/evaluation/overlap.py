"""Did the model see the test? Overlaps between the items of a task and texts that a model may have learned from.

Brown et al. 2020 (GPT-3), section 4 and appendix C: an item is dirty if any N consecutive words of it stand in a text,
in this order, whatever their case and punctuation; N is the length that 5% of the items do not reach, at least 8 and at
most 13. The model is then scored on clean and dirty items apart: if it is no better at dirty ones, it does not matter
that it has seen them.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import regex

from ..checks import brief, path
from ..display.text_width import aligned
from ..files.texts import txt_files_in
from ..tokenizer import Tokenizer
from .metrics import Metric, as_in_json
from .result import Evaluation, counted
from .tasks.items import Item

SHORTEST, LONGEST, PERCENTILE = 8, 13, 5  # words, words, and the percentile of the items' lengths in words
PUNCTUATION = regex.compile(r"[\p{P}\p{S}]+")
SHOWN = 5  # overlaps that are shown


@dataclass(frozen=True)
class Overlap:
    """The first words of an item that stand in a text."""

    item: int
    words: str
    text: str


@dataclass(frozen=True, repr=False)
class Contamination:
    """How many items of a task stand in some texts, and how well the model does on those and on the others.

    Attributes
    ----------
    task : str
    n_words : int
        The number N of consecutive words that make an item dirty.
    n_items, n_dirty, n_short : int
        All items, or windows of a text; those that are dirty; and those of fewer than N words, which cannot be.
    n_texts, n_words_read : int
    metrics : dict of str -> list of Metric
        Over "all", "clean" and "dirty" items; empty where there are none.
    overlaps : list of Overlap
        One for each dirty item.
    """

    task: str
    n_words: int
    n_items: int
    n_dirty: int
    n_short: int
    n_texts: int
    n_words_read: int
    metrics: Mapping[str, list[Metric]]
    overlaps: list[Overlap]

    def to_dict(self) -> dict[str, Any]:
        """Return plain values that JSON can hold: a number that is infinite, as a perplexity can be, is None."""
        plain: dict[str, Any] = as_in_json(asdict(self))
        return plain

    def to_text(self) -> str:
        """Return a table and what it means."""
        rows = [("", *(f"{name} ({n:,})" for name, n in self._sizes().items()))]
        for place, metric in enumerate(self.metrics["all"]):
            cells = [_cell(of[place]) if (of := self.metrics[name]) else "–" for name in self._sizes()]
            rows.append((metric.name, *cells))
        said = (
            f"{self.n_dirty:,} of {self.n_items:,} items ({self.n_dirty / self.n_items:.1%}) have {self.n_words} words "
            f"in a row in common with {counted(self.n_texts, 'text')} ({self.n_words_read:,} words)."
        )
        if self.n_short:
            said += f" {self.n_short:,} items have fewer words than that, and count as clean."
        shown = [f"  item {one.item + 1}: {one.words!r} in {one.text}" for one in self.overlaps[:SHOWN]]
        return "\n".join([f"{self.task}: did the model see the test?", "", aligned(rows), "", said, *shown])

    __str__ = to_text

    def __repr__(self) -> str:
        return brief(
            self, f"{self.task}, {self.n_dirty} of {counted(self.n_items, 'item')} in {counted(self.n_texts, 'text')}"
        )

    def _sizes(self) -> dict[str, int]:
        return {"all": self.n_items, "clean": self.n_items - self.n_dirty, "dirty": self.n_dirty}


def words_of(text: str) -> list[str]:
    """Return the words of a text in lower case, without punctuation.

    >>> words_of('"Who\\'s there?" -- nobody.')
    ['whos', 'there', 'nobody']
    """
    return PUNCTUATION.sub("", text.lower()).split()


def length_of_overlap(lengths: Sequence[int]) -> int:
    """Return N for items of these lengths in words.

    >>> length_of_overlap([30] * 100), length_of_overlap([10] * 100), length_of_overlap([3] * 100)
    (13, 10, 8)
    """
    return int(min(max(np.percentile(lengths, PERCENTILE), SHORTEST), LONGEST))


def contamination(
    evaluation: Evaluation,
    texts: str | os.PathLike[str] | Iterable[str | os.PathLike[str]],
    tokenizer: Tokenizer,
) -> Contamination:
    """Find which items of an evaluation stand in some texts, and score clean and dirty ones apart.

    The items' runs of N words are held in memory, the texts are read a line at a time.

    Parameters
    ----------
    evaluation : Evaluation
        Of `evaluate`, with its items.
    texts : path, or several
        Files, or folders whose files `*.txt` are read, also those of their folders.
    tokenizer : Tokenizer
        The model's, which says what the windows of a text are.

    Raises
    ------
    FileNotFoundError, ValueError
        If there is no such text, a file is not UTF-8, or the evaluation was read from a folder, without its items.
    """
    if not evaluation.items:
        raise ValueError("an evaluation that was read from a folder has no items: evaluate again")
    items = [words_of(text) for text in _texts_of_units(evaluation, tokenizer)]
    n = length_of_overlap([len(words) for words in items])
    runs: dict[str, list[int]] = {}  # a run of n words -> the items that have it
    for number, words in enumerate(items):
        for run in {" ".join(words[at : at + n]) for at in range(len(words) - n + 1)}:
            runs.setdefault(run, []).append(number)
    files = text_files(texts)
    found: dict[int, Overlap] = {}
    n_read = 0
    for file in files:
        for n_new, run in _runs_in(file, n, runs):
            n_read += n_new
            for number in runs.get(run, ()):
                found.setdefault(number, Overlap(number, run, file.name))
    clean, dirty = [number for number in range(len(items)) if number not in found], sorted(found)
    metrics = {
        "all": list(evaluation.metrics),
        "clean": _metrics(evaluation, clean),
        "dirty": _metrics(evaluation, dirty),
    }
    n_short = sum(len(words) < n for words in items)
    overlaps = [found[number] for number in dirty]
    return Contamination(
        evaluation.task.name, n, len(items), len(found), n_short, len(files), n_read, metrics, overlaps
    )


def _metrics(evaluation: Evaluation, numbers: Sequence[int]) -> list[Metric]:
    """Return the metrics over the units with these numbers, if there are any."""
    return [units.chosen(numbers).metric(evaluation.settings.seed) for units in evaluation.units] if numbers else []


def _texts_of_units(evaluation: Evaluation, tokenizer: Tokenizer) -> list[str]:
    """Return the text of each unit of the metrics: a question and its answer, a window of a text, or one of several.

    The instruction and the examples before a question are not the item's own.
    """
    if isinstance(evaluation.items[0], Item):
        return [item.context[item.n_before :] + item.answer for item in evaluation.items]
    of_document: dict[int, list[list[int]]] = {}
    for one in evaluation.items:
        of_document.setdefault(one.document, []).append(list(one.predicted))
    if len(of_document) == 1:
        return [tokenizer.decode(ids) for ids in next(iter(of_document.values()))]
    return [tokenizer.decode(list(chain.from_iterable(parts))) for parts in of_document.values()]


def text_files(texts: str | os.PathLike[str] | Iterable[str | os.PathLike[str]]) -> list[Path]:
    """Return the files that are named, and those that end in .txt in the folders that are named.

    Raises
    ------
    FileNotFoundError
        If there is no such file or folder, or a folder has no such file.
    """
    given = [texts] if isinstance(texts, (str, os.PathLike)) else list(texts)
    files: list[Path] = []
    for one in [Path(path("texts", text)) for text in given]:
        inside = txt_files_in(one) if one.is_dir() else [one]
        if not inside:
            raise FileNotFoundError(f"{one} has no file that ends in .txt")
        if not one.exists():
            raise FileNotFoundError(f"there is no text {str(one)!r}")
        files += inside
    return files


def _runs_in(file: Path, n: int, wanted: Mapping[str, object]) -> Iterator[tuple[int, str]]:
    """Yield the number of words read and each run of n words that is wanted, "" for a line without one."""
    first_words = {run.partition(" ")[0] for run in wanted}
    before: list[str] = []
    with open(file, encoding="utf-8-sig") as lines:
        try:
            for line in lines:
                words = words_of(line)
                yield len(words), ""
                run = before + words
                for at in range(len(run) - n + 1):
                    if run[at] in first_words and (found := " ".join(run[at : at + n])) in wanted:
                        yield 0, found
                before = run[max(len(run) - n + 1, 0) :]
        except UnicodeDecodeError:
            raise ValueError(f"{file} is not UTF-8: convert it (iconv -f LATIN1 -t UTF-8)") from None


def _cell(metric: Metric) -> str:
    interval = "" if metric.low is None or metric.high is None else f" ({metric.low:.2f} to {metric.high:.2f})"
    return f"{metric.value:.2f}{interval}"
