"""`gptcompare compare`: several models, one prompt, and their texts growing side by side."""

from __future__ import annotations

import argparse
import json
import os
import shlex
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

from ..checks import integer
from ..comparison import (
    EMBEDDED_PAIR,
    Comparison,
    ComparisonStream,
    TextComparison,
    Writer,
    compare_text,
    compare_texts,
    load_models,
    load_sides,
)
from ..comparison.corpus.result import BY, LISTED
from ..comparison.differences import Texts, named_texts
from ..comparison.gpt3_samples import gpt3_samples
from ..comparison.reading import ALTERNATIVES, share_vocabulary
from ..comparison.terminal.closing import closing, speeds_in_short
from ..comparison.terminal.live import least_width, show_writing
from ..comparison.terminal.summary import speeds, summary_of_texts
from ..comparison.writers import options_of_all
from ..display.messages import show
from ..display.progress import progress_bar
from ..display.shades import colour_wanted, key
from ..files.texts import text_files
from ..generation import LanguageModel
from ..generation.options import SAMPLED
from ..report import report
from ..tokenizer import END_OF_TEXT, AllowedSpecial
from .generate import flag_of, generation_options_of, given_options, take_generation_options
from .options import (
    DASH_HELP,
    STANDARD_INPUT,
    add_allow_special,
    add_alternatives,
    add_colour,
    add_keep,
    add_mpi,
    add_tokenizer,
    allowed_special,
    check_page,
    hint_at_last_space,
    names_in,
    on_own_cores,
    save_page,
    text_in,
    text_of,
)

GPT3_SAMPLES = "gpt3-samples"
WIDEST = 10_000  # cells of --width


def add_compare(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Let two or more models continue a prompt, or read a text, side by side, and say how they differ."
    )
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("prompt", nargs="?", metavar="PROMPT", help=f"the text to continue; {DASH_HELP}")
    what.add_argument(
        "--text", nargs="+", metavar="FILE",
        help="read these texts instead of writing, and list the sentences over which two models differ most; a folder "
        f'stands for the .txt files in it, "-" for standard input, and "{GPT3_SAMPLES}" for the texts by GPT-3 175B '
        "that OpenAI published, which are downloaded once",
    )  # fmt: skip
    what.add_argument(
        "--report", action="store_true",
        help="say what the models are, what they learned from, how good they are and what they can be used for, as "
        "Markdown; for published models and the built-in pair, which need not be on this machine",
    )  # fmt: skip
    parser.add_argument(
        "--most", type=int, metavar="N", help=f"with --text: list the N sentences that differ most (default: {LISTED})"
    )
    parser.add_argument(
        "--by", choices=BY,
        help="with --text: in what they differ: the divergence of the predictions (default), the log-probability of "
        "the tokens, of which both ends are listed, or the tokens' ranks",
    )  # fmt: skip
    parser.add_argument("--first", type=int, metavar="N", help=f"with --text {GPT3_SAMPLES}: read only the first N")
    parser.add_argument(
        "--models", default=",".join(EMBEDDED_PAIR), metavar="A,B",
        help=f"names or folders (without commas in them), as for --model of `gptcompare generate`; with options that "
        "only this side has, such as nano-gpt2@temperature=0.5@top_k=40, or heads left out, nano-gpt2@without=1.2+1.3, "
        f"each LAYER.HEAD from 0 (default: {','.join(EMBEDDED_PAIR)})",
    )  # fmt: skip
    add_tokenizer(parser)
    add_keep(parser)
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
    parser.add_argument(
        "--html", metavar="FILE",
        help="also write a page to explore the comparison in, one HTML file; for --report, instead of Markdown",
    )  # fmt: skip
    parser.add_argument(
        "--page-from", type=int, default=0, metavar="N",
        help="the token, from 0, with which the page of a long text begins (default: 0)",
    )  # fmt: skip
    add_mpi(parser, "share each model")
    parser.set_defaults(run=on_own_cores(_compare))


def _compare(options: argparse.Namespace) -> None:
    names = _checked_names(options)
    if options.report:
        _report(options, names)
        return
    how = {"tokenizer": options.tokenizer, "keep": options.keep, "parallel": options.ranks}
    if options.text is not None:
        _read(options, load_models(names, **how))
    else:
        _write(options, load_sides(names, **how))


def _checked_names(options: argparse.Namespace) -> list[str]:
    """Return the names of the models; raise ValueError for options that do not go together or make no sense."""
    if options.width is not None:
        integer("width", options.width, at_least=1, at_most=WIDEST)
    if options.first is not None and (options.text != [GPT3_SAMPLES] or options.first < 1):
        raise ValueError(f"--first goes with --text {GPT3_SAMPLES} and must be at least 1, got {options.first}")
    if options.explain is not None and (options.json or options.report or options.text == [GPT3_SAMPLES]):
        raise ValueError("--explain does not go with --json, which has all that it shows, --report and the samples")
    if options.explain is not None and (options.explain < 1 or options.alternatives < 1):
        raise ValueError(f"--explain needs at least 1 position and 1 of --alternatives, got {options.explain}")
    if (options.most is not None or options.by is not None) and options.text in (None, [GPT3_SAMPLES]):
        raise ValueError("--most and --by are for the sentences of texts in files: they go with --text FILE")
    if options.most is not None and options.most < 0:
        raise ValueError(f"--most must be at least 0, got {options.most}")
    if options.report and (options.json or options.width is not None):
        raise ValueError("--report goes with --models and --html: --json and --width are for texts")
    if options.prompt is None and (given := given_options(options)):
        flags = ", ".join(map(flag_of, given))
        raise ValueError(f"{flags}: only for a prompt that is continued; with --text and --report no model writes")
    if options.html is not None and options.mpi:
        raise ValueError("a page shows what happens inside the models, of which no rank has all: --html without --mpi")
    if options.html is not None:
        check_page(options.html)
    if options.page_from and options.html is None:
        raise ValueError("--page-from is for a page: it goes with --html")
    if options.page_from < 0:
        raise ValueError(f"--page-from must be at least 0, got {options.page_from}")
    return names_in(options.models)


