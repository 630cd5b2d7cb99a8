"""What the page of a comparison knows, as plain values, within a size that a browser opens at once.

The page's script (`page.js`) reads this:

    title, summary, share_vocabulary, temperatures, most_divergence
    labels      the tokens that the page names, as they are shown; others refer to them by number
    models      name, what (a line), n_layer, n_head, patterns and bands of the layers (0 for a dense one)
    texts       writer (the number of a model, or null), cuts, readings, divergence, same_top
                (a cut is how a vocabulary cuts the text: labels, pieces, tail; a reading belongs to one cut)
    begins_at   the number of the first token that is shown, from 0; of a shorter text, none is shown
    columns     text, reader: whose reading of which text stands in each column
    starts_at   the position that is pointed at first: where the texts part, or else where the models differ most
    made        how it was made; left_out: what the page would have grown too large with
"""

from __future__ import annotations

import codecs
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ...display.text_width import printable
from ...generation import LanguageModel
from ..reading import Reading
from ..sides import describe_model
from .document import as_json
from .insides import ALTERNATIVES, LENS, TEMPERATURES, Labels, inside, lens_blocks, window

# What the page may hold, in bytes. A page is at most 2 MB, its style and its scripts among them.
MOST_BYTES = 1_900_000
FOR_TOKENS, FOR_PREDICTIONS, FOR_ATTENTION = 900_000, 500_000, 500_000
BYTES_PER_TOKEN, BYTES_PER_READ_TOKEN = 24, 27  # usually; once for each text, and for each model that reads it
LEAST_SHARE = 1 / 64  # of these, for tokens that are far longer
MOST_PREDICTIONS, MOST_ATTENTION = 256, 64  # positions


@dataclass(frozen=True)
class Text:
    """A text of the page: who wrote it, what stands before the part that was read, and how it was read.

    Attributes
    ----------
    writer : int, optional
        The number of the model that wrote it; None if none did.
    reading : Reading
    contexts, ids : tuple of list of int
        For each model, what it read before the text, which the page shows as given, and its tokens of the text.
    tail : str
        What follows the part that was read.
    """

    writer: int | None
    reading: Reading
    contexts: tuple[list[int], ...]
    ids: tuple[list[int], ...]
    tail: str = ""


def page_data(
    title: str,
    models: Mapping[str, LanguageModel],
    texts: Sequence[Text],
    share_vocabulary: bool,
    summary: str,
    made: Mapping[str, str],
    first: int = 0,
    parts_at: int | None = None,
) -> dict[str, Any]:
    """Return what the page knows, its texts from the token number `first` on.

    `parts_at` is the number of tokens that the texts have in common, if they part.
    """
    share = 1.0
    while True:
        data = _page_data(title, models, texts, share_vocabulary, summary, made, first, parts_at, share)
        if share <= LEAST_SHARE or len(as_json(data).encode(errors="replace")) <= MOST_BYTES:
            return data
        share /= 2


def _page_data(
    title: str, models: Mapping[str, LanguageModel], texts: Sequence[Text], share_vocabulary: bool, summary: str,
    made: Mapping[str, str], first: int, parts_at: int | None, share: float,
) -> dict[str, Any]:  # fmt: skip
    """Return what the page knows, with this share of the tokens and predictions that usually fit."""
    names, lms = list(models), list(models.values())
    longest = max(
        len(text.contexts[number]) + len(text.ids[number])
        for text in texts
        for number in _readers(text, len(lms), share_vocabulary)
    )
    if first >= longest:
        raise ValueError(f"the page cannot begin at token {first}: the texts have {longest}, counted from 0")
    labels, sizes = Labels(), _Sizes(lms, texts, share_vocabulary, longest - first, share)
    shown = [_text(text, lms, share_vocabulary, labels, sizes, first) for text in texts]
    columns = [
        {"text": number, "reader": reader}
        for number, text in enumerate(texts)
        for reader in (range(len(lms)) if text.writer is None else [text.writer])
    ]
    divergences = [value for text in shown for value in text["divergence"] or [] if value is not None]
    return {
        "title": printable(title) if title.strip() else f"{title!r}, a prompt without a word",
        "summary": printable(summary),
        "share_vocabulary": share_vocabulary,
        "temperatures": list(TEMPERATURES),
        "most_divergence": _rounded_up(max(divergences, default=0.0)),
        "labels": labels.to_list(),
        "models": [{"name": printable(name), **_model(lm)} for name, lm in zip(names, lms, strict=True)],
        "texts": shown,
        "columns": columns,
        "begins_at": first,
        "starts_at": _start(shown[0], first, parts_at, texts[0]),
        "made": {what: printable(how) for what, how in made.items()},
        "left_out": sizes.left_out(first),
    }


