"""The report's first chapter: how the configurations of models differ, and what follows from them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import fields, replace
from typing import Any, NamedTuple

from ..checkpoints.room import FLOAT32
from ..checks import together
from ..config import GPTConfig
from ..display.units import in_bytes, in_letters, scaled, three_digits
from ..patterns import PATTERNS, Pattern
from ..presets import Published
from .blocks import POSITIONS, Block, Drawing, Grid, Heading, Items, Picture, Sources, merged
from .pictures.architecture import architecture

# The label of a field of the configuration; the label of a field that is not listed is its name.
LABELS = {
    "n_layer": "layers",
    "n_head": "heads of a layer",
    "d_model": "width of the residual stream",
    "d_head": "width of a head",
    "d_mlp": "width inside the MLP",
    "n_ctx": "tokens in the context",
    "n_vocab": "tokens in the vocabulary",
    "attention": "attention of the layers, in turn",
    "band_width": "keys in a band",
    "stride": "stride of strided and fixed layers",
    "summary_width": "summary of a block in fixed layers",
    "summary_variants": "different summaries in fixed layers",
    "layer_norm_eps": "epsilon of the layer norms",
    "tied_embeddings": "output matrix is the token embedding",
}
FIELDS = {field.name: LABELS.get(field.name, field.name.replace("_", " ")) for field in fields(GPTConfig)}
CONSEQUENCES: dict[str, tuple[Callable[[GPTConfig], int], Callable[[int], str]]] = {
    "parameters": (lambda config: config.n_params, in_letters),
    "FLOPs a token, full context": (lambda config: config.flops_per_token(config.n_ctx), lambda n: scaled(n, " kMGT")),
    "key/value cache, full context, float32": (lambda config: config.kv_cache_bytes(config.n_ctx), in_bytes),
    "weights, float32": (lambda config: FLOAT32 * config.n_params, in_bytes),
}


class Model(NamedTuple):
    name: str
    config: GPTConfig
    published: Published


def differences(configs: Sequence[GPTConfig]) -> tuple[dict[str, list[str]], dict[str, str]]:
    """Return field -> values, for the fields that differ, and field -> value, for those with one value in all."""
    values = {field: [_in_words(config.to_dict()[field]) for config in configs] for field in FIELDS}
    differing = {field: cells for field, cells in values.items() if len(set(cells)) > 1}
    none = _in_words(None)
    return differing, {
        field: cells[0] for field, cells in values.items() if field not in differing and cells[0] != none
    }


def _in_words(value: object) -> str:
    if isinstance(value, list):
        return "/".join(value)
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "none" if value is None else str(value)


def structure(models: Sequence[Model], sources: Sources) -> list[Block]:
    configs = [model.config for model in models]
    differing, equal = differences(configs)
    header = ["", *(f"{model.name} {sources.cite(model.published.source)}" for model in models)]
    if len(models) == 1:
        differing, equal = {field: [cell] for field, cell in equal.items()}, {}
    rows = [[f"{FIELDS[field]} (`{field}`)", *cells] for field, cells in differing.items()]
    blocks: list[Block] = [Heading(2, "1. Structure"), Heading(3, "Configurations")]
    blocks += (
        [Grid([header, *rows], range(1, len(header)))]
        if rows
        else [f"{together(header[1:])} have the same configuration."]
    )
    if equal:
        blocks.append(
            "The same in all: " + "; ".join(f"{FIELDS[field]}: {cell}" for field, cell in equal.items()) + "."
        )
    consequences = _consequences(models, sources)
    drawing = architecture({model.name: model.config for model in models}).svg
    return [
        *blocks,
        Heading(3, "From text to the next token"),
        Drawing(drawing, f"`gptcompare table {' '.join(model.name for model in models)} --svg` draws them."),
        Heading(3, "What follows from them"),
        Grid(consequences, range(1, len(consequences[0]))),
        "FLOPs are those of the matrix products; a multiplication and an addition count as two.",
        *_saved_by_patterns(models),
        Heading(3, "Attention patterns"),
        f"A row is a query, a column a key. Drawn for {POSITIONS} positions, and reduced in proportion, but never to "
        "less than can be seen.",
        *pictures(models),
    ]


def _consequences(models: Sequence[Model], sources: Sources) -> list[list[str]]:
    """Return a row for each number; for two models, with the ratio of the second to the first."""
    names, configs = [model.name for model in models], [model.config for model in models]
    pair = len(models) == 2

    def row(label: str, numbers: Sequence[int], cells: Iterable[str]) -> list[str]:
        ratio = f"{three_digits(numbers[1] / numbers[0])} x" if pair and all(numbers) else ""
        return [label, *cells, *([ratio] if pair else [])]

    computed = {label: [number(config) for config in configs] for label, (number, _) in CONSEQUENCES.items()}
    parameters, *others = (row(label, n, map(CONSEQUENCES[label][1], n)) for label, n in computed.items())
    printed = [model.published.n_params_in_print for model in models]
    cited = (f"{in_letters(m.published.n_params_in_print)} {sources.cite(m.published.source)}" for m in models)
    return [
        ["", *names, *([f"{names[1]} / {names[0]}"] if pair else [])],
        parameters,
        row("as printed", printed, cited),
        *(
            row(f"in the {part}".replace("mlp", "MLP"), numbers, _shares(configs, part))
            for part in configs[0].n_params_by_part
            if any(numbers := [config.n_params_by_part[part] for config in configs])
        ),
        *others,
    ]


def _shares(configs: Sequence[GPTConfig], part: str) -> list[str]:
    """Return how many of its parameters each configuration has in a part."""
    numbers = [config.n_params_by_part[part] for config in configs]
    return [f"{in_letters(n)}, {n / config.n_params:.1%}" for n, config in zip(numbers, configs, strict=True)]


def _saved_by_patterns(models: Sequence[Model]) -> list[Block]:
    """Return what the patterns other than dense save."""
    sparse = [model for model in models if set(model.config.attention) != {"dense"}]
    return [Items(merged((model.name, _saved(model.config)) for model in sparse))] if sparse else []


def _saved(config: GPTConfig) -> str:
    no_sizes: dict[str, Any] = {field.name: None for kind in PATTERNS.values() for field in kind.parameters()}
    dense = replace(config, attention=("dense",), **no_sizes)
    flops, all_flops = (c.flops_per_token(c.n_ctx) for c in (config, dense))
    cache, all_cache = (c.kv_cache_bytes(c.n_ctx) for c in (config, dense))
    return (
        f"with dense layers alone, {scaled(all_flops, ' kMGT')} FLOPs a token and a cache of {in_bytes(all_cache)}; "
        f"the patterns save {1 - flops / all_flops:.1%} and {1 - cache / all_cache:.1%}."
    )


def pictures(models: Sequence[Model]) -> list[Picture]:
    """Return a picture of each pattern that looks different, with the layers that have it.

    The sizes of a pattern are scaled down by the same factor as the context is to `POSITIONS`.
    """
    where: dict[tuple[str, Pattern], list[str]] = {}
    for name, config, _ in models:
        kinds = [config.kind_of(layer) for layer in range(config.n_layer)]
        for kind in dict.fromkeys(kinds):
            pattern = config.pattern_of(kinds.index(kind))
            drawn = pattern.shrunk(POSITIONS / config.n_ctx)
            sizes = [
                f", `{field.name}` {getattr(pattern, field.name)} of {config.n_ctx} drawn as "
                f"{getattr(drawn, field.name)} of {POSITIONS}"
                for field in pattern.parameters()
                if getattr(pattern, field.name) != getattr(drawn, field.name)
            ]
            layers = f"{name}, {kinds.count(kind)} of {config.n_layer} layers{''.join(sizes)}"
            where.setdefault((kind, drawn), []).append(layers)
    return [
        Picture(pattern, f"{kind}: a query sees {pattern.in_words}. {'; '.join(layers)}.")
        for (kind, pattern), layers in where.items()
    ]
