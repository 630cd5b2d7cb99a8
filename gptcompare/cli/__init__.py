"""The command `gptcompare`: a function `add_NAME` for each command, in a module per group of commands.

`options` has what several commands share. A module is imported only when one of its commands is used.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import shlex
import signal
import sys
import threading
import warnings
from collections.abc import Iterator, Sequence
from importlib import import_module
from typing import TYPE_CHECKING, NoReturn, TextIO, cast

from ..checks import shortened
from ..display.messages import Forgiving, silence, tell
from ..display.text_width import printable
from ..version import __version__

if TYPE_CHECKING:
    from ..parallel import Alone, Ranks

# Name of a command -> the module here that has `add_NAME`, and the command's line in the help.
COMMANDS = {
    "compare": ("compare", "let models continue a prompt side by side"),
    "play": ("play", "let them write on a page in the browser"),
    "generate": ("generate", "continue a prompt"),
    "score": ("generate", "say how probable a text is, token by token"),
    "tokenize": ("tokenize", "show the tokens of a text"),
    "classify": ("uses", "label each text with one of several labels"),
    "sentiment": ("uses", "say whether texts are positive or negative"),
    "entities": ("uses", "find the names in texts"),
    "choose": ("uses", "answer a question with one of several choices"),
    "answer": ("uses", "answer a question freely"),
    "evaluate": ("evaluate", "measure a model's performance on published tasks"),
    "tasks": ("evaluate", "list the published tasks"),
    "verify": ("evaluate", "compare a model with what others recorded of it"),
    "table": ("models", "show published models side by side"),
    "models": ("models", "list what can be loaded by name, and what is on this machine"),
    "download": ("models", "download a published model"),
    "remove": ("models", "remove a downloaded model"),
    "inspect": ("models", "say what is in a folder, and how it would be read"),
    "export": ("models", "write a model as a GGUF file, for llama.cpp"),
    "train": ("train", "train a model on text files"),
}

EXAMPLES = """\
examples:
  gptcompare compare "Once upon a time"
  gptcompare compare "Once upon a time" --seed 3 --html page.html
  gptcompare compare "Once upon a time" --greedy --explain 3
  echo "There was once a king who had three daughters." | gptcompare compare --text -
  gptcompare play
  gptcompare generate "Once upon a time" --temperature 0.8 --top-p 0.9 --seed 3
  echo "Once upon a time" | gptcompare generate - --max-new-tokens 100
  gptcompare score "Once upon a time there was a king."
  gptcompare choose --complete "Once upon a" time king house
  gptcompare tokenize "don't and don't"
  gptcompare tokenize " unhappily" --merges
  gptcompare table gpt2-xl gpt3-xl gpt-neo-1.3b
  gptcompare models
  gptcompare tasks
  gptcompare inspect nano-gpt2
  gptcompare verify nano-gpt2
  gptcompare export nano-gpt2 --gguf nano-gpt2.gguf --dtype float16

examples in a clone, with a book that is there:
  gptcompare evaluate --task text --data tests/data/alice.txt --stride 256
  gptcompare train tests/data/alice.txt --init nano-gpt2 --out runs/alice --steps 2 --batch 2 --context 64

examples with larger models, which are downloaded once:
  gptcompare compare "Once upon a time" --models gpt2,gpt-neo-125m
  gptcompare sentiment "We laughed the whole evening." "The bread was stale." --model gpt2
  gptcompare classify --labels animals,weather --model gpt2 "The hens were asleep." "It rained all day."
  gptcompare choose "What does a cow give?" milk gold ink --model gpt2
  gptcompare answer "What does a cow give?" --model gpt2
  gptcompare entities "Max took the boat to Corfu." --types person,place --model gpt2
  gptcompare evaluate --model gpt2 --task lambada
  gptcompare verify gpt2
  gptcompare download gpt2-xl
  gptcompare remove gpt2-xl
"""

ENVIRONMENT = """\
environment:
  GPTCOMPARE_HOME     where downloads are kept (default: gptcompare in $XDG_CACHE_HOME or ~/.cache)
  GPTCOMPARE_OFFLINE  1: do not use the network
  HF_HOME, HF_TOKEN, HF_ENDPOINT, HF_HUB_OFFLINE  as for huggingface_hub; files in its cache are not downloaded again
