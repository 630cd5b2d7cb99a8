"""`gptcompare train`: train a model on texts, from random parameters or from another model's."""

from __future__ import annotations

import argparse
import dataclasses
import os
import sys
from pathlib import Path

import numpy as np

from ..arrays import Integers
from ..checkpoints.folder import read_config
from ..checkpoints.layouts import GPT2_SIZE, has_tokenizer
from ..checkpoints.room import check_room_to_train
from ..checks import integer
from ..config import GPTConfig
from ..display.messages import tell
from ..files.texts import parse_object
from ..generation import LanguageModel, load
from ..model import GPT
from ..parameters import parameter_shapes
from ..tokenizer import END_OF_TEXT, Tokenizer
from ..tokenizer.files import bundled_gpt2
from ..training import DivergedError, Metrics, Recipe, tokenize_files, train
from ..training.data import count_texts, texts_in
from ..training.ranks import follow
from ..training.run_folder import DESCRIPTION, RunFolder
from .options import MODEL_HELP, add_allow_special, add_mpi

DEFAULT_STEPS, DEFAULT_CONTEXT = 1000, 512
MOST_SEQUENCES = 100_000  # of a batch: many times those of the largest GPT-3
COPIES = {"adamw": 4, "muon": 3}  # of the parameters in memory: they, their gradients, and moving averages of these
HELP = """\
Train a model on text files, from random parameters (--config) or from those of another model (--init). The folder
gets the model, which `gptcompare generate --model FOLDER` loads, and the loss of every step, in metrics.csv. To resume
a run that was stopped, by Ctrl-C or in any other way, run the same command again: the result is the same as without
the interruption. Ctrl-C, SIGTERM and SIGHUP let it finish the step, and save.
"""
# Option -> field of the recipe, type, help. Options that are not given come from the preset, or from GPT-3.
NUMBERS = {
    "--steps": ("n_steps", int, f"updates of the parameters (default: {DEFAULT_STEPS})"),
    "--batch": ("batch", int, "sequences per step"),
    "--context": ("context", int, f"tokens per sequence (default: the model's context, at most {DEFAULT_CONTEXT})"),
    "--learning-rate": ("learning_rate", float, "largest learning rate"),
    "--final-learning-rate": (
        "final_learning_rate",
        float,
        "the last one, as a part of the largest (default: 0.1)",
    ),
    "--warmup-steps": ("warmup_steps", int, "steps of rising learning rate (default: a tenth of all, at most 100)"),
    "--optimizer": ("optimizer", str, "adamw, as for GPT-3 (default), or muon: Muon for the blocks' matrices"),
    "--weight-decay": ("weight_decay", float, "weight decay of the matrices"),
    "--gradient-clip": ("gradient_clip", float, "largest norm of the gradient; 0: no clipping"),
    "--accumulation": ("accumulation", int, "compute a batch in N parts, each on one core, to save memory"),
    "--dropout": ("dropout", float, "probability that an activation is set to zero"),
    "--seed": ("seed", int, "seed for the parameters, the order of the data and dropout"),
}
METAVARS = {int: "N", float: "X", str: "NAME"}


def add_train(parser: argparse.ArgumentParser) -> None:
    parser.description = HELP
    parser.add_argument("texts", nargs="+", metavar="TEXT", help="text files, UTF-8")
    parser.add_argument(
        "--end-of-text", default=END_OF_TEXT, metavar="TEXT",
        help=f'what separates the texts in a file (default: "{END_OF_TEXT}"); "": each file is one text',
    )  # fmt: skip
    begin = parser.add_mutually_exclusive_group(required=True)
    begin.add_argument(
        "--config",
        metavar="NAME_OR_FILE",
        help="a name that `gptcompare table` knows, a JSON file of GPTConfig's fields, or a saved model's config.json",
    )
    begin.add_argument("--init", metavar="FOLDER_OR_NAME", help=f"fine-tune a trained model: {MODEL_HELP}")
    parser.add_argument("--out", required=True, metavar="FOLDER", help="where the run is kept")
    parser.add_argument("--validation", action="append", default=[], metavar="TEXT", help="held out; may be repeated")
    parser.add_argument(
        "--tokenizer", metavar="FOLDER_OR_NAME",
        help="default: that of --init; GPT-2's if the vocabulary has its size; else one learned from the texts",
    )  # fmt: skip
    add_allow_special(parser)
    for option, (name, kind, text) in NUMBERS.items():
        parser.add_argument(option, dest=name, type=kind, metavar=METAVARS[kind], help=text)
    parser.add_argument(
        "--threads", type=int, default=1, metavar="N",
        help="compute N of a batch's parts (--accumulation) at a time; the result is the same",
    )  # fmt: skip
    add_mpi(parser, "share the parts of each batch (--accumulation)")
    for name in ("validate", "save"):
        parser.add_argument(
            f"--{name}-every", type=int, default=250, metavar="N", help=f"{name} every N steps (default: 250)"
        )
    parser.set_defaults(run=_train)


def _train(options: argparse.Namespace) -> None:
    if options.ranks.share.rank:
        _follow(options)
        return
    _refuse_seen_validation(options)
    recipe = _recipe(options)
    with RunFolder(options.out) as folder:
        try:
            recipe, metrics = _train_in(folder, options, recipe)
        except KeyboardInterrupt:
            print(f"\n{_stopped(folder)}", end="", file=sys.stderr)
            raise
        except DivergedError as error:
            raise ValueError(str(error)) from None
    n_tokens = recipe.n_steps * recipe.tokens_per_step
    print(f"{recipe.n_steps} steps, {n_tokens} tokens{_measured(metrics)}: see {folder.folder}")


