"""Whether what a model computes agrees with what was recorded."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from .records import Record


@dataclass(frozen=True)
class Agreement:
    """How what was computed compares with a record, shown at its worst number or first other token.

    Attributes
    ----------
    agrees : bool
    at : int
        The index of that number or token.
    difference : float, optional
        How far what was computed is from what was expected, there; None for ids and texts, and for what is no number.
    allowed : float, optional
        The largest difference that agrees there; None for ids and texts, of which only the same agree.
    """

    agrees: bool
    at: int
    difference: float | None = None
    allowed: float | None = None


def agreement(record: Record, got: list[Any] | str) -> Agreement:
    """Compare what was computed with what was recorded."""
    if record.absolute is None or record.relative is None:
        return _of_ids(record.expected, got)
    if len(got) != len(record.expected):
        raise ValueError(f"{record.quantity} gives {len(got)} numbers, but {len(record.expected)} are recorded")
    found = [
        _of_numbers(at, float(expected), float(value), record.absolute + record.relative * abs(expected))
        for at, (expected, value) in enumerate(zip(record.expected, got, strict=True))
    ]
    return max(found, key=_badness)


def _of_ids(expected: list[Any] | str, got: list[Any] | str) -> Agreement:
    """Compare ids or characters, which are equal or not."""
    differing = [at for at, (one, other) in enumerate(zip(expected, got, strict=False)) if one != other]
    if not differing and len(got) != len(expected):
        differing = [min(len(got), len(expected))]
    return Agreement(not differing, differing[0] if differing else 0)


def _of_numbers(at: int, expected: float, got: float, allowed: float) -> Agreement:
    difference = abs(got - expected)
    # What is no number agrees with nothing.
    return Agreement(difference <= allowed, at, difference if math.isfinite(difference) else None, allowed)


def _badness(one: Agreement) -> tuple[bool, float]:
    if one.difference is None:
        return True, math.inf
    return not one.agrees, one.difference / one.allowed if one.allowed else one.difference
