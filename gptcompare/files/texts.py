"""Reading UTF-8 text and JSON from untrusted files, with one error that names the file and the place.

A text means the same whichever system wrote it: a byte-order mark at its beginning is dropped, and its lines end with
LF, CRLF or a lone CR, and with nothing else. `str.splitlines` would also break a line at U+2028, U+0085, a form feed
and other characters, which are characters of the text here.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from .whole_file import read_whole

BYTE_ORDER_MARK = b"\xef\xbb\xbf"  # with which some editors begin a UTF-8 file
Refusal = Callable[[str, str], Exception]  # the name of a file and what is wrong with it -> the error to raise


def _value_error(name: str, reason: str) -> Exception:
    return ValueError(f"{name}: {reason}")


def decode_utf8(content: bytes, name: str, refusal: Refusal = _value_error) -> str:
    r"""Decode UTF-8 bytes. `name` tells the error message where they are from.

    >>> decode_utf8(b"na\xc3\xafve", "a.txt")
    'naïve'

    Raises
    ------
    ValueError, or what `refusal` makes
        If the bytes are not UTF-8.
    """
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise refusal(name, f"not UTF-8 text ({error.reason} at byte {error.start})") from None


def decode_text(content: bytes, name: str, refusal: Refusal = _value_error) -> str:
    r"""Decode a text, without a byte-order mark, and with "\n" at the end of each line. Raises as `decode_utf8` does.

    >>> decode_text(b"\xef\xbb\xbfone\r\ntwo\r\n", "a.txt")
    'one\ntwo\n'
    """
    text = decode_utf8(content, name, refusal).removeprefix(BYTE_ORDER_MARK.decode())
    return text.replace("\r\n", "\n").replace("\r", "\n")


def read_text(path: str | os.PathLike[str], refusal: Refusal = _value_error) -> str:
    """Read the text of a file as `decode_text` does. Raises as that does, and OSError."""
    return decode_text(read_whole(path), os.fspath(path), refusal)


def text_files(place: str | os.PathLike[str]) -> list[Path]:
    """Return the file itself or, for a folder, its files whose names end in .txt, and those in its folders, sorted.

    Raises
    ------
    ValueError
        If the folder has none.
    OSError
        If a folder cannot be listed.
    """
    if not os.path.isdir(place):
        return [Path(place)]
    found = txt_files_in(place)
    if not found:
        raise ValueError(f"{os.fspath(place)}: no file in this folder has a name that ends in .txt")
    return found


def txt_files_in(folder: str | os.PathLike[str]) -> list[Path]:
    """Return the files in a folder and its folders whose names end in .txt, sorted; OSError if one is not listed."""
    walked = os.walk(folder, onerror=_raise)
    return sorted(Path(place, name) for place, _, names in walked for name in names if name.endswith(".txt"))


def _raise(error: OSError) -> None:
    raise error


def lines_of(content: bytes, name: str, refusal: Refusal = _value_error) -> Iterator[tuple[str, str]]:
    r"""Yield each line of a text with its place, for messages; what follows the last line end is a line, even if empty.

    >>> [*lines_of(b"one\r\ntwo", "a.txt")]
    [('a.txt, line 1', 'one'), ('a.txt, line 2', 'two')]

    Raises
    ------
    ValueError, or what `refusal` makes
        If a line is not UTF-8.
    """
    content = content.removeprefix(BYTE_ORDER_MARK).replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    for number, line in enumerate(content.split(b"\n"), 1):
        place = f"{name}, line {number}"
        yield place, decode_utf8(line, place, refusal)


def parse_json(content: str | bytes, name: str, refusal: Refusal = _value_error) -> Any:
    """Parse a JSON text, or its UTF-8 bytes.

    >>> parse_json(b"[1, 2]", "a.json")
    [1, 2]

    Raises
    ------
    ValueError, or what `refusal` makes
        If it is not JSON in UTF-8, is nested too deeply for Python, or has a number with too many digits for it.
    """
    text = decode_utf8(content, name, refusal) if isinstance(content, bytes) else content
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:  # ValueError also for a number with thousands of digits
        raise refusal(name, f"not JSON ({error})") from None


def parse_object(content: str | bytes, name: str, refusal: Refusal = _value_error) -> dict[str, Any]:
    """Parse a text that must be a JSON object.

    >>> parse_object("[1, 2]", "a.json")
    Traceback (most recent call last):
        ...
    ValueError: a.json: not a JSON object
    """
    value = parse_json(content, name, refusal)
    if not isinstance(value, dict):
        raise refusal(name, "not a JSON object")
    return value
