"""`gptcompare tokenize`: show the tokens of a text."""

from __future__ import annotations

import argparse

from ..tokenizer import Tokenizer
from .options import DASH_HELP, add_allow_special, allowed_special, text_of


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
