"""The vocabulary in a checkpoint of a single file: in full in GGUF; llm.c's has only the bytes of each token, if any.

llama.cpp's names: src/llama-vocab.cpp; what it writes for GPT-2: conversion/base.py and gguf-py/gguf/vocab.py.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ..checkpoints.errors import CheckpointError
from ..checkpoints.formats.gguf import is_value, read_header
from ..checkpoints.layouts import GPT2_SIZE, has_gpt2_vocabulary
from ..checkpoints.single_files import SingleFile, llm_c
from ..checkpoints.single_files.gguf import END_IDS
from ..checkpoints.single_files.recognition import GGUF
from ..checks import shown, some
from .vocabulary import BYTE_TO_CHAR, Vocabulary, to_bytes

# tokenizer.ggml.pre: the names under which llama.cpp splits texts by GPT-2's pattern and by nothing else. Where there
# is none, as in files of before May 2024, it splits otherwise.
GPT2_SPLITS = (
    "gpt-2", "phi-2", "jina-es", "jina-de", "jina-v2-es", "jina-v2-de", "gigachat", "a.x-4.0", "mellum", "modern-bert",
    "exaone4", "mpt", "olmo", "jais", "trillion", "granite-docling",
)  # fmt: skip
NORMAL, UNKNOWN, CONTROL, USER_DEFINED, UNUSED = 1, 2, 3, 4, 5  # types of tokens
LLM_C_TOKENS = "gpt2_tokenizer.bin"  # beside a model of llm.c
BYTE_CHARS = frozenset(BYTE_TO_CHAR.values())


def vocabulary_of(found: SingleFile, gpt2: Callable[[], Vocabulary]) -> Vocabulary:
    """Return the vocabulary of a single file's model; `gpt2` makes GPT-2's own.

    Raises
    ------
    CheckpointError
        If the file is damaged, or has another kind of vocabulary than GPT-2's byte-level BPE.
    """
    if found.format is GGUF:
        return _of_gguf(found.path, read_header(found.path).values)
    if beside := tokens_beside(found):
        return vocabulary_of_tokens(beside, gpt2)
    n_vocab = found.format.config(found.path).n_vocab
    if not has_gpt2_vocabulary(n_vocab):
        raise CheckpointError(
            found.path,
            f"the file has no tokenizer, and its {n_vocab} tokens are not GPT-2's {GPT2_SIZE}: name the folder or "
            "model whose tokenizer to use (tokenizer= of gptcompare.load, --tokenizer of the command)",
        )
    return gpt2()


def tokens_beside(found: SingleFile) -> Path | None:
    """Return the table of tokens in the folder of a model that has no vocabulary itself, or None."""
    path = found.path.with_name(LLM_C_TOKENS)
    return path if found.format is not GGUF and path.is_file() else None


def vocabulary_of_tokens(path: Path, gpt2: Callable[[], Vocabulary]) -> Vocabulary:
    """Return GPT-2's vocabulary if a table of tokens of llm.c has its tokens: the table itself cannot encode a text.

    Raises
    ------
    CheckpointError
        If the file is damaged, or has other tokens.
    """
    tokens, eot_id = llm_c.read_tokens(path)
    vocabulary = gpt2()
    expected = {id_: to_bytes(token) for token, id_ in vocabulary.ids.items()}
    expected |= {id_: token.encode() for token, id_ in vocabulary.special_tokens.items()}
    if tokens != [expected[id_] for id_ in range(len(expected))] or eot_id != vocabulary.id_of(vocabulary.eot):
        raise CheckpointError(
            path, "the tokens are not GPT-2's, and the file has no merges, without which no text can be encoded"
        )
    return vocabulary


def _of_gguf(path: Path, values: Mapping[str, Any]) -> Vocabulary:
    _refuse_other_algorithms(path, values)
    tokens, merges = _texts(path, values, "tokens"), _texts(path, values, "merges")
    if len(set(tokens) - {""}) < len(tokens) - tokens.count(""):
        raise CheckpointError(path, "two tokens of the vocabulary are the same")
    types = _types(path, values, len(tokens))
    named = [_id(path, values, name, tokens) for name in (*END_IDS, "tokenizer.ggml.bos_token_id")]
    pairs = [_pair(path, merge) for merge in merges]
    made = {left + right for left, right in pairs} | BYTE_CHARS
    ids: dict[str, int] = {}
    special: dict[str, int] = {}
    added: dict[str, int] = {}
    for id_, (token, kind) in enumerate(zip(tokens, types, strict=True)):
        if token in made:
            ids[token] = id_
        elif kind in (UNKNOWN, CONTROL) or id_ in named:
            special[token] = id_
        elif kind == USER_DEFINED:  # found in every text
            added[token] = id_
        elif kind == NORMAL:
            ids[token] = id_
    eos, bos = named[0], named[-1]
    begins = values.get("tokenizer.ggml.add_bos_token", False)
    if not isinstance(begins, bool) or (begins and bos is None):
        raise CheckpointError(path, "tokenizer.ggml.add_bos_token is not true or false, or there is no such token")
    eot = eos if begins or None in (eos, bos) else bos  # one that no text begins with is named since it separates them
    try:
        return Vocabulary(
            pairs, ids, special,
            eot=None if eot is None else tokens[eot], bos=tokens[bos] if begins and bos is not None else None,
            source=str(path), added_tokens=added,
        )  # fmt: skip
    except ValueError as error:
        raise CheckpointError(path, str(error).removeprefix(f"{path}: ")) from None


def _refuse_other_algorithms(path: Path, values: Mapping[str, Any]) -> None:
    """Raise CheckpointError for every setting under which a text would have other ids than with GPT-2's algorithm."""
    model, split = values.get("tokenizer.ggml.model"), values.get("tokenizer.ggml.pre")
    if model is None:
        raise CheckpointError(path, "the file has no vocabulary")
    if not is_value(model, "gpt2"):
        raise CheckpointError(path, f"tokenizer.ggml.model {shown(model)} is not supported, only 'gpt2'")
    if split is None:
        raise CheckpointError(
            path, "tokenizer.ggml.pre is missing, so it is not known how texts are split: convert the model anew"
        )
    if not any(is_value(split, known) for known in GPT2_SPLITS):
        raise CheckpointError(path, f"tokenizer.ggml.pre {shown(split)} splits texts by another pattern than GPT-2's")
    for name in ("add_eos_token", "add_sep_token"):
        if not is_value(values.get(f"tokenizer.ggml.{name}", False), False):
            raise CheckpointError(path, f"tokenizer.ggml.{name} is not supported")


