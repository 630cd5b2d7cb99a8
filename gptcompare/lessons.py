"""What the notebooks need to teach: a check that says what is wrong with an attempt at an exercise.

The look of their pictures is a style of matplotlib's, `plt.style.use("gptcompare.lessons")`: 110 dots an inch, no text
below 8 points, and the colours that GPT-2 and GPT-3 have everywhere in this project.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from numbers import Complex, Integral
from typing import Any

import numpy as np

from .arrays import AnyArray
from .checks import shown

__all__ = ["check"]

# How the line of a check begins.
NOT_YET, WRONG, RIGHT = "…", "✗", "✓"
NOT_IT = ", which is not it"  # said of a whole value, without giving the answer away
MOST = 60  # characters of a value that a line shows


def check(what: str, attempt: Callable[[], Any], expected: Any, *, tolerance: float = 1e-6) -> None:
    """Print whether an attempt at an exercise is right, and if not, what is wrong with it.

    Parameters
    ----------
    what : str
        What is tried, in the reader's words: ``"decode(ids)"``.
    attempt : function without arguments
        Gives what the reader has made. What it raises is shown; None or ``...`` means that there is nothing yet.
    expected : anything
        What it must be; numbers, also in lists and arrays, within the tolerance. Or a function of what was found that
        returns what is wrong with it, as a text that may hint at the way, and None or "" if nothing is.
    tolerance : float
        The largest difference from a number, as a part of it if it is above 1.

    Examples
    --------
    >>> check("2 + 2", lambda: 2 + 2, 4)
    ✓ 2 + 2
    >>> check("doubled", lambda: [2, 5, 6], [2, 4, 6])
    ✗ doubled[1] is 5 and should be 4
    >>> check("n", lambda: 4, lambda n: "" if n % 2 else "it is even")
    ✗ n is 4: it is even
    """
    try:
        found = attempt()
    except Exception as error:  # the reader's code may do anything
        print(f"{WRONG} {what} raises {type(error).__name__}: {error}")
        return
    if found is None or found is ...:
        print(f"{NOT_YET} {what}: nothing there yet")
        return
    try:
        if callable(expected):
            reason = expected(found)
            wrong = f" is {shown(found, MOST)}: {reason}" if reason else ""
        else:
            wrong = difference(found, expected, tolerance)
    except Exception as error:  # a value of another kind, or a mistake in what it is checked with
        wrong = f" is {shown(found, MOST)}, which cannot be checked: {type(error).__name__}: {error}"
    print(f"{WRONG} {what}{wrong}" if wrong else f"{RIGHT} {what}")


def difference(found: Any, expected: Any, tolerance: float = 1e-6) -> str:
    """Return the first thing in which a value is not as expected, to be read after its name; "" if it is equal.

    What should be there is told of a part, and not of a whole number or text, which would give an answer away.

    >>> difference({"a": [1, 2]}, {"a": [1, 3]})
    "['a'][1] is 2 and should be 3"
    >>> difference("rabbit", "rabbits"), difference(8, 9)
    (' has 6 characters and should have 7', ' is 8, which is not it')
    """
    if isinstance(expected, np.ndarray) and expected.ndim > 0:
        return _of_arrays(np.asarray(found), expected, tolerance)
    if isinstance(expected, (str, bytes)):
        return _of_texts(found, expected)
    if isinstance(expected, (Mapping, Sequence)):
        return _of_parts(found.tolist() if isinstance(found, np.ndarray) else found, expected, tolerance)
    if isinstance(found, np.ndarray) and found.ndim > 0:
        return f" has shape {found.shape} and should be a single value"
    return "" if _equal(found, expected, tolerance) else f" is {shown(found, MOST)}{NOT_IT}"


def _equal(found: Any, expected: Any, tolerance: float) -> bool:
    """Compare single values: two integers exactly, other numbers within the tolerance, of Python or of NumPy."""
    a, b = (value.item() if isinstance(value, (np.generic, np.ndarray)) else value for value in (found, expected))
    exact = isinstance(a, Integral) and isinstance(b, Integral)
    if isinstance(a, Complex) and isinstance(b, Complex) and not exact:
        return bool(np.isclose(complex(a), complex(b), rtol=tolerance, atol=tolerance, equal_nan=True))
    return bool(a == b)


def _of_arrays(found: AnyArray, expected: AnyArray, tolerance: float) -> str:
    if found.shape != expected.shape:
        return f" has shape {found.shape} and should have {expected.shape}"
    if {found.dtype.kind, expected.dtype.kind} & {"f", "c"}:
        same = np.isclose(found, expected, rtol=tolerance, atol=tolerance, equal_nan=True)
    else:
        same = found == expected
    if same.all():
        return ""
    first = tuple(int(n) for n in np.argwhere(~same)[0])
    place = f"[{', '.join(map(str, first))}] is {found[first]!s} and should be {expected[first]!s}"
    return f"{place}; {np.count_nonzero(~same):,} of {same.size:,} numbers differ"


def _of_texts(found: Any, expected: str | bytes) -> str:
    if not isinstance(found, type(expected)):
        return f" is {shown(found, MOST)}, a {type(found).__name__} and no {type(expected).__name__}"
    first = next((n for n, (a, b) in enumerate(zip(found, expected, strict=False)) if a != b), None)
    if first is not None:
        there, should = (shown(text[first : first + 12]) for text in (found, expected))
        return f" goes on with {there} and not with {should} at place {first}"
    if len(found) != len(expected):
        unit = "characters" if isinstance(expected, str) else "bytes"
        return f" has {len(found):,} {unit} and should have {len(expected):,}"
    return ""


def _of_parts(found: Any, expected: Mapping[Any, Any] | Sequence[Any], tolerance: float) -> str:
    """Compare part by part: a dict's values, or a list's or tuple's elements."""
    of_dict = isinstance(expected, Mapping)
    if isinstance(found, (str, bytes)) or not isinstance(found, Mapping if of_dict else Sequence):
        return f" is {shown(found, MOST)}, a {type(found).__name__} and no {type(expected).__name__}"
    if of_dict and (there := [key for key in (*expected, *found) if key not in found or key not in expected]):
        return f" has no {there[0]!r}" if there[0] in expected else f" has {there[0]!r}, which should not be there"
    if len(found) != len(expected):
        return f" has {len(found):,} elements and should have {len(expected):,}"
    for key in expected if of_dict else range(len(expected)):
        if wrong := difference(found[key], expected[key], tolerance):
            is_whole = wrong.endswith(NOT_IT)
            told = f"{wrong.removesuffix(NOT_IT)} and should be {shown(expected[key], MOST)}" if is_whole else wrong
            return f"[{key!r}]{told}"
    return ""
