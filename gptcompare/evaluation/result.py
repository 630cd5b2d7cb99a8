"""The result of an evaluation, beside the published results of other models, as text and as plain values."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from ..checks import brief
from ..display.text_width import aligned
from ..presets import Result, canonical_name, published
from ..presets.record import FEW_SHOT, ONE_SHOT, ZERO_SHOT
from .metrics import Metric, Units, as_in_json
from .tasks.protocols import Protocol, Row
from .tasks.task import Settings, Task

DASH = "–"
BESIDE = ("gpt2", "gpt3-small")  # shown beside a model that has no published results


@dataclass(frozen=True)
class Evaluation:
    """The result of a model on a task.

    Attributes
    ----------
    task : Task
    settings : Settings
    metrics : tuple of Metric
    rows : list of dict
        What was measured, such as log-probabilities, for each item in the order of the file, or for each window of the
        texts.
    model : dict
        The model's name, if it has one; the commit of its repository, if known; its configuration; and the SHA-256 of
        its parameters, configuration and vocabulary.
    data : list of dict
        The task's files, each with its SHA-256.
    library : dict
        The version of gptcompare, and the commit if it was run from a repository.
    protocol : Protocol
        How the items were scored.
    items : list
        The items as the model read them; empty for an evaluation that was read from a folder.
    items_digest : str
        The SHA-256 of the items and of how they were scored: the same for models that were asked the same.
    """

    task: Task
    settings: Settings
    metrics: tuple[Metric, ...]
    rows: list[Row]
    model: dict[str, Any]
    data: list[dict[str, str]]
    library: dict[str, Any]
    protocol: Protocol
    items: list[Any] = field(repr=False)
    items_digest: str

    def __repr__(self) -> str:
        measured = [f"{metric.name} {_number(metric.value)}" for metric in self.metrics]
        return brief(self, f"{self.task.name} of {self.model['name'] or 'a model'}: {', '.join(measured)}")

    def __getitem__(self, metric: str) -> Metric:
        """Return the metric of this name."""
        for one in self.metrics:
            if one.name == metric:
                return one
        raise KeyError(f"{metric!r}: there are {', '.join(one.name for one in self.metrics)}")

    @property
    def label(self) -> str:
        """The task, with the settings that make it another one: shots, and how many items there are at most."""
        chosen = [f"{self.settings.shots} shots"] if self.settings.shots else []
        chosen += [f"first {self.settings.limit}"] if self.settings.limit else []
        return f"{self.task.name} ({', '.join(chosen)})" if chosen else self.task.name

    @property
    def units(self) -> list[Units]:
        """What each metric aggregates: numbers of each item, document or window."""
        return self.protocol.units(self.rows)

    @property
    def kind_of_shots(self) -> str:
        """ "zero-shot", "one-shot" or "few-shot"."""
        n = self.settings.shots or 0
        return (ZERO_SHOT, ONE_SHOT)[n] if n < 2 else FEW_SHOT

    @property
    def n_cut(self) -> int:
        """The number of items that were longer than the model's context, so that their beginning was not read."""
        return sum(row.get("n_cut", 0) > 0 for row in self.rows)

    @property
    def is_of_published_file(self) -> bool | None:
        """True if the items are from the published file, by its digest; None if that is unknown.

        It is unknown for files that were published in an archive or compressed.
        """
        data = self.task.data
        if data is None or data.members or data.published.file.endswith(".gz"):
            return None
        return [file["sha256"] for file in self.data] == [data.published.digest.removeprefix("sha256:")]

    def published(self, names: Sequence[str] | None = None) -> list[tuple[str, Result]]:
        """Return the published results on the task.

        Parameters
        ----------
        names : sequence of str, optional
            Models of `gptcompare.presets()`. By default the model itself, or two others if it has no published results.

        Returns
        -------
        list of (name, Result)
            The results that were scored in the same way come first.

        Raises
        ------
        ValueError
            If a model is unknown.
        """
        found = [
            (name, result)
            for name in (self._beside() if names is None else map(canonical_name, names))
            for result in published(name).results
            if result.task == self.task.title
        ]
        return sorted(found, key=lambda pair: not self._is_comparable(pair[1]))

    def to_dict(self, names: Sequence[str] | None = None) -> dict[str, Any]:
        """Return plain values that JSON can hold, without the rows; `names` are as in `published`.

        A number that is infinite, as a perplexity can be, is None.
        """
        return {
            "task": self.task.name,
            "source": self.task.source,
            "settings": asdict(self.settings),
            "model": self.model,
            "data": self.data,
            "is_of_published_file": self.is_of_published_file,
            "gptcompare": self.library,
            "protocol": self.protocol.described(),
            "n_rows": len(self.rows),
            "n_cut": self.n_cut,
            "metrics": [as_in_json(asdict(metric)) for metric in self.metrics],
            "published": [{"model": name, **asdict(result)} for name, result in self.published(names)],
        }

    def to_text(self, names: Sequence[str] | None = None) -> str:
        """Return a table for a terminal: what was measured, beside the published results of the models `names`."""
        there = self.published(names)
        models = list(dict.fromkeys(name for name, result in there if self._is_comparable(result)))
        rows = [("", "measured", "95% interval", *models)]
        for metric in self.metrics:
            cells = [self._cell(metric.name, name, there) for name in models]
            rows.append((metric.name, _number(metric.value), _interval(metric), *cells))
        return "\n".join([self._title(), "", aligned(rows), *self._sources(there)])

    __str__ = to_text

    def _beside(self) -> tuple[str, ...]:
        try:
            own = canonical_name(self.model["name"])
        except (TypeError, ValueError):
            return BESIDE
        has_some = any(result.task == self.task.title for result in published(own).results)
        return (own,) if has_some else BESIDE

    def _is_comparable(self, result: Result) -> bool:
        return self._is_of_same_shots(result) and any(result.metric == metric.name for metric in self.metrics)

    def _is_of_same_shots(self, result: Result) -> bool:
        return result.shots == self.kind_of_shots and result.shots in self.task.published_as

    def _cell(self, metric: str, name: str, there: Sequence[tuple[str, Result]]) -> str:
        return next(
            (
                f"{result.value:g}"
                for model, result in there
                if (model, result.metric) == (name, metric) and self._is_of_same_shots(result)
            ),
            DASH,
        )

    def _title(self) -> str:
        parts = [f"{self.task.name} of {self.model['name'] or 'a model'}"]
        if self.settings.stride is None:
            kind = self.kind_of_shots
            parts.append(kind + (f" ({self.settings.shots})" if kind == FEW_SHOT else ""))
            parts.append(counted(len(self.rows), "item"))
        else:
            parts.append(f"stride {self.settings.stride}, {counted(len(self.rows), 'window')}")
        if self.n_cut:
            parts.append(f"{self.n_cut:,} of them longer than the context and cut at their beginning")
        return ", ".join(parts)

    def _sources(self, there: Sequence[tuple[str, Result]]) -> list[str]:
        """Return a line for each number published with the same number of shots, even if scored in another way."""
        lines = [
            f"  {name}: {result.metric} {result.value:g} ({'; '.join(filter(None, [result.source, result.note]))})"
            for name, result in there
            if self._is_of_same_shots(result)
        ]
        of_another = ", of another file than this one" if self.is_of_published_file is False else ""
        return ["", f"published, {self.kind_of_shots}{of_another}:", *lines] if lines else []


def counted(n: int, what: str) -> str:
    """Return a number of things in words.

    >>> counted(1, "text"), counted(2000, "text")
    ('1 text', '2,000 texts')
    """
    return f"{n:,} {what}" + ("" if n == 1 else "s")


def _interval(metric: Metric) -> str:
    if metric.low is None or metric.high is None:
        return DASH
    return f"{_number(metric.low)} to {_number(metric.high)}"


def _number(value: float) -> str:
    return f"{value:.2f}" if value < 1000 else f"{value:.4g}"
