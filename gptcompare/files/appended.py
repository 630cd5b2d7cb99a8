"""A file to which lines are added, each of which survives a kill at once and a power failure after a while."""

from __future__ import annotations

import os
import time
from pathlib import Path
from types import TracebackType

from .atomic_files import naming

SYNC_EVERY = 5.0  # seconds: the most that a power failure costs; a kill costs nothing


class AppendedFile:
    """A file that is open at its end, for a `with` block.

    What `write` has written, a kill leaves there. To the disk it goes at the end of the block, at `sync`, and with
    the first write that comes `SYNC_EVERY` seconds after the last time: to wait for a disk after each line would take
    longer than to compute most lines.

    Raises
    ------
    OSError
        If it cannot be opened or written to; it names the file.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = open(path, "ab", buffering=0)  # noqa: SIM115  closed by __exit__
        self._synced = time.monotonic()

    def __enter__(self) -> AppendedFile:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        try:
            if error is None or not isinstance(error, OSError):
                self.sync()
        finally:
            self._file.close()

    def write(self, content: bytes) -> None:
        with naming(self._path):
            rest = memoryview(content)
            while rest:  # a disk that is nearly full takes a part, and then says so
                rest = rest[self._file.write(rest) :]
            if time.monotonic() - self._synced >= SYNC_EVERY:
                self.sync()

    def sync(self) -> None:
        """Write to the disk what has been written to the file."""
        with naming(self._path):
            os.fsync(self._file.fileno())
            self._synced = time.monotonic()
