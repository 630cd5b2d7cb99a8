"""`gptcompare evaluate`, `tasks` and `verify`: how good a model is, and what others recorded of it."""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path

from .. import evaluation
from ..display.messages import show
from ..evaluation import TASKS, Settings
from ..presets import canonical_name
from .options import MODEL_HELP, add_model, add_source

FOLDER = "evaluations"
DISAGREES = 1  # exit status
SETTINGS = ("shots", "limit", "stride", "beams", "seed")


def add_evaluate(parser: argparse.ArgumentParser) -> None:
    parser.description = "Measure a model's performance on published tasks, beside published results of other models."
    parser.add_argument(
        "--task", required=True, metavar="NAME[,NAME...]", help="what to measure: `gptcompare tasks` lists all"
    )
    add_model(parser, "which needs no network")
    parser.add_argument(
        "--data", metavar="PATH",
        help="the task's file as published, or the archive or folder that it is in, which several tasks may share "
        "(default: it is downloaded once)",
    )  # fmt: skip
    parser.add_argument("--shots", type=int, metavar="N", help="few-shot examples per item (default: 0)")
    parser.add_argument("--limit", type=int, metavar="N", help="use only the first N items or texts")
    parser.add_argument(
        "--stride", type=int, metavar="N",
        help="for texts: tokens from one window to the next (default: the model's context)",
    )  # fmt: skip
    parser.add_argument(
        "--beams", type=int, metavar="N", help="for written answers: width of the beam search (default: 4)"
    )
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="random seed (default: 0)")
    parser.add_argument(
        "--beside", metavar="NAME[,NAME...]",
        help="print the published results of these models beside it (default: those of the model itself, if any)",
    )  # fmt: skip
    parser.add_argument(
        "--out", default=FOLDER, metavar="FOLDER",
        help="where the results are kept, in a folder for each model and task; an interrupted command resumes from "
        f"there when it is run again (default: {FOLDER})",
    )  # fmt: skip
    parser.add_argument(
        "--dask", nargs="?", const=0, type=_address_or_number, metavar="ADDRESS_OR_N",
        help="share the work among the workers of the Dask cluster whose scheduler has this address, or among N on "
        'this machine (default: one per core); needs Dask: pip install "gptcompare[dask]"',
    )  # fmt: skip
    parser.add_argument("--json", action="store_true", help="print the results as JSON")
    parser.set_defaults(run=_evaluate)


def _evaluate(options: argparse.Namespace) -> None:
    names = options.task.split(",")
    settings = {name: getattr(options, name) for name in SETTINGS}
    for name in names:  # before the first takes an hour
        evaluation.task_named(name).check(Settings(**settings))
    beside = None if options.beside is None else [canonical_name(name) for name in options.beside.split(",")]
    for name in names:
        folder = _folder(options, name)
        try:
            result = evaluation.evaluate(
                options.model, name, options.data, **settings, folder=folder, source=options.source,
                tokenizer=options.tokenizer, dask=options.dask,
            )  # fmt: skip
        except KeyboardInterrupt:
            show(f"stopped: run the same command again to resume from {folder}", file=sys.stderr)
            raise
        show(json.dumps(result.to_dict(beside)) if options.json else result.to_text(beside))
        show(f"[{folder / 'result.json'}]", file=sys.stderr)


def _folder(options: argparse.Namespace, task: str) -> Path:
    """Return a folder of its own for each model and task, text of the user's, and setting that is not the default."""
    model = options.model if not os.path.isdir(options.model) else Path(options.model).resolve().name
    own = [Path(options.data).name] if TASKS[task].data is None and options.data else []
    chosen = [f"{name}-{getattr(options, name)}" for name in SETTINGS if getattr(options, name)]
    return Path(options.out, model.replace("/", "--"), "-".join([task, *own, *chosen]))


def _address_or_number(text: str) -> str | int:
    try:
        return int(text)
    except ValueError:
        return text


def add_tasks(parser: argparse.ArgumentParser) -> None:
    parser.description = "List the published tasks that `gptcompare evaluate` knows."
    parser.add_argument("--json", action="store_true", help="print the list as JSON")
    parser.set_defaults(run=_tasks)


def _tasks(options: argparse.Namespace) -> None:
    if options.json:
        rows = [
            {"name": task.name, "title": task.title, "n_items": task.n_items, "source": task.source}
            for task in TASKS.values()
        ]
        print(json.dumps(rows, indent=2))
        return
    width = max(map(len, TASKS))
    for task in TASKS.values():
        n_items = "" if task.n_items is None else f"{task.n_items:,}"
        print(f"{task.name:<{width}}  {n_items:>6}  {task.source}")


def add_verify(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Compare what a model computes with what other programs and people recorded of it: logits, losses, "
        "probabilities, greedy texts, training. Exit status 0: all that decide agree; 1: one does not; 2: an error."
    )
    parser.add_argument("model", metavar="FOLDER_OR_NAME", help=MODEL_HELP)
    add_source(parser)
    parser.add_argument(
        "--as", dest="name", metavar="NAME",
        help="the model whose records these are (default: by its name or, for a folder, by its configuration)",
    )  # fmt: skip
    parser.add_argument(
        "--all", action="store_true", dest="with_data",
        help="also what needs a data file: perplexities and accuracies, which take minutes to hours",
    )  # fmt: skip
    parser.add_argument(
        "--data", metavar="FOLDER",
        help="a folder with the data files as published, or some of them; implies --all (default: they are downloaded)",
    )  # fmt: skip
    parser.add_argument("--records", metavar="FILE", help="other records than those in the package")
    parser.add_argument("--json", action="store_true", help="print everything as JSON, with sources and notes")
    parser.set_defaults(run=_verify)


def _verify(options: argparse.Namespace) -> int:
    from .. import verification  # here, since it imports training, which no other command of this module needs

    result = verification.verify(
        options.model, name=options.name, records=options.records, source=options.source,
        with_data=options.with_data or options.data is not None, data=options.data,
    )  # fmt: skip
    show(json.dumps(result.to_dict()) if options.json else result)
    return 0 if result.agrees else DISAGREES
