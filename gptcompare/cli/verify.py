"""`gptcompare verify`: a model beside the outputs that others recorded of it."""

from __future__ import annotations

import argparse
import json

from .. import verification
from .options import MODEL_HELP, add_source, show

DISAGREES = 1  # exit status


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
        "--data", metavar="PATH",
        help="the data files as published, or a folder with some of them; implies --all (default: they are downloaded)",
    )  # fmt: skip
    parser.add_argument("--records", metavar="FILE", help="other records than those in the package")
    parser.add_argument("--json", action="store_true", help="print everything as JSON, with sources and notes")
    parser.set_defaults(run=_verify)


def _verify(options: argparse.Namespace) -> int:
    result = verification.verify(
        options.model, name=options.name, records=options.records, source=options.source,
        with_data=options.with_data or options.data is not None, data=options.data,
    )  # fmt: skip
    show(json.dumps(result.to_dict()) if options.json else result)
    return 0 if result.agrees else DISAGREES
