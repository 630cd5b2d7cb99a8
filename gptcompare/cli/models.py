"""`gptcompare table`, `models`, `download`, `remove`, `export`: which models exist, and which are on this machine."""

from __future__ import annotations

import argparse
import json
import os
import shutil
from dataclasses import asdict

from ..checkpoints import listing, remove
from ..checkpoints.by_name import download
from ..checkpoints.download.publishers import DEFAULT_SOURCE
from ..checkpoints.formats.gguf import WRITTEN_TYPES
from ..display.units import in_bytes, in_letters
from ..presets import presets
from ..report.table import table
from .options import MODEL_HELP, add_source, show


def add_table(parser: argparse.ArgumentParser) -> None:
    parser.description = "Show published models side by side: sizes, what follows from them, training and results."
    parser.epilog = f"names: {', '.join(presets())}"
    parser.add_argument("names", nargs="*", metavar="NAME", help="models (default: all sizes of GPT-2 and GPT-3)")
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="print everything that is known, with sources, as JSON")
    form.add_argument("--markdown", action="store_true", help="print a Markdown table")
    parser.set_defaults(run=_table)


def _table(options: argparse.Namespace) -> None:
    chosen = table(options.names or None)
    if options.json:
        print(json.dumps(chosen.to_dict(), indent=2))
    elif options.markdown:
        print(chosen.to_markdown())
    else:
        print(chosen.to_text(shutil.get_terminal_size((100, 24)).columns))


def add_models(parser: argparse.ArgumentParser) -> None:
    parser.description = "List the models that can be loaded by name, and where those on this machine are."
    parser.add_argument("--json", action="store_true", help="print the list as JSON, with sizes in bytes")
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
        show(f"{name:<{widths[0]}}  {parameters:>{widths[1]}}  {size:>{widths[2]}}  {where}")


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
    from ..generation import load, save_gguf  # which the other commands here need not import

    save_gguf(load(options.name, source=options.source), options.gguf, dtype=options.dtype)
    show(f"wrote {options.gguf}: {in_bytes(os.path.getsize(options.gguf))}")
