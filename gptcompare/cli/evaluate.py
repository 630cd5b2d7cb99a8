"""`gptcompare evaluate`, `tasks` and `verify`: how good a model is, and what others recorded of it."""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict

from .. import evaluation
from ..checkpoints.download.publishers import DEFAULT_SOURCE
from ..display.messages import show
from ..display.page import document
from ..evaluation import TASKS, Settings
from ..evaluation.overlap import text_files
from ..evaluation.run import SETTINGS, folder_for
from ..presets import canonical_name
from ..tokenizer import Tokenizer
from .options import (
    DEFAULT_MODEL,
    MODEL_HELP,
    add_model,
    add_mpi,
    add_source,
    check_page,
    names_in,
    on_own_cores,
    save_page,
)

FOLDER = "evaluations"
DISAGREES = 1  # exit status


def add_evaluate(parser: argparse.ArgumentParser) -> None:
    parser.description = "Measure a model's performance on published tasks, beside published results of other models."
    parser.add_argument("--task", metavar="NAME[,NAME...]", help="what to measure: `gptcompare tasks` lists all")
    add_model(parser, "which needs no network")
    parser.add_argument(
        "--models", metavar="A,B",
        help="compare two or more models at the same items: how much the first differs from each other one, with "
        "paired 95%% intervals",
    )  # fmt: skip
    parser.add_argument(
        "--from", nargs="+", dest="kept", metavar="FOLDER",
        help="compare what evaluations have left in folders, without the models: a folder for each model",
    )  # fmt: skip
    parser.add_argument(
        "--examples",
        type=int,
        default=0,
        metavar="N",
        help="with several models: show the N items where they differ most",
    )
    parser.add_argument(
        "--contamination", nargs="+", metavar="TEXTS",
        help="also find the items that stand in these texts (files, or folders of *.txt), and score them apart, as "
        "GPT-3's paper does",
    )  # fmt: skip
    parser.add_argument(
        "--data", metavar="PATH",
        help="the task's file as published, or the archive or folder that it is in, which several tasks may share "
        "(default: it is downloaded once)",
    )  # fmt: skip
    parser.add_argument(
        "--shots", type=_numbers, metavar="N[,N...]",
        help="few-shot examples per item (default: 0); several numbers show a curve",
    )  # fmt: skip
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
    add_mpi(parser, "share the model")
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="print the results as JSON")
    form.add_argument("--markdown", action="store_true", help="with several models: print a Markdown table")
    parser.add_argument(
        "--html",
        metavar="FILE",
        help="with several models, or several numbers of shots: also write a page with a picture",
    )
    parser.set_defaults(run=on_own_cores(_evaluate))


def _evaluate(options: argparse.Namespace) -> None:
    _check(options)
    if options.kept is not None:
        _tell(options, evaluation.compare_kept(options.kept))
        return
    names = options.task.split(",")
    settings = {name: getattr(options, name) for name in SETTINGS}
    for name in names:  # before the first takes an hour
        for shots in options.shots or [None]:
            evaluation.task_named(name).check(Settings(**{**settings, "shots": shots}))
    if len(options.shots or []) > 1:
        _draw_curves(options, names, {name: settings[name] for name in ("limit", "beams", "seed")})
        return
    settings["shots"] = options.shots[0] if options.shots else None
    if options.models is not None:
        models = names_in(options.models)
        _tell(options, evaluation.compare(models, names, options.data, folder=options.out, **settings))
        return
    beside = None if options.beside is None else [canonical_name(name) for name in options.beside.split(",")]
    for name in names:
        folder = folder_for(options.out, options.model, evaluation.task_named(name), options.data, settings)
        try:
            result = evaluation.evaluate(
                options.model, name, options.data, **settings, folder=folder, source=options.source,
                tokenizer=options.tokenizer, keep=options.keep,
                dask=options.dask, parallel=options.ranks,
            )  # fmt: skip
        except KeyboardInterrupt:
            show(f"stopped: run the same command again to resume from {folder}", file=sys.stderr)
            raise
        show(json.dumps(result.to_dict(beside)) if options.json else result.to_text(beside))
        if options.contamination:
            tokenizer = Tokenizer.from_pretrained(options.tokenizer or options.model)
            overlap = evaluation.contamination(result, options.contamination, tokenizer)
            show(json.dumps(overlap.to_dict()) if options.json else f"\n{overlap}")
        show(f"[{folder / 'result.json'}]", file=sys.stderr)


def _check(options: argparse.Namespace) -> None:
    """Raise ValueError for options that do not go together."""
    several = options.models is not None or options.kept is not None
    curve = len(options.shots or []) > 1
    if (options.task is None) == (options.kept is None):
        raise ValueError("give either --task, or --from with folders of evaluations")
    if options.kept is not None and options.models is not None:
        raise ValueError("--models are evaluated now, --from takes what was evaluated before: give one of them")
    if not several and (options.examples or options.markdown):
        raise ValueError("--examples and --markdown are for several models: --models A,B or --from FOLDER FOLDER")
    if options.html is not None and not several and not curve:
        raise ValueError("--html is for several models or several numbers of shots")
    if (several or curve) and (options.contamination or options.dask is not None or options.beside is not None):
        raise ValueError("--contamination, --dask and --beside are for one model and one number of shots")
    if (options.mpi or options.keep) and (several or curve):
        raise ValueError("--mpi and --keep are for one model and one number of shots")
    own = {"--model": options.model != DEFAULT_MODEL, "--source": options.source != DEFAULT_SOURCE,
           "--tokenizer": options.tokenizer is not None}  # fmt: skip
    if several and (given := [flag for flag, is_given in own.items() if is_given]):
        raise ValueError(f"{', '.join(given)}: only for one model, without --models and --from")
    if curve and (given := [flag for flag in ("--source", "--tokenizer") if own[flag]]):
        raise ValueError(f"{', '.join(given)}: only for one number of shots")
    if curve and (options.examples or options.markdown):
        raise ValueError("--examples and --markdown are for one number of shots")
    settings = [f"--{name}" for name in SETTINGS if getattr(options, name)]
    settings += ["--data"] if options.data is not None else []
    if options.kept is not None and settings:
        raise ValueError(f"{', '.join(settings)}: only for what is evaluated now, and --from takes what was evaluated")
    if options.examples < 0:
        raise ValueError(f"--examples must be at least 0, got {options.examples}")
    if options.html is not None:
        check_page(options.html)
    if options.contamination:
        text_files(options.contamination)  # before the model reads for an hour


def _tell(options: argparse.Namespace, result: evaluation.PairedEvaluation) -> None:
    if options.json:
        examples = [asdict(one) for one in result.examples(options.examples)]
        show(json.dumps({**result.to_dict(), "examples": examples}))
    else:
        show(result.to_markdown() if options.markdown else result.to_text(n_examples=options.examples))
    if options.html is not None:
        save_page(options.html, result.to_html(n_examples=options.examples or 5))


def _draw_curves(options: argparse.Namespace, names: list[str], settings: dict[str, int | None]) -> None:
    models = [options.model] if options.models is None else names_in(options.models)
    found = []
    for name in names:
        found.append(evaluation.curve(models, name, options.shots, options.data, folder=options.out, **settings))
        show(json.dumps(found[-1].to_dict()) if options.json else found[-1])
    if options.html is not None:
        body = "\n".join(one._repr_html_() for one in found)
        save_page(options.html, document("By the number of examples", body))


def _numbers(text: str) -> list[int]:
    try:
        return [int(number) for number in text.split(",")]
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no number, nor several with commas between them") from None


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
