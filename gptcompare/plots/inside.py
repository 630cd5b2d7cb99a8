"""What happens inside a model, and what patterns show: attention, the logit lens, surprise, scores of tokens."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..arrays import Array
from ..display.colours import COLOURS
from ..inspection import Attribution
from ..model.hooks import Trace
from ..patterns import Pattern, visible_keys
from .axes import axes_or_new, label_of


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
    ax = axes_or_new(ax, (0.8 + 0.25 * S, 0.8 + 0.25 * T) if tokens is not None else (4, 4))
    ax.imshow(weights, cmap="Blues", vmin=0, vmax=max(float(np.max(weights)), 1e-9))
    if tokens is not None:
        if len(tokens) != S:
            raise ValueError(f"there are {len(tokens)} tokens for {S} keys")
        ax.set_xticks(range(S), [label_of(token) for token in tokens], rotation=90)
        ax.set_yticks(range(T), [label_of(token) for token in tokens[S - T :]])
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
    figure = axes_or_new(None, (0.9 * n_head + 1, 0.9 * n_layer + 0.3)).figure
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
    ax = axes_or_new(ax, (1.0 + 0.85 * T, 0.8 + 0.35 * n_layers))
    best = logprobs.argmax(axis=-1)
    probability = np.exp(logprobs.max(axis=-1))
    ax.imshow(probability, cmap="Blues", vmin=0, vmax=1, aspect="auto", origin="lower")
    for layer, position in np.ndindex(n_layers, T):
        shade = "white" if probability[layer, position] > 0.6 else "black"
        text = label_of(decode([int(best[layer, position])]))
        ax.text(position, layer, text, ha="center", va="center", fontsize=8, color=shade)
    ax.set_xticks(range(T), [label_of(token) for token in tokens], rotation=45, ha="right")
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
    ax = axes_or_new(ax, (1.5 + 0.28 * len(tokens), 3.5))
    bits = -np.asarray(logprobs) / np.log(2)
    ax.step(range(len(tokens)), bits, where="mid", color=COLOURS[len(ax.get_lines()) % len(COLOURS)], label=label)
    ax.set_xticks(range(len(tokens)), [label_of(token) for token in tokens], rotation=90)
    ax.set_ylabel("surprise, bits")
    ax.set_ylim(bottom=0)
    ax.grid(axis="y", alpha=0.3)
    if label:
        ax.legend()
    return ax


def attribution(of: Attribution, tokens: Sequence[str], ax: Any = None) -> Any:
    """Draw the score of each token as a bar, in one colour where it is above 0 and in another where it is below.

    Parameters
    ----------
    of : Attribution
        From `gptcompare.inspection.attribution`.
    tokens : T texts
        The tokens that were read.
    ax : matplotlib axes, optional
        New ones if not given.

    Raises
    ------
    ValueError
        If there are more or fewer tokens than scores.
    ImportError
        If matplotlib is not installed.
    """
    if len(tokens) != len(of.scores):
        raise ValueError(f"there are {len(tokens)} tokens and {len(of.scores)} scores")
    ax = axes_or_new(ax, (1.5 + 0.35 * len(tokens), 3))
    colours = [COLOURS[0] if score > 0 else COLOURS[1] for score in of.scores]
    ax.bar(range(len(tokens)), of.scores, color=colours)
    ax.axhline(0, color="black", linewidth=0.8)
    ax.set_xticks(range(len(tokens)), [label_of(token) for token in tokens], rotation=90)
    difference = "logit difference" if of.against is not None else of.quantity.replace("_", "-")
    ax.set_ylabel(f"added to the {difference}")
    ax.grid(axis="y", alpha=0.3)
    ax.set_axisbelow(True)
    return ax
