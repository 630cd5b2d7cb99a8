"""A picture of a model, from text to the next token, drawn from its configuration alone, as SVG.

One block is drawn large. Beside it stands every layer as a bar, as long as the context and coloured where the last
token sees it. Several models stand beside each other on one scale.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from ...arrays import Mask
from ...checks import did_you_mean, instance, shown
from ...config import GPTConfig
from ...display.colours import COLOURS
from ...display.units import in_letters
from ...parameters import block_shapes
from ...patterns import PATTERNS, visible_keys
from ...presets import canonical_name, presets
from .drawing import (
    CHIP,
    Architecture,
    arrow,
    chips,
    line,
    pattern,
    picture,
    plus,
    rectangle,
    shortened,
    text,
    you_are_here,
)  # fmt: skip

POSITIONS = 32  # of a drawn pattern, to which the context is reduced in proportion
MOST_LAYERS = 100  # that are drawn; of a deeper model, the first
COLUMNS = 2  # models beside each other; further ones stand below

# In pixels: a model's part of the picture, and the room around it.
WIDTH, HEIGHT, GAP, MARGIN = 510, 766, 32, 24
STREAM, BOX, BOX_END = 24, 54, 366  # where the residual stream runs, and from where to where the boxes go
CENTRE = (BOX + BOX_END) / 2
PAD, DETAIL, NUMBER_ROOM, ONE_LINE = 12, 130, 56, 32
# Where each row begins, and how high it is.
ROWS = {
    "text": (54, CHIP),
    "token embedding": (100, 54),
    "positions": (166, 54),
    "ln_1": (274, ONE_LINE),
    "attn": (322, 156),
    "ln_2": (490, ONE_LINE),
    "mlp": (538, 54),
    "ln_f": (620, ONE_LINE),
    "output": (668, 54),
    "logits": (738, CHIP),
}
BLOCK = ("ln_1", "attn", "ln_2", "mlp")
BLOCK_TOP, BLOCK_END, BLOCK_SIDE = ROWS["ln_1"][0] - 34, sum(ROWS["mlp"]) + 12, 12  # of the box around a block
# From where to where a place goes that a reader can be at, and how much wider than a row it is.
PLACES = {name: (y, y + h, 0) for name, (y, h) in ROWS.items()} | {
    "block": (BLOCK_TOP, BLOCK_END, BLOCK_SIDE),
    "model": (ROWS["token embedding"][0], sum(ROWS["output"]), BLOCK_SIDE),
}
SIDE, BETWEEN = 2 * POSITIONS, 10  # of a drawn pattern
NUMBERS, BAR, BAR_LENGTH, STACK_HEIGHT, THICKEST = 394, 420, 90, 290, 15  # the layers
COLOUR_OF = {f".{kind}": f"fill: {COLOURS[n % len(COLOURS)]}" for n, kind in enumerate(PATTERNS)}


class Scale(NamedTuple):
    """What is drawn alike in all models of a picture: the height of a layer, and the length of a token."""

    layer: float  # pixels, with the gap to the next one
    token: float


class Part(NamedTuple):
    """A part of a model with parameters: a box of the picture."""

    name: str
    title: str
    detail: str
    shapes: str
    n_params: int  # in all layers together


def architecture(config: Any, beside: Any = None, *, here: str | None = None) -> Architecture:
    """Draw a model from text to the next token, or several beside each other.

    Every shape, number of parameters and attention pattern is the configuration's. A bar is a layer, as long as the
    context, and coloured where the last token sees it. Patterns are reduced to 32 positions, in proportion, but never
    to less than can be seen. Of more than 100 layers, the first hundred are drawn.

    Parameters
    ----------
    config : str, GPTConfig, or what has one as its `config`
        A name that `gptcompare.presets` lists, a configuration, or a `GPT` or `LanguageModel`; a configuration that is
        a preset's gets its name. Or a dict of name -> any of these.
    beside : the same, or a list, optional
        Further models. Two stand beside each other, further ones below them.
    here : str, optional
        A place that is marked "you are here", as on a map: "text", "token embedding", "positions", "ln_1", "attn",
        "ln_2", "mlp", "ln_f", "output", "logits"; or "block", for all of a layer, or "model", from ids to logits.

    Returns
    -------
    Architecture
        With `svg`, and `save(file)`; a notebook shows the picture itself.

    Raises
    ------
    TypeError
        If something else is given.
    ValueError
        If a name or a place is unknown, or nothing is given.
    """
    others = [] if beside is None else beside if isinstance(beside, (list, tuple)) else [beside]
    models = [model for given in (config, *others) for model in _named(given)]
    if not models:
        raise ValueError("there is no model to draw: the dict is empty")
    if here is not None and instance("here", here, str) not in PLACES:
        raise ValueError(f"no place is {shown(here)}: {did_you_mean(here, PLACES)}they are {', '.join(PLACES)}")
    return Architecture(tuple(name for name, _ in models), _svg(models, here))


def _named(given: Any) -> list[tuple[str, GPTConfig]]:
    """Return what was given as configurations with names."""
    if isinstance(given, Mapping):
        return [(str(name), found) for name, one in given.items() for _, found in _named(one)]
    if isinstance(given, str):
        return [(canonical_name(given), GPTConfig.preset(given))]
    config = given if isinstance(given, GPTConfig) else getattr(given, "config", None)
    if not isinstance(config, GPTConfig):
        raise TypeError(f"a model is a preset's name, a GPTConfig, or has one as its config, got {shown(given)}")
    return [(next((name for name in presets() if GPTConfig.preset(name) == config), "a model"), config)]


def _svg(models: Sequence[tuple[str, GPTConfig]], here: str | None) -> str:
    deepest = max(min(config.n_layer, MOST_LAYERS) for _, config in models)
    longest = max(config.n_ctx for _, config in models)
    scale = Scale(min(THICKEST, STACK_HEIGHT / deepest), BAR_LENGTH / longest)
    n_columns = min(len(models), COLUMNS)
    n_rows = -(-len(models) // n_columns)
    drawn = []
    for number, (name, config) in enumerate(models):
        row, column = divmod(number, n_columns)
        x, y = MARGIN + column * (WIDTH + GAP), MARGIN + row * (HEIGHT + GAP)
        drawn += [f'<g class="model" transform="translate({x} {y})">', *_model(name, config, scale, here), "</g>"]
    return picture(
        2 * MARGIN + n_columns * WIDTH + (n_columns - 1) * GAP,
        2 * MARGIN + n_rows * HEIGHT + (n_rows - 1) * GAP,
        f"Architecture of {' and '.join(name for name, _ in models)}",
        " ".join(f"{name}: {_in_words(config)}" for name, config in models),
        drawn,
        COLOUR_OF,
    )


def _in_words(config: GPTConfig) -> str:
    """Say what the picture shows."""
    kinds = _layers_of(config)
    layers = ", ".join(f"{len(layers)} {kind}" for kind, layers in kinds.items())
    return (
        f"text, ids, token embedding of {config.n_vocab:,} tokens, position embedding of {config.n_ctx:,} positions, "
        f"residual stream of width {config.d_model:,}, {config.n_layer:,} blocks ({layers}) of layer norm, attention "
        f"with {config.n_head:,} heads of {config.d_head:,}, layer norm and MLP of width {config.d_mlp:,} with "
        f"{config.activation}, final layer norm, {'tied' if config.tied_embeddings else 'untied'} unembedding, logits, "
        f"next token; {config.n_params:,} parameters."
    )


def _layers_of(config: GPTConfig) -> dict[str, list[int]]:
    """Return kind of attention -> the layers that have it."""
    kinds: dict[str, list[int]] = {}
    for layer in range(config.n_layer):
        kinds.setdefault(config.kind_of(layer), []).append(layer)
    return kinds


def parts(config: GPTConfig) -> list[Part]:
    """Return the parts of a model in their order, whose parameters are all that it has."""
    of_block = dict.fromkeys(BLOCK, 0)
    for name, shape in block_shapes(config).items():
        of_block[name.partition(".")[0]] += math.prod(shape)
    by_part, L = config.n_params_by_part, config.n_layer
    D, A, M, V = (f"{n:,}" for n in (config.d_model, config.d_attention, config.d_mlp, config.n_vocab))
    epsilon = f"ε = {config.layer_norm_eps:g}"
    norms = {name: L * of_block[name] for name in ("ln_1", "ln_2")}
    output = "the token embedding, transposed" if config.tied_embeddings else f"{D} × {V}"
    heads = f"{config.n_head:,} {'head' if config.n_head == 1 else 'heads'} of {config.d_head:,}"
    return [
        Part("token embedding", "token embedding", "", f"{V} × {D}", by_part["token embedding"]),
        Part("positions", "position embedding", "", f"{config.n_ctx:,} × {D}", by_part["positions"]),
        Part("ln_1", "layer norm", epsilon, "", norms["ln_1"]),
        Part("attn", "attention", heads, f"{D} → 3 × {A} → {D}", L * of_block["attn"]),
        Part("ln_2", "layer norm", epsilon, "", norms["ln_2"]),
        Part("mlp", "MLP", config.activation, f"{D} → {M} → {D}", L * of_block["mlp"]),
        Part("ln_f", "final layer norm", epsilon, "", by_part["layer norms"] - sum(norms.values())),
        Part("output", "unembedding", "", output, by_part["output"]),
    ]


def _model(name: str, config: GPTConfig, scale: Scale, here: str | None) -> list[str]:
    """Draw one model, from the upper left corner (0, 0)."""
    of_layer = sum(part.n_params for part in parts(config) if part.name in BLOCK) // config.n_layer
    top = BLOCK_TOP
    return [
        text(0, 17, shortened(name, "name", WIDTH), "name", WIDTH),
        text(0, 37, f"{config.n_params:,} parameters", "words", WIDTH),
        *chips(BOX, ROWS["text"][0], ("text", 64), (f"ids (T), T ≤ {config.n_ctx:,}", 224)),
        rectangle(BOX - BLOCK_SIDE, top, BOX_END - BOX + 2 * BLOCK_SIDE, BLOCK_END - top, "block", 8),
        text(BOX, top + 22, f"blocks: {config.n_layer}", "title", 100),
        text(BOX_END, top + 22, f"{in_letters(of_layer)} each; below, all together", "faint", 212, "end"),
        *(drawn for part in parts(config) for drawn in _box(part, config)),
        *_patterns(ROWS["attn"][0] + 46, config),
        *chips(BOX, ROWS["logits"][0], (f"logits (T, {config.n_vocab:,})", 188), ("next token", 100)),
        *_flow(),
        text(
            0, 0, f"residual stream (T, {config.d_model:,})", "faint", 300, "middle",
            f' transform="translate(9 {top + 200}) rotate(-90)"',
        ),
        *_layers(top, config, scale),
        *([] if here is None else _here(here)),
    ]  # fmt: skip


def _box(part: Part, config: GPTConfig) -> list[str]:
    """Draw a part with its parameters; a grey bar is its share of the model's."""
    (y, h), w, share = ROWS[part.name], BOX_END - BOX, part.n_params / config.n_params
    kind = "tied" if part.name == "output" and config.tied_embeddings else "box"
    drawn = [
        f'<g class="part" data-part="{part.name}" data-parameters="{part.n_params}">',
        f"<title>{part.title}: {part.n_params:,} parameters</title>",
        rectangle(BOX, y, w, h, kind, 6),
        text(BOX + PAD, y + 20, part.title, "title", DETAIL if part.detail else w - NUMBER_ROOM - 2 * PAD),
        text(BOX_END - PAD, y + 20, in_letters(part.n_params), "number", NUMBER_ROOM, "end"),
    ]
    if part.detail:
        drawn.append(text(BOX + PAD + DETAIL, y + 20, part.detail, "faint", w - DETAIL - NUMBER_ROOM - 2 * PAD - 4))
    if h > ONE_LINE:
        percent = "tied" if kind == "tied" else "< 0.1%" if share < 0.001 else f"{share:.1%}"
        drawn += [
            text(BOX + PAD, y + 37, part.shapes, "faint", w - NUMBER_ROOM - 2 * PAD),
            text(BOX_END - PAD, y + 37, percent, "faint", NUMBER_ROOM, "end"),
            rectangle(BOX + PAD, y + h - 8, w - 2 * PAD, 3, "track"),
            rectangle(BOX + PAD, y + h - 8, round(share * (w - 2 * PAD), 2), 3, "share"),
        ]
    return [*drawn, "</g>"]


