"""A stand-in for `regex` in `pyodide.sh`, by Python's own `re`: the package has no file for Pyodide on the registries.

It knows letters and numbers, as the tokenizer's pattern of pieces needs them, and takes characters for graphemes. Other
properties of characters match nothing. Pyodide's own list of packages has the real one.
"""

import re
import sys
import unicodedata
from functools import lru_cache

DOTALL, VERBOSE, Pattern, escape, finditer, sub = re.DOTALL, re.VERBOSE, re.Pattern, re.escape, re.finditer, re.sub


def compile(pattern, flags=0):
    if pattern == r"\X":
        return re.compile(".", re.DOTALL)
    try:
        return re.compile(_with_ranges(pattern), flags)
    except re.error:
        return re.compile("(?!)")


def _with_ranges(pattern):
    """Write out `\\p{L}` and `\\p{N}`, in and outside a set of characters."""
    if r"\p{" not in pattern:
        return pattern
    pattern = pattern.replace(r"[^\s\p{L}\p{N}]", rf"[^\s{_ranges('L')}{_ranges('N')}]")
    return pattern.replace(r"\p{L}", f"[{_ranges('L')}]").replace(r"\p{N}", f"[{_ranges('N')}]")


@lru_cache
def _ranges(category):
    """Return all characters of a category, as they can stand in a set."""
    return "".join(chr(code) for code in range(sys.maxunicode + 1) if unicodedata.category(chr(code))[0] == category)
