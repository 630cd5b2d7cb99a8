"""`gptcompare compare`: several models, one prompt, and their texts growing side by side."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping

from ..comparison import (
    EMBEDDED_PAIR,
    Comparison,
    ComparisonStream,
    TextComparison,
    compare_text,
    load_models,
)
from ..comparison.gpt3_samples import gpt3_samples
from ..comparison.reading import ALTERNATIVES
from ..comparison.terminal.closing import closing, speeds_in_short
from ..comparison.terminal.live import least_width, show_writing
from ..comparison.terminal.summary import speeds, summary_of_texts
from ..display.messages import show
from ..display.progress import progress_bar
from ..display.shades import colour_wanted, key
from ..generation import LanguageModel
from ..generation.options import SAMPLED
from ..report import report
from ..tokenizer import END_OF_TEXT, AllowedSpecial
from .generate import flag_of, generation_options_of, given_options, take_generation_options
from .options import (
    DASH_HELP,
    add_allow_special,
    add_alternatives,
    add_colour,
    add_tokenizer,
    allowed_special,
    check_page,
    hint_at_last_space,
    save_page,
    text_in,
    text_of,
)

GPT3_SAMPLES = "gpt3-samples"


def add_compare(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Let two or more models continue a prompt, or read a text, side by side, and say how they differ."
    )
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("prompt", nargs="?", metavar="PROMPT", help=f"the text to continue; {DASH_HELP}")
    what.add_argument(
        "--text", metavar="FILE",
        help=f'read this text instead of writing; "-" reads standard input; "{GPT3_SAMPLES}" stands for the texts '
        "by GPT-3 175B that OpenAI published, which are downloaded once",
    )  # fmt: skip
    what.add_argument(
        "--report", action="store_true",
        help="say what the models are, what they learned from, how good they are and what they can be used for, as "
        "Markdown; for published models and the built-in pair, which need not be on this machine",
    )  # fmt: skip
    parser.add_argument("--first", type=int, metavar="N", help=f"with --text {GPT3_SAMPLES}: read only the first N")
    parser.add_argument(
        "--models", default=",".join(EMBEDDED_PAIR), metavar="A,B",
        help=f"names or folders (without commas in them), as for --model of `gptcompare generate` (default: "
        f"{','.join(EMBEDDED_PAIR)})",
    )  # fmt: skip
    add_tokenizer(parser)
    add_allow_special(parser)
    take_generation_options(parser, SAMPLED)
    add_alternatives(parser, ALTERNATIVES)
    parser.add_argument(
        "--explain", type=int, metavar="N",
        help="also show what each model held likeliest at the N positions where they differ most",
    )  # fmt: skip
    parser.add_argument(
        "--numbers", action="store_true", help="on a terminal, too, show all numbers below the texts, as in a file"
    )
    add_colour(parser, "colour each token by its surprise")
    parser.add_argument(
        "--width",
        type=int,
        metavar="N",
        help="write finished columns, N cells wide in total, whether the output is a terminal or not",
    )
    parser.add_argument(
        "--json", action="store_true", help="print texts and numbers as JSON, the same for the same seed"
    )
    parser.add_argument("--html", metavar="FILE", help="also write an HTML page; for --report, instead of Markdown")
    parser.set_defaults(run=_compare)


def _compare(options: argparse.Namespace) -> None:
    names = _checked_names(options)
    if options.report:
        _report(options, names)
        return
    models = load_models(names, tokenizer=options.tokenizer)
    if options.text is not None:
        _read(options, models)
    else:
        _write(options, models)


def _checked_names(options: argparse.Namespace) -> list[str]:
    """Return the names of the models; raise ValueError for options that do not go together or make no sense."""
    if options.width is not None and options.width < 1:
        raise ValueError(f"width must be at least 1, got {options.width}")
    if options.first is not None and (options.text != GPT3_SAMPLES or options.first < 1):
        raise ValueError(f"--first goes with --text {GPT3_SAMPLES} and must be at least 1, got {options.first}")
    if options.explain is not None and (options.json or options.report or options.text == GPT3_SAMPLES):
        raise ValueError("--explain is for one prompt or text: --json has what it shows, for all positions")
    if options.explain is not None and (options.explain < 1 or options.alternatives < 1):
        raise ValueError(f"--explain needs at least 1 position and 1 of --alternatives, got {options.explain}")
    if options.report and (options.json or options.width is not None):
        raise ValueError("--report goes with --models and --html: --json and --width are for texts")
    if options.prompt is None and (given := given_options(options)):
        flags = ", ".join(map(flag_of, given))
        raise ValueError(f"{flags}: only for a prompt that is continued; with --text and --report no model writes")
    if options.html is not None:
        check_page(options.html)
    names = [name.strip() for name in options.models.split(",")]
    if not all(names):
        raise ValueError(f"--models {options.models!r} has an empty name: give names or folders separated by commas")
    return names


def _report(options: argparse.Namespace, names: list[str]) -> None:
    result = report(names)
    if options.html is None:
        show(result.to_markdown(), end="")
    else:
        save_page(options.html, result.to_html())


def _read(options: argparse.Namespace, models: dict[str, LanguageModel]) -> None:
    if options.text == GPT3_SAMPLES:
        _read_samples(options, models)
        return
    text = text_in(options.text)
    allowed = _allowed(options, models, text)
    result = compare_text(text, models, allowed_special=allowed, alternatives=options.alternatives)
    _print(result, result.to_text(least_width(options.width)), options)
    _save_page(options, result)


def _read_samples(options: argparse.Namespace, models: dict[str, LanguageModel]) -> None:
    if options.html is not None:
        raise ValueError(f"a page shows one text: --html does not go with --text {GPT3_SAMPLES}")
    documents = [text for sample in gpt3_samples() for text in sample.split(END_OF_TEXT) if text.strip()]
    results = []
    with progress_bar(total=len(documents[: options.first]), desc="reading", unit="text") as bar:
        for text in documents[: options.first]:
            results.append(compare_text(text, models, alternatives=options.alternatives if options.json else 0))
            bar.update()
    if options.json:
        print(json.dumps([result.to_dict() for result in results]))
    else:
        show(summary_of_texts(list(models), [result.reading for result in results], least_width(options.width)))


def _write(options: argparse.Namespace, models: dict[str, LanguageModel]) -> None:
    prompt = text_of(options.prompt)
    allowed = _allowed(options, models, prompt)
    stream = ComparisonStream(prompt, models, generation_options_of(options, SAMPLED), allowed, options.alternatives)
    hint_at_last_space(prompt)
    if options.json:
        for _ in stream:
            pass
    else:
        coloured = colour_wanted(options.color, sys.stdout)
        show_writing(stream, options.width, coloured)
        print(f"\n{key()}" if coloured else "")
    result = stream.comparison()
    whole = options.json or options.numbers or options.width is not None or not sys.stdout.isatty()
    n_cells = least_width(options.width)
    _print(result, result.summary(n_cells) if whole else _in_short(result, n_cells), options)
    _save_page(options, result)  # after what is printed, which a full disk or a wrong name must not lose
    show("\n" + speeds(result.sides) if whole else speeds_in_short(result.sides), file=sys.stderr)


def _in_short(result: Comparison, n_cells: int) -> str:
    return closing(
        result.sides, result.readings, result.parting, result.share_vocabulary, result.options, n_cells
    )  # fmt: skip


def _allowed(options: argparse.Namespace, models: Mapping[str, LanguageModel], text: str) -> AllowedSpecial:
    return allowed_special(options, [lm.tokenizer for lm in models.values()], text)


def _print(result: Comparison | TextComparison, text: str, options: argparse.Namespace) -> None:
    if options.json:
        print(json.dumps(result.to_dict()), flush=True)
    else:
        show(text)
        if options.explain is not None:
            show("\n" + result.explain(options.explain, least_width(options.width)))


def _save_page(options: argparse.Namespace, result: Comparison | TextComparison) -> None:
    if options.html is not None:
        save_page(options.html, result.to_html())
