"""`gptcompare generate` and `score`: continue a prompt, and say how probable a text is; the options of generation."""

from __future__ import annotations

import argparse
import dataclasses
import json
import math
import sys
import time
from collections.abc import Sequence
from typing import Any

from ..display.messages import show
from ..display.shades import RESET, Shading, colour_wanted, painted, printable_shades, shade_of
from ..display.text_width import printable, width
from ..display.tokens import ON_SCREEN, listed, shown_token
from ..generation import GenerationOptions, LanguageModel, load
from ..generation.scoring import Alternatives
from ..generation.speculation import REPETITIONS
from .options import (
    DASH_HELP,
    add_allow_special,
    add_alternatives,
    add_colour,
    add_model,
    add_mpi,
    allowed_special,
    hint_at_last_space,
    on_own_cores,
    text_of,
)

GREEDY = GenerationOptions()


def add_generate(parser: argparse.ArgumentParser) -> None:
    parser.description = "Continue a prompt with the text that a model writes."
    parser.add_argument("prompt", metavar="PROMPT", help=f"the text to continue; {DASH_HELP}")
    add_model(parser, "which needs no network")
    add_allow_special(parser)
    take_generation_options(parser)
    parser.add_argument(
        "--draft", metavar="FOLDER_OR_NAME",
        help=f"a smaller model with the same vocabulary, or {REPETITIONS!r}: guesses the next tokens, which is "
        "faster where the guesses are good, and changes no token",
    )  # fmt: skip
    add_alternatives(parser, 0)
    add_colour(parser, "colour each token by its surprise")
    parser.add_argument(
        "--json", action="store_true", help="print text, ids, log-probabilities and finish reason as JSON"
    )
    add_mpi(parser, "share the model")
    parser.set_defaults(run=on_own_cores(_generate))


def _generate(options: argparse.Namespace) -> None:
    prompt = text_of(options.prompt)
    lm = load_model(options)
    draft = options.draft if options.draft in (None, REPETITIONS) else load(options.draft, source=options.source)
    start = time.perf_counter()
    allowed = allowed_special(options, [lm.tokenizer], prompt)
    chosen = options.ranks.broadcast(generation_options_of(options).seeded())
    stream = lm.stream(
        prompt, draft=draft, allowed_special=allowed, alternatives=options.alternatives, **chosen.to_dict()
    )
    hint_at_last_space(prompt)
    if options.json:
        for _ in stream:
            pass
        print(json.dumps({**stream.completion.to_dict(), "seed": chosen.seed}))
        return
    coloured = colour_wanted(options.color, sys.stdout)
    shading = Shading(lm.tokenizer.stream_decoder().push)
    show(prompt, end="")
    try:
        for piece in stream:
            if coloured:
                shades = printable_shades(piece, shading.of(piece, *stream.tokens))
                print(painted(printable(piece), shades), end="", flush=True)
            else:
                show(piece, end="")
    finally:
        print(RESET if coloured else "", flush=True)  # after Ctrl-C in the middle of a colour, too
    seconds = time.perf_counter() - start
    if (alternatives := stream.completion.alternatives) is not None:
        _show_alternatives(lm, stream.completion.ids, stream.completion.logprobs, alternatives, coloured)
    n_tokens, reason = len(stream.completion.ids), stream.completion.finish_reason
    drawn = "" if chosen.temperature == 0 else f", seed {chosen.seed}"
    print(f"[{n_tokens} tokens in {seconds:.1f} s, ended by: {reason}{drawn}]", file=sys.stderr)


def add_score(parser: argparse.ArgumentParser) -> None:
    parser.description = "Say how probable a text is to a model, token by token, and what it held more likely."
    parser.add_argument("text", metavar="TEXT", help=f"the text; {DASH_HELP}")
    add_model(parser, "which needs no network")
    add_allow_special(parser)
    parser.add_argument(
        "--stride", type=int, metavar="N",
        help="tokens from one window to the next, for a text that is longer than the model's context",
    )  # fmt: skip
    add_alternatives(parser, ON_SCREEN)
    add_colour(parser, "colour each token by its surprise")
    parser.add_argument("--json", action="store_true", help="print everything as JSON")
    add_mpi(parser, "share the model")
    parser.set_defaults(run=on_own_cores(_score))


