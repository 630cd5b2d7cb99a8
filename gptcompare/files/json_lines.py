"""Reading files with one JSON object per line, such as examples and published tasks."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from .texts import BYTE_ORDER_MARK, parse_object


def json_objects(name: str, content: bytes, what: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the object on each line, with its place for messages. Blank lines are skipped.

    Parameters
    ----------
    name : str
        The file's name, for messages.
    content : bytes
        The file's bytes.
    what : str
        What each object is, such as "example".

    Raises
    ------
    ValueError
        If a line is not a JSON object, or there is none.

    Examples
    --------
    >>> [*json_objects("a.jsonl", b'{"answer": 1}', "example")]
    [('a.jsonl, line 1', {'answer': 1})]
    """
    found = False
    # Not `splitlines`: a JSON string may contain unescaped line breaks, such as U+2028.
    for number, line in enumerate(content.removeprefix(BYTE_ORDER_MARK).split(b"\n"), 1):
        if not line.strip():
            continue
        place = f"{name}, line {number}"
        found = True
        yield place, parse_object(line, place)
    if not found:
        raise ValueError(f"{name}: there is no {what} in it")
