"""Byte-level BPE as data: bytes as characters, merges and ids.

A byte is written as a printable character, so that a token is a word without spaces or control characters: see
`BYTE_TO_CHAR`. The files that a vocabulary is published in are read and written by `files.py`.
"""

from __future__ import annotations

from dataclasses import dataclass, field

END_OF_TEXT = "<|endoftext|>"


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
    eot : str, optional
        The token that ends a text.
    bos : str, optional
        The token that begins every text; GPT-2 puts nothing in front.
    source : str
        Where it comes from, for messages.

    Raises
    ------
    ValueError
        If a byte, a merge's part or result, or the token that ends or begins a text has no id, an id is not a whole
        number from 0, two tokens have the same one, or a special token is empty or has a lone surrogate.
    """

    merges: list[tuple[str, str]]
    ids: dict[str, int]
    special_tokens: dict[str, int] = field(default_factory=dict)
    eot: str | None = None
    bos: str | None = None
    source: str = field(default="vocabulary", compare=False)

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
        for role, named in {"ends": self.eot, "begins": self.bos}.items():
            if named is not None and named not in both:
                raise ValueError(f"{self.source}: {named!r}, which {role} a text, has no id")

    @classmethod
    def from_merges(cls, merges: list[tuple[str, str]], source: str = "vocabulary") -> Vocabulary:
        """As OpenAI numbered GPT-2's: the 256 bytes, then each merge's result in order, then the end of text."""
        tokens = [BYTE_TO_CHAR[byte] for byte in BYTE_ORDER] + [left + right for left, right in merges]
        ids = {token: id_ for id_, token in enumerate(dict.fromkeys(tokens))}
        return cls(merges, ids, {END_OF_TEXT: len(ids)}, eot=END_OF_TEXT, source=source)

    def id_of(self, token: str | None) -> int | None:
        """The id of a token, special or not, or None if there is no such token."""
        return None if token is None else self.special_tokens.get(token, self.ids.get(token))
