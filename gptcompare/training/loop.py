"""The training loop: batch after batch down the gradient, saving what an interrupted run needs to resume."""

from __future__ import annotations

import contextlib
import math
import os
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from ..arrays import Ids, Integers
from ..backward.gradients import Gradients, Parameters, check_ignore, counted_targets
from ..checks import instance, integer, path
from ..display.progress import Bar, progress_bar
from ..files.stopping import stop_after_step
from ..generation import LanguageModel
from ..model import GPT
from ..model.changes import check_trainable
from ..model.ops import cross_entropy
from ..model.threads import Map, map_on_threads, n_threads_if_known, products_on, products_on_one_thread
from ..parallel import Communicator, communicator_of
from ..tokenizer import Tokenizer
from .batches import Batches, sequences, targets_name
from .metrics import Metrics
from .optimizer import AdamW, Muon, Optimizer, clip_, global_norm
from .ranks import BatchPart, Leader, follow, part_gradients
from .recipe import Recipe
from .run_folder import RunFolder

OPTIMIZERS: dict[str, Callable[[Parameters, Recipe], Optimizer]] = {"adamw": AdamW, "muon": Muon}
VALIDATION_SEQUENCES = 64


class DivergedError(ArithmeticError):
    """Raised when the loss or the gradient is no longer finite."""