def _readers(text: Text, n_models: int, shared: bool) -> Sequence[int]:
    """Return the numbers of the models whose reading is shown: without a common vocabulary, only the writer's."""
    return range(n_models) if shared or text.writer is None else [text.writer]


def _model(lm: LanguageModel) -> dict[str, Any]:
    config = lm.config
    patterns = [config.kind_of(layer) for layer in range(config.n_layer)]
    return {
        "what": printable(describe_model(lm)),
        "n_layer": config.n_layer,
        "n_head": config.n_head,
        "patterns": patterns,
        "bands": [config.band_width if pattern == "banded" else 0 for pattern in patterns],
    }


def _start(shown: Mapping[str, Any], first: int, parts_at: int | None, text: Text) -> int:
    """Return the shown position of the first text that is pointed at first."""
    if parts_at is not None:
        return max(len(text.contexts[0]) + parts_at - first, 0)
    divergence = [value or 0.0 for value in shown["divergence"] or []]
    return divergence.index(max(divergence)) if divergence else int(shown["readings"][0]["first"])


def _rounded_up(bits: float) -> float:
    """Return the end of an axis in bits: the next tenth, and at least one."""
    return max(math.ceil(bits * 10) / 10, 0.1)


class _Sizes:
    """How many tokens, predictions and attention maps each text of a page may have; the longest has `n` tokens."""

    def __init__(
        self, lms: Sequence[LanguageModel], texts: Sequence[Text], share_vocabulary: bool, n: int, share: float
    ) -> None:
        self._n, n_texts = n, max(len(texts), 1)
        readers = max(len(_readers(text, len(lms), share_vocabulary)) for text in texts)
        per_token = BYTES_PER_TOKEN + readers * BYTES_PER_READ_TOKEN
        self.n_tokens = int(share * FOR_TOKENS) // n_texts // per_token
        heights = max(len(lens_blocks(lm.config.n_layer)) for lm in lms)
        per_prediction = readers * (ALTERNATIVES * 16 + len(TEMPERATURES) * 9 + heights * LENS * 14)
        self.n_predictions = min(int(share * FOR_PREDICTIONS) // n_texts // per_prediction, MOST_PREDICTIONS)
        n_heads = sum(lm.config.n_layer * lm.config.n_head for lm in lms) * readers / len(lms)
        weights = FOR_ATTENTION / n_texts * 3 / 4 / n_heads  # of one head; base64 takes 4 bytes for 3
        self.n_attention = min(int(math.sqrt(2 * weights)), MOST_ATTENTION)

    def shown(self, n_ids: int, first: int) -> range:
        """Return the positions of a text of so many tokens that the page shows."""
        return range(min(first, n_ids), min(first + self.n_tokens, n_ids))

    def left_out(self, first: int) -> list[str]:
        """Say in sentences what the page leaves out."""
        n, said = self._n, []
        if first:
            said.append(f"The page begins at token {first}, counted from 0, of each prompt and text.")
        if n > self.n_tokens:
            said.append(f"The page shows {self.n_tokens:,} of {n:,} tokens, so that it stays small.")
        if n > self.n_predictions:
            said.append(
                f"What could have come instead, and the logit lens, are here for the first {self.n_predictions} tokens."
            )
        if n > self.n_attention:
            said.append(f"Attention is here for the first {self.n_attention} tokens.")
        if said and n > self.n_attention:
            said.append("Another part: --page-from N, or to_html(first=N).")
        return said


def _text(
    text: Text, lms: Sequence[LanguageModel], shared: bool, labels: Labels, sizes: _Sizes, first: int
) -> dict[str, Any]:
    """Return a text, and each model's reading of it; without a common vocabulary only its writer's, if it has one."""
    readers = _readers(text, len(lms), shared)
    cuts: list[dict[str, Any]] = []
    readings = []
    shown = range(0)
    for number in readers:
        ids, n_before = [*text.contexts[number], *text.ids[number]], len(text.contexts[number])
        shown = sizes.shown(len(ids), first)
        if not (shared and cuts):
            cuts.append(_cut(ids, shown, lms[number], labels, text.tail))
        known = _reading(text.reading, number, n_before, shown, lms[number], ids, labels, sizes)
        readings.append({"model": number, "cut": len(cuts) - 1, **known})
    n_before = len(text.contexts[0])
    divergence = _at(text.reading.divergence, n_before, shown) if text.reading.divergence is not None else None
    return {
        "writer": text.writer,
        "cuts": cuts,
        "readings": readings,
        "divergence": divergence and [value if value is None else round(value, 4) for value in divergence],
        "same_top": _at(text.reading.same_top, n_before, shown) if text.reading.same_top is not None else None,
    }


def _at(values: Sequence[Any] | None, n_before: int, shown: range) -> list[Any]:
    """Return the values of the shown positions of a text, of which the first `n_before` have none."""
    return [values[position - n_before] if values and position >= n_before else None for position in shown]


def _cut(ids: Sequence[int], shown: range, lm: LanguageModel, labels: Labels, tail: str) -> dict[str, Any]:
    """Return the tokens of a text: their labels, the pieces of text that become whole with each, and what follows."""
    decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
    tokens = [lm.tokenizer.bytes_of(ids[position]) for position in shown]
    pieces = [printable(decoder.decode(token, final=n == len(tokens))) for n, token in enumerate(tokens, 1)]
    return {
        "labels": [labels.number(token) for token in tokens],
        "pieces": pieces,
        "tail": printable(tail) if shown.stop == len(ids) else " …",
    }


def _reading(
    reading: Reading, number: int, n_before: int, shown: range, lm: LanguageModel, ids: list[int],
    labels: Labels, sizes: _Sizes,
) -> dict[str, Any]:  # fmt: skip
    """Return one model's reading: its numbers for all shown tokens, and what happens inside it for the first ones."""
    logprobs = _at(reading.logprobs[number], n_before, shown)
    of = None if reading.alternatives is None else reading.alternatives[number]
    ranks = _at(None if of is None else of.ranks.tolist(), n_before, shown)
    entropies = _at(None if of is None else of.entropies.tolist(), n_before, shown)
    choices = _at(None if reading.choices is None else reading.choices[number], n_before, shown)
    found = None
    if shown:
        part = window(len(ids), lm.config.n_ctx, shown.start, min(sizes.n_predictions, len(shown)), sizes.n_attention)
        found = inside(lm, ids, part, labels)
        n = part.stop - part.start
        ranks[:n], entropies[:n] = found.pop("ranks"), found.pop("entropies")
        known = found["came"]
        logprobs[:n] = [known[at] if value is None else value for at, value in enumerate(logprobs[:n])]
        found["start"] -= shown.start
        if found["attention"]:
            found["attention"]["start"] -= shown.start
    return {
        "first": max(n_before - shown.start, 0),
        "n_given": n_before,
        "logprobs": [value if value is None else round(value, 3) for value in logprobs],
        "ranks": ranks,
        "entropies": [value if value is None else round(value, 2) for value in entropies],
        "choices": [id_ if id_ is None else labels.number(lm.tokenizer.bytes_of(id_)) for id_ in choices],
        "inside": found,
    }
