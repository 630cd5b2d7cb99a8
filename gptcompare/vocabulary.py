"""The files that a byte-level BPE vocabulary is published in, and GPT-2's own, which is in the package.

A vocabulary is a list of merges and a table token -> id. Three layouts hold it:

- `vocab.json` + `merges.txt` (Hugging Face) and `encoder.json` + `vocab.bpe` (OpenAI): two names for one format. The
  first is a JSON object token -> id, the second one merge a line, the most frequent first.
- `tokenizer.json` (Hugging Face tokenizers): both in one JSON file, with a description of the algorithm.

In all of them a byte is written as a printable character, so that a token is a word without spaces or control
characters: see `BYTE_TO_CHAR`.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Any

from .atomic_files import written_together

END_OF_TEXT = "<|endoftext|>"
TOKENIZER_FILES = ("vocab.json", "merges.txt", "encoder.json", "vocab.bpe", "tokenizer.json")


def _byte_order() -> list[int]:
    """The 256 bytes in the order of GPT-2's first 256 ids: printable ones first (openai/gpt-2, src/encoder.py)."""
    printable = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)]
    return printable + [byte for byte in range(256) if byte not in printable]


BYTE_ORDER = _byte_order()
N_PRINTABLE = 188
# A printable byte is the character of its own number; the n-th of the others, character 256 + n: space becomes "Ġ".
BYTE_TO_CHAR = {byte: chr(byte if n < N_PRINTABLE else 256 + n - N_PRINTABLE) for n, byte in enumerate(BYTE_ORDER)}
_CHAR_TO_LATIN1 = {ord(char): byte for byte, char in BYTE_TO_CHAR.items()}
_LATIN1_TO_CHAR = {byte: ord(char) for byte, char in BYTE_TO_CHAR.items()}


def to_bytes(token: str) -> bytes:
    """The bytes that a token of a vocabulary file stands for: "Ġthe" -> b" the"."""
    return token.translate(_CHAR_TO_LATIN1).encode("latin-1")


def to_characters(token: bytes) -> str:
    """The inverse of `to_bytes`: b" the" -> "Ġthe"."""
    return token.decode("latin-1").translate(_LATIN1_TO_CHAR)


@dataclass(frozen=True)
class Vocabulary:
    """Merges and ids, with tokens written as in the files (one character a byte).

    Parameters
    ----------
    merges : list of (left, right)
        In the order in which they are applied.
    ids : dict of token -> id
        The 256 bytes and the result of each merge.
    special_tokens : dict of text -> id
        Ids that no merge makes, such as the end of a text.
    source : str
        Where it comes from, for messages.

    Raises
    ------
    ValueError
        If a byte or a merge's part or result has no id, an id is not a whole number from 0, two tokens have the same
        one, or a special token is empty or has a lone surrogate.
    """

    merges: list[tuple[str, str]]
    ids: dict[str, int]
    special_tokens: dict[str, int] = field(default_factory=dict)
    source: str = "vocabulary"

    def __post_init__(self) -> None:
        for byte, char in BYTE_TO_CHAR.items():
            if char not in self.ids:
                raise ValueError(f"{self.source}: byte {byte} ({char!r}) has no id")
        for line, (left, right) in enumerate(self.merges, start=1):
            for token in (left, right, left + right):
                if token not in self.ids:
                    raise ValueError(f"{self.source}: {token!r} of merge {line} ({left} {right}) has no id")
        both = {**self.ids, **self.special_tokens}
        for token, id_ in both.items():
            if isinstance(id_, bool) or not isinstance(id_, int) or id_ < 0:
                raise ValueError(f"{self.source}: {token!r} has id {id_!r}, which is not a whole number from 0")
        if len(set(both.values())) != len(both):
            raise ValueError(f"{self.source}: two tokens have the same id")
        for token in self.special_tokens:
            if not token or any("\ud800" <= char <= "\udfff" for char in token):
                raise ValueError(f"{self.source}: {token!r} cannot be a token: it is empty or has a lone surrogate")

    @classmethod
    def from_merges(cls, merges: list[tuple[str, str]], source: str = "vocabulary") -> Vocabulary:
        """As OpenAI numbered GPT-2's: the 256 bytes, then each merge's result in order, then the end of text."""
        tokens = [BYTE_TO_CHAR[byte] for byte in BYTE_ORDER] + [left + right for left, right in merges]
        ids = {token: id_ for id_, token in enumerate(dict.fromkeys(tokens))}
        return cls(merges, ids, {END_OF_TEXT: len(ids)}, source)


