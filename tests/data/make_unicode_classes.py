"""Write gptcompare/tokenizer/data/unicode-16.txt: the letters and numbers of Unicode 16.

    pip install unicodedata2==16.0.0 && python tests/data/make_unicode_classes.py

The package carries the Unicode Character Database of version 16.0.0. A line has the first letter of the general
category (L for letters, N for numbers), then the ranges of its code points, in hexadecimal.
"""

import sys
from pathlib import Path

import unicodedata2

TARGET = Path(__file__).parents[2] / "gptcompare" / "tokenizer" / "data" / "unicode-16.txt"


def ranges(kind: str) -> list[tuple[int, int]]:
    """The first and last code points of each run whose category begins with `kind`."""
    found: list[tuple[int, int]] = []
    for code in range(sys.maxunicode + 1):
        if not unicodedata2.category(chr(code)).startswith(kind):
            continue
        if found and found[-1][1] == code - 1:
            found[-1] = (found[-1][0], code)
        else:
            found.append((code, code))
    return found


def table() -> str:
    """The content of the file."""
    assert unicodedata2.unidata_version == "16.0.0"
    lines = (" ".join([kind, *(f"{first:X}-{last:X}" for first, last in ranges(kind))]) for kind in "LN")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    TARGET.write_text(table(), encoding="ascii", newline="\n")
