"""`gptcompare generate`, `score` and `tokenize`: continue a prompt; the probabilities and the tokens of a text."""

from __future__ import annotations

import argparse
import json
import math
import sys
import time
from collections.abc import Sequence

from ..comparison.summary import ON_SCREEN, listed, shown_token
from ..display.text_width import pad, printable, width
from ..generation import LanguageModel, load
from ..generation.language_model import REPETITIONS
from ..generation.scoring import Alternatives
from ..tokenizer import Tokenizer
from .generation_options import add_generation_options, generation_options_of, load_model
from .options import (
    DASH_HELP,
    add_allow_special,
    add_alternatives,
    add_model,
    allowed_special,
    hint_at_last_space,
    show,
    text_of,
)


def add_generate(parser: argparse.ArgumentParser) -> None:
    parser.description = "Continue a prompt with the text that a model writes."
    parser.add_argument("prompt", metavar="PROMPT", help=f"the text to continue; {DASH_HELP}")
    add_model(parser, "which needs no network")
    add_allow_special(parser)
    add_generation_options(parser)
    parser.add_argument(
        "--draft", metavar="FOLDER_OR_NAME",
        help=f"a smaller model with the same vocabulary, or {REPETITIONS!r}: guesses the next tokens, which is "
        "faster where the guesses are good, and changes no token",
    )  # fmt: skip
    add_alternatives(parser, 0)
    parser.add_argument(
        "--json", action="store_true", help="print text, ids, log-probabilities and finish reason as JSON"
    )
    parser.set_defaults(run=_generate)


def _generate(options: argparse.Namespace) -> None:
    prompt = text_of(options.prompt)
    lm = load_model(options)
    draft = options.draft if options.draft in (None, REPETITIONS) else load(options.draft, source=options.source)
    start = time.perf_counter()
    allowed = allowed_special(options, [lm.tokenizer], prompt)
    stream = lm.stream(
        prompt, draft=draft, allowed_special=allowed, alternatives=options.alternatives,
        **generation_options_of(options).to_dict(),
    )  # fmt: skip
    hint_at_last_space(prompt)
    if options.json:
        for _ in stream:
            pass
        print(json.dumps(stream.completion.to_dict()))
        return
    show(prompt, end="")
    try:
        for piece in stream:
            show(piece, end="")
    finally:
        print(flush=True)
    seconds = time.perf_counter() - start
    if (alternatives := stream.completion.alternatives) is not None:
        _show_alternatives(lm, stream.completion.ids, stream.completion.logprobs, alternatives)
    n_tokens, reason = len(stream.completion.ids), stream.completion.finish_reason
    print(f"[{n_tokens} tokens in {seconds:.1f} s, ended by: {reason}]", file=sys.stderr)


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
    parser.add_argument("--json", action="store_true", help="print everything as JSON")
    parser.set_defaults(run=_score)


def _score(options: argparse.Namespace) -> None:
    text, lm = text_of(options.text), load_model(options)
    allowed = allowed_special(options, [lm.tokenizer], text)
    score = lm.score(text, stride=options.stride, allowed_special=allowed, alternatives=options.alternatives)
    if options.json:
        print(json.dumps(score.to_dict()))
        return
    _show_alternatives(lm, score.ids[1:], score.logprobs, score.alternatives)
    show(f"{len(score.logprobs)} tokens, perplexity {score.perplexity:.2f}, {score.bits_per_byte:.3f} bits per byte")


def _show_alternatives(
    lm: LanguageModel, ids: Sequence[int], logprobs: Sequence[float], alternatives: Alternatives | None
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
    for token, *numbers, likeliest in cells:
        right = (" " * (n - width(number)) + number for n, number in zip(widths[1:], numbers, strict=True))
        show("  ".join([pad(token, widths[0]), *right, likeliest]).rstrip())


def add_tokenize(parser: argparse.ArgumentParser) -> None:
    parser.description = "Show the tokens of a text."
    parser.add_argument("text", metavar="TEXT", help=f"the text; {DASH_HELP}")
    parser.add_argument(
        "--model", default="gpt2", metavar="FOLDER_OR_NAME",
        help="a folder with a tokenizer, or the name of a model (default: gpt2, whose vocabulary needs no network)",
    )  # fmt: skip
    add_allow_special(parser)
    parser.add_argument("--ids", action="store_true", help="print only the ids, on one line")
    parser.set_defaults(run=_tokenize)


def _tokenize(options: argparse.Namespace) -> None:
    text = text_of(options.text)
    tokenizer = Tokenizer.from_pretrained(options.model)
    ids = tokenizer.encode(text, allowed_special(options, [tokenizer], text))
    if options.ids:
        print(*ids)
        return
    for id_ in ids:
        print(f"{id_:>8}  {_shown(tokenizer.decode_bytes([id_]))}")
    print(f"{len(ids)} tokens, {len(text)} characters, {len(text.encode())} bytes")


def _shown(token: bytes) -> str:
    """Return a token as a quoted string, or as bytes if it is only part of a character."""
    try:
        return repr(token.decode())
    except UnicodeDecodeError:
        return repr(token)
