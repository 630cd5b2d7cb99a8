"""Byte-level BPE as data: bytes as characters, merges and ids.

Each byte is written as a printable character, so that a token is a word without spaces or control characters: see
`BYTE_TO_CHAR`. `files.py` reads and writes the files in which vocabularies are published.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from ..checks import shortened, shown

END_OF_TEXT = "<|endoftext|>"


def _byte_order() -> list[int]:
    """Return the 256 bytes in the order of GPT-2's first 256 ids: printable first (openai/gpt-2, src/encoder.py)."""
    printable = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)]
    return printable + [byte for byte in range(256) if byte not in printable]


BYTE_ORDER = _byte_order()
N_PRINTABLE = 188
# A printable byte becomes the character of the same number, the n-th other byte character 256 + n: space is "Ġ".
BYTE_TO_CHAR = {byte: chr(byte if n < N_PRINTABLE else 256 + n - N_PRINTABLE) for n, byte in enumerate(BYTE_ORDER)}
_CHAR_TO_LATIN1 = {ord(char): byte for byte, char in BYTE_TO_CHAR.items()}
_LATIN1_TO_CHAR = {byte: ord(char) for byte, char in BYTE_TO_CHAR.items()}


def to_bytes(token: str) -> bytes:
    """Return the bytes that a token in a vocabulary file stands for.

    >>> to_bytes("Ġthe")
    b' the'
    """
    return token.translate(_CHAR_TO_LATIN1).encode("latin-1")


def to_characters(token: bytes) -> str:
    """Write bytes as in a vocabulary file: the inverse of `to_bytes`.

    >>> to_characters(b" the")
    'Ġthe'
    """
    return token.decode("latin-1").translate(_LATIN1_TO_CHAR)


@dataclass(frozen=True)
class Vocabulary:
    """Merges and ids, with tokens written as in the files (one character per byte).

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
        The token that begins every text; GPT-2 has none.
    source : str
        Where the vocabulary comes from, for messages.

    Raises
    ------
    ValueError
        If a byte, a merge's part or result, or the token that ends or begins a text has no id, an id is not a whole
        number from 0, two tokens have the same id, or a special token is empty or has a lone surrogate.
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
                    merge = shortened(f"{left} {right}", 60)
                    raise ValueError(f"{self.source}: {shown(token)} of merge {line} ({merge}) has no id")
        both = {**self.ids, **self.special_tokens}
        for token, id_ in both.items():
            if isinstance(id_, bool) or not isinstance(id_, int) or id_ < 0:
                raise ValueError(
                    f"{self.source}: {shown(token)} has id {shown(id_)}, which is not a whole number from 0"
                )
        if len(set(both.values())) != len(both):
            raise ValueError(f"{self.source}: two tokens have the same id")
        for token in self.special_tokens:
            if not token or any("\ud800" <= char <= "\udfff" for char in token):
                raise ValueError(
                    f"{self.source}: {shown(token)} cannot be a token: it is empty or has a lone surrogate"
                )
        for role, named in {"ends": self.eot, "begins": self.bos}.items():
            if named is not None and named not in both:
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

    def id_of(self, token: str | None) -> int | None:
        """Return the id of a token, special or not, or None if there is no such token."""
        return None if token is None else self.special_tokens.get(token, self.ids.get(token))
