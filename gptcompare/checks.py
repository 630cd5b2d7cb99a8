"""Whether an argument is a number of the right kind: NumPy's numbers count as Python's, and booleans never do."""

from __future__ import annotations

from numbers import Integral, Real


def integer(name: str, value: object, *, at_least: int | None = None) -> int:
    """The value as Python's int, which JSON can hold.

    >>> integer("seed", 3)
    3

    Raises
    ------
    TypeError
        If it is not an integer. True and False are none.
    ValueError
        If it is below `at_least`.
    """
    if isinstance(value, bool) or not isinstance(value, Integral):
        raise TypeError(f"{name} must be an integer, got {value!r}")
    if at_least is not None and value < at_least:
        raise ValueError(f"{name} must be at least {at_least}, got {value}")
    return int(value)


def number(name: str, value: object) -> float:
    """The value as a Python number, which JSON can hold: an int stays an int. TypeError if it is not a number."""
    if isinstance(value, bool) or not isinstance(value, Real):
        raise TypeError(f"{name} must be a number, got {value!r}")
    return int(value) if isinstance(value, Integral) else float(value)
