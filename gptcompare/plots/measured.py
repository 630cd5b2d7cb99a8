"""How models compare: the loss while they learn, how well they do tasks, their sizes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..config import GPTConfig
from ..display.colours import COLOURS
from ..display.text_width import printable
from ..display.units import in_letters
from ..evaluation import Curve, PairedEvaluation
from ..presets import published
from ..report.table import table
from ..training import Metrics
from .axes import axes_or_new


def loss_curve(metrics: Sequence[Metrics], ax: Any = None, *, label: str = "") -> Any:
    """Plot loss against tokens: a faint line for every step, the mean over a twentieth of the run, the validation loss.

    Parameters
    ----------
    metrics : list of Metrics
        As `gptcompare.training.train` returns them, or `read_metrics` reads them.
    ax : matplotlib axes, optional
        New ones if not given.
    label : str
        The name of this run, where several share the axes.

    Raises
    ------
    ValueError
        If there are no metrics.
    ImportError
        If matplotlib is not installed.
    """
    if not metrics:
        raise ValueError("there are no metrics to draw")
    ax = axes_or_new(ax)
    tokens = np.array([line.tokens for line in metrics]) / 1e6
    losses = np.array([line.loss for line in metrics])
    colour = COLOURS[sum(line.get_alpha() is not None for line in ax.get_lines()) % len(COLOURS)]  # one per run
    ax.plot(tokens, losses, color=colour, alpha=0.25, linewidth=0.8)
    ax.plot(tokens, _running_mean(losses, max(len(losses) // 20, 1)), color=colour, label=f"{label} training".strip())
    validated = [line for line in metrics if line.validation_loss is not None]
    if validated:
        where = [line.tokens / 1e6 for line in validated]
        ax.plot(where, [line.validation_loss for line in validated], "o--", color=colour, markersize=5,
                label=f"{label} validation".strip())  # fmt: skip
    ax.set_xlabel("million tokens")
    ax.set_ylabel("loss, nats per token")
    ax.grid(alpha=0.3)
    ax.legend()
    return ax


def differences(result: PairedEvaluation, ax: Any = None) -> Any:
    """Draw the differences of several models at the same items with their paired 95% intervals, each in its own unit.

    Parameters
    ----------
    result : PairedEvaluation
        As `gptcompare.evaluation.compare` returns it.
    ax : matplotlib axes, optional
        New ones if not given.
    """
    drawn = [one for one in result.differences if one.low is not None and one.high is not None]
    ax = axes_or_new(ax, (7, 0.8 + 0.4 * len(drawn)))
    for row, one in enumerate(drawn):
        ends = np.array([one.low, one.value, one.high], np.float64)
        low, value, high = ends / (np.abs(ends).max() or 1.0)
        colour = COLOURS[0] if one.is_real else COLOURS[1]
        ax.errorbar(value, row, xerr=[[value - low], [high - value]], fmt="o", capsize=3, color=colour)
    ax.axvline(0, color="black", linewidth=0.8, linestyle=":")
    ax.set_yticks(range(len(drawn)), [printable(f"{one.task}, {one.metric}: {one.interval}") for one in drawn])
    ax.set(ylim=(len(drawn) - 0.5, -0.5), xlim=(-1.1, 1.1), xticks=[0], xticklabels=["no difference"])
    return ax


def shots_curve(curve: Curve, ax: Any = None) -> Any:
    """Draw how well models do a task by the number of examples in the prompt, with 95% intervals.

    Parameters
    ----------
    curve : Curve
        As `gptcompare.evaluation.curve` returns it.
    ax : matplotlib axes, optional
        New ones if not given.
    """
    ax = axes_or_new(ax)
    places = range(len(curve.shots))
    for number, name in enumerate(curve.evaluations):
        points = curve.points(name)
        below = [0.0 if one.low is None else one.value - one.low for one in points]
        above = [0.0 if one.high is None else one.high - one.value for one in points]
        values, colour = [one.value for one in points], COLOURS[number % len(COLOURS)]
        ax.errorbar(places, values, [below, above], marker="o", capsize=3, color=colour, label=printable(name))
    ax.set_xticks(places, curve.shots)
    ax.set(xlabel="examples in the prompt", ylabel=curve.metric, title=curve.task)
    ax.legend()
    return ax


def size_ladder(names: Sequence[str] | None = None, ax: Any = None) -> Any:
    """Plot the parameter counts of published models on a logarithmic scale, with a colour for each family.

    Parameters
    ----------
    names : sequence of str, optional
        Names that `gptcompare.table` accepts; the sizes of GPT-2 and GPT-3 if not given.
    ax : matplotlib axes, optional
        New ones if not given.

    Raises
    ------
    TypeError, ValueError
        As for `gptcompare.table`.
    """
    chosen = table(names).names
    families = list(dict.fromkeys(published(name).family for name in chosen))
    ax = axes_or_new(ax, (7, 0.9 + 0.3 * len(chosen)))
    for row, name in enumerate(chosen):
        n_params, family = GPTConfig.preset(name).n_params, published(name).family
        ax.barh(row, n_params, color=COLOURS[families.index(family) % len(COLOURS)], label=family)
        ax.annotate(f" {in_letters(n_params)}", (n_params, row), va="center")
    ax.set_xscale("log")
    ax.set_xlim(right=3 * max(GPTConfig.preset(name).n_params for name in chosen))
    ax.set_yticks(range(len(chosen)), chosen)
    ax.invert_yaxis()
    ax.set_xlabel("parameters")
    handles, labels = ax.get_legend_handles_labels()
    by_family = dict(zip(labels, handles, strict=True))
    ax.legend(by_family.values(), by_family.keys(), loc="upper right")
    return ax


def _running_mean(values: np.ndarray[Any, Any], width: int) -> np.ndarray[Any, Any]:
    """Return the mean of each value and the `width` - 1 before it, or of as many as there are."""
    sums = np.cumsum(values)
    sums[width:] -= sums[:-width].copy()
    return np.asarray(sums / np.minimum(np.arange(1, len(values) + 1), width))
