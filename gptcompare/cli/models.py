"""`gptcompare table`, `models`, `download`, `remove`, `inspect` and `export`: models and their files."""

from __future__ import annotations

import argparse
import json
import os
import shutil
import warnings
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from ..checkpoints import listing, locate, remove
from ..checkpoints.by_name import download
from ..checkpoints.download.publishers import DEFAULT_SOURCE
from ..checkpoints.folder import files_of, read_end_ids
from ..checkpoints.formats.gguf import WRITTEN_TYPES
from ..checkpoints.room import FLOAT32, IN_16_BITS
from ..display.messages import show
from ..display.units import in_bytes, in_letters
from ..presets import presets
from ..report.pictures.architecture import architecture
from ..report.table import table
from ..tokenizer import Tokenizer
from ..tokenizer.files import files_of_vocabulary
from .options import MODEL_HELP, add_source

if TYPE_CHECKING:
    from ..generation import LanguageModel

# What runs models is imported by the commands that need it: the others only look at tables and files.
Kind = TypeVar("Kind")
MOST = 12  # special tokens that are shown


def add_table(parser: argparse.ArgumentParser) -> None:
    parser.description = "Show published models side by side: sizes, what follows from them, training and results."
    parser.epilog = f"names: {', '.join(presets())}"
    parser.add_argument("names", nargs="*", metavar="NAME", help="models (default: all sizes of GPT-2 and GPT-3)")
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="print everything that is known, with sources, as JSON")
    form.add_argument("--markdown", action="store_true", help="print a Markdown table")
    form.add_argument("--svg", action="store_true", help="print a picture of the models, to be kept with > FILE.svg")
    parser.set_defaults(run=_table)


def _table(options: argparse.Namespace) -> None:
    chosen = table(options.names or None)
    if options.json:
        print(json.dumps(chosen.to_dict(), indent=2))
    elif options.markdown:
        print(chosen.to_markdown())
    elif options.svg:
        svg = architecture(chosen.names[0], chosen.names[1:]).svg
        print(svg.encode("ascii", "xmlcharrefreplace").decode(), end="")  # a file of it is valid in any encoding
    else:
        print(chosen.to_text(shutil.get_terminal_size((100, 24)).columns))


def add_models(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "List the models that can be loaded by name, the memory that their weights need in float32 and kept in 16 bits "
        "(--keep), and where those on this machine are."
    )
    parser.add_argument("--json", action="store_true", help="print the list as JSON, with sizes in bytes")
    parser.set_defaults(run=_models)


def _models(options: argparse.Namespace) -> None:
    models = listing()
    if options.json:
        print(json.dumps([{**asdict(model), "folder": str(model.folder or "") or None} for model in models], indent=2))
        return
    rows = [("name", "parameters", "float32", "16 bits", "on disk", "where")]
    for model in models:
        size = "-" if model.folder is None else in_bytes(model.n_bytes) + ("" if model.complete else ", incomplete")
        n = model.n_params
        numbers = ("", "", "") if n is None else (in_letters(n), in_bytes(FLOAT32 * n), in_bytes(IN_16_BITS * n))
        name = model.name if model.source == DEFAULT_SOURCE else f"{model.name} ({model.source})"
        rows.append((name, *numbers, size, str(model.folder or model.published_as)))
    widths = [max(len(row[n]) for row in rows) for n in range(len(rows[0]) - 1)]
    for name, *cells, where in rows:
        padded = [f"{cell:>{width}}" for cell, width in zip(cells, widths[1:], strict=True)]
        show("  ".join([f"{name:<{widths[0]}}", *padded, where]))


def add_download(parser: argparse.ArgumentParser) -> None:
    parser.description = "Download a published model, or its missing files, and print its folder."
    parser.add_argument("name", metavar="NAME", help="a name that `gptcompare models` lists, or owner/name[@revision]")
    add_source(parser)
    parser.set_defaults(run=lambda options: show(download(options.name, source=options.source)))


def add_remove(parser: argparse.ArgumentParser) -> None:
    parser.description = "Remove a downloaded model, complete or not."
    parser.add_argument("name", metavar="NAME", help="as for `gptcompare download`")
    add_source(parser)
    parser.set_defaults(run=_remove)


def _remove(options: argparse.Namespace) -> None:
    folder, n_bytes = remove(options.name, source=options.source)
    show(f"removed {folder}: freed {in_bytes(n_bytes)}")


