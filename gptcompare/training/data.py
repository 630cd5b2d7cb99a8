"""Texts as one long row of tokens on disk, from which `batches` are cut."""

from __future__ import annotations

import hashlib
import io
import json
import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import regex

from ..arrays import Integers
from ..checks import instance, path
from ..files import texts
from ..files.atomic_files import written_together
from ..tokenizer import END_OF_TEXT, AllowedSpecial, Tokenizer

PORTION = 1 << 20  # characters that are tokenized, or tokens that are hashed, at a time
NOTE_BEGINNING = b'{\n  "texts": ['  # of what is kept beside tokens
PORTION_END = regex.compile(r"(?<=\S)\s")  # by the white space of regex, which cuts a text into pieces


def read_text(path: str | os.PathLike[str]) -> str:
    """Read a text file; raise ValueError if it is not UTF-8 or has no text, FileNotFoundError if it does not exist."""
    text = texts.read_text(path)
    if not text.strip():
        raise ValueError(f"{os.fspath(path)}: there is no text in it")
    return text


def texts_in(path: str | os.PathLike[str], end_of_text: str | None = END_OF_TEXT) -> list[str]:
    """Read the texts in a file, which `end_of_text` separates, as in many published collections of short texts.

    The line end right after it belongs to it, so that texts with "<|endoftext|>" on a line of its own between them are
    the same in one file and in a file each. What has nothing but white space is not a text.

    Parameters
    ----------
    path : path
    end_of_text : str, optional
        None or "": the file is one text, whatever it contains.

    Raises
    ------
    OSError, ValueError
        If the file cannot be read, is not UTF-8, or has no text.
    """
    text = read_text(path)
    if not end_of_text:
        return [text]
    separated = [part for part in _parts(text, end_of_text) if part.strip()]
    if not separated:
        raise ValueError(f"{os.fspath(path)}: there is no text in it, only {end_of_text!r}")
    return separated


def _parts(text: str, end_of_text: str) -> Iterator[str]:
    start = 0
    while (end := text.find(end_of_text, start)) >= 0:
        yield text[start:end]
        start = end + len(end_of_text)
        start += text.startswith("\n", start)
    yield text[start:]