def _here(place: str) -> list[str]:
    """Mark a place."""
    top, end, wider = PLACES[place]
    return you_are_here(BOX - wider, top, BOX_END - BOX + 2 * wider, end - top)


def _flow() -> list[str]:
    """Draw the way from box to box, and the residual stream, which every layer reads and adds to."""
    middle = {name: y + h / 2 for name, (y, h) in ROWS.items()}
    end = {name: y + h for name, (y, h) in ROWS.items()}
    start, into_first = middle["token embedding"], BOX + 64 + 24 + 112
    return [
        arrow((into_first, end["text"]), (into_first, ROWS["token embedding"][0])),
        line((BOX, start), (STREAM, start), (STREAM, middle["ln_f"]), kind="stream"),
        arrow((STREAM, middle["ln_f"]), (BOX, middle["ln_f"])),
        *(arrow((STREAM, middle[name]), (BOX, middle[name])) for name in ("ln_1", "ln_2")),
        *(arrow((BOX, middle[name]), (STREAM + 8, middle[name])) for name in ("positions", "attn", "mlp")),
        *(plus(STREAM, middle[name]) for name in ("positions", "attn", "mlp")),
        *(
            arrow((x, end[above]), (x, ROWS[below][0]))
            for above, below, x in (
                ("ln_1", "attn", CENTRE), ("ln_2", "mlp", CENTRE), ("ln_f", "output", CENTRE),
                ("output", "logits", BOX + 94),
            )
        ),
    ]  # fmt: skip


