"""The errors of this room: a checkpoint cannot be read, or cannot be downloaded."""

from __future__ import annotations

import os

from ..checks import shortened

LONGEST = 500  # characters of a reason, whatever names and values a file has


class CheckpointError(ValueError):
    """A checkpoint file is damaged, or this library cannot represent its model; names the file and the reason."""

    def __init__(self, path: str | os.PathLike[str], reason: str) -> None:
        self.reason = shortened(reason, LONGEST)
        super().__init__(f"{os.fspath(path)}: {self.reason}")


class DownloadError(FileNotFoundError):
    """A model is not on this machine and could not be downloaded; says why, what was kept, and what to do next."""