def tokenize_files(
    paths: Sequence[str | os.PathLike[str]],
    tokenizer: Tokenizer,
    target: str | os.PathLike[str],
    end_of_text: str | None = END_OF_TEXT,
    allowed_special: AllowedSpecial = (),
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
    end_of_text : str, optional
        What separates the texts in a file: ``<|endoftext|>`` (with the line end after it, if any), whatever the
        tokenizer's own end-of-text token is called. With None or "" each file is one text.
    allowed_special : collection of str, or "all"
        Special tokens that are recognised in the texts, as in `Tokenizer.encode`; by default none.

    Returns
    -------
    (N,), uint16 or uint32

    Raises
    ------
    FileNotFoundError, ValueError
        If a text does not exist, is not UTF-8 or is empty, the tokenizer has no end-of-text token, or there is another
        file in the place of one of the two.
    """
    target = Path(path("target", target))
    if isinstance(paths, (str, os.PathLike)) or not isinstance(paths, Iterable):
        raise TypeError(f"paths must be a list of files, got {paths!r}")
    paths = [path(f"paths[{number}]", one) for number, one in enumerate(paths)]
    if end_of_text is not None:
        instance("end_of_text", end_of_text, str)
    if instance("tokenizer", tokenizer, Tokenizer).eot_id is None:
        raise ValueError("the tokenizer has no end-of-text token, which must separate the texts")
    allowed = tokenizer.allowed(allowed_special)
    made_from = _made_from(paths, tokenizer, end_of_text, allowed)
    made = _read_tokens(target, made_from)
    if made is None:
        if _is_foreign(target):
            raise ValueError(f"{target} is not a file of tokens that was made here: it stays; give another folder")
        tokens = np.concatenate(
            [*_tokens_of((text for path in paths for text in texts_in(path, end_of_text)), tokenizer, allowed)]
        )
        note = {**made_from, "tokens": digest_of_tokens(tokens)}
        names = target.with_suffix(".json").name, target.name  # in this order: no tokens are ever without their note
        with written_together(target.parent, names) as (note_file, tokens_file):
            note_file.write(json.dumps(note, indent=2).encode() + b"\n")
            np.save(tokens_file, tokens)
        made = _mapped(target)
    return made


def count_texts(tokens: Integers, tokenizer: Tokenizer) -> int:
    """Count the texts in a row of tokens, each of which ends with an end-of-text token."""
    portions = range(0, len(tokens), PORTION)
    return sum(int(np.count_nonzero(tokens[start : start + PORTION] == tokenizer.eot_id)) for start in portions)


def _made_from(
    paths: Sequence[str | os.PathLike[str]],
    tokenizer: Tokenizer,
    end_of_text: str | None,
    allowed: frozenset[str],
) -> dict[str, Any]:
    """Return what determines the tokens; `end_of_text` and special tokens do only if one of the files has them."""
    made_from: dict[str, Any] = {"texts": [], "vocabulary": _digest_of_vocabulary(tokenizer)}
    for file in paths:
        text = read_text(file)
        made_from["texts"].append(_digest(text))
        if end_of_text and end_of_text in text:
            made_from["end_of_text"] = end_of_text
        if any(token in text for token in allowed):
            made_from["allowed_special"] = sorted(allowed)
    return made_from


def _is_foreign(target: Path) -> bool:
    """Whether what is there is not tokens and their note, be these damaged."""
    note = target.with_suffix(".json")
    if not note.exists():
        return target.exists()
    with open(note, "rb") as file:
        beginning = file.read(len(NOTE_BEGINNING))
    return not NOTE_BEGINNING.startswith(beginning)


def _read_tokens(path: Path, made_from: dict[str, Any]) -> Integers | None:
    """Read the tokens of a file; return None if it is missing, made from something else, or not as it was written."""
    try:
        note = texts.parse_json(path.with_suffix(".json").read_bytes(), str(path))
        tokens = _mapped(path)
        return tokens if note == {**made_from, "tokens": digest_of_tokens(tokens)} else None
    except (OSError, ValueError, EOFError):
        return None


def _mapped(path: Path) -> Integers:
    """Memory-map the array of a file, or read it where the system maps none, as in WebAssembly."""
    try:
        array: Integers = np.load(path, mmap_mode="r")
    except OSError:
        array = np.load(io.BytesIO(path.read_bytes()))
    return array


def _tokens_of(several: Iterable[str], tokenizer: Tokenizer, allowed: frozenset[str]) -> Iterator[Integers]:
    """Yield the tokens of texts in portions, since a list of ids takes twenty times the memory of an array.

    Inside a text, a portion ends between a character and white space, where one of the tokenizer's pieces also ends.
    With added tokens of more than one word, or that take the white space beside them, a text is one portion.
    """
    vocabulary = tokenizer.vocabulary
    added = {**vocabulary.special_tokens, **vocabulary.added_tokens}
    in_portions = not vocabulary.matching and not any(map(regex.compile(r"\s").search, added))
    dtype = np.uint16 if tokenizer.n_vocab <= 1 << 16 else np.uint32
    ids: list[int | None] = []
    for text in several:
        start = 0
        while start < len(text):
            cut = PORTION_END.search(text, start + PORTION) if in_portions else None
            stop = cut.start() if cut else len(text)
            ids += tokenizer.encode(text[start:stop], allowed)
            start = stop
            if start < len(text) or len(ids) >= PORTION:
                yield np.array(ids, dtype)
                ids = []
        ids.append(tokenizer.eot_id)
    yield np.array(ids, dtype)


def digest_of_tokens(tokens: Integers) -> str:
    """Return the SHA-256 of a row of tokens, or of sequences of them, which is the same for every dtype."""
    hasher = hashlib.sha256()
    if tokens.ndim == 2:
        hasher.update(f"{tokens.shape}".encode())
    row = tokens.reshape(-1)
    for start in range(0, len(row), PORTION):
        hasher.update(np.ascontiguousarray(row[start : start + PORTION], "<i8").data)
    return hasher.hexdigest()


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _digest_of_vocabulary(tokenizer: Tokenizer) -> str:
    vocabulary = tokenizer.vocabulary
    parts = [vocabulary.merges, sorted(vocabulary.ids.items()), sorted(vocabulary.special_tokens.items())]
    return _digest(json.dumps(parts + vocabulary.others()))