def bundled_gpt2() -> Vocabulary:
    """GPT-2's 50,257 tokens, from the merges alone."""
    path = resources.files(__package__) / "data" / "vocab.bpe"
    return Vocabulary.from_merges(_parse_merges(path.read_text(encoding="utf-8"), "vocab.bpe"), "vocab.bpe")


def read_vocabulary(folder: str | os.PathLike[str]) -> Vocabulary:
    """Read whichever layout a folder has.

    Raises
    ------
    FileNotFoundError
        If the folder does not exist or has none of the layouts.
    ValueError
        If a file is damaged or is not a byte-level BPE vocabulary of GPT-2's kind; the message names file and reason.
    """
    folder = Path(folder)
    for ids_name, merges_name in (("vocab.json", "merges.txt"), ("encoder.json", "vocab.bpe")):
        if (folder / ids_name).is_file() and (folder / merges_name).is_file():
            return _read_pair(folder / ids_name, folder / merges_name)
    if (folder / "tokenizer.json").is_file():
        return _read_tokenizer_json(folder / "tokenizer.json")
    if not folder.is_dir():
        raise FileNotFoundError(f"there is no folder {str(folder)!r}")
    raise FileNotFoundError(
        f"{folder} has no tokenizer: neither vocab.json + merges.txt, nor encoder.json + vocab.bpe, nor tokenizer.json"
    )


def write_vocabulary(folder: str | os.PathLike[str], vocabulary: Vocabulary) -> None:
    """Write `vocab.json` and `merges.txt`; both are complete on the disk before they take their names."""
    ids = {**vocabulary.ids, **vocabulary.special_tokens}
    in_order = dict(sorted(ids.items(), key=lambda item: item[1]))
    merges = "".join(f"{left} {right}\n" for left, right in vocabulary.merges)
    with written_together(folder, ["vocab.json", "merges.txt"]) as (ids_file, merges_file):
        ids_file.write(json.dumps(in_order).encode())
        merges_file.write(b"#version: 0.2\n" + merges.encode())


def _read_pair(ids_path: Path, merges_path: Path) -> Vocabulary:
    table = _parse_ids(_read_json(ids_path), str(ids_path))
    merges = _parse_merges(_read_text(merges_path), str(merges_path))
    added_path = ids_path.with_name("added_tokens.json")
    added = _parse_ids(_read_json(added_path), str(added_path)) if added_path.is_file() else {}
    return _separate(table, merges, added, str(ids_path))


def _read_tokenizer_json(path: Path) -> Vocabulary:
    description = _read_json(path)
    if not isinstance(description, dict):
        raise ValueError(f"{path}: not a JSON object")
    model = description.get("model")
    if not isinstance(model, dict) or model.get("type", "BPE") != "BPE":
        raise ValueError(f"{path}: the model is not BPE")
    _refuse_other_algorithms(description, path)
    merges = model.get("merges")
    if not isinstance(merges, list):
        raise ValueError(f"{path}: no list of merges")
    pairs = [merge.split(" ") if isinstance(merge, str) else merge for merge in merges]  # both forms are in use
    added = description.get("added_tokens") or []
    if not isinstance(added, list) or not all(isinstance(t, dict) and isinstance(t.get("content"), str) for t in added):
        raise ValueError(f"{path}: added_tokens is not a list of objects with a content")
    added_ids = {token["content"]: token.get("id") for token in added}
    table = _parse_ids(model.get("vocab"), str(path))
    return _separate(table, _check_pairs(pairs, str(path)), added_ids, str(path))


