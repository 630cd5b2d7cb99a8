"""Where two models differ in texts of any length: read once, a few positions at a time.

Of each token, a handful of numbers is kept, in arrays; `corpus.result` makes sentences and estimates of them.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from ..arrays import Array, Float64, Integers, Mask
from ..checks import elements, one_text
from ..files.texts import read_text, text_files
from ..generation import LanguageModel
from ..model.ops import cross_entropy
from ..presets import EMBEDDED_PAIR
from ..tokenizer import AllowedSpecial
from .corpus.blocks import block_starts
from .corpus.result import Differences, Sentence
from .corpus.sentences import sentences
from .reading import jensen_shannon, predictions_in_step, share_vocabulary
from .writers import Models, load_models

OneText: TypeAlias = "str | os.PathLike[str] | tuple[str, str]"
Texts: TypeAlias = "str | os.PathLike[str] | Mapping[str, str] | Iterable[OneText]"


class _Part(NamedTuple):
    """What was measured of one text with n tokens; the fields are those of `Differences`."""

    name: str
    n_bytes: int
    divergence: Float64
    logprobs: Float64
    ranks: Integers
    same_top: Mask
    most_divergent: bytes
    sentences: list[Sentence]


def compare_texts(
    texts: Texts,
    models: Models = EMBEDDED_PAIR,
    *,
    allowed_special: AllowedSpecial = (),
    progress: Callable[[int], Any] | None = None,
) -> Differences:
    """Let two models read texts of any length once, and say where they differ, sentence by sentence.

    Where `compare_text` records everything about each token of one text, this keeps a few numbers, so that a book, or a
    folder of them, takes little memory. The numbers are the same, and so is how a long text is read.

    Parameters
    ----------
    texts : str, path, list of these or of pairs (name, str), or dict of name -> str
        A str is a text, and a `pathlib.Path` a file or a folder, which stands for its files whose names end in .txt,
        also those in folders in it, in alphabetical order. A file is read when its turn comes. A text without tokens is
        passed over.
    models : sequence of names, folders or LanguageModels; or dict of name -> LanguageModel
        Two that share a vocabulary; the pair in the package if not given.
    allowed_special : "all", or collection of str
        As for `LanguageModel.generate`.
    progress : function, optional
        Called with the number of bytes of each few tokens, after they have been read.

    Returns
    -------
    Differences

    Raises
    ------
    TypeError, ValueError, OSError
        As for `gptcompare.load`; if there are not two models or they do not share a vocabulary; if a file cannot be
        read or is not UTF-8; if there is no token in any text.

    Examples
    --------
    >>> import gptcompare as gc
    >>> found = gc.compare_texts("Once upon a time there was a king. His name was Ozymandias, and he had a parrot.")
    >>> [sentence.text for sentence in found.most(1)]
    ['His name was Ozymandias, and he had a parrot.']
    """
    loaded = load_models(models)
    if len(loaded) != 2:
        raise ValueError(f"two models can differ in a sentence, and {len(loaded)} given: choose two")
    names, lms = (*loaded,), [lm.allowing(allowed_special) for lm in loaded.values()]
    if not share_vocabulary(lms):
        raise ValueError(
            f"{names[0]} and {names[1]} have different vocabularies: their predictions cannot be compared token by "
            "token. One text by itself, without --most and --by, is compared by bits per byte (compare_text)"
        )
    parts = [part for name, text in named_texts(texts) if len((part := _read(lms, name, text, progress)).divergence)]
    if not parts:
        raise ValueError("there is no text to compare: all that is given is empty")
    worst = max(parts, key=lambda part: float(part.divergence.max()))
    return Differences(
        names=(names[0], names[1]),
        texts=tuple(part.name for part in parts),
        n_bytes=sum(part.n_bytes for part in parts),
        divergence=np.concatenate([part.divergence for part in parts]),
        logprobs=np.concatenate([part.logprobs for part in parts], axis=1),
        ranks=np.concatenate([part.ranks for part in parts], axis=1),
        same_top=np.concatenate([part.same_top for part in parts]),
        most_divergent=worst.most_divergent,
        blocks=block_starts([len(part.divergence) for part in parts]),
        sentences=tuple(sentence for part in parts for sentence in part.sentences),
    )


def named_texts(texts: Texts) -> Iterator[tuple[str, str]]:
    """Yield the name and the text of each of the texts that `compare_texts` takes, reading files as it comes to them.

    Raises
    ------
    TypeError, ValueError, OSError
        If something else is given, or a file or folder cannot be read.
    """
    if isinstance(texts, tuple) and len(texts) == 2 and all(isinstance(part, str) for part in texts):
        raise ValueError(
            "texts is a pair, which may be two texts, or a name and a text: give a list, [text, text] or [(name, text)]"
        )
    alone = isinstance(texts, (str, os.PathLike))
    given = [texts] if alone else texts.items() if isinstance(texts, Mapping) else elements("texts", texts)
    for number, one in enumerate(given):
        if isinstance(one, os.PathLike):
            for path in text_files(one):
                yield os.fspath(path), read_text(path)
        elif isinstance(one, tuple) and len(one) == 2:
            yield str(one[0]), one_text(f"texts[{one[0]!r}]", one[1])
        else:
            yield f"text {number + 1}", one_text(f"texts[{number}]", one)


def _read(lms: Sequence[LanguageModel], name: str, text: str, progress: Callable[[int], Any] | None) -> _Part:
    """Let both models read a text, and keep of each token what `Differences` has."""
    encoded = [lm.encode(text) for lm in lms]
    ids = [np.array(of_text, np.int64) for of_text in encoded]
    ends = np.array(lms[0].tokenizer.byte_ends(text, lms[0].allowed_special), np.int64)
    n_bytes = np.diff(ends, prepend=0)
    n = len(n_bytes)
    divergence, logprobs, ranks, same_top = np.empty(n), np.empty((2, n)), np.empty((2, n), np.int64), np.empty(n, bool)
    first = 0
    for logits in predictions_in_step(lms, [lm.prompt_ids("") for lm in lms], encoded):
        now = slice(first, first + len(logits[0]))
        for number, (of_model, of_text) in enumerate(zip(logits, ids, strict=True)):
            logprobs[number, now] = -cross_entropy(of_model, of_text[now])
            ranks[number, now] = ranks_of(of_model, of_text[now])
        divergence[now] = jensen_shannon(logits)
        same_top[now] = logits[0].argmax(axis=-1) == logits[1].argmax(axis=-1)
        first = now.stop
        if progress is not None:
            progress(int(n_bytes[now].sum()))
    worst = lms[0].tokenizer.bytes_of(int(ids[0][divergence.argmax()])) if n else b""
    found = _sentences(name, text, ends, divergence, logprobs, ranks)
    return _Part(name, int(n_bytes.sum()), divergence, logprobs, ranks, same_top, worst, found)


def ranks_of(logits: Array, ids: Integers) -> Integers:
    """Return the place of each id among what the logits (n, V) hold likeliest, 1 for the likeliest: (n,).

    Of equally likely ones, the lower id comes first.

    >>> ranks_of(np.array([[0.5, 2.0, 0.5]]), np.array([2]))
    array([3])
    """
    came = np.take_along_axis(logits, ids[:, None], axis=-1)
    lower = np.arange(logits.shape[-1]) < ids[:, None]
    ranks: Integers = 1 + ((logits > came) | ((logits == came) & lower)).sum(axis=-1)
    return ranks


def _sentences(
    name: str, text: str, ends_of_tokens: Integers, divergence: Float64, logprobs: Float64, ranks: Integers
) -> list[Sentence]:
    """Return the sentences of a text that have tokens and something to see, from what was measured at its tokens."""
    spans = sentences(text)
    ends = np.cumsum([len(text[start:end].encode()) for start, end in spans])
    of_token = np.searchsorted(ends, ends_of_tokens - 1, side="right")
    n_tokens = np.bincount(of_token, minlength=len(spans))
    measured = (divergence, (logprobs[0] - logprobs[1]) / math.log(2), np.abs(np.log2(ranks[0] / ranks[1])))
    means = [np.bincount(of_token, values, len(spans)) / np.maximum(n_tokens, 1) for values in measured]
    found = []
    for (start, end), n, *numbers in zip(spans, n_tokens.tolist(), *(of.tolist() for of in means), strict=True):
        shown = text[start:end].strip()
        if n and shown:
            found.append(Sentence(name, start + text[start:end].index(shown), shown, n, *numbers))
    return found
