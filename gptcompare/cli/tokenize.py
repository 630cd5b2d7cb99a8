"""`gptcompare tokenize`: show the tokens of a text, and how they come about."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence

from ..display.shades import colour_wanted, painted
from ..display.text_width import printable
from ..display.tokens import bare_token
from ..tokenizer import Tokenizer
from .options import DASH_HELP, add_allow_special, add_colour, allowed_special, text_of

NEW = 4  # the shade of what has just been merged


def add_tokenize(parser: argparse.ArgumentParser) -> None:
    parser.description = "Show the tokens of a text."
    parser.add_argument("text", metavar="TEXT", help=f"the text; {DASH_HELP}")
    parser.add_argument(
        "--model", default="gpt2", metavar="FOLDER_OR_NAME",
        help="a folder with a tokenizer, or the name of a model (default: gpt2, whose vocabulary needs no network)",
    )  # fmt: skip
    add_allow_special(parser)
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--ids", action="store_true", help="print only the ids, on one line")
    what.add_argument(
        "--merges", action="store_true",
        help="show how the tokens of each piece of the text come about: its bytes, then a line for each merge",
    )  # fmt: skip
    add_colour(parser, "also show the text with its tokens in colours")
    parser.set_defaults(run=_tokenize)


def _tokenize(options: argparse.Namespace) -> None:
    text = text_of(options.text)
    tokenizer = Tokenizer.from_pretrained(options.model)
    allowed = allowed_special(options, [tokenizer], text)
    coloured = colour_wanted(options.color, sys.stdout)
    if options.merges:
        blocks = ["\n".join(_lines(stages, coloured)) for stages in tokenizer.merges(text, allowed)]
        print("\n\n".join(blocks))
        return
    tokens = tokenizer.tokens(text, allowed)
    if options.ids:
        print(*tokens.ids)
        return
    if coloured:
        print(f"{tokens.to_ansi()}\n")
    for id_, token in tokens:
        print(f"{id_:>8}  {_shown(token)}")
    print(f"{len(tokens)} tokens, {len(text)} characters, {len(text.encode())} bytes")


def _lines(stages: Sequence[Sequence[bytes]], coloured: bool) -> Iterator[str]:
    """Write what a piece was after each merge, with the new token in colour."""
    before: Sequence[bytes] = stages[0]
    for stage in stages:
        new = next((n for n, pair in enumerate(zip(stage, before, strict=False)) if pair[0] != pair[1]), None)
        tokens = [printable(bare_token(token)) for token in stage]
        yield " ".join(
            painted(token, [NEW] * len(token)) if coloured and n == new else token for n, token in enumerate(tokens)
        )
        before = stage


def _shown(token: bytes) -> str:
    """Return a token as a quoted string, or as bytes if it is only part of a character."""
    try:
        return repr(token.decode())
    except UnicodeDecodeError:
        return repr(token)
