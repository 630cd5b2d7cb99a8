"""Writing files so that a half-written one never appears under its final name."""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import BinaryIO


@contextlib.contextmanager
def written_together(folder: str | os.PathLike[str], names: Sequence[str]) -> Iterator[list[BinaryIO]]:
    """Open files that are all renamed into place in `folder` when the block ends.

    If the block raises (a full disk, an interrupt), or the process dies in it, files that existed before stay as they
    were; a killed process may leave a hidden `.part` file. The folder is created if it does not exist.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with written_together(folder, ["a.txt", "b.txt"]) as (a, b):
    ...         n_written = a.write(b"1") + b.write(b"2")
    ...     sorted(os.listdir(folder))
    ['a.txt', 'b.txt']
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    mark = f"{os.getpid()}-{secrets.token_hex(4)}.part"
    temporary = [folder / f".{name}.{mark}" for name in names]
    try:
        with contextlib.ExitStack() as stack:
            files: list[BinaryIO] = [stack.enter_context(open(path, "xb")) for path in temporary]
            yield files
            for file in files:
                file.flush()
                os.fsync(file.fileno())
        for path, name in zip(temporary, names, strict=True):
            os.replace(path, folder / name)
    finally:
        for path in temporary:
            path.unlink(missing_ok=True)
