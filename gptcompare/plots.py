"""Pictures, drawn with matplotlib, which is imported when one is asked for (extra `plots`).

Each function takes the axes to draw on, or makes them, and returns them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from .training import Metrics

# Okabe and Ito's, which eyes of every kind tell apart.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")


def loss_curve(metrics: Sequence[Metrics], ax: Any = None, *, label: str = "") -> Any:
    """Loss against tokens: every step as a faint line, the mean of the last twentieth of the run, the validation loss.

    Parameters
    ----------
    metrics : list of Metrics
        As `gptcompare.training.train` returns them, or `read_metrics` reads them.
    ax : matplotlib axes, optional
        New ones if not given.
    label : str
        Of this run, where several share the axes.

    Raises
    ------
    ValueError
        If there are no metrics.
    ImportError
        If matplotlib is not installed.
    """
    if not metrics:
        raise ValueError("there are no metrics to draw")
    ax = _axes(ax)
    tokens = np.array([line.tokens for line in metrics]) / 1e6
    losses = np.array([line.loss for line in metrics])
    colour = COLOURS[sum(line.get_alpha() is not None for line in ax.get_lines()) % len(COLOURS)]  # a run has one such
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


def _running_mean(values: np.ndarray[Any, Any], width: int) -> np.ndarray[Any, Any]:
    """Of each value and the `width` - 1 before it, or of as many as there are."""
    sums = np.cumsum(values)
    sums[width:] -= sums[:-width].copy()
    return np.asarray(sums / np.minimum(np.arange(1, len(values) + 1), width))


def _axes(ax: Any) -> Any:
    if ax is not None:
        return ax
    try:
        import matplotlib.pyplot as plt
    except ImportError:
        raise ImportError('pictures need matplotlib: pip install "gptcompare[plots]"') from None
    return plt.subplots(figsize=(7, 4), layout="constrained")[1]