def _seen(config: GPTConfig, layer: int) -> Mask:
    """Return which of `POSITIONS` positions see which, with the layer's pattern reduced to them."""
    return visible_keys(POSITIONS, POSITIONS, config.pattern_of(layer).shrunk(POSITIONS / config.n_ctx))


def _patterns(y: float, config: GPTConfig) -> list[str]:
    """Draw the pattern of each kind of layer."""
    kinds, drawn = _layers_of(config), []
    room = BOX_END - BOX - 2 * PAD
    side = min(SIDE, (room + BETWEEN) / len(kinds) - BETWEEN)
    x = float(BOX + PAD)
    for kind, layers in kinds.items():
        sizes = {name.rpartition("_")[2]: f"{size:,}" for name, size in vars(config.pattern_of(layers[0])).items()}
        words = [f"{name} {size}" for name, size in sizes.items()]
        drawn += [
            f'<g class="pattern" data-kind="{kind}"><title>{", ".join([kind, *words])}</title>',
            pattern(x, y, side, side, _seen(config, layers[0]), kind),
            text(x, y + SIDE + 14, kind, "faint", side),
            text(x, y + SIDE + 27, words[0] if len(words) == 1 else ", ".join(sizes.values()), "faint", side),
            "</g>",
        ]
        x += side + BETWEEN
    if len(kinds) <= 2:
        for row, said in enumerate(("a row: a token,", "coloured: what", "it can look at")):
            drawn.append(text(x + 4, y + 11 + 15 * row, said, "faint", BOX_END - PAD - x - 4))
    return drawn


