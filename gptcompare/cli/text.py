"""`gptcompare generate` and `gptcompare tokenize`: what a model does with a text."""

from __future__ import annotations

import argparse
import json
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ..generation import REPETITIONS, load
from ..tokenizer import Tokenizer
from .models import MODEL_HELP, Commands, add_source

DEFAULT_MODEL = "nano-gpt2"


def add_commands(commands: Commands) -> None:
    _add_generate(commands)
    _add_tokenize(commands)


def text_of(argument: str) -> str:
    """The argument itself, or, for "-", the text from standard input, which must be UTF-8."""
    if argument != "-":
        return argument
    if sys.stdin is None:
        raise ValueError("standard input is closed: give the text as an argument")
    return _decoded(sys.stdin.buffer.read(), "standard input")


def text_in(file: str) -> str:
    """The text in a file, byte for byte, or, for "-", from standard input; it must be UTF-8."""
    return text_of("-") if file == "-" else _decoded(Path(file).read_bytes(), file)


def _decoded(content: bytes, name: str) -> str:
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise ValueError(f"{name} is not UTF-8 text ({error.reason} at byte {error.start})") from None


def _add_generate(commands: Commands) -> None:
    parser = commands.add_parser("generate", help="continue a prompt", description="Continue a prompt, word by word.")
    parser.add_argument("prompt", metavar="PROMPT", help='the text to continue; "-" reads standard input')
    add_model(parser, "which needs no network")
    add_sampling(parser)
    parser.add_argument(
        "--draft", metavar="FOLDER_OR_NAME",
        help=f"a smaller model of the same vocabulary, or {REPETITIONS!r}: guesses the next tokens, which makes it "
        "faster where the guesses are good, and changes no token",
    )  # fmt: skip
    parser.add_argument(
        "--json", action="store_true", help="print text, ids, log-probabilities and finish reason as JSON"
    )
    parser.set_defaults(run=_generate)


def add_model(parser: argparse.ArgumentParser, of_the_default: str) -> None:
    """The options of `load`, and what is to be known of the model that is taken if none is given."""
    parser.add_argument(
        "--model", default=DEFAULT_MODEL, metavar="FOLDER_OR_NAME",
        help=f"{MODEL_HELP} (default: {DEFAULT_MODEL}, {of_the_default})",
    )  # fmt: skip
    add_source(parser)


def add_sampling(parser: argparse.ArgumentParser) -> None:
    """The options of `LanguageModel.generate`."""
    parser.add_argument("--max-new-tokens", type=int, default=40, metavar="N", help="stop after N tokens (default: 40)")
    parser.add_argument(
        "--temperature", type=float, default=0.0, metavar="T",
        help="0 always takes the likeliest token (default); 1 draws from the model's own distribution",
    )  # fmt: skip
    parser.add_argument("--top-k", type=int, metavar="K", help="draw from the K likeliest tokens only")
    parser.add_argument(
        "--top-p", type=float, metavar="P", help="draw from the likeliest tokens with probability P together"
    )
    parser.add_argument("--seed", type=int, metavar="N", help="the same seed gives the same text")
    parser.add_argument("--stop", action="append", default=[], metavar="TEXT", help="end before TEXT; may be repeated")


def sampling_of(options: argparse.Namespace) -> dict[str, Any]:
    """What was given for them."""
    names = ("max_new_tokens", "temperature", "top_k", "top_p", "seed", "stop")
    return {name: getattr(options, name) for name in names}


def _generate(options: argparse.Namespace) -> None:
    prompt = text_of(options.prompt)
    lm = load(options.model, source=options.source)
    draft = options.draft if options.draft in (None, REPETITIONS) else load(options.draft, source=options.source)
    start = time.perf_counter()
    stream = lm.stream(prompt, draft=draft, **sampling_of(options))
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


def _add_tokenize(commands: Commands) -> None:
    parser = commands.add_parser("tokenize", help="show the tokens of a text", description="Show the tokens of a text.")
    parser.add_argument("text", metavar="TEXT", help='the text; "-" reads standard input')
    parser.add_argument(
        "--model", default="gpt2", metavar="FOLDER_OR_NAME",
        help="a folder with a tokenizer, or the name of a model (default: gpt2, whose vocabulary needs no network)",
    )  # fmt: skip
    parser.add_argument("--allow-special", action="store_true", help='read "<|endoftext|>" in the text as the token')
    parser.add_argument("--ids", action="store_true", help="print the ids alone, on one line")
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
    """A token as a quoted string, or as bytes if it is a part of a character."""
    try:
        return repr(token.decode())
    except UnicodeDecodeError:
        return repr(token)
