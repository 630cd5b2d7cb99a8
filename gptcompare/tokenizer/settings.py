"""The files beside a vocabulary that name its special and added tokens, read as transformers 5 reads them.

`tokenizer_config.json` names the tokens with a task (`eos_token`, `pad_token`, ...) and may list all added tokens in
`added_tokens_decoder`. Folders from before this list existed have `special_tokens_map.json` and `added_tokens.json`
instead, which are not read where the list is there (transformers: `_from_pretrained` in tokenization_utils_base.py).
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from ..checkpoints.layouts import MAX_JSON
from ..checks import shown
from ..files.texts import parse_json, parse_object
from ..files.whole_file import read_whole
from .vocabulary import END_OF_TEXT, AddedToken, Matching, check_ids

Settings = dict[str, tuple[Any, Path]]  # name -> value and the file it comes from

# In the order in which transformers gives ids to those that have none yet (SPECIAL_TOKENS_ATTRIBUTES).
TASKS = ("bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token")
BY_DEFAULT = TASKS[:3]  # which are END_OF_TEXT where a folder does not say (GPT2Tokenizer.__init__)
FLAGS = ("lstrip", "rstrip", "single_word", "normalized")
LIST = "added_tokens_decoder"
OLD_LIST = "added_tokens.json"


def read_settings(folder: Path, refused: Collection[str]) -> Settings:
    """Read the settings of a folder's tokenizer; ValueError if one that this library does not support is true."""
    settings: Settings = {}
    for path in (folder / "tokenizer_config.json", folder / "special_tokens_map.json"):
        if path.is_file() and LIST not in settings:
            values = parse_object(read_whole(path, MAX_JSON), str(path))
            settings |= {name: (value, path) for name, value in values.items()}
    for name in refused:
        if is_set(settings, name):
            raise ValueError(f"{settings[name][1]}: {name} is not supported")
    return settings


def is_set(settings: Settings, name: str) -> bool:
    """Return whether a setting is true; ValueError if it is neither true, false nor null."""
    value, path = settings.get(name, (None, None))
    if not isinstance(value, bool | None):
        raise ValueError(f"{path}: {name} must be true or false")
    return bool(value)


def added_token(entry: Any, where: str, *, special: bool = False, id_: int | None = None) -> tuple[str, AddedToken]:
    """Read a token with its flags: a text, or an object with a `content` and perhaps flags, as (text, token)."""
    if isinstance(entry, str):
        entry = {"content": entry}
    if not isinstance(entry, dict) or not isinstance(entry.get("content"), str) or not entry["content"]:
        raise ValueError(f"{where} must be a text that is not empty, or an object with a content, got {shown(entry)}")
    special = entry.get("special", special)
    flags = {"normalized": not special, **{name: entry[name] for name in FLAGS if name in entry}}
    if not all(isinstance(flag, bool) for flag in (special, *flags.values())):
        raise ValueError(f"{where}: special, {', '.join(FLAGS)} of {shown(entry['content'])} must be true or false")
    return entry["content"], AddedToken(id_, special, Matching(**flags))


def added_tokens(settings: Settings, others: Mapping[str, AddedToken], known: Collection[str]) -> dict[str, AddedToken]:
    """Return all added tokens of a folder: those that the settings list and name, and, without a list, the others.

    Tokens that the settings name are special, whatever else is said of them.
    """
    listed = _listed_tokens(settings)
    found = dict(others if listed is None else listed)
    for text, token in _named_tokens(settings, {*known, *found}):
        found[text] = replace(found[text], special=True) if text in found else token
    return found


def old_added_tokens(folder: Path, settings: Settings) -> dict[str, AddedToken]:
    """Return the tokens of an `added_tokens.json`, which gives only ids: the special ones are those that are named.

    There are none where the file is not there, or the settings have the list that replaced it.
    """
    path = folder / OLD_LIST
    if LIST in settings or not path.is_file():
        return {}
    table = read_ids(path)
    named = dict(_named_tokens(settings, table))
    return {
        text: added_token({"content": text, "special": text in named}, str(path), id_=id_)[1]
        for text, id_ in table.items()
    }  # fmt: skip


def read_ids(path: Path) -> dict[str, int]:
    """Read a JSON object token -> id."""
    return check_ids(parse_json(read_whole(path, MAX_JSON), str(path)), str(path))


def _listed_tokens(settings: Settings) -> dict[str, AddedToken] | None:
    """Return the tokens of `added_tokens_decoder`, or None if the settings do not have it."""
    entries, path = settings.get(LIST, (None, None))
    if entries is None:
        return None
    if not isinstance(entries, dict) or not all(re.fullmatch(r"[0-9]{1,18}", key) for key in entries):
        raise ValueError(f"{path}: {LIST} is not an object id -> token")
    return dict(added_token(entry, f"{path}: {LIST}", id_=int(key)) for key, entry in entries.items())


def _named_tokens(settings: Settings, known: Collection[str]) -> Iterator[tuple[str, AddedToken]]:
    """Yield the tokens with a task, in the order in which transformers adds them."""
    for name in TASKS:
        value, path = settings.get(name, (END_OF_TEXT if name in BY_DEFAULT and END_OF_TEXT in known else None, None))
        if value is not None:
            yield _special(value, f"{path}: {name}")
    extra, path = settings.get("extra_special_tokens", (None, None))
    if not extra:
        extra, path = settings.get("additional_special_tokens", (None, None))
    others = {name: value for name, (value, _) in settings.items() if _names_another(name, value)}
    if isinstance(extra, dict):
        others, extra = {**others, **extra}, None
    if not isinstance(extra, list | None):
        raise ValueError(f"{path}: the additional special tokens are not a list")
    for value in (*others.values(), *(extra or ())):
        yield _special(value, f"{path}: an additional special token")


def _names_another(name: str, value: object) -> bool:
    """Return whether a setting names a token with a task of the publisher's own, such as "image_token"."""
    return name not in TASKS and name.endswith("_token") and isinstance(value, str)


def _special(value: Any, where: str) -> tuple[str, AddedToken]:
    text, token = added_token(value, where, special=True)
    return text, replace(token, special=True)


def named_token(settings: Settings, name: str, known: Collection[str]) -> str | None:
    """Return the token with a task, or None."""
    if name not in settings:
        return END_OF_TEXT if END_OF_TEXT in known else None
    value, path = settings[name]
    return None if value is None else _special(value, f"{path}: {name}")[0]