def _layers(top: float, config: GPTConfig, scale: Scale) -> list[str]:
    """Draw every layer as a bar: its length is the context, and what is coloured is what the last token sees."""
    n_drawn, length = min(config.n_layer, MOST_LAYERS), max(config.n_ctx * scale.token, 1)
    y, thick = top + 34, scale.layer * 0.72
    words = f"{config.n_layer:,} {'layer' if config.n_layer == 1 else 'layers'}"
    # A cone that opens from the first bar to the block: what is in each layer.
    left, bottom = BOX_END + 12, sum(ROWS["mlp"]) + 4
    cone = f'<path class="cone" d="M{left} {top + 8}L{NUMBERS} {y - 2:g}V{y + thick + 2:g}L{left} {bottom}z"/>'
    drawn = [cone, text(NUMBERS, top + 22, words, "title", WIDTH - NUMBERS)]
    last_rows = {kind: _seen(config, layers[0])[-1:] for kind, layers in _layers_of(config).items()}
    for layer in range(n_drawn):
        kind = config.kind_of(layer)
        bar = pattern(BAR, y + layer * scale.layer, length, thick, last_rows[kind], kind)
        drawn.append(f'<g data-layer="{layer}" data-kind="{kind}">{bar}</g>')
    for layer in range(0, n_drawn, next(n for n in (1, 2, 4, 8) if n * scale.layer >= 14)):
        drawn.append(text(BAR - 6, y + layer * scale.layer + thick / 2 + 4, str(layer), "faint", 22, "end"))
    end = y + n_drawn * scale.layer
    if config.n_layer > n_drawn:
        drawn.append(text(BAR, end + 12, f"and {config.n_layer - n_drawn:,} more", "faint", BAR_LENGTH))
        end += 14
    return [*drawn, *_legend(end + 18, config, last_rows)]


def _legend(y: float, config: GPTConfig, last_rows: Mapping[str, Mask]) -> list[str]:
    """Say what the bars are, and how many layers there are of each kind."""
    drawn = []
    for row, (kind, layers) in enumerate(_layers_of(config).items()):
        drawn.append(pattern(NUMBERS, y - 8 + 16 * row, 26, 8, last_rows[kind], kind))
        drawn.append(text(NUMBERS + 34, y + 16 * row, f"{len(layers):,} {kind}", "faint", WIDTH - NUMBERS - 34))
    y += 16 * len(last_rows) + 8
    for row, words in enumerate(("coloured: what", "the last token", "can look at")):
        drawn.append(text(NUMBERS, y + 14 * row, words, "faint", WIDTH - NUMBERS))
    return drawn
