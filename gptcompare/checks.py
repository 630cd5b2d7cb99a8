"""Checks of arguments: values of the right kind, lists of texts, nearly right names; and values in few words.

NumPy's numbers count as Python's, and booleans never do. A list of texts may come from any library: pandas, polars,
PyArrow and NumPy are told by what their objects can do, and never imported.
"""

from __future__ import annotations

import difflib
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import fields
from numbers import Integral, Real
from typing import Any, TypeVar

Kind = TypeVar("Kind")


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


def some(names: Iterable[str], most: int = 4) -> str:
    """Return the first of several names as a list, with "..." for the others.

    >>> some(["a", "b", "c"], most=2)
    'a, b, ...'
    """
    several = list(names)
    return ", ".join([*(shortened(name, 100) for name in several[:most]), *(["..."] if several[most:] else [])])


def brief(of: object, words: str) -> str:
    r"""Return a `__repr__` on one line, for what no expression would make again.

    >>> brief(b"", "nothing\nat all")
    '<bytes: nothing at all>'
    """
    return f"<{type(of).__name__}: {shortened(' '.join(words.split()), 160)}>"


def brief_fields(of: Any) -> str:
    """Return a `__repr__` with the fields of a dataclass, each in few characters."""
    parts = [f"{field.name}={shown(getattr(of, field.name), 40)}" for field in fields(of) if field.repr]
    return f"{type(of).__name__}({shortened(' '.join(', '.join(parts).split()), 160)})"


def together(words: Iterable[object]) -> str:
    """Join words in a sentence.

    >>> together(["a", "b", "c"])
    'a, b and c'
    """
    *first, last = map(str, words)
    return f"{', '.join(first)} and {last}" if first else last


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


def instance(name: str, value: object, kind: type[Kind]) -> Kind:
    """Return the value, which must be of a class.

    >>> instance("prompt", "Once", str)
    'Once'

    Raises
    ------
    TypeError
        If it is not.
    """
    if not isinstance(value, kind):
        raise TypeError(f"{name} must be a {kind.__name__}, got {type(value).__name__}")
    return value


def path(name: str, value: object) -> str:
    """Return the name of a file or folder, given as a str or a path.

    >>> path("folder", "./runs")
    './runs'

    Raises
    ------
    TypeError
        If it is neither.
    """
    given = os.fspath(value) if isinstance(value, os.PathLike) else value
    if not isinstance(given, str):
        raise TypeError(f"{name} must be a str or a path, got {type(value).__name__}")
    return given


# The types of the values that stand for a missing text: None, those of pandas, and that of NumPy's masked arrays. A
# missing text can also be NaN.
MISSING = ("NoneType", "NAType", "NaTType", "MaskedConstant")


def each_text(name: str, value: object) -> Iterator[str]:
    """Return the texts of a list, tuple, generator, column of a table (pandas, polars), or array (NumPy, PyArrow).

    >>> list(each_text("prompt", ("one", "two")))
    ['one', 'two']

    Raises
    ------
    TypeError
        As `elements`, and if an element is not a str.
    """
    return (one_text(f"{name}[{number}]", element) for number, element in enumerate(elements(name, value)))


def elements(name: str, value: object) -> Iterator[object]:
    """Return the elements of such a list whatever they are, PyArrow's as Python's.

    Raises
    ------
    TypeError
        If it is a single text, has no order, or is a table, whose elements would be the names of its columns; while
        iterating, if an element is missing.
    """
    kind = type(value)
    if isinstance(value, str):
        raise TypeError(f"{name} must be a list of texts, got a single str: put it into a list")
    if isinstance(value, (bytes, bytearray)):
        raise TypeError(f"{name} must be a list of texts, got {kind.__name__}: decode it, as by .decode()")
    if isinstance(value, Mapping) or hasattr(kind, "columns") or hasattr(kind, "column_names"):
        raise TypeError(f"{name} must be a list of texts, got a table ({kind.__name__}): choose its column of texts")
    if isinstance(value, (set, frozenset)):
        raise TypeError(f"{name} must be a list of texts, got a {kind.__name__}, which has no order")
    if getattr(value, "ndim", 1) != 1 or not isinstance(value, Iterable):
        shape = f" of shape {value.shape}" if hasattr(value, "shape") else ""
        raise TypeError(f"{name} must be a str or a list of them, got {kind.__name__}{shape}")
    return (_present(f"{name}[{number}]", element) for number, element in enumerate(value))


def _present(place: str, element: Any) -> object:
    if hasattr(element, "as_py"):  # of PyArrow
        element = element.as_py()
    if type(element).__name__ in MISSING or (isinstance(element, float) and element != element):
        raise TypeError(f"{place} is missing ({element!r}): leave it out, or give a text")
    return element


def one_text(name: str, value: object) -> str:
    """Return a text as Python's str, also NumPy's.

    >>> one_text("question", "Who came?")
    'Who came?'

    Raises
    ------
    TypeError
        If it is not a str.
    """
    if not isinstance(value, str):
        hint = ": decode it" if isinstance(value, (bytes, bytearray)) else ""
        raise TypeError(f"{name} must be a str, got {type(value).__name__}{hint}")
    return str.__str__(value)  # `str` of a member of an Enum would be its name


def encodable(text: str) -> str:
    """Return a text that UTF-8 can represent.

    >>> encodable("naïve")
    'naïve'

    Raises
    ------
    TypeError
        If it is not a string.
    ValueError
        If it has a lone surrogate.
    """
    if not isinstance(text, str):
        raise TypeError(f"text must be a str, got {type(text).__name__}")
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise ValueError(
            f"the text has a lone surrogate, U+{ord(text[error.start]):04X}, at character {error.start}, which UTF-8 "
            'cannot represent: read the text with errors="replace", or join surrogate pairs with '
            'text.encode("utf-16", "surrogatepass").decode("utf-16")'
        ) from None
    return text


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Suggest the known names that are nearest to an unknown one, in any case; "" if none is near.

    >>> did_you_mean("temprature", ["temperature", "top_k"])
    'did you mean temperature? '
    """
    names = {one.lower(): one for one in known}
    near = [names[one] for one in difflib.get_close_matches(name.lower(), names, n=3, cutoff=0.5)]
    return f"did you mean {' or '.join(near)}? " if near else ""