def _report(options: argparse.Namespace, names: list[str]) -> None:
    result = report(names)
    if options.html is None:
        show(result.to_markdown(), end="")
    else:
        save_page(options.html, result.to_html())


def _read(options: argparse.Namespace, models: dict[str, LanguageModel]) -> None:
    if options.text == [GPT3_SAMPLES]:
        _read_samples(options, models)
    elif options.text[1:] or os.path.isdir(options.text[0]):
        _read_several(options, models)
    else:
        _read_one(options, models)


def _read_several(options: argparse.Namespace, models: dict[str, LanguageModel]) -> None:
    if options.html is not None or options.explain is not None:
        raise ValueError("--html and --explain show the tokens of one text: give one file")
    options.text = list(dict.fromkeys(options.text))
    files = [path for file in options.text if file != "-" for path in text_files(file)]
    if twice := {path for path in files if sum(os.path.samefile(path, other) for other in files) > 1}:
        raise ValueError(f"{min(map(str, twice))} is given twice: a text that is read again is no new evidence")
    n_bytes = None if "-" in options.text else sum(path.stat().st_size for path in files)

    def texts() -> Iterator[tuple[str, str]]:
        for file in options.text:
            for name, text in [(STANDARD_INPUT, text_in("-"))] if file == "-" else named_texts(Path(file)):
                _allowed(options, models, text)  # a hint, for each of them
                yield name, text

    _read_sentences(options, models, texts(), "all" if options.allow_special else (), n_bytes)


def _read_one(options: argparse.Namespace, models: dict[str, LanguageModel]) -> None:
    """Show the sentences where they can be told; the JSON of a text without --most and --by has its tokens instead."""
    text = text_in(options.text[0])
    allowed = _allowed(options, models, text)
    pair = len(models) == 2 and share_vocabulary([*models.values()])
    by_sentence = options.most is not None or options.by is not None or (pair and not options.json)
    if by_sentence:
        _read_sentences(options, models, [(options.text[0], text)], allowed, len(text.encode(errors="replace")))
    if not by_sentence or options.html is not None or options.explain is not None:
        result = compare_text(text, models, allowed_special=allowed, alternatives=options.alternatives)
        _print(result, None if by_sentence else result.to_text(least_width(options.width)), options)
        _save_page(options, result)


def _read_sentences(
    options: argparse.Namespace,
    models: dict[str, LanguageModel],
    texts: Texts,
    allowed: AllowedSpecial,
    n_bytes: int | None,
) -> None:
    with progress_bar(total=n_bytes, desc="reading", unit="B", unit_scale=True, delay=1) as bar:
        found = compare_texts(texts, models, allowed_special=allowed, progress=bar.update)
    n, by = LISTED if options.most is None else options.most, options.by or BY[0]
    if options.json:
        print(json.dumps(found.to_dict(n, by)), flush=True)
    else:
        show(found.to_text(n, by, least_width(options.width)))


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


def _write(options: argparse.Namespace, sides: dict[str, Writer]) -> None:
    prompt = text_of(options.prompt)
    allowed = _allowed(options, {name: side.lm for name, side in sides.items()}, prompt)
    chosen, _ = options.ranks.broadcast(options_of_all(generation_options_of(options, SAMPLED), sides.values()))
    stream = ComparisonStream(prompt, sides, chosen, allowed, options.alternatives)
    hint_at_last_space(prompt)
    if options.explain is not None and not (len(sides) > 1 and share_vocabulary([side.lm for side in sides.values()])):
        raise ValueError("--explain needs two models that share a vocabulary")
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


def _print(result: Comparison | TextComparison, text: str | None, options: argparse.Namespace) -> None:
    """Print the JSON or the text, unless that is None, and what was asked to be explained."""
    if options.json and text is not None:
        print(json.dumps(result.to_dict()), flush=True)
    elif text is not None:
        show(text)
    if options.explain is not None:
        show("\n" + result.explain(options.explain, least_width(options.width)))


def _save_page(options: argparse.Namespace, result: Comparison | TextComparison) -> None:
    if options.html is not None:
        save_page(options.html, result.to_html(first=options.page_from, command=_command(options, result)))


def _command(options: argparse.Namespace, result: Comparison | TextComparison) -> str:
    """Return the command that makes the same comparison: this one, with the seed that was drawn."""
    drawn = result.options["seed"] if isinstance(result, Comparison) else None
    if drawn is None or "seed" in given_options(options):
        return str(options.command)
    words = shlex.split(options.command)
    end = words.index("--") if "--" in words else len(words)  # behind it, a word is no option
    return shlex.join([*words[:end], "--seed", str(drawn), *words[end:]])