def _texts(path: Path, values: Mapping[str, Any], name: str) -> list[str]:
    texts = values.get(f"tokenizer.ggml.{name}")
    if not isinstance(texts, list):
        raise CheckpointError(path, f"tokenizer.ggml.{name} is not an array of texts")
    return texts


def _types(path: Path, values: Mapping[str, Any], n_tokens: int) -> list[int]:
    given = values.get("tokenizer.ggml.token_type", np.full(n_tokens, NORMAL, np.int32))
    if not isinstance(given, np.ndarray) or given.dtype.kind not in "iu" or len(given) != n_tokens:
        raise CheckpointError(path, f"tokenizer.ggml.token_type is not an array of {n_tokens} integers")
    types: list[int] = given.tolist()
    if unknown := set(types) - {NORMAL, UNKNOWN, CONTROL, USER_DEFINED, UNUSED}:
        raise CheckpointError(path, f"a token has type {min(unknown)}, which byte-level BPE does not have")
    return types


def _id(path: Path, values: Mapping[str, Any], name: str, tokens: Collection[str]) -> int | None:
    id_ = values.get(name)
    if id_ is not None and (type(id_) is not int or not 0 <= id_ < len(tokens)):
        raise CheckpointError(path, f"{name} {shown(id_)} is not the id of a token")
    return id_


def _pair(path: Path, merge: str) -> tuple[str, str]:
    left, space, right = merge.partition(" ")
    if not (left and space and right):
        raise CheckpointError(path, f"the merge {shown(merge)} is not two tokens with a space between them")
    return left, right


def gguf_values(vocabulary: Vocabulary, end_ids: Collection[int], n_vocab: int) -> dict[str, Any]:
    """Return a vocabulary as the values of a GGUF file.

    The file has no place for rules by which tokens are found in texts (`Matching`): a warning names tokens with such.

    Parameters
    ----------
    vocabulary : Vocabulary
    end_ids : collection of int
        The tokens that end a text.
    n_vocab : int
        Rows of the model's embedding, each of which must have a token: those that have none are "[PAD50257]" and so on.

    Raises
    ------
    ValueError
        If llama.cpp has no way to say how the model ends a text.
    """
    _warn_of_rules(vocabulary)
    eot = vocabulary.id_of(vocabulary.eot)
    ends = sorted((id_ for id_ in end_ids if 0 <= id_ < n_vocab), key=lambda id_: (id_ != eot, id_))
    if not 1 <= len(ends) <= len(END_IDS):
        raise ValueError(
            f"GGUF needs 1 to {len(END_IDS)} tokens that end a text (without one, llama.cpp ends it at token 11), and "
            f"the model has {len(ends)}"
        )
    token_of = {id_: token for token, id_ in vocabulary.ids.items()}
    types = dict.fromkeys(token_of, NORMAL)
    for tokens, kind in ((vocabulary.special_tokens, CONTROL), (vocabulary.added_tokens, USER_DEFINED)):
        token_of |= {id_: token for token, id_ in tokens.items()}
        types |= dict.fromkeys(tokens.values(), kind)
    taken = set(token_of.values())
    kinds = [types[id_] if token_of.get(id_) else UNUSED for id_ in range(n_vocab)]
    bos = vocabulary.id_of(vocabulary.bos)
    separator = ends[0] if eot is None or eot >= n_vocab else eot
    prefix = "tokenizer.ggml."
    return {
        f"{prefix}model": "gpt2",
        f"{prefix}pre": "gpt-2",
        f"{prefix}tokens": [token_of.get(id_) or _padding(id_, taken) for id_ in range(n_vocab)],
        f"{prefix}token_type": np.array(kinds, np.int32),
        f"{prefix}merges": [f"{left} {right}" for left, right in vocabulary.merges],
        **dict(zip(END_IDS, ends, strict=False)),
        f"{prefix}bos_token_id": separator if bos is None else bos,  # GPT-2's is its end of text
        f"{prefix}add_bos_token": bos is not None,
    }


def _warn_of_rules(vocabulary: Vocabulary) -> None:
    """Warn if texts may get other ids with the file, since it cannot say how some tokens are found."""
    ruled = [text for text, rule in vocabulary.matching.items() if rule.lstrip or rule.rstrip or rule.single_word]
    if ruled:
        warnings.warn(
            "GGUF cannot say that a token takes the white space beside it (lstrip, rstrip) or is a whole word only "
            f"(single_word): from the file, {some(ruled)} will be found in texts without these rules",
            stacklevel=4,
        )


def _padding(id_: int, taken: Collection[str]) -> str:
    """Return the name of a row without a token; llama.cpp needs all names to be different."""
    name = f"[PAD{id_}]"
    while name in taken:
        name = f"[{name}]"
    return name
