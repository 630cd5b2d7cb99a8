"""Texts as one long row of tokens on the disk, and the batches that are cut from it."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ..atomic_files import written_together
from ..tokenizer import Tokenizer

Tokens = npt.NDArray[np.integer[Any]]
Ids = npt.NDArray[np.intp]


def read_text(path: str | os.PathLike[str]) -> str:
    """A text file. ValueError if it is not UTF-8 or has no text, FileNotFoundError if there is none."""
    try:
        text = Path(path).read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise ValueError(f"{os.fspath(path)}: not UTF-8 text ({error.reason} at byte {error.start})") from None
    if not text.strip():
        raise ValueError(f"{os.fspath(path)}: there is no text in it")
    return text


def tokenize_files(
    paths: Sequence[str | os.PathLike[str]], tokenizer: Tokenizer, target: str | os.PathLike[str]
) -> Tokens:
    """The tokens of all texts, an end-of-text token behind each, memory-mapped from a file that is made once.

    `target` is a `.npy` file of uint16, or of uint32 for a larger vocabulary; beside it, `.json` says which texts and
    which vocabulary it was made from, so that it is made anew when one of them has changed.

    Raises
    ------
    FileNotFoundError, ValueError
        If a text does not exist, is not UTF-8 or is empty, or the tokenizer has no end-of-text token.
    """
    target = Path(target)
    if tokenizer.eot_id is None:
        raise ValueError("the tokenizer has no end-of-text token, which has to stand between the texts")
    texts = [read_text(path) for path in paths]
    made_from = {"texts": [_digest(text) for text in texts], "vocabulary": _digest_of_vocabulary(tokenizer)}
    note = target.with_suffix(".json")
    if not (target.is_file() and note.is_file() and json.loads(note.read_text(encoding="utf-8")) == made_from):
        dtype = np.uint16 if tokenizer.n_vocab <= 1 << 16 else np.uint32
        tokens = np.concatenate([np.array([*tokenizer.encode(text), tokenizer.eot_id], dtype) for text in texts])
        with written_together(target.parent, [target.name, note.name]) as (tokens_file, note_file):
            np.save(tokens_file, tokens)
            note_file.write(json.dumps(made_from, indent=2).encode() + b"\n")
    mapped: Tokens = np.load(target, mmap_mode="r")
    return mapped


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _digest_of_vocabulary(tokenizer: Tokenizer) -> str:
    tokens: Iterable[bytes] = (tokenizer.decode_bytes([id_]) for id_ in range(tokenizer.n_vocab))
    return hashlib.sha256(b"\0".join(tokens)).hexdigest()


class Batches:
    """The batches of a run, each of which follows from its number alone, so that a run can go on after a stop.

    In each epoch the row of tokens is cut into sequences anew, from a random first token, and they are shuffled: every
    token is seen once per epoch, but for less than two sequences at the ends.

    Parameters
    ----------
    tokens : integers, (N,)
    batch, context : int
        Sequences of a batch, and tokens of a sequence.
    seed : int

    Raises
    ------
    ValueError
        If there are not enough tokens for one sequence and the token after it.
    """

    def __init__(self, tokens: Tokens, batch: int, context: int, seed: int) -> None:
        if tokens.ndim != 1 or not np.issubdtype(tokens.dtype, np.integer):
            raise ValueError(f"tokens must be one row of integers, got {tokens.dtype} of shape {tokens.shape}")
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
        """Tokens and, for each, the one that follows: (B, T) and (B, T)."""
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
