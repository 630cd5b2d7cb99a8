"""Reading and writing the published layouts of a byte-level BPE vocabulary, and GPT-2's own, which is in the package.

A vocabulary is a list of merges and a table token -> id. It comes in three layouts:

- `vocab.json` + `merges.txt` (Hugging Face) and `encoder.json` + `vocab.bpe` (OpenAI): two names for one format. The
  first file is a JSON object token -> id, the second has one merge per line, the most frequent first.
- `tokenizer.json` (Hugging Face tokenizers): both in one JSON file, with a description of the algorithm.

GPT-2 ends a text with `<|endoftext|>`; OPT begins and ends it with `</s>`. `tokenizer_config.json` and
`special_tokens_map.json`, or the post-processor of `tokenizer.json`, say so, and are read as transformers 5 reads them.
"""

from __future__ import annotations

import json
import os
from collections.abc import Collection, Iterable
from importlib import resources
from pathlib import Path
from typing import Any

from ..checkpoints.layouts import MAX_JSON, TOKENIZER_LAYOUTS
from ..checkpoints.single_files import llm_c, single_file
from ..checks import shown
from ..files.atomic_files import written_together
from ..files.texts import parse_json, parse_object, read_text
from ..files.whole_file import read_whole
from .single_files import vocabulary_of, vocabulary_of_tokens
from .vocabulary import BYTE_TO_CHAR, END_OF_TEXT, Vocabulary

Settings = dict[str, tuple[Any, Path]]  # name -> value and the file it comes from


def bundled_gpt2() -> Vocabulary:
    """Build GPT-2's vocabulary of 50,257 tokens, from its merges alone.

    >>> bundled_gpt2().merges[:3]
    [('Ġ', 't'), ('Ġ', 'a'), ('h', 'e')]
    """
    path = resources.files(__package__) / "data" / "vocab.bpe"
    return Vocabulary.from_merges(_parse_merges(path.read_text(encoding="utf-8"), "vocab.bpe"), "vocab.bpe")


def read_vocabulary(folder: str | os.PathLike[str]) -> Vocabulary:
    """Read the vocabulary in a folder, in any of the layouts; `tokenizer.json` comes first, as in transformers.

    Raises
    ------
    FileNotFoundError
        If the folder does not exist or has none of the layouts.
    ValueError
        If a file is damaged or is not a byte-level BPE vocabulary of GPT-2's kind; the message names file and reason.
    """
    folder = Path(folder)
    if (folder / "tokenizer.json").is_file():
        return _read_tokenizer_json(folder / "tokenizer.json")
    for ids_name, merges_name in TOKENIZER_LAYOUTS[1:]:
        if (folder / ids_name).is_file() and (folder / merges_name).is_file():
            return _read_pair(folder / ids_name, folder / merges_name)
    if found := single_file(folder):
        return vocabulary_of(found, bundled_gpt2)
    if folder.is_file() and llm_c.is_table_of_tokens(folder):
        return vocabulary_of_tokens(folder, bundled_gpt2)
    if not folder.is_dir():
        raise FileNotFoundError(f"there is no folder {str(folder)!r}")
    raise FileNotFoundError(
        f"{folder} has no tokenizer: neither vocab.json + merges.txt, nor encoder.json + vocab.bpe, nor tokenizer.json"
    )


def write_vocabulary(folder: str | os.PathLike[str], vocabulary: Vocabulary) -> None:
    """Write `vocab.json`, `merges.txt` and `tokenizer_config.json`, replacing any tokenizer in the folder.

    All three are complete on disk before they are renamed into place. Files of another tokenizer that would still be
    read, instead of these or along with them, are removed.
    """
    ids = {**vocabulary.ids, **vocabulary.special_tokens}
    in_order = dict(sorted(ids.items(), key=lambda item: item[1]))
    merges = "".join(f"{left} {right}\n" for left, right in vocabulary.merges)
    settings = {
        "tokenizer_class": "GPT2Tokenizer",
        "add_bos_token": vocabulary.bos is not None,
        # All three are named, as in GPT-2's and OPT's files: transformers adds "<|endoftext|>" for one that is not.
        "bos_token": vocabulary.bos or vocabulary.eot,
        "eos_token": vocabulary.eot,
        "unk_token": vocabulary.eot,
    }
    names = ["vocab.json", "merges.txt", "tokenizer_config.json"]
    with written_together(folder, names) as (ids_file, merges_file, settings_file):
        ids_file.write(json.dumps(in_order).encode())
        merges_file.write(b"#version: 0.2\n" + merges.encode())
        settings_file.write(json.dumps(settings, indent=2).encode() + b"\n")
    for name in ("tokenizer.json", "special_tokens_map.json", "added_tokens.json"):
        (Path(folder) / name).unlink(missing_ok=True)


def _read_pair(ids_path: Path, merges_path: Path) -> Vocabulary:
    table = _read_ids(ids_path)
    merges = _parse_merges(read_text(merges_path), str(merges_path))
    added_path = ids_path.with_name("added_tokens.json")
    added = _read_ids(added_path) if added_path.is_file() else {}
    ids, special = _separate(table, merges, added, str(ids_path))
    known = {**ids, **special}
    settings = _read_settings(ids_path.parent, refused=("add_prefix_space", "add_eos_token"))
    eot = _named_token(settings, "eos_token", known)
    bos = _named_token(settings, "bos_token", known) if _is_set(settings, "add_bos_token") else None
    return Vocabulary(merges, ids, special, eot, bos, str(ids_path))


