"""Where a sentence ends: a simple rule, without a list of abbreviations and so wrong where only that would help."""

from __future__ import annotations

import regex

LONGEST = 500  # characters, of verse, tables and code, in which no sentence may end

# Each quantifier is possessive, and a run of marks is tried only from its beginning: no text takes more than one pass.
END = regex.compile(
    r"""
    (?<![.!?…]) [.!?…]++ [\p{Pe}\p{Pf}\p{Pi}"'*_]*+ (?: \s++ (?!\p{Ll}) | \Z )  # stops, closing marks, white space
    | [。！？]++ [\p{Pe}\p{Pf}"']*+ \s*+                                           # of Chinese and Japanese
    | \n [^\S\n]*+ \n \s*+                                                        # the end of a paragraph
    """,
    regex.VERBOSE,
)


def sentences(text: str) -> list[tuple[int, int]]:
    r"""Return where each sentence of a text begins and ends, in characters; together they are the whole text.

    A sentence ends

    - after full stops, question marks, exclamation marks or dots, with the quotation marks and brackets that close
      after them, where white space follows and the next word does not begin with a lower-case letter;
    - after their Chinese and Japanese forms, whatever follows;
    - at an empty line, the end of a paragraph;
    - at the last white space within 500 characters, if none of these comes before.

    The white space after it belongs to it, and that at the beginning of the text to the first one. So "What?" he said
    is one sentence, and "Mr. Fox" is two.

    >>> [text[start:end] for text in ["Stop! \"Why?\" he asked.\n\nThe end"] for start, end in sentences(text)]
    ['Stop! ', '"Why?" he asked.\n\n', 'The end']
    """
    found, start = [], 0
    ends = [match.end() for match in END.finditer(text)]
    for end in [*ends, len(text)]:
        while end - start > LONGEST:
            cut = _cut(text, start)
            found.append((start, cut))
            start = cut
        if end > start and not (end < len(text) and text[start:end].isspace()):  # empty lines before the first one
            found.append((start, end))
            start = end
    return found


def _cut(text: str, start: int) -> int:
    """Return the end of a piece of at most `LONGEST` characters: after its last white space, if it has any."""
    ends = range(start + LONGEST, start, -1)
    return next((end for end in ends if text[end - 1].isspace()), start + LONGEST)
