"""`gptcompare classify`, `sentiment`, `entities`, `choose` and `answer`: tasks that a model can do by a prompt."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import asdict

from .. import uses
from ..display.messages import show, tell
from ..display.text_width import pad, width
from ..files.texts import parse_object
from ..generation import LanguageModel
from ..presets import EMBEDDED_PAIR
from ..uses import Classification, Template
from .generate import load_model
from .options import (
    DASH_HELP,
    add_allow_special,
    add_model,
    allowed_special,
    lines_in_standard_input,
    text_in,
    text_of,
)

EXAMPLES_HELP = "examples with their answers, for a few-shot prompt: one JSON object per line, such as "
QUESTIONS_HELP = EXAMPLES_HELP + '{"question": "...", "answer": "..."}'


def add_classify(parser: argparse.ArgumentParser) -> None:
    parser.description = "Give each text the label that the model finds most probable after it."
    parser.add_argument(
        "--labels", required=True, metavar="A,B",
        help='labels, separated by commas; "LABEL=WORDS" lets other words stand for it in the prompt',
    )  # fmt: skip
    _add_texts(parser)
    _add_common(parser, EXAMPLES_HELP + '{"text": "...", "answer": "..."}')
    _add_normalisation(parser, "content_free")
    parser.set_defaults(run=_classify, default_template=uses.CLASSIFICATION)


def add_sentiment(parser: argparse.ArgumentParser) -> None:
    parser.description = "Say of each text whether it is positive or negative."
    _add_texts(parser)
    _add_common(parser, EXAMPLES_HELP + '{"text": "...", "answer": "..."}')
    _add_normalisation(parser, "content_free")
    parser.set_defaults(run=_classify, labels=None, default_template=uses.SENTIMENT)


def add_entities(parser: argparse.ArgumentParser) -> None:
    parser.description = "Find the names of persons, places and so on in each text."
    parser.add_argument(
        "--types", default="person,place", metavar="A,B", help="the kinds of names to find (default: person,place)"
    )
    _add_texts(parser)
    _add_common(
        parser,
        EXAMPLES_HELP + '{"text": "...", "person": ["..."], "place": []}; if not given, three built-in ones are used',
    )
    parser.set_defaults(run=_entities, default_template=uses.ENTITIES)


def add_choose(parser: argparse.ArgumentParser) -> None:
    parser.description = "Answer a question with the choice that the model finds most probable; it is printed first."
    parser.add_argument("question", metavar="QUESTION", help=DASH_HELP)
    parser.add_argument("choices", nargs="+", metavar="CHOICE", help="two or more")
    parser.add_argument("--complete", action="store_true", help="the text is not a question: the choices continue it")
    _add_common(parser, f'{QUESTIONS_HELP}, with --complete {{"text": "...", "answer": "..."}}')
    _add_normalisation(parser, "per_token")
    parser.set_defaults(run=_choose, default_template=uses.QUESTION)


def add_answer(parser: argparse.ArgumentParser) -> None:
    parser.description = "Answer a question with what the model writes after it."
    parser.add_argument("question", metavar="QUESTION", help=DASH_HELP)
    parser.add_argument("--max-new-tokens", type=int, default=40, metavar="N", help="stop after N tokens (default: 40)")
    parser.add_argument(
        "--beams", type=int, default=uses.WIDTH, metavar="N",
        help=f"width of the beam search (default: {uses.WIDTH}, as in GPT-3's paper); 1 is greedy and faster",
    )  # fmt: skip
    _add_common(parser, QUESTIONS_HELP)
    parser.set_defaults(run=_answer, default_template=uses.QUESTION)


def _add_texts(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("texts", nargs="+", metavar="TEXT", help='"-" alone reads standard input, one text per line')


def _add_common(parser: argparse.ArgumentParser, examples_help: str) -> None:
    parser.add_argument("--examples", metavar="FILE", help=examples_help)
    parser.add_argument(
        "--template", metavar="FILE",
        help='another prompt: a JSON object with "query" and optionally "answer", "instruction", "separator" and '
        '"answer_context", the fields of gptcompare.uses.Template',
    )  # fmt: skip
    parser.add_argument(
        "--show-prompt", action="store_true", help="print what the model would read, without running it"
    )
    add_model(parser, "which needs no network, but is too small to be right often")
    add_allow_special(parser)
    parser.add_argument("--json", action="store_true", help="print the results as JSON")


def _add_normalisation(parser: argparse.ArgumentParser, default: str) -> None:
    parser.add_argument(
        "--normalisation", choices=[*uses.NORMALISATIONS], default=default,
        help=f"what is compared (default: {default}); gptcompare/uses/multiple_choice.py defines them",
    )  # fmt: skip


def _classify(options: argparse.Namespace) -> None:
    texts, template = _texts(options), _template(options)
    labels = uses.SENTIMENT_WORDS if options.labels is None else _labels(options.labels)
    examples = _examples(options)
    if options.show_prompt:
        _print_prompts(uses.classification_prompts(texts, labels, examples, template))
        return
    result = uses.classify(
        _model(options, *texts), texts, labels, examples, template=template, normalisation=options.normalisation
    )
    _tell_of_small_model(options)
    _print_labels(options, texts, result)


def _print_labels(options: argparse.Namespace, texts: Sequence[str], result: Classification) -> None:
    if options.json:
        rows = [
            {"text": text, "label": label, "probabilities": dict(zip(result.classes, row, strict=True))}
            for text, label, row in zip(texts, result.labels, result.probabilities.tolist(), strict=True)
        ]
        print(json.dumps(rows))
        return
    n_cells = max(map(width, result.classes))
    for text, label, row in zip(texts, result.labels, result.probabilities, strict=True):
        show(f"{pad(label, n_cells)}  {row.max():.3f}  {_on_one_line(text)}")


def _entities(options: argparse.Namespace) -> None:
    texts, types, template = _texts(options), _separated(options.types, "--types"), _template(options)
    examples = uses.ENTITY_EXAMPLES
    if options.examples:
        examples = tuple(uses.read_entity_examples(options.examples))
    if options.show_prompt:
        _print_prompts(
            [uses.entity_prompt(text, type_, examples, template) for text in texts for type_ in types]
        )  # fmt: skip
        return
    found = uses.entities(_model(options, *texts), texts, types, examples, template=template)
    _tell_of_small_model(options)
    if options.json:
        rows = [
            {"text": text, "entities": [asdict(entity) for entity in of_text]}
            for text, of_text in zip(texts, found, strict=True)
        ]
        print(json.dumps(rows))
        return
    if without := found.count([]):
        tell(f"no names found{f' in {without} of {len(texts)} texts' if len(texts) > 1 else ''}")
    for text, of_text in zip(texts, found, strict=True):
        show(_on_one_line(text))
        for entity in of_text:
            show(f"  {entity.start:>4}-{entity.end:<4}  {entity.type}  {_on_one_line(entity.text)}")


def _choose(options: argparse.Namespace) -> None:
    question, examples = text_of(options.question), _examples(options)
    template = uses.COMPLETION if options.complete and options.template is None else _template(options)
    if options.show_prompt:
        _print_prompts([template.prompt(question, examples)])
        return
    result = uses.choose(
        _model(options, question, *options.choices), question, options.choices, examples, template=template,
        normalisation=options.normalisation,
    )  # fmt: skip
    _tell_of_small_model(options)
    probabilities = dict(zip(result.choices, result.probabilities.tolist(), strict=True))
    if options.json:
        print(json.dumps({"question": question, "best": result.best, "probabilities": probabilities}))
        return
    for choice in sorted(probabilities, key=probabilities.__getitem__, reverse=True):
        show(f"{probabilities[choice]:.3f}  {_on_one_line(choice)}")


def _answer(options: argparse.Namespace) -> None:
    question, examples, template = text_of(options.question), _examples(options), _template(options)
    if options.show_prompt:
        _print_prompts([template.prompt(question, examples)])
        return
    text = uses.answer(
        _model(options, question), question, examples, template=template, max_new_tokens=options.max_new_tokens,
        beams=options.beams,
    )  # fmt: skip
    _tell_of_small_model(options)
    if not text:
        tell("the answer is empty: the model ended its line at once")
    show(json.dumps({"question": question, "answer": text}) if options.json else text)


def _model(options: argparse.Namespace, *texts: str) -> LanguageModel:
    """Load the model for these texts, with the special tokens that are allowed in them."""
    lm = load_model(options)
    return lm.allowing(allowed_special(options, [lm.tokenizer], "\n".join(texts)))


def _tell_of_small_model(options: argparse.Namespace) -> None:
    """Say, beside a result, that the pair in the package is not made for questions."""
    if options.model in EMBEDDED_PAIR and not getattr(options, "complete", False):
        tell(f"note: {options.model} is too small to be right often; --model gpt2, which is downloaded once, is larger")


def _texts(options: argparse.Namespace) -> list[str]:
    return lines_in_standard_input() if options.texts == ["-"] else list(options.texts)


def _template(options: argparse.Namespace) -> Template:
    """Return the template in the file, if one is given, else the command's own."""
    if options.template is None:
        return options.default_template  # type: ignore[no-any-return]  # argparse's options have no types
    value = parse_object(text_in(options.template), options.template)
    try:
        return Template(**value)
    except TypeError as error:
        raise ValueError(f"{options.template}: not a template ({error})") from None


def _labels(text: str) -> dict[str, str]:
    """Parse labels into label -> the words that stand for it.

    >>> _labels("good = great, bad")
    {'good': 'great', 'bad': 'bad'}
    """
    labels = {}
    for part in _separated(text, "--labels"):
        label, equals, words = (piece.strip() for piece in part.partition("="))
        if label in labels or not label or (equals and not words):
            raise ValueError(
                f'--labels {text!r}: labels must be different, such as "good,bad" or "good=great,bad=dull"'
            )
        labels[label] = words or label
    return labels


def _separated(text: str, option: str) -> list[str]:
    parts = [part.strip() for part in text.split(",")]
    if not all(parts):
        raise ValueError(f"{option} {text!r} has an empty part: give words separated by commas")
    return parts


def _examples(options: argparse.Namespace) -> list[uses.Example]:
    return uses.read_examples(options.examples) if options.examples else []


def _print_prompts(prompts: Sequence[str]) -> None:
    """Print one after the other, with a line between them."""
    show(f"\n{'─' * 20}\n".join(prompts))


def _on_one_line(text: str) -> str:
    return " ".join(text.split())
