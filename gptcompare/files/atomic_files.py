"""Writing files so that none is ever half there under its own name."""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import BinaryIO


@contextlib.contextmanager
def written_together(folder: str | os.PathLike[str], names: Sequence[str]) -> Iterator[list[BinaryIO]]:
    """Open files that take their names in `folder`, all of them, when the block ends.

    If the block raises (a full disk, an interrupt), or the process dies in it, the files that were there before stay
    as they were; a killed process may leave a hidden `.part` file. The folder is made if it does not exist.
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
