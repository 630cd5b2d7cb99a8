"""The error that every reader of checkpoints raises."""

from __future__ import annotations

import os


class CheckpointError(ValueError):
    """A checkpoint's file is damaged, or holds what this library cannot represent; names the file and the reason."""

    def __init__(self, path: str | os.PathLike[str], reason: str) -> None:
        super().__init__(f"{os.fspath(path)}: {reason}")
