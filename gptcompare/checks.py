"""Checks of arguments: numbers of the right kind, and names that are nearly right; and how messages show them.

NumPy's numbers count as Python's, and booleans never do.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from numbers import Integral, Real


def shown(value: object, most: int = 100) -> str:
    """Return what a message shows of a value that may be of any size: its repr, in not many more characters than most.

    >>> shown("gpt2"), shown([0] * 1000, most=20)
    ("'gpt2'", '[0, 0, 0, 0, 0 ...  0, 0]')
    """
    try:
        return shortened(repr(value), most)
    except (ValueError, RecursionError):  # Python writes no number of thousands of digits, and no nest of any depth
        return f"a {type(value).__name__} that is too large to show"


def shortened(text: str, most: int) -> str:
    """Return a text without the middle if it has more characters than most.

    >>> shortened("a" * 7 + "b" * 7, most=9)
    'aaaaaa ... bbb'
    """
    return text if len(text) <= most else f"{text[: most - most // 3]} ... {text[-(most // 3) :]}"


def integer(name: str, value: object, *, at_least: int | None = None, at_most: int | None = None) -> int:
    """Return the value as a Python int, which JSON can hold.

    >>> integer("seed", 3)
    3

    Raises
    ------
    TypeError
        If it is not an integer; True and False do not count as integers.
    ValueError
        If it is below `at_least` or above `at_most`.
    """
    if isinstance(value, bool) or not isinstance(value, Integral):
        raise TypeError(f"{name} must be an integer, got {shown(value)}")
    value = int(value)
    if at_least is not None and value < at_least:
        raise ValueError(f"{name} must be at least {at_least}, got {shown(value)}")
    if at_most is not None and value > at_most:
        raise ValueError(f"{name} must be at most {at_most}, got {shown(value)}")
    return value


def number(name: str, value: object) -> float:
    """Return the value as a Python float, which JSON can hold.

    >>> number("temperature", 1)
    1.0

    Raises
    ------
    TypeError
        If it is not a number; True and False do not count as numbers.
    ValueError
        If it is an integer that no float can hold.
    """
    if isinstance(value, bool) or not isinstance(value, Real):
        raise TypeError(f"{name} must be a number, got {shown(value)}")
    try:
        return float(value)
    except OverflowError:
        raise ValueError(f"{name} is larger than any floating-point number") from None


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Suggest the known names that are nearest to an unknown one, in any case; "" if none is near.

    >>> did_you_mean("temprature", ["temperature", "top_k"])
    'did you mean temperature? '
    """
    names = {one.lower(): one for one in known}
    near = [names[one] for one in difflib.get_close_matches(name.lower(), names, n=3, cutoff=0.5)]
    return f"did you mean {' or '.join(near)}? " if near else ""