def _refuse_other_algorithms(description: dict[str, Any], path: Path) -> None:
    """ValueError for every setting under which the same text would give other ids than GPT-2's algorithm."""
    model, pre_tokenizer = description["model"], description.get("pre_tokenizer")
    if not isinstance(pre_tokenizer, dict) or pre_tokenizer.get("type") != "ByteLevel":
        raise ValueError(f"{path}: the pre-tokenizer is not GPT-2's (ByteLevel)")
    refused = {
        "a normalizer": description.get("normalizer") is not None,
        "add_prefix_space": pre_tokenizer.get("add_prefix_space", False),
        "another pattern (use_regex false)": not pre_tokenizer.get("use_regex", True),
        "a post-processor that adds tokens": _adds_tokens(description.get("post_processor")),
        "dropout": model.get("dropout"),
        "byte_fallback": model.get("byte_fallback", False),
        "ignore_merges": model.get("ignore_merges", False),
        "continuing_subword_prefix": model.get("continuing_subword_prefix"),
        "end_of_word_suffix": model.get("end_of_word_suffix"),
    }  # fmt: skip
    if used := [name for name, present in refused.items() if present]:
        raise ValueError(f"{path}: {', '.join(used)} is not supported: GPT-2's byte-level BPE has no such thing")


def _adds_tokens(post_processor: Any) -> bool:
    """False for none, for ByteLevel, and for the template that transformers 5 writes: the text, nothing around it."""
    match post_processor:
        case None | {"type": "ByteLevel"} | {"type": "TemplateProcessing", "single": [{"Sequence": _}]}:
            return False
        case _:
            return True


def _separate(table: dict[str, int], merges: list[tuple[str, str]], added: dict[str, int], source: str) -> Vocabulary:
    """Tell the special tokens of a file's table from those that bytes and merges make."""
    made = {*BYTE_TO_CHAR.values(), *(left + right for left, right in merges)}
    ids = {token: id_ for token, id_ in table.items() if token in made}
    special = {token: id_ for token, id_ in table.items() if token not in made}
    for token, id_ in added.items():
        if table.get(token, id_) != id_:
            raise ValueError(f"{source}: {token!r} has two ids, {table[token]!r} and, as an added token, {id_!r}")
    special |= {token: id_ for token, id_ in added.items() if token not in ids}
    return Vocabulary(merges, ids, special, source)


def _read_text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise ValueError(f"{path}: not UTF-8 text ({error.reason} at byte {error.start})") from None


def _read_json(path: Path) -> Any:
    text = _read_text(path)
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:  # ValueError also for a number of thousands of digits
        raise ValueError(f"{path}: not JSON ({error})") from None


def _parse_ids(table: object, source: str) -> dict[str, int]:
    if not isinstance(table, dict) or not all(isinstance(token, str) for token in table):
        raise ValueError(f"{source}: not a JSON object token -> id")
    return table


def _parse_merges(text: str, source: str) -> list[tuple[str, str]]:
    lines = text.split("\n")  # not splitlines(), which also breaks at characters that tokens contain
    first = 1 if lines[0].startswith("#version") else 0
    return _check_pairs([line.split(" ") for line in lines[first:] if line], source)


def _check_pairs(pairs: Iterable[Any], source: str) -> list[tuple[str, str]]:
    merges = []
    for line, pair in enumerate(pairs, start=1):
        if not isinstance(pair, (list, tuple)) or len(pair) != 2 or not all(isinstance(t, str) and t for t in pair):
            raise ValueError(f"{source}: merge {line} is not a pair of tokens: {pair!r}")
        merges.append((pair[0], pair[1]))
    return merges
