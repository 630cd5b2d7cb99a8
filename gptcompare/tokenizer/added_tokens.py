"""Tokens that are found in a text as they stand, before it is cut into pieces: `<|endoftext|>`, `<|user|>`, `<mask>`.

The rules are those of Hugging Face tokenizers (tokenizer/added_vocabulary.rs: `find_matches`): the leftmost match is
taken, and the longest one there; a token may take the white space beside it, or be found as a whole word only.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import regex

from .vocabulary import Matching

PLAIN = Matching()
WORD = r"[\p{Alphabetic}\p{M}\p{Nd}\p{Pc}\p{Join_Control}]"  # a letter, mark, digit or connector: \w of Rust's regex
AFTER_A_WORD, BEFORE_A_WORD = regex.compile(rf"(?<={WORD})"), regex.compile(WORD)
SPACES, SPACES_BEFORE = regex.compile(r"\s*"), regex.compile(r"(?r)\s*")


class Found(NamedTuple):
    """A token's id, and the text that became it: the token with the white space that it took, less what others took."""

    id: int
    text: str


class TokenFinder:
    """Finds certain tokens in texts.

    Parameters
    ----------
    ids : dict of text -> id
        The tokens to find; none is empty.
    matching : dict of text -> Matching
        How they are found, if not as by `Matching()`.

    Examples
    --------
    >>> TokenFinder({"<mask>": 7}, {"<mask>": Matching(lstrip=True)}).split("a <mask> b")
    ['a', Found(id=7, text=' <mask>'), ' b']
    """

    def __init__(self, ids: Mapping[str, int], matching: Mapping[str, Matching]) -> None:
        self._ids, self._matching = ids, matching
        late = [token for token in ids if matching.get(token, PLAIN).normalized]
        early = [token for token in ids if not matching.get(token, PLAIN).normalized]
        # \L<tokens> is any of a list, the longest first
        self._rounds = [regex.compile(r"\L<tokens>", tokens=tokens) for tokens in (early, late) if tokens]

    def split(self, text: str) -> list[str | Found]:
        """Cut a text at its tokens, and leave what is between them as text."""
        parts: list[str | Found] = [text]
        for pattern in self._rounds:
            parts = [
                new
                for part in parts
                for new in (self._split_by(pattern, part) if isinstance(part, str) else [part])
            ]  # fmt: skip
        return parts

    def _split_by(self, pattern: regex.Pattern[str], text: str) -> list[str | Found]:
        parts: list[str | Found] = []
        done = 0
        for match in pattern.finditer(text):
            token, start, end = match.group(), match.start(), match.end()
            rule = self._matching.get(token, PLAIN)
            if rule.single_word and (AFTER_A_WORD.match(text, start) or BEFORE_A_WORD.match(text, end)):
                continue
            if rule.lstrip and end <= done:
                continue  # white space that an earlier token has taken
            if rule.lstrip and start > done:
                start -= len(SPACES_BEFORE.findall(text, done, start)[0])
            if rule.rstrip:
                end += len(SPACES.findall(text, end)[0])
            if start > done:
                parts.append(text[done:start])
            parts.append(Found(self._ids[token], text[max(start, done) : end]))
            done = end
        if done < len(text):
            parts.append(text[done:])
        return parts
