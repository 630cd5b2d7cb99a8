"""Options and arguments that several commands share: texts and a model."""

from __future__ import annotations

import argparse
import sys
from typing import TextIO

from ..checkpoints.download.publishers import DEFAULT_SOURCE, SOURCES
from ..display.text_width import printable
from ..files.texts import decode_utf8
from ..files.whole_file import read_stream, read_whole

MODEL_HELP = (
    "a folder with config.json and model.safetensors or pytorch_model.bin (Hugging Face's layout), or hparams.json "
    "and model.ckpt.* (OpenAI's); or the name of a published model (`gptcompare models` lists them) or a Hugging Face "
    "repository, owner/name[@revision], which is downloaded once"
)
DEFAULT_MODEL = "nano-gpt2"


def text_of(argument: str) -> str:
    """Return the argument itself or, for "-", the text on standard input, which must be UTF-8."""
    if argument != "-":
        return argument
    if sys.stdin is None:
        raise ValueError("standard input is closed: give the text as an argument")
    return decode_utf8(read_stream(sys.stdin.buffer, "standard input"), "standard input")


def text_in(file: str) -> str:
    """Read the text in a file, byte for byte, or, for "-", on standard input; it must be UTF-8."""
    return text_of("-") if file == "-" else decode_utf8(read_whole(file), file)


def show(text: object, *, end: str = "\n", file: TextIO | None = None) -> None:
    """Print what a model, a file or a name may say: on a terminal, its control characters become visible symbols."""
    stream = sys.stdout if file is None else file
    print(printable(str(text)) if stream.isatty() else text, end=end, file=stream, flush=True)


def add_model(parser: argparse.ArgumentParser, of_the_default: str) -> None:
    """Add the options of `load`. `of_the_default` tells the help what to say about the default model."""
    parser.add_argument(
        "--model", default=DEFAULT_MODEL, metavar="FOLDER_OR_NAME",
        help=f"{MODEL_HELP} (default: {DEFAULT_MODEL}, {of_the_default})",
    )  # fmt: skip
    add_source(parser)


def add_source(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--source", choices=SOURCES, default=DEFAULT_SOURCE,
        help="where to download a model from: Hugging Face (default) or, for GPT-2, OpenAI",
    )  # fmt: skip
