"""Numbers as people read them: three digits and a letter."""

from __future__ import annotations

import math


def three_digits(value: float) -> str:
    """Round to three significant digits.

    >>> three_digits(0.123456), three_digits(1234.0)
    ('0.123', '1230')
    """
    return f"{float(f'{value:.3g}'):g}"


def scaled(value: float, prefixes: str) -> str:
    """Write three digits and a prefix for each factor of a thousand.

    >>> scaled(497_759_232, " kMGT")
    '498M'
    """
    rounded = float(three_digits(value))  # which may have one digit more before its point
    power = min(int(math.log10(rounded)) // 3, len(prefixes) - 1) if rounded >= 1 else 0
    return f"{three_digits(rounded / 1000**power)}{prefixes[power]}".strip()


def in_bytes(n: int) -> str:
    """Write a number of bytes with its unit.

    >>> in_bytes(497_759_232)
    '498MB'
    """
    return f"{scaled(n, ' kMGT')}B"


def in_letters(n: float) -> str:
    """Write a number with the papers' letters, K, M, B and T.

    >>> in_letters(124_439_808)
    '124M'
    """
    return scaled(n, " KMBT")
