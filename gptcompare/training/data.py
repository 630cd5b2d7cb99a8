"""Texts as one long row of tokens on disk, and the batches that are cut from it."""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..arrays import Ids, Integers
from ..files import texts
from ..files.atomic_files import written_together
from ..tokenizer import Tokenizer

PORTION = 1 << 20  # characters that are tokenized, or tokens that are hashed, at a time
PORTION_END = re.compile(r"(?<=\S)\s")


def read_text(path: str | os.PathLike[str]) -> str:
    """Read a text file; raise ValueError if it is not UTF-8 or has no text, FileNotFoundError if it does not exist."""
    text = texts.read_text(path)
    if not text.strip():
        raise ValueError(f"{os.fspath(path)}: there is no text in it")
    return text


def tokenize_files(
    paths: Sequence[str | os.PathLike[str]], tokenizer: Tokenizer, target: str | os.PathLike[str]
) -> Integers:
    """Return the tokens of all texts, each followed by an end-of-text token, memory-mapped from a file made once.

    The file holds uint16, or uint32 for a larger vocabulary. A `.json` file beside it records the texts and the
    vocabulary that it was made from and the digest of its tokens; if any of these no longer match, it is made again.

    Parameters
    ----------
    paths : sequence of paths
        The text files.
    tokenizer : Tokenizer
    target : path
        The `.npy` file for the tokens.

    Returns
    -------
    (N,), uint16 or uint32

    Raises
    ------
    FileNotFoundError, ValueError
        If a text does not exist, is not UTF-8 or is empty, or the tokenizer has no end-of-text token.
    """
    target = Path(target)
    if tokenizer.eot_id is None:
        raise ValueError("the tokenizer has no end-of-text token, which must separate the texts")
    made_from = {"texts": [_digest(read_text(path)) for path in paths], "vocabulary": _digest_of_vocabulary(tokenizer)}
    made = _read_tokens(target, made_from)
    if made is None:
        tokens = np.concatenate([portion for path in paths for portion in _tokens_of(read_text(path), tokenizer)])
        note = {**made_from, "tokens": digest_of_tokens(tokens)}
        with written_together(target.parent, [target.name, target.with_suffix(".json").name]) as (
            tokens_file,
            note_file,
        ):
            np.save(tokens_file, tokens)
            note_file.write(json.dumps(note, indent=2).encode() + b"\n")
        made = np.load(target, mmap_mode="r")
    return made


def _read_tokens(path: Path, made_from: dict[str, Any]) -> Integers | None:
    """Read the tokens of a file; return None if it is missing, made from something else, or not as it was written."""
    try:
        note = texts.parse_json(path.with_suffix(".json").read_bytes(), str(path))
        tokens: Integers = np.load(path, mmap_mode="r")
        return tokens if note == {**made_from, "tokens": digest_of_tokens(tokens)} else None
    except (OSError, ValueError, EOFError):
        return None


def _tokens_of(text: str, tokenizer: Tokenizer) -> Iterator[Integers]:
    """Yield the tokens of a text in portions, since a list of ids takes twenty times the memory of an array.

    A portion ends between a character and white space, where one of the tokenizer's pieces also ends.
    """
    dtype = np.uint16 if tokenizer.n_vocab <= 1 << 16 else np.uint32
    start = 0
    while start < len(text):
        cut = PORTION_END.search(text, start + PORTION)
        stop = cut.start() if cut else len(text)
        yield np.array(tokenizer.encode(text[start:stop]), dtype)
        start = stop
    yield np.array([tokenizer.eot_id], dtype)


def digest_of_tokens(tokens: Integers) -> str:
    """Return the SHA-256 of the tokens, which is the same for every dtype."""
    hasher = hashlib.sha256()
    for start in range(0, len(tokens), PORTION):
        hasher.update(np.ascontiguousarray(tokens[start : start + PORTION], "<i8").data)
    return hasher.hexdigest()


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _digest_of_vocabulary(tokenizer: Tokenizer) -> str:
    vocabulary = tokenizer.vocabulary
    parts = [vocabulary.merges, sorted(vocabulary.ids.items()), sorted(vocabulary.special_tokens.items())]
    return _digest(json.dumps(parts))


def check_row(name: str, tokens: Integers) -> None:
    """Raise ValueError if the tokens are not one row of integers."""
    kind = getattr(tokens, "dtype", type(tokens).__name__)
    if not isinstance(tokens, np.ndarray) or tokens.ndim != 1 or not np.issubdtype(tokens.dtype, np.integer):
        raise ValueError(f"{name} must be an array, one row of integers, got {kind} of shape {np.shape(tokens)}")


class Batches:
    """The batches of a run, each determined by its number, so that an interrupted run can resume.

    In each epoch the row of tokens is cut into sequences again, starting at a random token, and these are shuffled:
    every token is seen once per epoch, except for less than two sequences at the ends.

    Parameters
    ----------
    tokens : integers, (N,)
    batch, context : int
        Sequences per batch, and tokens per sequence.
    seed : int

    Attributes
    ----------
    sequences_per_epoch : int
        Number of whole sequences that the row is cut into.

    Raises
    ------
    ValueError
        If the tokens are not one row of integers, or are fewer than twice the context.
    """

    def __init__(self, tokens: Integers, batch: int, context: int, seed: int) -> None:
        check_row("tokens", tokens)
        if len(tokens) < 2 * context:
            raise ValueError(f"{len(tokens)} tokens are too few: sequences of {context} need at least {2 * context}")
        self.batch = batch
        self.context = context
        self.sequences_per_epoch = (len(tokens) - context) // context
        self._tokens = tokens
        self._seed = seed
        self._epoch = -1
        self._starts: Ids = np.empty(0, np.intp)

    def __getitem__(self, step: int) -> tuple[Ids, Ids]:
        """Return the ids of a step and, for each, the id that follows: (B, T) and (B, T)."""
        numbers = range(step * self.batch, (step + 1) * self.batch)
        sequences = np.stack([self._sequence(*divmod(number, self.sequences_per_epoch)) for number in numbers])
        return sequences[:, :-1], sequences[:, 1:]

    def _sequence(self, epoch: int, number: int) -> Ids:
        if epoch != self._epoch:
            rng = np.random.default_rng([self._seed, epoch])
            self._starts = rng.integers(self.context) + self.context * rng.permutation(self.sequences_per_epoch)
            self._epoch = epoch
        start = self._starts[number]
        return self._tokens[start : start + self.context + 1].astype(np.intp)