def _score(options: argparse.Namespace) -> None:
    text, lm = text_of(options.text), load_model(options)
    allowed = allowed_special(options, [lm.tokenizer], text)
    score = lm.score(text, stride=options.stride, allowed_special=allowed, alternatives=options.alternatives)
    if options.json:
        print(json.dumps(score.to_dict()))
        return
    coloured = colour_wanted(options.color, sys.stdout)
    _show_alternatives(lm, score.ids[1:], score.logprobs, score.alternatives, coloured)
    show(f"{len(score.logprobs)} tokens, perplexity {score.perplexity:.2f}, {score.bits_per_byte:.3f} bits per byte")


def _show_alternatives(
    lm: LanguageModel, ids: Sequence[int], logprobs: Sequence[float], alternatives: Alternatives | None, coloured: bool
) -> None:
    """Print a line for each token: its probability, its rank, the entropy, and what could have come instead."""
    rows = [("token", "probability", "rank", "entropy", "likeliest")]
    for position, (id_, logprob) in enumerate(zip(ids, logprobs, strict=True)):
        rank = entropy = likeliest = ""
        if alternatives is not None:
            rank, entropy = f"{alternatives.ranks[position]}", f"{alternatives.entropies[position]:.2f} bits"
            likeliest = listed(alternatives.at(position))
        rows.append((shown_token(lm.tokenizer.bytes_of(id_)), f"{math.exp(logprob):.2%}", rank, entropy, likeliest))
    cells = [[printable(cell) for cell in row] for row in rows]
    widths = [max(width(row[n]) for row in cells) for n in range(4)]
    shades = [0, *(shade_of(-logprob / math.log(2)) if coloured else 0 for logprob in logprobs)]
    for (token, *numbers, likeliest), shade in zip(cells, shades, strict=True):
        right = (" " * (n - width(number)) + number for n, number in zip(widths[1:], numbers, strict=True))
        first = painted(token, [shade] * len(token)) + " " * (widths[0] - width(token))
        print("  ".join([first, *right, likeliest]).rstrip(), flush=True)


def load_model(options: argparse.Namespace) -> LanguageModel:
    """Load the model that the options of `add_model` name."""
    return load(
        options.model, source=options.source, tokenizer=options.tokenizer, keep=options.keep, parallel=options.ranks
    )


def take_generation_options(parser: argparse.ArgumentParser, default: GenerationOptions = GREEDY) -> None:
    """Add an option for each field of `GenerationOptions`; the help says what applies by default."""
    for field in dataclasses.fields(GenerationOptions):
        flag, value = flag_of(field.name), getattr(default, field.name)
        about = dict(field.metadata)
        if value not in (None, ()):
            about["help"] += f" (default: {value:g})"
        # Without a default here, so that `given_options` can tell what was given.
        if field.name == "stop":
            parser.add_argument(flag, action="append", default=argparse.SUPPRESS, **about)
        elif field.name == "temperature" and default != GREEDY:
            group = parser.add_mutually_exclusive_group()
            group.add_argument(flag, type=float, default=argparse.SUPPRESS, **about)
            group.add_argument(
                "--greedy", action="store_true", default=argparse.SUPPRESS,
                help="always take the likeliest token: the same as --temperature 0",
            )  # fmt: skip
        else:
            parser.add_argument(flag, type=_kind_of(field), default=argparse.SUPPRESS, **about)


def flag_of(name: str) -> str:
    """Return an option as it is written on the command line.

    >>> flag_of("top_k")
    '--top-k'
    """
    return "--" + name.replace("_", "-")


def _kind_of(field: dataclasses.Field[object]) -> type:
    """Return the type of an option's value: the type of the field, without None."""
    return {"int": int, "float": float}[str(field.type).removesuffix(" | None")]


def given_options(options: argparse.Namespace) -> dict[str, Any]:
    """Return the options of generation that were given, by name, and "greedy", if that was."""
    names = ["greedy", *(field.name for field in dataclasses.fields(GenerationOptions))]
    return {name: getattr(options, name) for name in names if hasattr(options, name)}


def generation_options_of(options: argparse.Namespace, default: GenerationOptions = GREEDY) -> GenerationOptions:
    """Return the options of generation; those that were not given have their defaults, greedy ones those of greedy."""
    given = given_options(options)
    if given.pop("greedy", False):
        given["temperature"] = 0.0
    return dataclasses.replace(GREEDY if given.get("temperature") == 0 else default, **given)
