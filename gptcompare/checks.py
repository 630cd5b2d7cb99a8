"""Checks that an argument is a number of the right kind: NumPy numbers count, booleans never do."""

from __future__ import annotations

from numbers import Integral, Real


def integer(name: str, value: object, *, at_least: int | None = None) -> int:
    """Return the value as a Python int, which JSON can hold.

    >>> integer("seed", 3)
    3

    Raises
    ------
    TypeError
        If it is not an integer; True and False do not count as integers.
    ValueError
        If it is below `at_least`.
    """
    if isinstance(value, bool) or not isinstance(value, Integral):
        raise TypeError(f"{name} must be an integer, got {value!r}")
    if at_least is not None and value < at_least:
        raise ValueError(f"{name} must be at least {at_least}, got {value}")
    return int(value)


def number(name: str, value: object) -> float:
    """Return the value as a Python int or float, which JSON can hold; raise TypeError if it is not a number."""
    if isinstance(value, bool) or not isinstance(value, Real):
        raise TypeError(f"{name} must be a number, got {value!r}")
    return int(value) if isinstance(value, Integral) else float(value)
