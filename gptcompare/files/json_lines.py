"""Files with a JSON object on each line, as examples and published tasks come in."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from .texts import parse_object

BYTE_ORDER_MARK = b"\xef\xbb\xbf"  # some editors begin a file in UTF-8 with it


def json_objects(name: str, content: bytes, what: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """The objects of the lines, each with its place for messages. Blank lines are passed over.

    Parameters
    ----------
    name : str
        Of the file.
    content : bytes
    what : str
        What each object is, such as "example".

    Raises
    ------
    ValueError
        If a line is something else, or there is none.
    """
    found = False
    # No `splitlines`: a string may have line breaks in it that JSON need not escape, such as U+2028.
    for number, line in enumerate(content.removeprefix(BYTE_ORDER_MARK).split(b"\n"), 1):
        if not line.strip():
            continue
        place = f"{name}, line {number}"
        found = True
        yield place, parse_object(line, place)
    if not found:
        raise ValueError(f"{name}: there is no {what} in it")
