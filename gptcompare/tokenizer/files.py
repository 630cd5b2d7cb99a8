"""Reading and writing the published layouts of a byte-level BPE vocabulary, and GPT-2's own, which is in the package.

A vocabulary is a list of merges and a table token -> id. It comes in three layouts:

- `vocab.json` + `merges.txt` (Hugging Face) and `encoder.json` + `vocab.bpe` (OpenAI): two names for one format. The
  first file is a JSON object token -> id, the second has one merge per line, the most frequent first.
- `tokenizer.json` (Hugging Face tokenizers): both in one JSON file, with a description of the algorithm.

GPT-2 ends a text with `<|endoftext|>`; OPT begins and ends it with `</s>`. `tokenizer_config.json` and
`special_tokens_map.json`, or the post-processor of `tokenizer.json`, say so, and are read as transformers 5 reads them
(`settings.py`).
"""

from __future__ import annotations

import json
import os
from dataclasses import asdict
from importlib import resources
from pathlib import Path

from ..checkpoints.layouts import TOKENIZER_LAYOUTS, other_tokenizer
from ..checkpoints.single_files import llm_c, single_file
from ..files.atomic_files import written_together
from ..files.texts import read_text
from .settings import LIST, OLD_LIST, added_tokens, is_set, named_token, old_added_tokens, read_ids, read_settings
from .single_files import tokens_beside, vocabulary_of, vocabulary_of_tokens
from .tokenizer_json import NOT_BYTE_LEVEL, read_tokenizer_json
from .vocabulary import Matching, Vocabulary, check_pairs

REPLACED = ("tokenizer.json", "special_tokens_map.json", OLD_LIST)  # would be read before what is written


def bundled_gpt2() -> Vocabulary:
    """Build GPT-2's vocabulary of 50,257 tokens, from its merges alone.

    >>> bundled_gpt2().merges[:3]
    [('Ġ', 't'), ('Ġ', 'a'), ('h', 'e')]
    """
    path = resources.files(__package__) / "data" / "vocab.bpe"
    lines = _merge_lines(path.read_text(encoding="utf-8"))
    return Vocabulary.from_merges(check_pairs(lines, "vocab.bpe"), "vocab.bpe")


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
        return read_tokenizer_json(folder / "tokenizer.json")
    for ids_name, merges_name in TOKENIZER_LAYOUTS[1:]:
        if (folder / ids_name).is_file() and (folder / merges_name).is_file():
            return _read_pair(folder / ids_name, folder / merges_name)
    if found := single_file(folder):
        return vocabulary_of(found, bundled_gpt2)
    if folder.is_file() and llm_c.is_table_of_tokens(folder):
        return vocabulary_of_tokens(folder, bundled_gpt2)
    if not folder.is_dir():
        raise FileNotFoundError(f"there is no folder {str(folder)!r}")
    if reason := other_tokenizer(folder):
        raise ValueError(f"{folder}: {reason}, {NOT_BYTE_LEVEL}")
    raise FileNotFoundError(
        f"{folder} has no tokenizer: neither vocab.json + merges.txt, nor encoder.json + vocab.bpe, nor tokenizer.json"
    )


def files_of_vocabulary(folder: str | os.PathLike[str]) -> list[Path]:
    """Return the files in a folder that `read_vocabulary` reads."""
    folder = Path(folder)
    layout = next((names for names in TOKENIZER_LAYOUTS if all((folder / name).is_file() for name in names)), ())
    if not layout:
        found = single_file(folder)
        beside = tokens_beside(found) if found else None
        return [beside] if beside else []
    settings = ("tokenizer_config.json", "special_tokens_map.json", OLD_LIST)
    return [folder / name for name in (*layout, *settings) if (folder / name).is_file()]


def write_vocabulary(folder: str | os.PathLike[str], vocabulary: Vocabulary) -> None:
    """Write `vocab.json`, `merges.txt` and `tokenizer_config.json`, replacing any tokenizer in the folder.

    All three are complete on disk before they are renamed into place. Files of another tokenizer that would still be
    read, instead of these or along with them, are removed.
    """
    ids = {**vocabulary.ids, **vocabulary.special_tokens, **vocabulary.added_tokens}
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
    added = {**vocabulary.special_tokens, **vocabulary.added_tokens}
    if vocabulary.matching or not {*added} <= {vocabulary.eot, vocabulary.bos}:  # more than the names above say
        settings[LIST] = {
            str(id_): {
                "content": text, **asdict(vocabulary.matching.get(text, Matching())),
                "special": text in vocabulary.special_tokens,
            }
            for text, id_ in added.items()
        }  # fmt: skip
    names = ["vocab.json", "merges.txt", "tokenizer_config.json"]
    with written_together(folder, names) as (ids_file, merges_file, settings_file):
        ids_file.write(json.dumps(in_order).encode())
        merges_file.write(b"#version: 0.2\n" + merges.encode())
        settings_file.write(json.dumps(settings, indent=2).encode() + b"\n")
    for name in REPLACED:
        (Path(folder) / name).unlink(missing_ok=True)


def _read_pair(ids_path: Path, merges_path: Path) -> Vocabulary:
    folder, table = ids_path.parent, read_ids(ids_path)
    merges = check_pairs(_merge_lines(read_text(merges_path)), str(merges_path))
    if reason := other_tokenizer(folder):
        raise ValueError(f"{folder}: {reason}, {NOT_BYTE_LEVEL}")
    settings = read_settings(folder, refused=("add_prefix_space", "add_eos_token"))
    added = added_tokens(settings, old_added_tokens(folder, settings), table)
    known = {**table, **added}
    bos = named_token(settings, "bos_token", known) if is_set(settings, "add_bos_token") else None
    return Vocabulary.from_files(merges, table, added, named_token(settings, "eos_token", known), bos, str(ids_path))


def _merge_lines(text: str) -> list[list[str]]:
    lines = text.split("\n")  # not splitlines(), which also breaks at characters that tokens contain
    first = 1 if lines[0].startswith("#version") else 0
    return [line.split(" ") for line in lines[first:] if line]
