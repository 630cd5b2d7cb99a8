"""`gptcompare generate`: continue a prompt."""

from __future__ import annotations

import argparse
import json
import sys
import time
from dataclasses import asdict

from ..generation import load
from ..generation.language_model import REPETITIONS
from .generation_options import add_generation_options, generation_options_of, load_model
from .options import (
    DASH_HELP,
    add_allow_special,
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
    stream = lm.stream(prompt, draft=draft, allowed_special=allowed, **generation_options_of(options).to_dict())
    hint_at_last_space(prompt)
    if options.json:
        for _ in stream:
            pass
        print(json.dumps(asdict(stream.completion)))
        return
    show(prompt, end="")
    try:
        for piece in stream:
            show(piece, end="")
    finally:
        print(flush=True)
    seconds = time.perf_counter() - start
    n_tokens, reason = len(stream.completion.ids), stream.completion.finish_reason
    print(f"[{n_tokens} tokens in {seconds:.1f} s, ended by: {reason}]", file=sys.stderr)
