"""Reading a whole file or stream that a user names, within a bound: neither a device nor a pipe need ever end."""

from __future__ import annotations

import os
import stat
from typing import BinaryIO

MAX_TEXT = 4_000_000_000  # bytes of a text; its characters and tokens then take some times as many
MAX_INPUT = 100_000_000  # bytes of what is read from a stream, and of files with examples
PORTION = 1 << 24  # bytes read at a time


def read_whole(path: str | os.PathLike[str], most: int = MAX_TEXT) -> bytes:
    """Return the bytes of a file.

    Raises
    ------
    ValueError
        If it is a device, or has more than `most` bytes.
    OSError
        If it cannot be read.
    """
    with open(path, "rb") as file:
        status = os.fstat(file.fileno())
        if (stat.S_ISCHR(status.st_mode) and not file.isatty()) or stat.S_ISBLK(status.st_mode):
            raise ValueError(f"{os.fspath(path)} is a device: give a file")
        if stat.S_ISREG(status.st_mode) and status.st_size <= most:
            return file.read()
        return read_stream(file, os.fspath(path), most)


def read_stream(stream: BinaryIO, name: str, most: int = MAX_INPUT) -> bytes:
    """Return the bytes of a stream up to its end; it is a ValueError if there are more than `most`.

    >>> import io
    >>> read_stream(io.BytesIO(b"text"), "standard input", most=3)
    Traceback (most recent call last):
        ...
    ValueError: standard input has more than 3 bytes: give less at a time
    """
    parts, left = [], most
    while part := stream.read(min(PORTION, left + 1)):
        parts.append(part)
        left -= len(part)
        if left < 0:
            raise ValueError(f"{name} has more than {most:,} bytes: give less at a time")
    return b"".join(parts)
