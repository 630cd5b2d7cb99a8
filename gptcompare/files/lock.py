"""A file lock that admits one process at a time; the system releases it when the process that holds it ends."""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

POLL = 0.1  # seconds

if sys.platform == "win32":
    import msvcrt

    def _try_to_lock(file: BinaryIO) -> bool:
        try:
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True
else:
    try:
        import fcntl
    except ImportError:  # in WebAssembly
        fcntl = None  # type: ignore[assignment]

    def _try_to_lock(file: BinaryIO) -> bool:
        if fcntl is None:
            return True  # a browser's page is one process, and nobody else has its files
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True


@contextlib.contextmanager
def locked(path: str | os.PathLike[str], on_wait: Callable[[], None]) -> Iterator[None]:
    """Hold the lock while the block runs. If another process holds it, call `on_wait` once and wait.

    The file is created and never removed: removing it would let two processes lock two files of the same name.
    """
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    with open(path, "ab") as file:  # closing it releases the lock
        if not _try_to_lock(file):
            on_wait()
            while not _try_to_lock(file):
                time.sleep(POLL)
        yield