"""


MPI = "--mpi"  # the option of the commands that can run on several ranks
BROKEN_PIPE = 128 + 13  # as shells say that a process was ended by SIGPIPE
LONGEST = 2000  # characters of a message, whatever a file or an argument has in it


class _Terminated(KeyboardInterrupt):
    """SIGTERM or SIGHUP, which end a command as Ctrl-C does, but for the exit status."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit status; 2 is a user's error, 128 + n the end by signal n (Ctrl-C: 130).

    With --mpi, this process is one of several that run it.
    """
    given = list(sys.argv[1:] if arguments is None else arguments)
    if MPI not in given:
        return _main(given)
    from ..parallel.program import ranks_here, run_on_ranks, world

    try:
        mpi = world()
    except ImportError as error:
        print(f"gptcompare: {error}", file=sys.stderr)
        return 2
    n_here = ranks_here(mpi)
    return run_on_ranks(lambda ranks: _main(given, ranks, n_here), mpi.COMM_WORLD, given, n_here)


def _main(given: Sequence[str], ranks: Ranks | None = None, ranks_here: int = 1) -> int:
    """Run the command on this rank, of as many that share this machine, and return its exit status."""
    with _streams(), warnings.catch_warnings():
        warnings.showwarning = _tell_of  # type: ignore[assignment]  # it needs the first of six arguments
        try:
            if refusal := _not_utf8(given):
                raise ValueError(refusal)
            options = _parser(given).parse_args(given or ["--help"])
            options.command = shlex.join(["gptcompare", *given])  # for what says how it was made
            options.ranks, options.ranks_here = ranks or _alone(), ranks_here
            if getattr(options, "mpi", False) and MPI not in given:
                raise ValueError(f"{MPI} must be written in full")
            with _signals():
                status: int | None = options.run(options)
                sys.stdout.flush()
            return status or 0
        except KeyboardInterrupt as stop:
            print(file=sys.stderr)
            return 128 + getattr(stop, "number", signal.SIGINT)
        except BrokenPipeError:  # the reader has stopped reading, as in `gptcompare ... | head`
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return 0 if ranks is None or ranks.share.n == 1 else BROKEN_PIPE  # which ends the others, too
        except (ValueError, TypeError, OSError, MemoryError, ImportError) as error:
            message = " ".join(str(error).split()) or type(error).__name__
            whose = "" if ranks is None else ranks.title
            print(f"gptcompare: {whose}{printable(shortened(message, LONGEST))}", file=sys.stderr)
            return 2


def _alone() -> Alone:
    from ..parallel import ALONE  # here, since --help needs no NumPy

    return ALONE


def _tell_of(message: Warning | str, *_: object) -> None:
    """Show a warning as one line, without the place in the program that it comes from."""
    tell(f"gptcompare: {printable(shortened(' '.join(str(message).split()), LONGEST))}")


@contextlib.contextmanager
def _streams() -> Iterator[None]:
    """Let a closed stream swallow what it gets, and a full disk under the standard error stream end no work."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:  # closed by the shell
            setattr(sys, name, open(os.devnull, "w"))  # noqa: SIM115  open until the process ends
        if hasattr(getattr(sys, name), "reconfigure"):
            getattr(sys, name).reconfigure(errors="backslashreplace")  # a terminal that cannot show a character
    errors = sys.stderr
    sys.stderr = cast(TextIO, Forgiving(errors))
    try:
        yield
    finally:
        silence(errors)
        sys.stderr = errors


@contextlib.contextmanager
def _signals() -> Iterator[None]:
    """Let Ctrl-C, SIGTERM and SIGHUP raise an exception, unless they are ignored, as by `nohup`.

    Before that, while the command's modules are imported, they end the process as the system does: an import may make
    another exception of one that it did not expect.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(number: int, frame: object) -> NoReturn:
        raise _Terminated(number)

    handlers = {signal.SIGINT: signal.default_int_handler, signal.SIGTERM: stop}
    if hasattr(signal, "SIGHUP"):  # not on Windows
        handlers[signal.SIGHUP] = stop
    before = {number: signal.getsignal(number) for number in handlers}
    for number, handler in before.items():
        if handler is signal.SIG_DFL:
            signal.signal(number, handlers[number])
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _not_utf8(arguments: Sequence[str]) -> str | None:
    """Return what to say of the first argument that is not UTF-8 and not the name of a file, if there is one.

    Python hands over bytes that it cannot decode as lone surrogates (PEP 383), which no tokenizer can read.
    """
    for number, argument in enumerate(arguments, 1):
        if not any("\ud800" <= character <= "\udfff" for character in argument):
            continue
        if os.path.exists(argument) or os.path.exists(argument.partition("=")[2]):
            continue
        content = argument.encode(errors="surrogatepass")
        with contextlib.suppress(UnicodeEncodeError):  # of a surrogate that stands for no byte
            content = os.fsencode(argument)
        what = f"argument {number}, '{content.decode(errors='backslashreplace')}',"
        try:
            content.decode()
        except UnicodeDecodeError:
            return f"{what} is not UTF-8: set the terminal to UTF-8, or convert it (iconv -f LATIN1 -t UTF-8)"
        return (
            f"{what} cannot be read, since the encoding here is {sys.getfilesystemencoding()}: "
            "set LC_ALL=C.UTF-8 or PYTHONUTF8=1"
        )
    return None


class _Parser(argparse.ArgumentParser):
    """A parser whose messages are printable, whatever an argument has in it."""

    def error(self, message: str) -> NoReturn:
        super().error(printable(shortened(message, LONGEST)))


def _parser(arguments: Sequence[str]) -> argparse.ArgumentParser:
    """Make the parser, importing only the modules of the commands that the arguments name."""
    parser = _Parser(
        prog="gptcompare",
        description="GPT-2 and GPT-3 as one readable NumPy program.",
        epilog=f"{EXAMPLES}\n{ENVIRONMENT}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"gptcompare {__version__}")
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    for name, (module, text) in COMMANDS.items():
        command = commands.add_parser(name, help=text)
        if name in arguments:
            getattr(import_module(f"{__name__}.{module}"), f"add_{name}")(command)
    return parser
