"""The training loop: batch after batch down the gradient, saving what an interrupted run needs to resume."""

from __future__ import annotations

import contextlib
import math
import os
import time
from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from ..arrays import Ids, Integers
from ..backward.gradients import Parameters, loss_and_grads
from ..checks import instance, integer, path
from ..display.progress import Bar, progress_bar
from ..files.stopping import stop_after_step
from ..generation import LanguageModel
from ..model import GPT
from ..model.changes import check_unchanged
from ..model.ops import cross_entropy
from ..model.threads import Map, map_on_threads, n_threads_if_known, products_on, products_on_one_thread
from ..tokenizer import Tokenizer
from .data import Batches, check_row
from .metrics import Metrics
from .optimizer import AdamW, clip_, global_norm
from .recipe import Recipe
from .run_folder import RunFolder

VALIDATION_SEQUENCES = 64


class DivergedError(ArithmeticError):
    """Raised when the loss or the gradient is no longer finite."""


def train(
    model: GPT,
    tokens: Integers,
    recipe: Recipe,
    *,
    validation: Integers | None = None,
    out: str | os.PathLike[str] | RunFolder | None = None,
    tokenizer: Tokenizer | None = None,
    validate_every: int = 250,
    save_every: int = 250,
    threads: int = 1,
) -> list[Metrics]:
    """Train a model, in place.

    Called again with the same arguments after any interruption, it resumes from the last save and ends with the same
    parameters, bit for bit, as an uninterrupted run on the same machine. Ctrl-C, SIGTERM and SIGHUP stop it after the
    current step, and it saves.

    Parameters
    ----------
    model : GPT
        A new model, or a trained one to fine-tune.
    tokens : integers, (N,)
        The texts to learn from, in one row.
    recipe : Recipe
    validation : integers, (M,), optional
        Tokens for the validation loss, which is measured on up to 64 evenly spaced sequences.
    out : path, optional
        The folder for saves and metrics, which one process at a time may use; if not given, nothing is written. A
        `RunFolder` that is open already is taken, too.
    tokenizer : Tokenizer, optional
        Saved beside the model, so that `gptcompare.load` can open the folder.
    validate_every, save_every : int
        Intervals in steps; the last step does both.
    threads : int
        Number of parts of a batch (the recipe's `accumulation`) that are computed at the same time, each on its own
        core. It changes no bit of the result: a batch of several parts has its products computed on one core each
        whatever `threads` is, and a whole one on all cores. Where no thread can be started, as in a browser, the parts
        are computed one after the other.

    Returns
    -------
    list of Metrics
        One for each step, including the steps before an interruption.

    Raises
    ------
    ValueError
        If there are too few tokens, one is not in the model's vocabulary, the context is too long for the model, a
        number makes no sense, or the folder holds another run or model or is in use by another training process, or
        the run was begun with a BLAS whose threads can be set and this one's cannot, or the other way round.
    CheckpointError
        If the saved state is damaged.
    DivergedError
        If the loss or the gradient is not finite, or the loss would not be finite after a step about to be saved.
    """
    _check(model, tokens, validation, recipe)
    _check_intervals(recipe, validate_every=validate_every, save_every=save_every, threads=threads)
    if tokenizer is not None:
        LanguageModel(model, tokenizer)  # raises an error if they do not fit
    batches = Batches(tokens, recipe.batch, recipe.context, recipe.seed)
    optimizer = AdamW(model.parameters(), recipe)
    n_threads = n_threads_if_known()
    metrics: list[Metrics] = []
    with contextlib.ExitStack() as stack:
        folder = None
        if out is not None:
            folder = out if isinstance(out, RunFolder) else stack.enter_context(RunFolder(path("out", out)))
            n_threads = folder.begin(model, recipe, tokens, validation)
            if folder.restore(model, optimizer, recipe.n_steps):
                folder.save_model(model, tokenizer)  # the run may have been killed between saving the state and this
            metrics = folder.start_metrics()
        stop = stack.enter_context(stop_after_step())
        bar = stack.enter_context(
            progress_bar(total=recipe.n_steps, initial=optimizer.step, desc="training", unit="step")
        )
        stack.enter_context(_product_threads(n_threads, recipe))
        map_parts = stack.enter_context(map_on_threads(threads))
        validated: float | None = None
        while optimizer.step < recipe.n_steps:
            line = _step(model, optimizer, batches, recipe, map_parts, folder)
            last = optimizer.step == recipe.n_steps
            if validation is not None and (last or optimizer.step % validate_every == 0):
                line = replace(line, validation_loss=validation_loss(model, validation, recipe))
            metrics.append(line)
            validated = validated if line.validation_loss is None else line.validation_loss
            _show(bar, metrics, validated)
            if folder is not None:
                folder.append(line)
                if last or stop.is_asked or optimizer.step % save_every == 0:
                    _check_next_loss(model, batches, optimizer.step, folder)
                    folder.save(model, optimizer, tokenizer)
            if stop.is_asked:
                stop.take_course()
    return metrics


@contextlib.contextmanager
def _product_threads(n_threads: int | None, recipe: Recipe) -> Iterator[None]:
    """Compute matrix products on as many threads as the run began with; on one each, if a batch has several parts.

    The number of threads decides the last bits of a product. So it follows from the recipe and from how the run began,
    and neither from how many parts are computed at a time nor from where the run is resumed.
    """
    with contextlib.ExitStack() as stack:
        if n_threads is not None:
            stack.enter_context(products_on(n_threads))
        if recipe.accumulation > 1:
            stack.enter_context(products_on_one_thread())
        yield


