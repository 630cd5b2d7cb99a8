"""The errors of this room: a checkpoint that cannot be read, and one that cannot be had."""

from __future__ import annotations

import os


class CheckpointError(ValueError):
    """A checkpoint's file is damaged, or holds what this library cannot represent; names the file and the reason."""

    def __init__(self, path: str | os.PathLike[str], reason: str) -> None:
        super().__init__(f"{os.fspath(path)}: {reason}")


class DownloadError(FileNotFoundError):
    """A model is not on this machine and could not be fetched; says what failed, what was kept, and what to do next."""
