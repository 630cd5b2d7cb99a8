"""The command `gptcompare`."""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict

from . import __version__
from .checkpoints import download, listing, remove
from .checkpoints.publishers import DEFAULT_SOURCE, SOURCES
from .generation import load
from .presets import presets
from .table import table
from .tokenizer import Tokenizer
from .units import in_bytes, in_letters

EXAMPLES = """\
examples:
  gptcompare generate "Once upon a time" --model path/to/gpt2
  gptcompare generate "Once upon a time" --model path/to/gpt2 --temperature 0.8 --top-p 0.95 --seed 1
  gptcompare generate - --model path/to/gpt2 --max-new-tokens 200 < prompt.txt
  gptcompare generate "Once upon a time" --model gpt2
  gptcompare download gpt2-xl
  gptcompare models
  gptcompare tokenize "don't and don't"
  gptcompare table gpt2-xl gpt3-xl gpt-neo-1.3b
"""

MODEL_HELP = (
    "a folder with config.json and model.safetensors or pytorch_model.bin (Hugging Face's layout) or with hparams.json "
    "and model.ckpt.* (OpenAI's); or the name of a published model (`gptcompare models` lists them) or owner/name of a "
    "Hugging Face repository, perhaps with @revision, which is downloaded once"
)
ENVIRONMENT = """\
environment:
  GPTCOMPARE_HOME     where downloads are kept (default: gptcompare in $XDG_CACHE_HOME or ~/.cache)
  GPTCOMPARE_OFFLINE  1: use no network
  HF_HOME, HF_TOKEN, HF_ENDPOINT, HF_HUB_OFFLINE  as for huggingface_hub; what is in its cache is not fetched again
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns the exit status: 0, 2 for a user's error, 130 after Ctrl-C."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:  # closed by the shell
            setattr(sys, name, open(os.devnull, "w"))  # noqa: SIM115  open until the process ends
        if hasattr(getattr(sys, name), "reconfigure"):
            getattr(sys, name).reconfigure(errors="backslashreplace")  # a terminal that cannot show a character
    options = _parser().parse_args(arguments)
    try:
        options.run(options)
        sys.stdout.flush()
    except KeyboardInterrupt:
        print(file=sys.stderr)
        return 130
    except BrokenPipeError:  # the reader has had enough, as in `gptcompare ... | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except (ValueError, TypeError, OSError, MemoryError) as error:
        message = " ".join(str(error).split()) or type(error).__name__
        print(f"gptcompare: {message}", file=sys.stderr)
        return 2
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="gptcompare",
        description="GPT-2 and GPT-3 as one readable NumPy program.",
        epilog=f"{EXAMPLES}\n{ENVIRONMENT}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"gptcompare {__version__}")
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    _add_generate(commands)
    _add_tokenize(commands)
    _add_table(commands)
    _add_models(commands)
    _add_download(commands)
    _add_remove(commands)
    return parser


def _text(argument: str) -> str:
    """The argument itself, or, for "-", the text from standard input, which must be UTF-8."""
    if argument != "-":
        return argument
    if sys.stdin is None:
        raise ValueError("standard input is closed: give the text as an argument")
    try:
        return sys.stdin.buffer.read().decode("utf-8")
    except UnicodeDecodeError as error:
        raise ValueError(f"standard input is not UTF-8 text ({error.reason} at byte {error.start})") from None


def _add_generate(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser("generate", help="continue a prompt", description="Continue a prompt, word by word.")
    parser.add_argument("prompt", metavar="PROMPT", help='the text to continue; "-" reads standard input')
    parser.add_argument("--model", required=True, metavar="FOLDER_OR_NAME", help=MODEL_HELP)
    _add_source(parser)
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
    parser.add_argument(
        "--json", action="store_true", help="print text, ids, log-probabilities and finish reason as JSON"
    )
    parser.set_defaults(run=_generate)


def _generate(options: argparse.Namespace) -> None:
    prompt = _text(options.prompt)
    lm = load(options.model, source=options.source)
    start = time.perf_counter()
    stream = lm.stream(
        prompt,
        max_new_tokens=options.max_new_tokens,
        temperature=options.temperature,
        top_k=options.top_k,
        top_p=options.top_p,
        seed=options.seed,
        stop=options.stop,
    )
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


def _add_tokenize(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
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
    text = _text(options.text)
    tokenizer = Tokenizer.from_pretrained(options.model)
    ids = tokenizer.encode(text, allowed_special="all" if options.allow_special else ())
    if options.ids:
        print(*ids)
        return
    for id_ in ids:
        print(f"{id_:>8}  {_shown(tokenizer.decode_bytes([id_]))}")
    print(f"{len(ids)} tokens, {len(text)} characters, {len(text.encode())} bytes")


def _add_table(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser(
        "table", help="show published models side by side",
        description="Published models side by side: sizes, what follows from them, training and results.",
        epilog=f"names: {', '.join(presets())}",
    )  # fmt: skip
    parser.add_argument("names", nargs="*", metavar="NAME", help="models (default: all sizes of GPT-2 and GPT-3)")
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="everything that is known, with sources, as JSON")
    form.add_argument("--markdown", action="store_true", help="a Markdown table")
    parser.set_defaults(run=_table)


def _table(options: argparse.Namespace) -> None:
    chosen = table(options.names or None)
    if options.json:
        print(json.dumps(chosen.to_dict(), indent=2))
    elif options.markdown:
        print(chosen.to_markdown())
    else:
        print(chosen.to_text(shutil.get_terminal_size((100, 24)).columns))


def _add_source(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--source", choices=SOURCES, default=DEFAULT_SOURCE,
        help="whose files of a name: Hugging Face's (default), or, for GPT-2, OpenAI's own",
    )  # fmt: skip


def _add_models(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser(
        "models", help="list what can be loaded by name, and what is on this machine",
        description="The models that can be loaded by name, and where those that are on this machine lie.",
    )  # fmt: skip
    parser.add_argument("--json", action="store_true", help="the same as JSON, sizes in bytes")
    parser.set_defaults(run=_models)


def _models(options: argparse.Namespace) -> None:
    models = listing()
    if options.json:
        print(json.dumps([{**asdict(model), "folder": str(model.folder or "") or None} for model in models], indent=2))
        return
    rows = [("name", "parameters", "on disk", "where")]
    for model in models:
        size = "-" if model.folder is None else in_bytes(model.n_bytes) + ("" if model.complete else ", incomplete")
        parameters = "" if model.n_params is None else in_letters(model.n_params)
        name = model.name if model.source == DEFAULT_SOURCE else f"{model.name} ({model.source})"
        rows.append((name, parameters, size, str(model.folder or model.published_as)))
    widths = [max(len(row[n]) for row in rows) for n in range(3)]
    for name, parameters, size, where in rows:
        print(f"{name:<{widths[0]}}  {parameters:>{widths[1]}}  {size:>{widths[2]}}  {where}")


def _add_download(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser(
        "download", help="fetch a published model",
        description="Fetch a published model, or what is missing of it, and print its folder.",
    )  # fmt: skip
    parser.add_argument("name", metavar="NAME", help="a name that `gptcompare models` lists, or owner/name[@revision]")
    _add_source(parser)
    parser.set_defaults(run=lambda options: print(download(options.name, source=options.source)))


def _add_remove(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser(
        "remove", help="remove a downloaded model", description="Remove a downloaded model, complete or not."
    )
    parser.add_argument("name", metavar="NAME", help="as for `gptcompare download`")
    _add_source(parser)
    parser.set_defaults(run=_remove)


def _remove(options: argparse.Namespace) -> None:
    folder, n_bytes = remove(options.name, source=options.source)
    print(f"removed {folder}: {in_bytes(n_bytes)} are free again")


def _shown(token: bytes) -> str:
    """A token as a quoted string, or as bytes if it is a part of a character."""
    try:
        return repr(token.decode())
    except UnicodeDecodeError:
        return repr(token)