def add_export(parser: argparse.ArgumentParser) -> None:
    parser.description = "Write a model with its vocabulary as a GGUF file, which llama.cpp and ollama run."
    parser.add_argument("name", metavar="FOLDER_OR_NAME", help=MODEL_HELP)
    parser.add_argument("--gguf", metavar="FILE", required=True, help="the file to write")
    parser.add_argument(
        "--dtype", choices=list(WRITTEN_TYPES), default="float32", help="of the matrices in the file (default: float32)"
    )
    add_source(parser)
    parser.set_defaults(run=_export)


def _export(options: argparse.Namespace) -> None:
    from ..generation import load, save_gguf

    save_gguf(load(options.name, source=options.source), options.gguf, dtype=options.dtype)
    show(f"wrote {options.gguf}: {in_bytes(os.path.getsize(options.gguf))}")


def add_inspect(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Say what is in a folder or file, how it would be read, and what would be ignored. The exit status is 1 if it "
        "cannot be loaded."
    )
    parser.add_argument("name", metavar="FOLDER_OR_NAME", help=MODEL_HELP)
    parser.add_argument("--json", action="store_true", help="print the same as JSON")
    add_source(parser)
    parser.set_defaults(run=_inspect)


def _inspect(options: argparse.Namespace) -> int:
    place = locate(options.name, source=options.source)
    found, errors = _parts(place), []
    for name, part in found.items():
        if isinstance(part, Exception):
            found[name] = " ".join(str(part).split())
            errors.append(name)
    files = _tried(lambda: [*files_of(place), *files_of_vocabulary(place)])
    read = set() if isinstance(files, Exception) else {path.name for path in files}
    others = sorted(path.name for path in place.iterdir() if path.name not in read) if place.is_dir() else []
    if options.json:
        print(json.dumps({"place": str(place), **found, "read": sorted(read), "ignored": others, "loads": not errors}))
        return 1 if errors else 0
    show(f"{place}")
    lines = {**found, "read": ", ".join(sorted(read)) or "nothing", "ignored": ", ".join(others) or "nothing"}
    width = max(map(len, lines))
    for name, line in lines.items():
        show(f"  {name:<{width}}  {line}")
    return 1 if errors else 0


def _parts(place: Path) -> dict[str, Any]:
    """Return what can be said of a model's parts; for a part that cannot be read, the exception that says why."""
    from ..comparison.sides import describe
    from ..generation import LanguageModel
    from ..generation.loading import tokenizer_of
    from ..model import GPT

    with warnings.catch_warnings(record=True) as left_out:
        warnings.simplefilter("always")
        model = _tried(lambda: GPT.from_pretrained(place))
    parts = {"model": describe(model.config) if isinstance(model, GPT) else model}
    if left_out:
        parts["left out"] = "; ".join(" ".join(str(warning.message).split()) for warning in left_out)
    if not isinstance(model, GPT):
        return parts
    tokenizer = _tried(lambda: tokenizer_of(place, model))
    if not isinstance(tokenizer, Tokenizer):
        return {**parts, "tokenizer": tokenizer}
    n_rows, vocabulary = model.config.n_vocab, tokenizer.vocabulary
    parts["tokenizer"] = f"{len(vocabulary.ids):,} tokens of byte-level BPE, from {Path(vocabulary.source).name}"
    for name, tokens in {"special": vocabulary.special_tokens, "added": vocabulary.added_tokens}.items():
        if tokens:
            in_order = sorted(tokens.items(), key=lambda item: item[1])
            shown = [f"{token} {id_}{'' if id_ < n_rows else ' (not in the model)'}" for token, id_ in in_order]
            parts[f"{name} tokens"] = ", ".join(shown[:MOST]) + (f" ... {len(shown)} in all" if shown[MOST:] else "")
    lm = _tried(lambda: LanguageModel(model, tokenizer, read_end_ids(place)))
    parts["ends a text"] = _ends(lm) if isinstance(lm, LanguageModel) else lm
    return parts


def _ends(lm: LanguageModel) -> str:
    texts = {id_: token for token, id_ in lm.tokenizer.special_tokens.items()}
    return ", ".join(f"{texts.get(id_, '')} {id_}".strip() for id_ in sorted(lm.end_ids)) or "never"


def _tried(read: Callable[[], Kind]) -> Kind | Exception:
    """Return what was read, or the error that says why it cannot be."""
    try:
        return read()
    except (OSError, ValueError) as error:
        return error
