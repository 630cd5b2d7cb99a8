"""The record of a published model: its hyperparameters, its training and its results, each beside its source.

The names of metrics and shots are defined here so that the families agree on them. Results of two models are put side
by side if task, metric and shots are the same strings, so protocols that cannot be compared have different metrics.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

ZERO_SHOT, ONE_SHOT, FEW_SHOT = SHOTS = ("zero-shot", "one-shot", "few-shot")

ACCURACY = "accuracy, %"
# Which of several endings is likeliest depends on how their lengths are normalised. GPT-3's paper, section 2.4,
# compares the likelihood per token for most tasks; for ARC, OpenBookQA and RACE it divides by the likelihood of the
# answer without the question. EleutherAI's lm-evaluation-harness prints "acc", the plain likelihood (`ACCURACY`), and
# "acc_norm", the likelihood per character. The same model's accuracies differ by ten points between them.
PER_TOKEN = "accuracy (per token), %"
PER_CHARACTER = "accuracy (per character), %"
OVER_UNCONDITIONAL = "accuracy (over unconditional), %"

PERPLEXITY = "perplexity"
# GPT-2's largest model has a perplexity of 8.63 on LAMBADA in its paper and of 10.634 in the harness.
HARNESS_PERPLEXITY = "perplexity (lm-eval)"
LOSS = "loss, nats per token"
BITS_PER_BYTE = "bits per byte"
BITS_PER_CHARACTER = "bits per character"

EXACT_MATCH = "exact match, %"
F1 = "F1"
F1A = "F1a"
AVERAGE = "average score"
BLEU = "BLEU"
ROUGE = "average of ROUGE-1, ROUGE-2 and ROUGE-L"


@dataclass(frozen=True, kw_only=True)
class Result:
    """One published number.

    Parameters
    ----------
    task, metric, shots : str
        What was measured, how, and with how many examples in the context, one of `SHOTS`: the key under which results
        of different models are compared. It is unique within a model.
    value : float
        In the metric's unit; fractions in the source are given here in percent if the metric says so.
    source : str
        Paper and table, or repository, commit and file.
    note : str
        What a reader must know to compare it: split, number of examples, scoring.
    """

    task: str
    metric: str
    shots: str
    value: float
    source: str
    note: str = ""

    def __repr__(self) -> str:
        return f"<Result: {self.task}, {self.metric}, {self.shots}: {self.value:g}>"


class Column(NamedTuple):
    """The task and metric of a column in a printed table of results."""

    task: str
    metric: str
    note: str = ""


def table_row(
    columns: Iterable[Column], values: Iterable[float | None], source: str, shots: str = ZERO_SHOT
) -> tuple[Result, ...]:
    """Make results of a model's row in a printed table; None is an empty cell, or one not known reliably."""
    return tuple(
        Result(task=column.task, metric=column.metric, shots=shots, value=value, source=source, note=column.note)
        for column, value in zip(columns, values, strict=True)
        if value is not None
    )


@dataclass(frozen=True, kw_only=True)
class DataSource:
    """One data set of a training mix.

    Parameters
    ----------
    name : str
        Its authors' name for it.
    weight : float, optional
        The printed fraction of the training tokens that are drawn from it.
    tokens : int, optional
        Its size.
    note : str
        What else is published about it.
    """

    name: str
    weight: float | None = None
    tokens: int | None = None
    note: str = ""


@dataclass(frozen=True, kw_only=True)
class Training:
    """The published facts about a model's training; None is what is not published.

    Parameters
    ----------
    source : str
        Paper and tables, or repository, commit and files.
    data : tuple of DataSource
        The mix.
    tokens, batch_tokens : int, optional
        Tokens seen in total, and per step.
    learning_rate : float, optional
        The largest one.
    final_learning_rate : float, optional
        The last one, as a fraction of the largest.
    warmup_tokens, decay_tokens : int, optional
        Tokens after which the rate has risen to its largest value, and has fallen to its last one.
    adam_betas, adam_eps, weight_decay : optional
        Parameters of Adam or AdamW.
    gradient_clip : float, optional
        Largest norm of the whole gradient.
    petaflop_s_days, flops : float, optional
        Total compute; one petaflop/s-day is 8.64e19 floating-point operations.
    note : str
        What the fields cannot say.
    """

    source: str
    data: tuple[DataSource, ...] = ()
    tokens: int | None = None
    batch_tokens: int | None = None
    learning_rate: float | None = None
    final_learning_rate: float | None = None
    warmup_tokens: int | None = None
    decay_tokens: int | None = None
    adam_betas: tuple[float, float] | None = None
    adam_eps: float | None = None
    weight_decay: float | None = None
    gradient_clip: float | None = None
    petaflop_s_days: float | None = None
    flops: float | None = None
    note: str = ""

    def __repr__(self) -> str:
        return f"<Training: tokens {self.tokens}, a batch {self.batch_tokens}, learning rate {self.learning_rate}>"


@dataclass(frozen=True, kw_only=True)
class Published:
    """Everything recorded about one published model.

    Parameters
    ----------
    family, name_in_paper : str
        Such as "GPT-2" and "117M".
    hyperparameters : dict
        Arguments of `GPTConfig`; those left out have their defaults, which are GPT-2's.
    source : str
        Source of the hyperparameters.
    repository : str, optional
        Repository of the weights on the Hugging Face Hub; None if they are not there.
    embedded : bool
        Whether the weights are in this package.
    openai_name : str, optional
        Folder in OpenAI's own store, if the weights are there.
    n_params_in_print : int
        Number of parameters as its authors print it, so mostly rounded. `GPTConfig.n_params` is exact.
    training : Training
        The published facts about its training.
    results : tuple of Result
        Measurements by its authors and by others.
    notes : tuple of str
        Where the sources contradict themselves or each other, and what was chosen; what is left out, and why.
    """

    family: str
    name_in_paper: str
    hyperparameters: Mapping[str, Any]
    source: str
    repository: str | None
    n_params_in_print: int
    training: Training
    embedded: bool = False
    openai_name: str | None = None
    results: tuple[Result, ...] = ()
    notes: tuple[str, ...] = ()

    def __repr__(self) -> str:
        return f"<Published: {self.family}, {self.name_in_paper}: {self.n_params_in_print} parameters in print>"
