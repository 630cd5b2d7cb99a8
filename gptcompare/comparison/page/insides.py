"""What happens inside a model while it reads a text, for a window of it, small enough to be part of a page.

One forward pass with a hook gives the attention weights, the residual stream (for the logit lens) and the logits.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...arrays import Array, Float64, Integers
from ...config import GPTConfig
from ...display.tokens import shown_token
from ...generation import LanguageModel
from ...generation.scoring import alternatives_part, windows
from ...model.ops import log_softmax
from ...tokenizer import Tokenizer

# Where the slider of the page stops: the bars are exact there, since the page holds the logarithm of the sum over the
# whole vocabulary at each of these temperatures.
TEMPERATURES = tuple(round(0.1 * n, 1) for n in range(1, 21))
ALTERNATIVES = 10  # tokens for which the page has bars
LENS, MOST_LENS = 3, 13  # tokens of the logit lens, and at how many heights between the embeddings and the last block


class Labels:
    """The tokens that a page names, each of them once, as they are shown."""

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}

    def number(self, token: bytes) -> int:
        """Return the place of a token in the list of labels."""
        return self._numbers.setdefault(shown_token(token), len(self._numbers))

    def to_list(self) -> list[str]:
        """Return the labels in their order."""
        return list(self._numbers)


@dataclass(frozen=True)
class Window:
    """The positions of a text for which a page has everything.

    Attributes
    ----------
    start, stop : int
        The first position, and the one after the last.
    read_from : int
        Where the model begins to read: 0, unless the text is longer than its context.
    n_attention : int
        How many of these positions have their attention on the page.
    """

    start: int
    stop: int
    read_from: int
    n_attention: int


def window(n_ids: int, n_ctx: int, start: int, n_positions: int, n_attention: int) -> Window:
    """Return the window of at most `n_positions` positions from `start` on, all predicted from the same beginning.

    A text longer than the context is read in windows (`gptcompare.generation.scoring.windows`); the page's window ends
    where the next of these begins, so that what it shows is what the text's score was computed from.

    >>> window(10, n_ctx=4, start=6, n_positions=4, n_attention=4)
    Window(start=6, stop=7, read_from=2, n_attention=0)
    """
    start = min(start, n_ids - 1)
    here = next((one for one in windows(n_ids, n_ctx) if max(start, 1) < one.end), None)
    read_from, end = (0, n_ids) if here is None else (here.start, here.end)
    stop = min(start + n_positions, end, n_ids)
    return Window(start, stop, read_from, max(min(n_attention, stop - start, read_from + n_ctx - start), 0))


def inside(lm: LanguageModel, ids: Sequence[int], of: Window, labels: Labels) -> dict[str, Any]:
    """Let a model read a text, and return what a page shows of the positions of a window, as plain values.

    Returns
    -------
    dict
        "start", and for each position of the window: "alternatives", pairs of a label and its log-probability in nats;
        "came", the log-probability of the token that came; "ranks" and "entropies" (bits); "log_z", for each of
        `TEMPERATURES` the logarithm of the sum of exp(log-probability / temperature) over the vocabulary; "lens", the
        labels and probabilities of the likeliest tokens after each of "lens_blocks" blocks. All are None for a
        position that nothing comes before. "attention": see `_packed`.
    """
    n_read = min(of.stop, of.read_from + lm.config.n_ctx) - of.read_from
    patterns, streams = _recorded(lm, ids[of.read_from : of.read_from + n_read], of)
    # Position p is predicted by what the model knows at p - 1: nothing comes before position 0.
    first = max(of.start, of.read_from + 1)
    rows = slice(first - 1 - of.read_from, of.stop - 1 - of.read_from)
    predicted = np.array(ids[first : of.stop], np.int64)
    nothing: list[Any] = [None] * (first - of.start)
    blocks = lens_blocks(lm.config.n_layer)
    by_layer = [lm.model.unembed(streams[n_blocks][rows]) for n_blocks in blocks]
    logprobs: Float64 = log_softmax(by_layer[-1].astype(np.float64)).astype(np.float64, copy=False)
    found, _, ranks, entropies = alternatives_part(by_layer[-1], predicted, ALTERNATIVES)
    tokenizer = lm.tokenizer
    return {
        "start": of.start,
        "alternatives": nothing + _labelled(found, np.take_along_axis(logprobs, found, axis=-1), tokenizer, labels),
        "came": nothing + np.take_along_axis(logprobs, predicted[:, None], axis=-1)[:, 0].round(4).tolist(),
        "ranks": nothing + ranks.tolist(),
        "entropies": nothing + entropies.round(3).tolist(),
        "log_z": nothing + log_sums(logprobs).round(4).tolist(),
        "lens_blocks": blocks,
        "lens": nothing + _lens(by_layer, tokenizer, labels),
        "attention": _packed(patterns, of, lm.config) if of.n_attention else None,
    }


def lens_blocks(n_layer: int) -> list[int]:
    """Return after how many blocks the page shows the logit lens: all from 0 on, or some of many.

    >>> lens_blocks(4), lens_blocks(48)
    ([0, 1, 2, 3, 4], [0, 4, 8, 12, 16, 20, 24, 28, 32, 36, 40, 44, 48])
    """
    return [round(part) for part in np.linspace(0, n_layer, min(n_layer + 1, MOST_LENS)).tolist()]


def _recorded(lm: LanguageModel, ids: Sequence[int], of: Window) -> tuple[list[Array], list[Array]]:
    """Return the attention weights of the window, each (H, n, n), and the residual streams, each (T, D)."""
    patterns: list[Array] = []
    streams: list[Array] = []
    attention = slice(of.start - of.read_from, of.start - of.read_from + of.n_attention)

    def keep(name: str, array: Array) -> Array:
        if name.endswith("attn.hook_pattern"):
            patterns.append(array[0, :, attention, attention].copy())
        elif name == "blocks.0.hook_resid_pre" or name.endswith("hook_resid_post"):
            streams.append(array[0].copy())
        return array

    lm.model(np.array(ids), last_only=True, hook=keep)
    return patterns, streams


def log_sums(logprobs: Float64) -> Float64:
    """Return log(sum(exp(log-probability / temperature))) at each of `TEMPERATURES`: (n, V) -> (n, 20).

    >>> import numpy as np
    >>> bool(abs(log_sums(np.log([[0.5, 0.5]]))[0, 9]) < 1e-12)  # at temperature 1
    True
    """
    top: Float64 = logprobs.max(axis=-1, keepdims=True)
    below: Array = (logprobs - top).astype(np.float32)
    sums = [
        np.log(np.exp(below / np.float32(temperature)).sum(axis=-1, dtype=np.float64)) + top[:, 0] / temperature
        for temperature in TEMPERATURES
    ]
    return np.stack(sums, axis=-1)


def _labelled(ids: Integers, values: Float64, tokenizer: Tokenizer, labels: Labels) -> list[Any]:
    return [
        [[labels.number(tokenizer.bytes_of(id_)), round(value, 4)] for id_, value in zip(*row, strict=True)]
        for row in zip(ids.tolist(), values.tolist(), strict=True)
    ]


def _lens(by_layer: Sequence[Array], tokenizer: Tokenizer, labels: Labels) -> list[Any]:
    """Return for each position what the model would say after each block: its likeliest tokens (L + 1, LENS)."""
    of_layers = []
    for logits in by_layer:
        likeliest, probabilities, _, _ = alternatives_part(logits, np.zeros(len(logits), np.int64), LENS)
        of_layers.append(_labelled(likeliest, probabilities, tokenizer, labels))
    return [list(of_position) for of_position in zip(*of_layers, strict=True)]


def _packed(patterns: Sequence[Array], of: Window, config: GPTConfig) -> dict[str, Any]:
    """Return the lower triangles of all heads, row after row: a byte for each weight, in base64.

    It is 0 for a key that the layer's pattern hides, and else 1 and 254 parts of the weight's square root, which keeps
    small weights apart, as a picture shows them: a weight is within 0.4 % of the stored one.
    """
    rows, columns = np.tril_indices(of.n_attention)
    weights = np.stack(patterns)[:, :, rows, columns]  # (L, H, n (n + 1) / 2)
    first = of.start - of.read_from
    seen = [
        [config.pattern_of(layer).sees(first + rows, first + columns, head) for head in range(config.n_head)]
        for layer in range(config.n_layer)
    ]
    stored = np.where(seen, 1 + np.rint(254 * np.sqrt(weights)), 0).astype(np.uint8)
    return {"n": of.n_attention, "start": of.start, "weights": base64.b64encode(stored.tobytes()).decode()}
