"""Byte-level BPE as data: bytes as characters, merges and ids.

Each byte is written as a printable character, so that a token is a word without spaces or control characters: see
`BYTE_TO_CHAR`. `files.py` reads and writes the files in which vocabularies are published.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from ..checks import brief, shortened, shown

END_OF_TEXT = "<|endoftext|>"


def _byte_order() -> list[int]:
    """Return the 256 bytes in the order of GPT-2's first 256 ids: printable first (openai/gpt-2, src/encoder.py)."""
    printable = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)]
    return printable + [byte for byte in range(256) if byte not in printable]


BYTE_ORDER = _byte_order()
N_PRINTABLE = 188
# A printable byte becomes the character of the same number, the n-th other byte character 256 + n: space is "Ġ".
BYTE_TO_CHAR = {byte: chr(byte if n < N_PRINTABLE else 256 + n - N_PRINTABLE) for n, byte in enumerate(BYTE_ORDER)}
NO_BYTE = "\uffff"  # for a character below 256 that stands for no byte, such as the space; Latin-1 has none for it
_CHAR_TO_LATIN1: dict[int, int | str] = dict.fromkeys(range(256), NO_BYTE)
_CHAR_TO_LATIN1 |= {ord(char): byte for byte, char in BYTE_TO_CHAR.items()}
_LATIN1_TO_CHAR = {byte: ord(char) for byte, char in BYTE_TO_CHAR.items()}


def to_bytes(token: str) -> bytes:
    """Return the bytes that a token in a vocabulary file stands for; its own UTF-8 if a character stands for no byte.

    >>> to_bytes("Ġthe")
    b' the'
    """
    try:
        return token.translate(_CHAR_TO_LATIN1).encode("latin-1")
    except UnicodeEncodeError:
        return token.encode()


def to_characters(token: bytes) -> str:
    """Write bytes as in a vocabulary file: the inverse of `to_bytes`.

    >>> to_characters(b" the")
    'Ġthe'
    """
    return token.decode("latin-1").translate(_LATIN1_TO_CHAR)


@dataclass(frozen=True)
class Matching:
    """How a special or added token is found in a text, as in an `AddedToken` of Hugging Face tokenizers.

    Parameters
    ----------
    lstrip, rstrip : bool
        Whether the white space before, or after it, becomes part of it.
    single_word : bool
        Whether it is found only where no letter, mark or digit touches it.
    normalized : bool
        Whether it is looked for in what the tokens that are not `normalized` have left of the text.
    """

    lstrip: bool = False
    rstrip: bool = False
    single_word: bool = False
    normalized: bool = False


@dataclass(frozen=True)
class AddedToken:
    """What files say of a token that is added to a vocabulary; `id` is None if they do not give one."""

    id: int | None
    special: bool
    matching: Matching