def _step(
    model: GPT, optimizer: AdamW, batches: Batches, recipe: Recipe, map_parts: Map,
    folder: RunFolder | None = None,
) -> Metrics:  # fmt: skip
    """Update the parameters once."""
    start, step = time.perf_counter(), optimizer.step
    # 1. The loss of a batch and its gradient, clipped.
    ids, targets = batches[step]
    loss, gradients = accumulated(model, ids, targets, recipe, step, map_parts)
    norm = clip_(gradients, recipe.gradient_clip) if recipe.gradient_clip else global_norm(gradients)
    if not (math.isfinite(loss) and math.isfinite(norm)):
        raise _diverged(step + 1, f"the loss is {loss} and the gradient's norm {norm}", folder)
    # 2. A step down the gradient.
    learning_rate = recipe.learning_rate_at(step)
    optimizer.update(gradients, learning_rate)
    seconds = time.perf_counter() - start
    speed = recipe.tokens_per_step / seconds if seconds > 0 else 0.0  # a coarse clock may stand still
    return Metrics(step + 1, (step + 1) * recipe.tokens_per_step, loss, learning_rate, norm, speed)


def _check_next_loss(model: GPT, batches: Batches, step: int, folder: RunFolder) -> None:
    """Raise DivergedError if the parameters about to be saved give a loss that is not finite."""
    ids, targets = batches[step]
    with np.errstate(all="ignore"):
        loss = float(cross_entropy(model(ids[0]), targets[0]).mean())
    if not math.isfinite(loss):
        raise _diverged(step, f"the loss after it is {loss}", folder)


def _diverged(step: int, what: str, folder: RunFolder | None) -> DivergedError:
    way_on = "Nothing was saved before: begin anew, in another folder if you gave one,"
    if folder is not None and folder.saved_step:
        saved = f"What was saved at step {folder.saved_step} is unchanged"
        way_on = f"{saved}: to continue from that, tune it in another folder,"
    return DivergedError(
        f"step {step}: {what}, so the run stops here. {way_on} with a lower learning rate or a longer warm-up"
    )


def accumulated(
    model: GPT, ids: Ids, targets: Ids, recipe: Recipe, step: int, map_parts: Map
) -> tuple[float, Parameters]:
    """Return the mean loss of a batch and its gradients, computed in parts that are added in order."""

    def of_part(n: int, part_ids: Ids, part_targets: Ids) -> tuple[float, Parameters]:
        rng = np.random.default_rng([recipe.seed, 1, step, n])  # for dropout, whose draws depend only on the part
        with np.errstate(all="ignore"):  # what is not finite ends the run, with one message instead of warnings
            return loss_and_grads(model, part_ids, part_targets, p_drop=recipe.dropout, rng=rng)

    n = recipe.accumulation
    loss, total = 0.0, Parameters()
    for part_loss, gradients in map_parts(of_part, range(n), np.split(ids, n), np.split(targets, n)):
        loss += part_loss
        for name, gradient in gradients.items():
            total[name] = np.add(total[name], gradient, out=gradient) if name in total else gradient
    if n > 1:
        for gradient in total.values():
            gradient /= n
    return loss / n, total


def validation_loss(model: GPT, tokens: Integers, recipe: Recipe) -> float:
    """Return the mean loss, in nats per token, of sequences spaced evenly over the tokens."""
    context = recipe.context
    n = min(VALIDATION_SEQUENCES, (len(tokens) - 1) // context)
    starts = np.linspace(0, len(tokens) - 1 - context, n).astype(np.intp)
    losses = []
    for start in starts:
        sequence = tokens[start : start + context + 1].astype(np.intp)
        losses.append(float(cross_entropy(model(sequence[:-1]), sequence[1:]).mean(dtype=np.float64)))
    return sum(losses) / len(losses)


def _check(model: GPT, tokens: Integers, validation: Integers | None, recipe: Recipe) -> None:
    check_unchanged(instance("model", model, GPT), "trained")
    if instance("recipe", recipe, Recipe).context > model.config.n_ctx:
        raise ValueError(f"sequences of {recipe.context} tokens are longer than the model's {model.config.n_ctx}")
    for name, row in (("tokens", tokens), ("validation", validation)):
        if row is None:
            continue
        check_row(name, row)
        if len(row) <= recipe.context:
            raise ValueError(f"{name} has {len(row)} tokens, too few for one sequence of {recipe.context}")
        for id_ in (int(row.min()), int(row.max())):
            if not 0 <= id_ < model.config.n_vocab:
                raise ValueError(f"{name} has id {id_}, the model's vocabulary has {model.config.n_vocab} ids")


def _check_intervals(recipe: Recipe, **numbers: int) -> None:
    for name, number in numbers.items():
        integer(name, number, at_least=1)
    if numbers["threads"] > recipe.accumulation:
        raise ValueError(
            f"{numbers['threads']} threads need as many parts of a batch, but accumulation is {recipe.accumulation}"
        )


def _show(bar: Bar, metrics: list[Metrics], validated: float | None) -> None:
    recent = metrics[-20:]
    shown = {
        "loss": f"{sum(line.loss for line in recent) / len(recent):.3f}",
        "tokens/s": f"{sum(line.tokens_per_second for line in recent) / len(recent):.0f}",
    }
    if validated is not None:
        shown["validation"] = f"{validated:.3f}"
    bar.set_postfix(shown, refresh=False)
    bar.update()