def _train_in(folder: RunFolder, options: argparse.Namespace, recipe: Recipe) -> tuple[Recipe, list[Metrics]]:
    """Return the recipe with its context, and the metrics of all steps."""
    out = folder.folder
    lm = _model(options, recipe, out)
    recipe = dataclasses.replace(recipe, context=options.context or min(lm.config.n_ctx, DEFAULT_CONTEXT))
    if (n := options.ranks.share.n) > recipe.accumulation:
        tell(f"hint: {recipe.accumulation} of the {n} ranks have something to do: --accumulation {n} gives each a part")
    options.ranks.broadcast((lm.config, recipe))
    tokens = _tokens(options, options.texts, lm.tokenizer, out / "tokens.npy")
    validation = None
    if options.validation:
        validation = _tokens(options, options.validation, lm.tokenizer, out / "validation.npy")
    metrics = train(
        lm.model, tokens, recipe, validation=validation, out=folder, tokenizer=lm.tokenizer, end_ids=lm.end_ids,
        validate_every=options.validate_every, save_every=options.save_every, threads=options.threads,
        parallel=options.ranks,
    )  # fmt: skip
    return recipe, metrics


def _follow(options: argparse.Namespace) -> None:
    """Compute gradients on another rank than the first, which has the run."""
    config, recipe = options.ranks.broadcast(None)
    zeros = {name: np.zeros(shape, np.float32) for name, shape in parameter_shapes(config).items()}
    follow(options.ranks, GPT(config, zeros), recipe, None, options.threads)


def _stopped(folder: RunFolder) -> str:
    """Say what a stop has left, and how to go on."""
    again = f"run the same command again to resume {folder.folder}"
    if folder.saved_step == folder.step > 0:
        return f"stopped and saved at step {folder.step}: {again}"
    if folder.saved_step:
        return f"stopped at step {folder.step}, before it was saved: {again} from step {folder.saved_step}"
    return f"stopped, and nothing was saved in this process: {again} from what was saved before, or to begin anew"


def _tokens(options: argparse.Namespace, paths: list[str], tokenizer: Tokenizer, target: Path) -> Integers:
    """Return the tokens of the texts in the files, and say on standard error how many texts there are."""
    allowed = "all" if options.allow_special else ()
    tokens = tokenize_files(paths, tokenizer, target, options.end_of_text, allowed)
    n_texts = count_texts(tokens, tokenizer)
    name = "validation" if paths is options.validation else "training"
    counted = f"{_counted(n_texts, 'text')} in {_counted(len(paths), 'file')}, {_counted(len(tokens), 'token')}"
    print(f"[{name}: {counted}]", file=sys.stderr)
    return tokens


def _counted(n: int, what: str) -> str:
    return f"{n:,} {what}" if n == 1 else f"{n:,} {what}s"


def _measured(metrics: list[Metrics]) -> str:
    if not metrics:
        return ""
    text = f", loss {metrics[-1].loss:.3f}"
    if (validation_loss := metrics[-1].validation_loss) is not None:
        text += f", validation loss {validation_loss:.3f}"
    return f"{text} nats per token"


def _refuse_seen_validation(options: argparse.Namespace) -> None:
    texts = {os.path.realpath(path) for path in options.texts}
    if seen := [path for path in options.validation if os.path.realpath(path) in texts]:
        raise ValueError(f"{seen[0]} is among the training texts: it cannot be held out")


def _recipe(options: argparse.Namespace) -> Recipe:
    """Make the recipe; its context is set once the model is known."""
    given = {name: value for name, _, _ in NUMBERS.values() if (value := getattr(options, name)) is not None}
    if "batch" in given:
        integer("batch", given["batch"], at_most=MOST_SEQUENCES)
    given = {"n_steps": DEFAULT_STEPS, **given}
    given = {"warmup_steps": min(100, given["n_steps"] // 10), **given}
    if options.config is None or _is_file(options.config):
        return Recipe(**given)
    return Recipe.preset(options.config, **given)


def _model(options: argparse.Namespace, recipe: Recipe, out: Path) -> LanguageModel:
    if options.init is not None:
        lm = load(options.init, tokenizer=options.tokenizer)
        check_room_to_train(lm.config, options.init, COPIES[recipe.optimizer])
        return lm
    config = _config(options.config)
    check_room_to_train(config, options.config, COPIES[recipe.optimizer])
    return LanguageModel(GPT(config, seed=recipe.seed), _tokenizer(options, config, out))


def _is_file(name_or_file: str) -> bool:
    return Path(name_or_file).is_file()


def _config(name_or_file: str) -> GPTConfig:
    if not _is_file(name_or_file):
        return GPTConfig.preset(name_or_file)
    values = parse_object(Path(name_or_file).read_bytes(), name_or_file)
    if "model_type" in values and Path(name_or_file).name == "config.json":  # from a saved model
        return read_config(Path(name_or_file).parent)
    return GPTConfig.from_dict(values)


def _tokenizer(options: argparse.Namespace, config: GPTConfig, out: Path) -> Tokenizer:
    """Return the tokenizer that was asked for, or the run's own, or GPT-2's, or a new one."""
    if options.tokenizer is not None:
        return Tokenizer.from_pretrained(options.tokenizer)
    if (out / DESCRIPTION).is_file() and has_tokenizer(out):
        return Tokenizer.from_pretrained(out)
    if config.n_vocab == GPT2_SIZE:
        return Tokenizer(bundled_gpt2())
    several = (text for path in options.texts for text in texts_in(path, options.end_of_text))
    return Tokenizer.train(several, config.n_vocab)