@dataclass(frozen=True)
class Vocabulary:
    """Merges and ids, with tokens written as in the files (one character per byte).

    Parameters
    ----------
    merges : list of (left, right)
        In the order in which they are applied.
    ids : dict of token -> id
        The bytes and the result of each merge; perhaps tokens that no merge makes, which only decoding meets.
    special_tokens : dict of text -> id
        Tokens that are found as they stand, where the caller allows it, such as the end of a text.
    eot : str, optional
        The token that ends a text.
    bos : str, optional
        The token that begins every text; GPT-2 has none.
    source : str
        Where the vocabulary comes from, for messages.
    added_tokens : dict of text -> id
        Tokens that are found as they stand in every text.
    matching : dict of text -> Matching
        How special and added tokens are found, if not as by `Matching()`.

    Raises
    ------
    ValueError
        If a merge's part or result, or the token that ends or begins a text has no id, an id is not a whole number from
        0, two tokens have the same id, a token has a lone surrogate, or a special or added token is empty.
    """

    merges: list[tuple[str, str]]
    ids: dict[str, int]
    special_tokens: dict[str, int] = field(default_factory=dict)
    eot: str | None = None
    bos: str | None = None
    source: str = field(default="vocabulary", compare=False)
    added_tokens: dict[str, int] = field(default_factory=dict)
    matching: dict[str, Matching] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for line, (left, right) in enumerate(self.merges, start=1):
            for token in (left, right, left + right):
                if token not in self.ids:
                    merge = shortened(f"{left} {right}", 60)
                    raise ValueError(f"{self.source}: {shown(token)} of merge {line} ({merge}) has no id")
        found_as_they_stand = {**self.special_tokens, **self.added_tokens}
        every = {**self.ids, **found_as_they_stand}
        for token, id_ in every.items():
            if isinstance(id_, bool) or not isinstance(id_, int) or id_ < 0:
                raise ValueError(
                    f"{self.source}: {shown(token)} has id {shown(id_)}, which is not a whole number from 0"
                )
        if len(set(every.values())) != len(every):
            raise ValueError(f"{self.source}: two tokens have the same id")
        try:
            "".join(every).encode()
        except UnicodeEncodeError as error:
            surrogate = error.object[error.start]
            token = next(token for token in every if surrogate in token)
            raise ValueError(f"{self.source}: {shown(token)} cannot be a token: it has a lone surrogate") from None
        if "" in found_as_they_stand:
            raise ValueError(f"{self.source}: '' cannot be a special or added token: it is empty")
        for role, named in {"ends": self.eot, "begins": self.bos}.items():
            if named is not None and named not in every:
                raise ValueError(f"{self.source}: {shown(named)}, which {role} a text, has no id")

    @classmethod
    def from_merges(cls, merges: list[tuple[str, str]], source: str = "vocabulary") -> Vocabulary:
        """Number the tokens as OpenAI did for GPT-2: the 256 bytes, each merge's result in order, then the end of text.

        >>> Vocabulary.from_merges([("Ġ", "t"), ("h", "e")]).ids["he"]
        257
        """
        tokens = [BYTE_TO_CHAR[byte] for byte in BYTE_ORDER] + [left + right for left, right in merges]
        ids = {token: id_ for id_, token in enumerate(dict.fromkeys(tokens))}
        return cls(merges, ids, {END_OF_TEXT: len(ids)}, eot=END_OF_TEXT, source=source)

    @classmethod
    def from_files(
        cls,
        merges: list[tuple[str, str]],
        table: dict[str, int],
        added: Mapping[str, AddedToken],
        eot: str | None,
        bos: str | None,
        source: str,
    ) -> Vocabulary:
        """Put together a file's table token -> id and the tokens that are added to it.

        An added token that has no id gets the next free one, as in transformers. Tokens of the table that are neither
        made by a merge nor added remain as text for decoding. An added token that is the name of other bytes, such as
        "Ġ" of a space, is not looked for in texts: it could not be told apart again.
        """
        given = {text: token.id for text, token in added.items() if token.id is not None}
        for text in given.keys() & table.keys():
            if given[text] != table[text]:
                raise ValueError(
                    f"{source}: {shown(text)} has two ids, {shown(table[text])} and, as an added token, "
                    f"{shown(given[text])}"
                )
        ids = {**table, **given}
        if new := [text for text in added if text not in ids]:
            first = max((id_ for id_ in ids.values() if isinstance(id_, int)), default=-1) + 1
            ids |= {text: first + n for n, text in enumerate(new)}
        made = {*BYTE_TO_CHAR.values(), *(left + right for left, right in merges)}
        added = {text: token for text, token in added.items() if text not in made or to_bytes(text) == text.encode()}
        return cls(
            merges,
            {text: id_ for text, id_ in table.items() if text not in added or text in made},
            {text: ids[text] for text, token in added.items() if token.special},
            eot,
            bos,
            source,
            {text: ids[text] for text, token in added.items() if not token.special},
            {text: token.matching for text, token in added.items() if token.matching != Matching()},
        )

    def others(self) -> list[Any]:
        """Return what few vocabularies have, as plain values: tokens that are not special, and rules; [] if none."""
        if not self.added_tokens and not self.matching:
            return []
        rules = {token: asdict(matching) for token, matching in sorted(self.matching.items())}
        return [sorted(self.added_tokens.items()), rules]

    def __repr__(self) -> str:
        return brief(self, f"{self.source}, {len(self.ids)} ids, {len(self.merges)} merges")

    def id_of(self, token: str | None) -> int | None:
        """Return the id of a token, special or not, or None if there is no such token."""
        if token is None:
            return None
        return self.special_tokens.get(token, self.added_tokens.get(token, self.ids.get(token)))


def check_ids(table: object, source: str) -> dict[str, int]:
    """Return a file's table if it is an object with texts as keys; `Vocabulary` checks the ids."""
    if not isinstance(table, dict) or not all(isinstance(token, str) for token in table):
        raise ValueError(f"{source}: not a JSON object token -> id")
    return table


def check_pairs(pairs: Iterable[Any], source: str) -> list[tuple[str, str]]:
    """Return a file's merges if each is a pair of texts."""
    merges = []
    for line, pair in enumerate(pairs, start=1):
        if not isinstance(pair, (list, tuple)) or len(pair) != 2 or not all(isinstance(t, str) and t for t in pair):
            raise ValueError(f"{source}: merge {line} is not a pair of tokens: {shown(pair)}")
        merges.append((pair[0], pair[1]))
    return merges