def train(
    model: GPT,
    tokens: Integers,
    recipe: Recipe,
    *,
    targets: Integers | None = None,
    ignore: int | None = None,
    validation: Integers | None = None,
    validation_targets: Integers | None = None,
    out: str | os.PathLike[str] | RunFolder | None = None,
    tokenizer: Tokenizer | None = None,
    end_ids: Iterable[int] | None = None,
    validate_every: int = 250,
    save_every: int = 250,
    threads: int = 1,
    parallel: Any = None,
) -> list[Metrics]:
    """Train a model, in place.

    Called again with the same arguments after any interruption, it resumes from the last save and ends with the same
    parameters, bit for bit, as an uninterrupted run on the same machine. Ctrl-C, SIGTERM and SIGHUP stop it after the
    current step, and it saves.

    Parameters
    ----------
    model : GPT
        A new model, or a trained one to fine-tune.
    tokens : integers, (N,) or (n, T)
        The texts to learn from in one row, which is cut into sequences anew in each epoch; or whole sequences, which
        are not cut.
    recipe : Recipe
        Its context is the length of the sequences.
    targets : integers, shaped like `tokens`, optional
        What is to be predicted at each token. If not given, the token after it; the last one of a row is then only
        predicted, so that rows of T tokens are sequences of T - 1.
    ignore : int, optional
        Targets equal to it do not count: the loss of a batch, whatever its parts, is the mean over the others.
    validation : integers, (M,) or (m, T), optional
        Tokens for the validation loss, which is measured on up to 64 evenly spaced sequences.
    validation_targets : integers, shaped like `validation`, optional
    out : path, optional
        The folder for saves and metrics, which one process at a time may use; if not given, nothing is written. A
        `RunFolder` that is open already is taken, too.
    tokenizer : Tokenizer, optional
        Saved beside the model, so that `gptcompare.load` can open the folder.
    end_ids : collection of int, optional
        The tokens with which the model ends a text, saved beside the tokenizer; its end of text if not given.
    validate_every, save_every : int
        Intervals in steps; the last step does both.
    threads : int
        Number of parts of a batch (the recipe's `accumulation`) that are computed at the same time, each on its own
        core. It changes no bit of the result: a batch of several parts has its products computed on one core each
        whatever `threads` is, and a whole one on all cores. Where no thread can be started, as in a browser, the parts
        are computed one after the other.
    parallel : mpi4py.MPI.Intracomm, optional
        Of the processes that share out the parts of each batch, which changes no bit of the result either: see
        `gptcompare.training.ranks`. All of them make the same call; the first alone reads the tokens and writes. If
        there are fewer parts than processes, some have nothing to do.

    Returns
    -------
    list of Metrics
        One for each step, including the steps before an interruption.

    Raises
    ------
    ValueError
        If there are too few tokens, one is not in the model's vocabulary, the context is too long for the model or not
        the length of the sequences, no target counts in the batch of some step or in the validation, a number makes no
        sense, or the folder holds another run or model or is in use by another training process, or the run was begun
        with a BLAS whose threads can be set and this one's cannot, or the other way round.
    CheckpointError
        If the saved state is damaged.
    DivergedError
        If the loss or the gradient is not finite, or the loss would not be finite after a step about to be saved.
    """
    ranks = communicator_of(parallel)
    _check(model, recipe, ignore)
    if isinstance(ranks, Communicator) and ranks.share.rank:
        return follow(ranks, model, recipe, ignore, threads)  # type: ignore[no-any-return]  # as rank 0 returns them
    _check_intervals(recipe, validate_every=validate_every, save_every=save_every, threads=threads)
    saved = model if tokenizer is None else LanguageModel(model, tokenizer, end_ids)
    batches = _batches(model, tokens, targets, recipe, ignore)
    held_out = _held_out(model, validation, validation_targets, recipe, ignore)
    optimizer: Optimizer = OPTIMIZERS[recipe.optimizer](model.parameters(), recipe)
    n_threads = n_threads_if_known()
    metrics: list[Metrics] = []
    with contextlib.ExitStack() as stack:
        folder = None
        if out is not None:
            folder = out if isinstance(out, RunFolder) else stack.enter_context(RunFolder(path("out", out)))
            n_threads = folder.begin(model, recipe, tokens, validation, targets, validation_targets, ignore)
            if folder.restore(model, optimizer, recipe.n_steps):
                folder.save_model(saved)  # the run may have been killed between saving the state and this
            metrics = folder.start_metrics()
        stop = stack.enter_context(stop_after_step())
        bar = stack.enter_context(
            progress_bar(total=recipe.n_steps, initial=optimizer.step, desc="training", unit="step")
        )
        stack.enter_context(_product_threads(n_threads, recipe))
        map_parts = stack.enter_context(map_on_threads(threads))
        leader = Leader(ranks, model, map_parts) if isinstance(ranks, Communicator) else None
        map_parts = map_parts if leader is None else leader.map
        validated: float | None = None
        while optimizer.step < recipe.n_steps:
            line = _step(model, optimizer, batches, recipe, map_parts, folder)
            last = optimizer.step == recipe.n_steps
            if held_out is not None and (last or optimizer.step % validate_every == 0):
                line = replace(line, validation_loss=mean_loss(model, *held_out, ignore))
            metrics.append(line)
            validated = validated if line.validation_loss is None else line.validation_loss
            _show(bar, metrics, validated)
            if folder is not None:
                folder.append(line)
                if last or stop.is_asked or optimizer.step % save_every == 0:
                    _check_loss_after(model, batches, optimizer.step, folder)
                    folder.save(model, optimizer, saved)
            if stop.is_asked:
                stop.take_course()
        if leader is not None:
            leader.end(metrics)
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
    model: GPT, optimizer: Optimizer, batches: Batches, recipe: Recipe, map_parts: Map,
    folder: RunFolder | None = None,
) -> Metrics:  # fmt: skip
    """Update the parameters once."""
    start, step = time.perf_counter(), optimizer.step
    # 1. The loss of a batch and its gradient, clipped.
    ids, targets = batches[step]
    loss, gradients = accumulated(model, ids, targets, recipe, step, map_parts, batches.ignore)
    norm = clip_(gradients, recipe.gradient_clip) if recipe.gradient_clip else global_norm(gradients)
    if not (math.isfinite(loss) and math.isfinite(norm)):
        raise _diverged(step + 1, f"the loss is {loss} and the gradient's norm {norm}", folder)
    # 2. A step down the gradient.
    learning_rate = recipe.learning_rate_at(step)
    optimizer.update(gradients, learning_rate)
    seconds = time.perf_counter() - start
    speed = recipe.tokens_per_step / seconds if seconds > 0 else 0.0  # a coarse clock may stand still
    return Metrics(step + 1, (step + 1) * recipe.tokens_per_step, loss, learning_rate, norm, speed)


