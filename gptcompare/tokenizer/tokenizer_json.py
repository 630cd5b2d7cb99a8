"""Reading `tokenizer.json`: the vocabulary, and a description of the algorithm, which must be GPT-2's.

Its parts are those of Hugging Face tokenizers: a normalizer changes the text, a pre-tokenizer cuts it into pieces, the
model merges within them, and a post-processor adds tokens. One algorithm can be described in several ways.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from ..checkpoints.layouts import MAX_JSON
from ..checks import shown
from ..files.texts import parse_object
from ..files.whole_file import read_whole
from .settings import added_token, added_tokens, named_token, old_added_tokens, read_settings
from .vocabulary import AddedToken, Vocabulary, check_ids, check_pairs

NOT_BYTE_LEVEL = (
    "so its tokenizer is not byte-level BPE, the only kind that this library has. To use that of another model, "
    "name it: tokenizer= of gptcompare.load, --tokenizer of the command"
)

# GPT-2's pattern for pieces, as openai/gpt-2, tiktoken up to 0.5 and tiktoken since 0.6 write it.
PATTERNS = (
    r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+",
    r"'(?:[sdmt]|ll|ve|re)| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+",
    r"'(?:[sdmt]|ll|ve|re)| ?\p{L}++| ?\p{N}++| ?[^\s\p{L}\p{N}]++|\s++$|\s+(?!\S)|\s",
)


def read_tokenizer_json(path: Path) -> Vocabulary:
    """Read the vocabulary of a tokenizer.json; ValueError if it describes another algorithm than GPT-2's."""
    description = parse_object(read_whole(path, MAX_JSON), str(path))
    model = description.get("model")
    kind = model.get("type", "BPE") if isinstance(model, dict) else None
    if not isinstance(model, dict) or kind != "BPE":
        raise ValueError(f"{path}: the model is {shown(kind)}, {NOT_BYTE_LEVEL}")
    _refuse_other_algorithms(description, model, path)
    merges = model.get("merges")
    if not isinstance(merges, list):
        raise ValueError(f"{path}: no list of merges")
    pairs = check_pairs((merge.split(" ") if isinstance(merge, str) else merge for merge in merges), str(path))
    table = check_ids(model.get("vocab"), str(path))
    entries = description.get("added_tokens") or []
    if not isinstance(entries, list):
        raise ValueError(f"{path}: added_tokens is not a list")
    # transformers' `_from_pretrained` ignores add_bos_token and add_eos_token where there is a tokenizer.json
    settings = read_settings(path.parent, refused=("add_prefix_space",))
    own = old_added_tokens(path.parent, settings) | dict(_own_token(entry, path) for entry in entries)
    added = {**own, **added_tokens(settings, own, table)}
    eot = named_token(settings, "eos_token", {**table, **added})
    vocabulary = Vocabulary.from_files(pairs, table, added, eot, None, str(path))
    return replace(vocabulary, bos=_prepended_token(description.get("post_processor"), vocabulary, path))


def _own_token(entry: Any, path: Path) -> tuple[str, AddedToken]:
    text, token = added_token(entry, f"{path}: an added token")
    if not isinstance(entry, dict) or not isinstance(entry.get("id"), int):
        raise ValueError(f"{path}: the added token {shown(text)} has no id")
    return text, replace(token, id=entry["id"])


def _refuse_other_algorithms(description: dict[str, Any], model: dict[str, Any], path: Path) -> None:
    """Raise ValueError for every setting under which a text would have other ids than with GPT-2's algorithm."""
    pre_tokenizer = _cut_as_gpt2(description.get("pre_tokenizer"))
    if pre_tokenizer is None:
        raise ValueError(f"{path}: the pre-tokenizer is not GPT-2's (ByteLevel), {NOT_BYTE_LEVEL}")
    refused = {
        "a normalizer": description.get("normalizer") not in (None, {"type": "Sequence", "normalizers": []}),
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


def _cut_as_gpt2(pre_tokenizer: Any) -> dict[str, Any] | None:
    """Return the ByteLevel pre-tokenizer that one means which may be written as a sequence of it, or None.

    GPT-2's pattern may also stand in a step of its own, before ByteLevel without a pattern.
    """
    match pre_tokenizer:
        case {"type": "ByteLevel"}:
            step: dict[str, Any] = pre_tokenizer
            return step
        case {"type": "Sequence", "pretokenizers": [only]}:
            return _cut_as_gpt2(only)
        case {
            "type": "Sequence",
            "pretokenizers": [
                {"type": "Split", "pattern": {"Regex": str(pattern)}, "behavior": behavior, "invert": invert},
                {"type": "ByteLevel", "use_regex": False, **others},
            ],
        } if pattern in PATTERNS and (behavior, invert) in (("Isolated", False), ("Removed", True)):
            return {"add_prefix_space": others.get("add_prefix_space", False)}
    return None


def _prepended_token(post_processor: Any, vocabulary: Vocabulary, path: Path) -> str | None:
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
        ] if tokens.get(token) == {"id": token, "ids": [vocabulary.id_of(token)], "tokens": [token]}:
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
