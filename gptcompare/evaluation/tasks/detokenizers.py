"""Detokenizers: restore texts that were published with spaces between all their tokens.

GPT-2's paper removes such artifacts of a data set, since the model has hardly ever seen them (Radford et al. 2019,
section 3.1), but does not publish its rules. The rules for WikiText are from EleutherAI's lm-evaluation-harness.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from itertools import pairwise

# Tokens of the Penn Treebank (https://www.cis.upenn.edu/~treebank/tokenizer.sed, and Stanford's tokenizer after it):
# brackets and quotation marks show whether they open or close.
OPENING = {"``": '"', "`": "'", "-LRB-": "(", "-LSB-": "[", "-LCB-": "{"}
CLOSING = {"''": '"', "'": "'", "-RRB-": ")", "-RSB-": "]", "-RCB-": "}"}
# What directly followed a word: punctuation, and endings that were split off at an apostrophe.
ENDING = re.compile(r"[.,;:!?%…]+|n't|'(?:s|m|d|ll|re|ve)", re.IGNORECASE)
CURRENCY = {"$", "£"}
# Words that were split without an apostrophe between the parts. "can not" was nearly always one word.
CUT_WORDS = {
    ("can", "not"), ("gim", "me"), ("gon", "na"), ("got", "ta"), ("lem", "me"), ("wan", "na"),
    ("d'", "ye"), ("d'", "you"), ("'t", "is"), ("'t", "was"), ("'t", "were"), ("'t", "will"), ("'t", "would"),
}  # fmt: skip

PAIRS = (("(", ")"), ("[", "]"), ("{", "}"), ('"', '"'), ("'", "'"))


def _stripped(pair: re.Match[str]) -> str:
    """Remove the spaces just inside a pair of brackets or quotation marks.

    What is not closed is matched to the end of the text, so that no bracket in it is looked at again, and left as it
    is: the time is proportional to the text, unlike with the harness's own pattern.
    """
    inner, end = pair.groups()
    return f"{pair[0][0]}{inner.strip()}{end}" if end else pair[0]


# lm-evaluation-harness 0.4, lm_eval/tasks/wikitext/preprocess_wikitext.py: in this order, pattern -> replacement.
WIKITEXT_RULES: tuple[tuple[str, str | Callable[[re.Match[str]], str]], ...] = (
    ("s '", "s'"),
    ("/' [0-9]/", "/'[0-9]/"),  # hardly what was meant, but comparable numbers need the same rules
    *((f" @{re.escape(mark)}@ ", mark) for mark in "-,."),
    *((f" {re.escape(mark)} ", f"{mark} ") for mark in ":;.!?,"),
    *((rf"{re.escape(begin)}([^{re.escape(end)}]*)({re.escape(end)}?)", _stripped) for begin, end in PAIRS),
    *(("= " * (n - 1) + "=", "=" * n) for n in (4, 3, 2)),
    (" ° ", "°"),
    (" \n", "\n"),
    ("\n ", "\n"),
    (" N ", " 1 "),
    (" 's", "'s"),
)


def detokenized(text: str) -> str:
    """Restore a text that was tokenized as in the Penn Treebank.

    Quotation marks become straight, brackets become brackets again, and punctuation and endings are joined to the word
    before them. A dash keeps its spaces.

    Parameters
    ----------
    text : str
        Tokens with white space between them.

    Returns
    -------
    str

    Examples
    --------
    >>> print(detokenized("`` I do n't , '' said he . "))
    "I don't," said he.
    """
    tokens = text.split()
    pieces = [_written(token) for token in tokens[:1]]
    for left, right in pairwise(tokens):
        one_word = _closed_up(left, right) or (left.lower(), right.lower()) in CUT_WORDS
        pieces += [_written(right)] if one_word else [" ", _written(right)]
    return "".join(pieces)


def detokenized_pair(before: str, after: str) -> tuple[str, str]:
    """Restore a text in two parts; the space between them, if there is one, begins the second.

    Two words are never joined into one across the parts, so that neither part has half a word.

    >>> detokenized_pair("`` I can not see the ", "cat , '' said he .")
    ('"I cannot see the', ' cat," said he.')
    """
    left, right = before.split()[-1:], after.split()[:1]
    apart = before[-1:].isspace() or after[:1].isspace()
    space = " " if apart and left and right and not _closed_up(left[0], right[0]) else ""
    return detokenized(before), space + detokenized(after)


def _closed_up(left: str, right: str) -> bool:
    """Tell whether there was no space between two tokens."""
    if left in OPENING or right in CLOSING or ENDING.fullmatch(right):
        return True
    return left in CURRENCY and right[0].isdecimal()


def _written(token: str) -> str:
    # Stanford's tokenizer writes a slash and an asterisk with a backslash.
    return OPENING.get(token) or CLOSING.get(token) or token.replace(r"\/", "/").replace(r"\*", "*")


def detokenized_wikitext(text: str) -> str:
    """Restore a page of WikiText as lm-evaluation-harness does.

    >>> detokenized_wikitext("Robert 's 3 @,@ 000 books , and 2 @.@ 5 more")
    "Robert's 3,000 books, and 2.5 more"
    """
    for pattern, replacement in WIKITEXT_RULES:
        text = re.sub(pattern, replacement, text)
    return text
