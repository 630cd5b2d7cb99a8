"""`gptcompare train`: a model learns from texts, from nothing or from what another one has learned."""

from __future__ import annotations

import argparse
import dataclasses
import json
from pathlib import Path
from typing import Any

from ..config import GPTConfig
from ..generation import LanguageModel, load
from ..model import GPT
from ..presets import published
from ..tokenizer import Tokenizer
from ..tokenizer_files import has_tokenizer
from ..training import Recipe, tokenize_files, train
from ..training.data import read_text
from ..vocabulary import GPT2_SIZE
from .models import MODEL_HELP, Commands

DESCRIPTION = """\
Train a model on text files, from random parameters (--config) or from those of another model (--init). The folder
gets the model, which `gptcompare generate --model FOLDER` opens, and the loss of every step, in metrics.csv. The same
command goes on with a run that was stopped, by Ctrl-C or in any other way, and ends as if it had not been.
"""
# Option -> field of the recipe, kind, and what it says. What is not given is the preset's, or GPT-3's.
NUMBERS = {
    "--steps": ("n_steps", int, "updates of the parameters (default: 1000)"),
    "--batch": ("batch", int, "sequences of each step"),
    "--context": ("context", int, "tokens of each sequence (default: the model's context, at most 512)"),
    "--learning-rate": ("learning_rate", float, "the largest one"),
    "--warmup-steps": ("warmup_steps", int, "steps over which the learning rate rises"),
    "--weight-decay": ("weight_decay", float, "of AdamW"),
    "--gradient-clip": ("gradient_clip", float, "largest norm of the gradient; 0 does not clip"),
    "--accumulation": ("accumulation", int, "compute a batch in N parts, to save memory"),
    "--dropout": ("dropout", float, "probability of leaving a number out"),
    "--seed": ("seed", int, "of the parameters, the order of the data and dropout"),
}


def add_commands(commands: Commands) -> None:
    parser = commands.add_parser("train", help="train a model on text files", description=DESCRIPTION)
    parser.add_argument("texts", nargs="+", metavar="TEXT", help="text files, UTF-8")
    begin = parser.add_mutually_exclusive_group(required=True)
    begin.add_argument("--config", metavar="NAME_OR_FILE", help="a name that `gptcompare table` knows, or a JSON file")
    begin.add_argument("--init", metavar="FOLDER_OR_NAME", help=f"tune a trained model: {MODEL_HELP}")
    parser.add_argument("--out", required=True, metavar="FOLDER", help="where the run is kept")
    parser.add_argument("--validation", action="append", default=[], metavar="TEXT", help="held out; may be repeated")
    parser.add_argument(
        "--tokenizer", metavar="FOLDER_OR_NAME",
        help="default: that of --init; GPT-2's if the vocabulary has its size; else one that is learned from the texts",
    )  # fmt: skip
    for option, (name, kind, text) in NUMBERS.items():
        parser.add_argument(option, dest=name, type=kind, metavar="N" if kind is int else "X", help=text)
    parser.add_argument(
        "--threads", type=int, default=1, metavar="N",
        help="compute N of a batch's parts (--accumulation) at a time; set OPENBLAS_NUM_THREADS=1 with it",
    )  # fmt: skip
    for name in ("validate", "save"):
        parser.add_argument(f"--{name}-every", type=int, default=250, metavar="N", help=f"{name} every N steps (250)")
    parser.set_defaults(run=_train)


def _train(options: argparse.Namespace) -> None:
    out = Path(options.out)
    lm = _model(options, out)
    recipe = _recipe(options, lm.config)
    tokens = tokenize_files(options.texts, lm.tokenizer, out / "tokens.npy")
    validation = None
    if options.validation:
        validation = tokenize_files(options.validation, lm.tokenizer, out / "validation.npy")
    metrics = train(
        lm.model, tokens, recipe, validation=validation, out=out, tokenizer=lm.tokenizer,
        validate_every=options.validate_every, save_every=options.save_every, threads=options.threads,
    )  # fmt: skip
    last = metrics[-1]
    measured = f"loss {last.loss:.3f}"
    if last.validation_loss is not None:
        measured += f", validation loss {last.validation_loss:.3f} nats per token"
    print(f"{last.step} steps, {last.tokens} tokens: {measured}. The model is in {out}")


def _model(options: argparse.Namespace, out: Path) -> LanguageModel:
    if options.init is not None:
        lm = load(options.init)
        return (
            lm if options.tokenizer is None else LanguageModel(lm.model, Tokenizer.from_pretrained(options.tokenizer))
        )
    config = _config(options.config)
    return LanguageModel(GPT(config, seed=options.seed or 0), _tokenizer(options, config, out))


def _config(name_or_file: str) -> GPTConfig:
    path = Path(name_or_file)
    if not path.is_file():
        return GPTConfig.preset(name_or_file)
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{path}: not JSON ({error})") from None
    if not isinstance(values, dict):
        raise ValueError(f"{path}: not a JSON object")
    return GPTConfig.from_dict(values)


def _tokenizer(options: argparse.Namespace, config: GPTConfig, out: Path) -> Tokenizer:
    """The one that was asked for, or that the run has already, or GPT-2's, or a new one."""
    if options.tokenizer is not None:
        return Tokenizer.from_pretrained(options.tokenizer)
    if has_tokenizer(out):
        return Tokenizer.from_pretrained(out)
    if config.n_vocab == GPT2_SIZE:
        return Tokenizer.from_pretrained("gpt2")
    tokenizer = Tokenizer.train([read_text(path) for path in options.texts], config.n_vocab)
    tokenizer.save_pretrained(out)
    return tokenizer


def _recipe(options: argparse.Namespace, config: GPTConfig) -> Recipe:
    given: dict[str, Any] = {"n_steps": 1000, "context": min(config.n_ctx, 512)}
    fields = (field.name for field in dataclasses.fields(Recipe))
    given |= {name: value for name in fields if (value := getattr(options, name, None)) is not None}
    try:
        published(options.config or "")
    except ValueError:  # a file, or a model to tune
        return Recipe(**given)
    return Recipe.preset(options.config, **given)
