"""`gptcompare generate` and `gptcompare tokenize`: continuing a text, and showing its tokens."""

from __future__ import annotations

import argparse
import json
import sys
import time
from dataclasses import asdict

from ..generation import load
from ..generation.language_model import REPETITIONS
from ..tokenizer import Tokenizer
from .options import add_generation_options, add_model, generation_options_of, text_of


def add_generate(parser: argparse.ArgumentParser) -> None:
    parser.description = "Continue a prompt."
    parser.add_argument("prompt", metavar="PROMPT", help='the text to continue; "-" reads standard input')
    add_model(parser, "which needs no network")
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
    lm = load(options.model, source=options.source)
    draft = options.draft if options.draft in (None, REPETITIONS) else load(options.draft, source=options.source)
    start = time.perf_counter()
    stream = lm.stream(prompt, draft=draft, **generation_options_of(options).to_dict())
    if options.json:
        for _ in stream:
            pass
        print(json.dumps(asdict(stream.completion)))
        return
    print(prompt, end="", flush=True)
    try:
        for piece in stream:
            print(piece, end="", flush=True)
    finally:
        print(flush=True)
    seconds = time.perf_counter() - start
    n_tokens, reason = len(stream.completion.ids), stream.completion.finish_reason
    print(f"[{n_tokens} tokens in {seconds:.1f} s, ended by: {reason}]", file=sys.stderr)


def add_tokenize(parser: argparse.ArgumentParser) -> None:
    parser.description = "Show the tokens of a text."
    parser.add_argument("text", metavar="TEXT", help='the text; "-" reads standard input')
    parser.add_argument(
        "--model", default="gpt2", metavar="FOLDER_OR_NAME",
        help="a folder with a tokenizer, or the name of a model (default: gpt2, whose vocabulary needs no network)",
    )  # fmt: skip
    parser.add_argument(
        "--allow-special", action="store_true", help='read "<|endoftext|>" in the text as the special token'
    )
    parser.add_argument("--ids", action="store_true", help="print only the ids, on one line")
    parser.set_defaults(run=_tokenize)


def _tokenize(options: argparse.Namespace) -> None:
    text = text_of(options.text)
    tokenizer = Tokenizer.from_pretrained(options.model)
    ids = tokenizer.encode(text, allowed_special="all" if options.allow_special else ())
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
