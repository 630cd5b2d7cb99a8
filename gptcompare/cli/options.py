"""Options and arguments that several commands share: texts, a model, and a page."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TypeAlias

from ..checkpoints.download.publishers import DEFAULT_SOURCE, SOURCES
from ..display.messages import show, tell
from ..display.shades import CHOICES as COLOURS
from ..files.atomic_files import written_whole
from ..files.texts import decode_text, lines_of, read_text
from ..files.whole_file import read_stream
from ..sixteen_bits import KEEP
from ..tokenizer import AllowedSpecial, Tokenizer

MODEL_HELP = (
    "a folder with config.json and model.safetensors or pytorch_model.bin (Hugging Face's layout), or hparams.json "
    "and model.ckpt.* (OpenAI's); a file of llama.cpp (GGUF), llm.c or nanoGPT; or the name of a published model "
    "(`gptcompare models` lists them) or a Hugging Face repository, owner/name[@revision], which is downloaded once"
)
DEFAULT_MODEL = "nano-gpt2"
PAGES = (".html", ".htm")
STANDARD_INPUT = "standard input"
Command: TypeAlias = Callable[[argparse.Namespace], "int | None"]
DASH_HELP = '"-" reads standard input, where one line end at the very end does not count'


def text_of(argument: str) -> str:
    """Return the argument itself or, for "-", the text on standard input, as if it had been given as an argument.

    So a line end at its very end, which `echo` and editors write, does not count.
    """
    return argument if argument != "-" else text_in("-").removesuffix("\n")


def text_in(file: str) -> str:
    """Read the whole text in a file or, for "-", on standard input: see `gptcompare.files.texts`."""
    return decode_text(_standard_input(), STANDARD_INPUT) if file == "-" else read_text(file)


def lines_in_standard_input() -> list[str]:
    """Return the lines of standard input that are not blank; it is a ValueError if there are none."""
    lines = [line for _, line in lines_of(_standard_input(), STANDARD_INPUT) if line.strip()]
    if not lines:
        raise ValueError("standard input is empty: there is no text")
    return lines


def _standard_input() -> bytes:
    if sys.stdin is None:
        raise ValueError("standard input is closed: give the text as an argument")
    return read_stream(sys.stdin.buffer, STANDARD_INPUT)


def hint_at_last_space(prompt: str) -> None:
    """Say on standard error that a space at the end of a prompt leads astray; the prompt stays as it is."""
    if prompt.endswith(" "):
        print("hint: the prompt ends with a space; a word continues it better without, since a token is a word with "
              "the space before it", file=sys.stderr)  # fmt: skip


def add_model(parser: argparse.ArgumentParser, of_the_default: str) -> None:
    """Add the options of `load`. `of_the_default` tells the help what to say about the default model."""
    parser.add_argument(
        "--model", default=DEFAULT_MODEL, metavar="FOLDER_OR_NAME",
        help=f"{MODEL_HELP} (default: {DEFAULT_MODEL}, {of_the_default})",
    )  # fmt: skip
    add_source(parser)
    add_tokenizer(parser)
    add_keep(parser)


def names_in(text: str) -> list[str]:
    """Return the names in the value of --models; it is a ValueError if one is empty."""
    names = [name.strip() for name in text.split(",")]
    if not all(names):
        raise ValueError(f"--models {text!r} has an empty name: give names or folders separated by commas")
    return names


def add_tokenizer(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--tokenizer", metavar="FOLDER_OR_NAME",
        help="use the tokenizer of another model, for a folder without one or with one of another kind",
    )  # fmt: skip


def add_keep(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--keep", choices=KEEP, metavar=f"{{{','.join(KEEP)}}}".replace(" ", "-"),
        type=lambda given: given.replace("-", " "),
        help="keep the weights in 16 bits: as-stored, or rounded to float16 or bfloat16. That takes half the memory "
        "and more time, and changes nothing in the texts of weights that are stored so",
    )  # fmt: skip


def add_allow_special(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--allow-special", action="store_true",
        help='read special tokens such as "<|endoftext|>" as such, and not as the text that they are written with',
    )  # fmt: skip


def add_alternatives(parser: argparse.ArgumentParser, default: int) -> None:
    parser.add_argument(
        "--alternatives", type=int, default=default, metavar="K",
        help=f"record the K likeliest tokens at each place, with their probabilities, in the JSON (default: {default})",
    )  # fmt: skip


def add_mpi(parser: argparse.ArgumentParser, what: str) -> None:
    """Add the option with which a command is run by all ranks of an MPI program; `what` says what they share."""
    parser.add_argument(
        "--mpi", action="store_true",
        help=f"{what} among the processes that `mpiexec -n N gptcompare ...` starts, on one machine or several; needs "
        'MPI: pip install "gptcompare[mpi]"',
    )  # fmt: skip


def on_own_cores(run: Command) -> Command:
    """Return the same command, whose products are computed on this rank's part of the cores of its machine."""

    def run_there(options: argparse.Namespace) -> int | None:
        from ..model.threads import n_threads, products_on  # here, since other commands need no model

        with products_on(max(1, n_threads() // options.ranks_here)):
            return run(options)

    return run_there


def add_colour(parser: argparse.ArgumentParser, what: str) -> None:
    """Add the option that turns colours on and off; `what` says what is coloured."""
    parser.add_argument(
        "--color", choices=COLOURS, default="auto", metavar="WHEN",
        help=f"{what}: auto (on a terminal, unless NO_COLOR is set; default), always or never",
    )  # fmt: skip


def allowed_special(options: argparse.Namespace, tokenizers: Iterable[Tokenizer], text: str) -> AllowedSpecial:
    """Return the special tokens that are read as such, and hint at those in the text that are not."""
    if options.allow_special:
        return "all"
    if found := {token for tokenizer in tokenizers for token in tokenizer.special_tokens if token in text}:
        tell(f"hint: {', '.join(sorted(found))} is read as plain text; --allow-special reads special tokens as such")
    return ()


def add_source(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--source", choices=SOURCES, default=DEFAULT_SOURCE,
        help="where to download a model from: Hugging Face (default) or, for GPT-2, OpenAI",
    )  # fmt: skip


def save_page(name: str, html: str) -> None:
    """Write a page, whole or not at all, and say so."""
    content = html.encode("utf-8", errors="replace")
    with written_whole(name) as file:
        file.write(content)
    show(f"wrote {name}", file=sys.stderr)


def check_page(name: str) -> None:
    """Check that the page can be written, before the models write and not after."""
    path = Path(name)
    if not name or path.is_dir():
        raise ValueError(f"--html {name!r} is not the name of a file")
    is_device = path.exists() and not path.is_file()  # such as /dev/stdout
    if Path(os.path.realpath(name)).suffix.lower() not in PAGES and not is_device:
        raise ValueError(f"--html {name}: a page is HTML, so its name must end in {' or '.join(PAGES)}")
    if not path.parent.is_dir():
        raise FileNotFoundError(f"--html {name}: there is no folder {str(path.parent)!r}")
    if not os.access(path.parent, os.W_OK):
        raise PermissionError(f"--html {name}: the folder {str(path.parent)!r} cannot be written to")