def _check_loss_after(model: GPT, batches: Batches, step: int, folder: RunFolder) -> None:
    """Raise DivergedError if the parameters about to be saved give a loss that is not finite on their last batch."""
    ids, targets = batches[step - 1]
    row = int(counted_targets(targets, batches.ignore).any(axis=1).argmax())
    with np.errstate(all="ignore"):
        loss = mean_loss(model, ids[row : row + 1], targets[row : row + 1], batches.ignore)
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
    model: GPT, ids: Ids, targets: Ids, recipe: Recipe, step: int, map_parts: Map, ignore: int | None = None
) -> tuple[float, Gradients]:
    """Return the mean loss of a batch and its gradients, computed in parts that are added in order.

    The mean over the targets that count is the mean over the parts, if each has its share: its number of targets that
    count, divided by the mean number of a part.
    """
    n = recipe.accumulation
    both = zip(np.split(ids, n), np.split(targets, n), strict=True)
    parts = [BatchPart(step, number, *of_part) for number, of_part in enumerate(both)]
    counts = [int(counted_targets(part.targets, ignore).sum()) for part in parts]
    shares = [count * n / sum(counts) for count in counts]

    loss, total = 0.0, Gradients()
    counting = [(part, share) for part, share in zip(parts, shares, strict=True) if share]
    computed = map_parts(partial(part_gradients, model, recipe, ignore), [part for part, _ in counting])
    for (_, share), (part_loss, gradients) in zip(counting, computed, strict=True):
        loss += share * part_loss
        for name, gradient in gradients.items():
            if share != 1:
                gradient *= share
            total[name] = np.add(total[name], gradient, out=gradient) if name in total else gradient
    if n > 1:
        for gradient in total.values():
            gradient /= n
    return loss / n, total


def mean_loss(model: GPT, ids: Ids, targets: Ids, ignore: int | None) -> float:
    """Return the mean loss, in nats per token, of sequences (n, T), over the targets that count."""
    total, n = 0.0, 0
    for sequence, of_sequence in zip(ids, targets, strict=True):
        counted = counted_targets(of_sequence, ignore)
        logits = model.unembed(model.residual_stream(sequence)[counted])
        total += float(cross_entropy(logits, of_sequence[counted]).sum(dtype=np.float64))
        n += int(counted.sum())
    return total / n


def _check(model: GPT, recipe: Recipe, ignore: int | None) -> None:
    check_trainable(instance("model", model, GPT), "trained")
    if instance("recipe", recipe, Recipe).context > model.config.n_ctx:
        raise ValueError(f"sequences of {recipe.context} tokens are longer than the model's {model.config.n_ctx}")
    check_ignore(ignore)


def _batches(model: GPT, tokens: Integers, targets: Integers | None, recipe: Recipe, ignore: int | None) -> Batches:
    """Return the batches of the run, checked."""
    batches = Batches(tokens, recipe.batch, recipe.context, recipe.seed, targets, ignore)
    _check_vocabulary(model, "tokens", tokens, targets, ignore)
    batches.check_counts(recipe.n_steps)
    return batches


def _held_out(
    model: GPT, tokens: Integers | None, targets: Integers | None, recipe: Recipe, ignore: int | None
) -> tuple[Ids, Ids] | None:
    """Return the sequences of the validation loss and their targets, checked; None if there are none."""
    if tokens is None:
        if targets is not None:
            raise ValueError("validation_targets need validation, the tokens at which they are to be predicted")
        return None
    all_of_them = sequences(tokens, targets, recipe.context, "validation")
    _check_vocabulary(model, "validation", tokens, targets, ignore)
    held_out = all_of_them.evenly_spaced(VALIDATION_SEQUENCES)
    if not counted_targets(held_out[1], ignore).any():
        raise ValueError(f"no target counts in the sequences for the validation loss, all are {ignore}")
    return held_out


def _check_vocabulary(model: GPT, name: str, tokens: Integers, targets: Integers | None, ignore: int | None) -> None:
    """Raise ValueError if an id that is read, or is to be predicted, is not in the model's vocabulary."""
    counted = None if targets is None else targets[counted_targets(targets, ignore)]
    for what, ids in ((name, tokens), (targets_name(name), counted)):
        for id_ in () if ids is None or not ids.size else (int(ids.min()), int(ids.max())):
            if not 0 <= id_ < model.config.n_vocab:
                hint = f": if it does not count, give ignore={id_}" if ids is counted and ignore is None else ""
                raise ValueError(f"{what} has id {id_}, the model's vocabulary has {model.config.n_vocab} ids{hint}")


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
