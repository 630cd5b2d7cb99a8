"""The published models side by side: the numbers in their tables, and what follows from them.

What is computed here (parameters, operations, bytes) comes from the configuration; what is quoted (training, results)
comes from `presets`, with its source.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from ..checkpoints.room import FLOAT32, IN_16_BITS
from ..checks import brief, together
from ..config import GPTConfig
from ..display.units import in_bytes, in_letters, scaled, three_digits
from ..presets import Published, canonical_name, presets, published
from ..presets.record import ZERO_SHOT

NOT_PUBLISHED = "–"
INDENT = re.compile(r"^ +")  # of what belongs to the label above; Markdown drops spaces at the beginning of a cell
PETAFLOP_S_DAY = 1e15 * 24 * 60 * 60  # operations


def count(n: float | None) -> str:
    """Write a count in three digits, or a dash if it is not published.

    >>> count(124_439_808)
    '124M'
    """
    return NOT_PUBLISHED if n is None else in_letters(n)


def number(value: float | None) -> str:
    """Write a number as it is published, or a dash if it is not.

    >>> number(0.00025)
    '0.00025'
    """
    return NOT_PUBLISHED if value is None else f"{value:g}"


def _compute(config: GPTConfig, model: Published) -> str:
    """Write the petaflop/s-days of training, at six operations per parameter and token."""
    tokens = model.training.tokens
    return NOT_PUBLISHED if tokens is None else three_digits(config.training_flops(tokens) / PETAFLOP_S_DAY)


def _embeddings(config: GPTConfig) -> int:
    parts = config.n_params_by_part
    return parts["token embedding"] + parts["positions"] + parts["output"]


# Label -> the cell of a model.
CELLS: dict[str, Callable[[GPTConfig, Published], str]] = {
    "layers": lambda config, _: str(config.n_layer),
    "width": lambda config, _: str(config.d_model),
    "heads x width": lambda config, _: f"{config.n_head} x {config.d_head}",
    "context, tokens": lambda config, _: str(config.n_ctx),
    "vocabulary": lambda config, _: str(config.n_vocab),
    "attention, in turn": lambda config, _: "/".join(config.attention),
    "band, keys": lambda config, _: str(config.band_width or ""),
    "activation": lambda config, _: config.activation,
    "parameters": lambda config, _: count(config.n_params),
    "  embeddings": lambda config, _: count(_embeddings(config)),
    "  attention": lambda config, _: count(config.n_params_by_part["attention"]),
    "  MLP": lambda config, _: count(config.n_params_by_part["mlp"]),
    "FLOPs a token, full context": lambda config, _: scaled(config.flops_per_token(config.n_ctx), " kMGT"),
    "weights, float32": lambda config, _: in_bytes(FLOAT32 * config.n_params),
    "  kept in 16 bits": lambda config, _: in_bytes(IN_16_BITS * config.n_params),
    "key/value cache, full context": lambda config, _: in_bytes(config.kv_cache_bytes(config.n_ctx)),
    "training tokens": lambda _, model: count(model.training.tokens),
    "batch, tokens": lambda _, model: count(model.training.batch_tokens),
    "learning rate": lambda _, model: number(model.training.learning_rate),
    "training, petaflop/s-days": _compute,
    "  as published": lambda _, model: number(model.training.petaflop_s_days),
}


@dataclass(frozen=True)
class Table:
    """A table of published models, side by side in the order of their names.

    Attributes
    ----------
    names : tuple of str
        As `gptcompare.presets()` has them.
    """

    names: tuple[str, ...]

    def __repr__(self) -> str:
        return brief(self, f"{together(self.names[:3])}, the first of {len(self.names)}" if self.names[3:]
                     else together(self.names))  # fmt: skip

    def __str__(self) -> str:
        return self.to_text()

    def to_dict(self) -> dict[str, dict[str, Any]]:
        """Return name -> everything about the model, as plain values that JSON can hold; bytes are for float32.

        "weights_bytes_kept" alone is for weights that are kept in 16 bits (`gptcompare.load`).
        """
        return {name: _facts(GPTConfig.preset(name), published(name)) for name in self.names}

    def to_text(self, width: int = 100) -> str:
        """Return columns for a terminal of `width` characters; models that do not fit follow below."""
        rows = self._rows()
        n_label = max(len(row[0]) for row in rows)
        n_cell = [max(len(row[n + 1]) for row in rows) for n in range(len(self.names))]

        def line(row: list[str], columns: list[int]) -> str:
            return (f"{row[0]:<{n_label}}" + "".join(f"  {row[n + 1]:>{n_cell[n]}}" for n in columns)).rstrip()

        fitting = _columns_that_fit(n_cell, width - n_label)
        blocks = ["\n".join(line(row, columns) for row in rows) for columns in fitting]
        notes = [textwrap.fill(note, width, subsequent_indent="  ", break_long_words=False) for note in self._notes()]
        return "\n\n".join([*blocks, "\n".join(notes)])

    def to_markdown(self) -> str:
        """Return a Markdown table, with a list of notes and sources."""
        header, *rows = ([INDENT.sub("&emsp;", label), *cells] for label, *cells in self._rows())
        lines = [header, ["---", *["---:"] * len(self.names)], *rows]
        table = "\n".join("| " + " | ".join(line) + " |" for line in lines)
        return table + "\n\n" + "\n".join(f"- {note}" for note in [*self._notes(), *self._sources()])

    _repr_markdown_ = to_markdown  # how a notebook shows it

    def _rows(self) -> list[list[str]]:
        """Return the header, then rows of a label and a cell for each model."""
        models = [(GPTConfig.preset(name), published(name)) for name in self.names]
        rows = [[label, *(cell(*model) for model in models)] for label, cell in CELLS.items()]
        results = [(model.family, _zero_shot(model)) for _, model in models]
        rows += [
            [task, *(of_model.get(task, NOT_PUBLISHED) for _, of_model in results)] for task in _shared_tasks(results)
        ]
        return [["", *self.names], *(row for row in rows if set(row[1:]) != {NOT_PUBLISHED})]

    def _notes(self) -> list[str]:
        """Return what does not fit into a cell, with the models that it is about, and finally what is left out."""
        models = {name: published(name) for name in self.names}
        family: dict[str, list[str]] = {}
        about: dict[str, list[str]] = {}
        for name, model in models.items():
            family.setdefault(model.family, []).append(name)
            for text in (*_data(model), *model.notes):
                about.setdefault(text, []).append(name)
        whole = {tuple(names): title for title, names in family.items() if len(names) > 1}
        notes = [f"{whole.get(tuple(names), ', '.join(names))}: {text}" for text, names in about.items()]
        return [
            *notes,
            f"{NOT_PUBLISHED}: not published. Results are zero-shot, of the tasks that several families here have.",
        ]

    def _sources(self) -> list[str]:
        """Return the sources of the quoted numbers, each once."""
        models = [published(name) for name in self.names]
        return [*dict.fromkeys(source for m in models for source in (m.source, m.training.source))]


def table(names: Iterable[str] | None = None) -> Table:
    """Put published models side by side.

    Parameters
    ----------
    names : iterable of str, optional
        As `gptcompare.presets()` has them, or aliases; by default GPT-2's four sizes and GPT-3's eight, the smallest
        first.

    Returns
    -------
    Table

    Raises
    ------
    TypeError
        If a single string is given.
    ValueError
        If no name is given, or one is unknown; the message gives the nearest names.
    """
    if names is None:
        both = [name for name in presets() if published(name).family in ("GPT-2", "GPT-3")]
        return Table(tuple(sorted(both, key=lambda name: GPTConfig.preset(name).n_params)))
    if isinstance(names, str) or not isinstance(names, Iterable):
        raise TypeError(f"names must be a list of names, got {names!r}")
    chosen = tuple(dict.fromkeys(canonical_name(name) for name in names))
    if not chosen:
        raise ValueError("give at least one name")
    return Table(chosen)


def _data(model: Published) -> list[str]:
    """Return the training mix in words; nothing if it is not published."""
    data = model.training.data
    shares = [source.name + (f" {source.weight:.0%}" if source.weight and len(data) > 1 else "") for source in data]
    return [f"trained on {', '.join(shares)}."] if shares else []


def _zero_shot(model: Published) -> dict[str, str]:
    """Return task and metric -> value, for the zero-shot results."""
    return {
        f"{result.task}, {result.metric}": f"{round(result.value, 2):g}"
        for result in model.results
        if result.shots == ZERO_SHOT
    }


def _shared_tasks(results: Sequence[tuple[str, dict[str, str]]]) -> list[str]:
    """Return the tasks that at least two families among the models (family, results) have; for one family, all."""
    families: dict[str, set[str]] = {}
    for family, of_model in results:
        for task in of_model:
            families.setdefault(task, set()).add(family)
    wanted = min(2, len({family for family, _ in results}))
    return [task for task, tried in families.items() if len(tried) >= wanted]


def _facts(config: GPTConfig, model: Published) -> dict[str, Any]:
    """Return everything about one model as plain values."""
    tokens = model.training.tokens
    return {
        **asdict(model),
        "hyperparameters": config.to_dict(),
        "n_params": config.n_params,
        "n_params_by_part": config.n_params_by_part,
        "flops_per_token": config.flops_per_token(config.n_ctx),
        "weights_bytes": FLOAT32 * config.n_params,
        "weights_bytes_kept": IN_16_BITS * config.n_params,
        "kv_cache_bytes": config.kv_cache_bytes(config.n_ctx),
        "training_flops": None if tokens is None else config.training_flops(tokens),
    }


def _columns_that_fit(widths: Sequence[int], room: int) -> list[list[int]]:
    """Split the column numbers into blocks that fit into the room, of at least one column each."""
    blocks: list[list[int]] = [[]]
    used = 0
    for column, width in enumerate(widths):
        used += 2 + width
        if blocks[-1] and used > room:
            blocks.append([])
            used = 2 + width
        blocks[-1].append(column)
    return blocks
