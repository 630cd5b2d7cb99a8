"""UTF-8 text and JSON from files that may hold anything: the text, or one error that names the file and the place."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

Refusal = Callable[[str, str], Exception]  # the name of a file and what is wrong with it -> what is raised


def _value_error(name: str, reason: str) -> Exception:
    return ValueError(f"{name}: {reason}")


def decode_utf8(content: bytes, name: str, refusal: Refusal = _value_error) -> str:
    r"""The text that bytes stand for. `name` says in the error where they are from.

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


def read_text(path: str | os.PathLike[str], refusal: Refusal = _value_error) -> str:
    """The text of a file, each line ended by "\n" as Python reads it. Errors as of `decode_utf8`, and OSError."""
    text = decode_utf8(Path(path).read_bytes(), os.fspath(path), refusal)
    return text.replace("\r\n", "\n").replace("\r", "\n")


def parse_json(content: str | bytes, name: str, refusal: Refusal = _value_error) -> Any:
    """The value that a JSON text, or its UTF-8 bytes, stands for.

    Raises
    ------
    ValueError, or what `refusal` makes
        If it is not JSON in UTF-8, or nested or with digits beyond what Python reads.
    """
    text = decode_utf8(content, name, refusal) if isinstance(content, bytes) else content
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:  # ValueError also for a number of thousands of digits
        raise refusal(name, f"not JSON ({error})") from None


def parse_object(content: str | bytes, name: str, refusal: Refusal = _value_error) -> dict[str, Any]:
    """The same for a text that must stand for a JSON object."""
    value = parse_json(content, name, refusal)
    if not isinstance(value, dict):
        raise refusal(name, "not a JSON object")
    return value
