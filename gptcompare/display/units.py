"""Numbers as people read them: three digits and a letter."""

from __future__ import annotations

import math


def three_digits(value: float) -> str:
    return f"{float(f'{value:.3g}'):g}"


def scaled(value: float, prefixes: str) -> str:
    """Three digits and a prefix for each factor of a thousand: 497_759_232 with " kMGT" is "498M"."""
    power = min(int(math.log10(value)) // 3, len(prefixes) - 1) if value >= 1 else 0
    return f"{three_digits(value / 1000**power)}{prefixes[power]}".strip()


def in_bytes(n: int) -> str:
    """497_759_232 is "498MB"."""
    return f"{scaled(n, ' kMGT')}B"


def in_letters(n: float) -> str:
    """The papers' letters: 124_439_808 parameters are "124M"."""
    return scaled(n, " KMBT")