def _read_tokenizer_json(path: Path) -> Vocabulary:
    description = parse_object(read_whole(path, MAX_JSON), str(path))
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
    checked = _check_pairs(pairs, str(path))
    ids, special = _separate(table, checked, added_ids, str(path))
    known = {**ids, **special}
    # transformers' `_from_pretrained` ignores add_bos_token and add_eos_token where there is a tokenizer.json
    settings = _read_settings(path.parent, refused=("add_prefix_space",))
    eot = _named_token(settings, "eos_token", known)
    bos = _prepended_token(description.get("post_processor"), known, path)
    return Vocabulary(checked, ids, special, eot, bos, str(path))


def _refuse_other_algorithms(description: dict[str, Any], path: Path) -> None:
    """Raise ValueError for every setting under which a text would have other ids than with GPT-2's algorithm."""
    model, pre_tokenizer = description["model"], description.get("pre_tokenizer")
    if not isinstance(pre_tokenizer, dict) or pre_tokenizer.get("type") != "ByteLevel":
        raise ValueError(f"{path}: the pre-tokenizer is not GPT-2's (ByteLevel)")
    refused = {
        "a normalizer": description.get("normalizer") is not None,
        "add_prefix_space": pre_tokenizer.get("add_prefix_space", False),
        "another pattern (use_regex false)": not pre_tokenizer.get("use_regex", True),
        "dropout": model.get("dropout"),
        "byte_fallback": model.get("byte_fallback", False),
        "ignore_merges": model.get("ignore_merges", False),
        "continuing_subword_prefix": model.get("continuing_subword_prefix"),
        "end_of_word_suffix": model.get("end_of_word_suffix"),
    }  # fmt: skip
    if used := [name for name, present in refused.items() if present]:
        raise ValueError(f"{path}: {', '.join(used)} is not supported: it is not part of GPT-2's byte-level BPE")


def _prepended_token(post_processor: Any, known: dict[str, int], path: Path) -> str | None:
    """Return the token that a post-processor puts before every text; ValueError if it adds any other."""
    match post_processor:
        case {"type": "Sequence", "processors": [*processors]}:
            adding = [processor for processor in processors if _adds_tokens(processor)]
        case _:
            adding = [post_processor] if _adds_tokens(post_processor) else []
    match adding:
        case []:
            return None
        case [
            {
                "type": "TemplateProcessing",
                "single": [{"SpecialToken": {"id": str(token)}}, {"Sequence": _}],
                "special_tokens": {**tokens},
            }
        ] if tokens.get(token) == {"id": token, "ids": [known.get(token)], "tokens": [token]}:
            return token
    raise ValueError(
        f"{path}: this post-processor is not supported: it may only put one token of the vocabulary before a text"
    )


def _adds_tokens(post_processor: Any) -> bool:
    """Return False for none, for ByteLevel, and for the template that transformers 5 writes: the text alone."""
    match post_processor:
        case None | {"type": "ByteLevel"} | {"type": "TemplateProcessing", "single": [{"Sequence": _}]}:
            return False
        case _:
            return True


def _read_settings(folder: Path, refused: Collection[str]) -> Settings:
    """Read the settings of a folder's tokenizer; ValueError if one that this library does not support is true.

    In transformers' `_from_pretrained` (tokenization_utils_base.py) `special_tokens_map.json` overrides
    `tokenizer_config.json`, unless the latter lists the added tokens itself.
    """
    settings: Settings = {}
    for path in (folder / "tokenizer_config.json", folder / "special_tokens_map.json"):
        if path.is_file() and "added_tokens_decoder" not in settings:
            values = parse_object(read_whole(path, MAX_JSON), str(path))
            settings |= {name: (value, path) for name, value in values.items()}
    for name in refused:
        if _is_set(settings, name):
            raise ValueError(f"{settings[name][1]}: {name} is not supported")
    return settings


def _is_set(settings: Settings, name: str) -> bool:
    value, path = settings.get(name, (None, None))
    if not isinstance(value, bool | None):
        raise ValueError(f"{path}: {name} must be true or false")
    return bool(value)


def _named_token(settings: Settings, name: str, known: Collection[str]) -> str | None:
    """Return the token that a setting names: a text, an object with a content, or null for none."""
    if name not in settings:
        return END_OF_TEXT if END_OF_TEXT in known else None  # the default of transformers' GPT2Tokenizer
    match settings[name]:
        case None, _:
            return None
        case ((str(token) | {"content": str(token)}), path):
            if token not in known:
                raise ValueError(f"{path}: {name} {shown(token)} is not in the vocabulary")
            return token
        case _, path:
            raise ValueError(f"{path}: {name} must be a text, an object with a content, or null")


def _separate(
    table: dict[str, int], merges: list[tuple[str, str]], added: dict[str, int], source: str
) -> tuple[dict[str, int], dict[str, int]]:
    """Separate the tokens in a file's table that come from bytes and merges from the special ones."""
    made = {*BYTE_TO_CHAR.values(), *(left + right for left, right in merges)}
    ids = {token: id_ for token, id_ in table.items() if token in made}
    special = {token: id_ for token, id_ in table.items() if token not in made}
    for token, id_ in added.items():
        if table.get(token, id_) != id_:
            raise ValueError(
                f"{source}: {shown(token)} has two ids, {shown(table[token])} and, as an added token, {shown(id_)}"
            )
    return ids, special | {token: id_ for token, id_ in added.items() if token not in ids}


def _read_ids(path: Path) -> dict[str, int]:
    return _parse_ids(parse_json(read_whole(path, MAX_JSON), str(path)), str(path))


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
            raise ValueError(f"{source}: merge {line} is not a pair of tokens: {shown(pair)}")
        merges.append((pair[0], pair[1]))
    return merges
