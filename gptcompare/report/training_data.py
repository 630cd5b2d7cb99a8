"""The report's second chapter: the training data and the training, as far as they are published."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ..config import GPTConfig
from ..display.units import three_digits
from ..presets import DataSource, Published
from .blocks import Block, Grid, Heading, Items, Sources, merged
from .structure import Model
from .table import CELLS, NOT_PUBLISHED, count, number


def _betas(model: Published) -> str:
    betas = model.training.adam_betas
    return NOT_PUBLISHED if betas is None else ", ".join(f"{beta:g}" for beta in betas)


def _tokens_per_parameter(config: GPTConfig, model: Published) -> str:
    tokens = model.training.tokens
    return NOT_PUBLISHED if tokens is None else three_digits(tokens / config.n_params)


TRAINING: dict[str, Callable[[GPTConfig, Published], str]] = {
    "tokens seen": CELLS["training tokens"],
    "tokens seen for each parameter": _tokens_per_parameter,
    "batch, tokens": CELLS["batch, tokens"],
    "learning rate, the largest": CELLS["learning rate"],
    "learning rate, the last as a fraction of it": lambda _, model: number(model.training.final_learning_rate),
    "warm-up, tokens": lambda _, model: count(model.training.warmup_tokens),
    "until the last learning rate, tokens": lambda _, model: count(model.training.decay_tokens),
    "Adam's betas": lambda _, model: _betas(model),
    "Adam's epsilon": lambda _, model: number(model.training.adam_eps),
    "weight decay": lambda _, model: number(model.training.weight_decay),
    "gradient clipped to the norm": lambda _, model: number(model.training.gradient_clip),
    "compute, FLOPs": lambda _, model: number(model.training.flops),
    "compute, petaflop/s-days": CELLS["  as published"],
    "petaflop/s-days by 6 FLOPs for each parameter and token": CELLS["training, petaflop/s-days"],
}
COMPUTED = {"tokens seen for each parameter", "petaflop/s-days by 6 FLOPs for each parameter and token"}


def training_data(models: Sequence[Model], sources: Sources) -> list[Block]:
    header = ["", *(f"{model.name} {sources.cite(model.published.training.source)}" for model in models)]
    rows = [[label, *(cell(config, model) for _, config, model in models)] for label, cell in TRAINING.items()]
    said = [row for row in rows if set(row[1:]) != {NOT_PUBLISHED}]
    unsaid = [row[0] for row in rows if row not in said and row[0] not in COMPUTED]
    notes = merged((model.name, note) for model in models if (note := model.published.training.note))
    return [
        Heading(2, "2. Training data"),
        Heading(3, "Mixes"),
        Grid(_mixes(models, sources), numbers=(2, 3)),
        Heading(3, "Training"),
        *([Grid([header, *said], range(1, len(header)))] if said else []),
        *([f"The sources do not say: {', '.join(unsaid)}."] if unsaid else []),
        *([Items(notes)] if notes else []),
    ]


def _mixes(models: Sequence[Model], sources: Sources) -> list[list[str]]:
    """Return a row for each data set of each mix; a mix that several models share is listed once."""
    of_mix: dict[tuple[DataSource, ...], list[str]] = {}
    for name, _, model in models:
        of_mix.setdefault(model.training.data, []).append(f"{name} {sources.cite(model.training.source)}")
    return [["models", "data set", "share of what is drawn", "size, tokens", "notes"]] + [
        [
            ", ".join(names),
            data.name,
            NOT_PUBLISHED if data.weight is None else f"{data.weight:.0%}",
            count(data.tokens),
            data.note,
        ]
        for mix, names in of_mix.items()
        for data in mix or [DataSource(name=NOT_PUBLISHED, note="the presets have no mix from this source")]
    ]
