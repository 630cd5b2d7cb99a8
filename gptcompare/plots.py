"""Plots, drawn with matplotlib, which is imported only when one is drawn: `pip install "gptcompare[plots]"`.

Each function draws on the axes that it is given, or on new ones, and returns them; without matplotlib it raises
ImportError. Only `architecture` needs none: it draws a model as SVG.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from .arrays import Array
from .config import GPTConfig
from .display.colours import COLOURS
from .display.text_width import printable
from .display.units import in_letters
from .evaluation import Curve, PairedEvaluation
from .model.hooks import Trace
from .patterns import Pattern, visible_keys
from .presets import published
from .report.architecture import architecture
from .report.drawing import Architecture
from .report.table import table
from .training import Metrics

__all__ = [
    "COLOURS",
    "Architecture",
    "all_heads",
    "architecture",
    "attention_map",
    "attention_pattern",
    "differences",
    "logit_lens",
    "loss_curve",
    "shots_curve",
    "size_ladder",
    "surprise",
]


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
    ax = _axes(ax)
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


def attention_map(weights: Array, tokens: Sequence[str] | None = None, ax: Any = None) -> Any:
    """Draw how much each query attends to each key: rows are queries, columns are keys, darker is more.

    Parameters
    ----------
    weights : (T, S)
        The weights of one head, such as `trace.patterns()[layer, head]`.
    tokens : S texts, optional
        Labels of the keys; the last T are also the labels of the queries.
    ax : matplotlib axes, optional
        New ones if not given.

    Raises
    ------
    ValueError
        If the weights are not a matrix, or the number of tokens is not the number of keys.
    ImportError
        If matplotlib is not installed.
    """
    if np.ndim(weights) != 2:
        raise ValueError(f"weights must be (queries, keys), from one head, got shape {np.shape(weights)}")
    T, S = np.shape(weights)
    ax = _axes(ax, (0.8 + 0.25 * S, 0.8 + 0.25 * T) if tokens is not None else (4, 4))
    ax.imshow(weights, cmap="Blues", vmin=0, vmax=max(float(np.max(weights)), 1e-9))
    if tokens is not None:
        if len(tokens) != S:
            raise ValueError(f"there are {len(tokens)} tokens for {S} keys")
        ax.set_xticks(range(S), [_label(token) for token in tokens], rotation=90)
        ax.set_yticks(range(T), [_label(token) for token in tokens[S - T :]])
    ax.set_xlabel("key")
    ax.set_ylabel("query")
    return ax


def all_heads(of: Trace, colour: str = COLOURS[0]) -> Any:
    """Draw the attention of every head at a glance: a row for each layer, a small map for each of its heads.

    Parameters
    ----------
    of : Trace
        Of one sequence, with the attention recorded.
    colour : str
        Of the largest weight of each head. The depth is the square root of the weight.

    Returns
    -------
    matplotlib figure

    Raises
    ------
    ValueError
        If the trace is of several sequences.
    ImportError
        If matplotlib is not installed.
    """
    patterns = of.patterns()
    if patterns.ndim != 4:
        raise ValueError("all heads are drawn of one sequence, not of a batch")
    n_layer, n_head = patterns.shape[:2]
    figure = _axes(None, (0.9 * n_head + 1, 0.9 * n_layer + 0.3)).figure
    from matplotlib.colors import LinearSegmentedColormap

    figure.clear()
    shades = LinearSegmentedColormap.from_list("shades", ["white", colour])
    for layer, axes in enumerate(figure.subplots(n_layer, n_head, squeeze=False)):
        for head, ax in enumerate(axes):
            weights = patterns[layer, head]
            ax.imshow(np.sqrt(weights), cmap=shades, vmin=0, vmax=max(float(np.sqrt(weights.max())), 1e-9))
            ax.set(xticks=[], yticks=[])
            if layer == 0:
                ax.set_title(f"head {head}", fontsize=9)
        axes[0].set_ylabel(f"layer {layer}\n{of.model.config.kind_of(layer)}", fontsize=8)
    return figure


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
    ax = _axes(ax, (7, 0.8 + 0.4 * len(drawn)))
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
    ax = _axes(ax)
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


def attention_pattern(pattern: Pattern, n: int = 32, ax: Any = None) -> Any:
    """Draw which keys each of n queries may see, as defined in `patterns.py`.

    Parameters
    ----------
    pattern : Pattern
        For example `patterns.Banded(8)`, or `config.pattern_of(layer)`.
    n : int
        Number of positions, each of which is both a query and a key.
    ax : matplotlib axes, optional
        New ones if not given.
    """
    ax = attention_map(visible_keys(n, n, pattern).astype(np.float32), ax=ax)
    sizes = [f"{name} {size}" for name, size in vars(pattern).items()]
    ax.set_title(", ".join([type(pattern).__name__.lower(), *sizes]))
    return ax


def logit_lens(logprobs: Array, tokens: Sequence[str], decode: Callable[[list[int]], str], ax: Any = None) -> Any:
    """Draw the likeliest next token after each layer and each token, with its probability as the colour.

    Parameters
    ----------
    logprobs : (L + 1, T, V)
        From `gptcompare.inspection.logit_lens`.
    tokens : T texts
        The tokens that were read.
    decode : function
        Turns ids into text, such as `tokenizer.decode`.
    ax : matplotlib axes, optional
        New ones if not given.
    """
    n_layers, T, _ = logprobs.shape
    ax = _axes(ax, (1.0 + 0.85 * T, 0.8 + 0.35 * n_layers))
    best = logprobs.argmax(axis=-1)
    probability = np.exp(logprobs.max(axis=-1))
    ax.imshow(probability, cmap="Blues", vmin=0, vmax=1, aspect="auto", origin="lower")
    for layer, position in np.ndindex(n_layers, T):
        shade = "white" if probability[layer, position] > 0.6 else "black"
        text = _label(decode([int(best[layer, position])]))
        ax.text(position, layer, text, ha="center", va="center", fontsize=8, color=shade)
    ax.set_xticks(range(T), [_label(token) for token in tokens], rotation=45, ha="right")
    ax.set_yticks(range(n_layers), ["embedding", *(f"block {n}" for n in range(n_layers - 1))])
    ax.set_xlabel("after this token")
    return ax


def surprise(tokens: Sequence[str], logprobs: Sequence[float], ax: Any = None, *, label: str = "") -> Any:
    """Plot how surprising each token is, in bits, as a step line; several models may share the axes.

    Parameters
    ----------
    tokens : sequence of str
    logprobs : sequence of float
        For each token, in nats.
    ax : matplotlib axes, optional
        New ones if not given.
    label : str
        The name of the model, where several share the axes.

    Raises
    ------
    ValueError
        If the numbers of tokens and log-probabilities differ.
    """
    if len(tokens) != len(logprobs):
        raise ValueError(f"there are {len(tokens)} tokens and {len(logprobs)} log-probabilities")
    ax = _axes(ax, (1.5 + 0.28 * len(tokens), 3.5))
    bits = -np.asarray(logprobs) / np.log(2)
    ax.step(range(len(tokens)), bits, where="mid", color=COLOURS[len(ax.get_lines()) % len(COLOURS)], label=label)
    ax.set_xticks(range(len(tokens)), [_label(token) for token in tokens], rotation=90)
    ax.set_ylabel("surprise, bits")
    ax.set_ylim(bottom=0)
    ax.grid(axis="y", alpha=0.3)
    if label:
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
    ax = _axes(ax, (7, 0.9 + 0.3 * len(chosen)))
    for row, name in enumerate(chosen):
        n_params, family = GPTConfig.preset(name).n_params, published(name).family
        ax.barh(row, n_params, color=COLOURS[families.index(family) % len(COLOURS)], label=family)
        ax.annotate(f" {in_letters(n_params)}", (n_params, row), va="center")
    ax.set_xscale("log")
    ax.set_xlim(right=10 * max(GPTConfig.preset(name).n_params for name in chosen))
    ax.set_yticks(range(len(chosen)), chosen)
    ax.invert_yaxis()
    ax.set_xlabel("parameters")
    handles, labels = ax.get_legend_handles_labels()
    by_family = dict(zip(labels, handles, strict=True))
    ax.legend(by_family.values(), by_family.keys(), loc="upper right")
    return ax


def _label(token: str) -> str:
    """Return a token as a label: spaces and control characters made visible, and nothing read as a formula."""
    return printable(token.replace(" ", "␣").replace("\n", "⏎")).replace("$", r"\$")


def _running_mean(values: np.ndarray[Any, Any], width: int) -> np.ndarray[Any, Any]:
    """Return the mean of each value and the `width` - 1 before it, or of as many as there are."""
    sums = np.cumsum(values)
    sums[width:] -= sums[:-width].copy()
    return np.asarray(sums / np.minimum(np.arange(1, len(values) + 1), width))


def _axes(ax: Any, size: tuple[float, float] = (7, 4)) -> Any:
    if ax is not None:
        return ax
    try:
        import matplotlib.pyplot as plt
    except ImportError:
        raise ImportError('plots need matplotlib: pip install "gptcompare[plots]"') from None
    return plt.subplots(figsize=size, layout="constrained")[1]
