"""Writing files so that a half-written one never appears under its final name, and what is written stays."""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import stat
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import BinaryIO

NAME_BYTES = 180  # of a file's name that its temporary name repeats: file systems allow 255 bytes, and rarely fewer
TEMPORARY = re.compile(r"\.(?P<name>.*)\.\d+-[0-9a-f]{8}\.part", re.DOTALL)


@contextlib.contextmanager
def written_together(folder: str | os.PathLike[str], names: Sequence[str]) -> Iterator[list[BinaryIO]]:
    """Open files that are all renamed into place in `folder` when the block ends.

    If the block raises (a full disk, an interrupt), or the process dies in it, files that existed before stay as they
    were; a killed process may leave a hidden `.part` file. The folder is created if it does not exist. A file that is
    replaced keeps its permissions. Once the block has ended, not even a power failure brings the old files back.

    Raises
    ------
    OSError
        If a file cannot be written; it names the file.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with written_together(folder, ["a.txt", "b.txt"]) as (a, b):
    ...         n_written = a.write(b"1") + b.write(b"2")
    ...     sorted(os.listdir(folder))
    ['a.txt', 'b.txt']
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    temporary = [folder / temporary_name(name) for name in names]
    places = ", ".join(str(folder / name) for name in names)
    try:
        with contextlib.ExitStack() as stack:
            files: list[BinaryIO] = [stack.enter_context(open(path, "xb")) for path in temporary]
            for path, name in zip(temporary, names, strict=True):
                _keep_mode(path, folder / name)
            with naming(places):
                yield files
            for file, name in zip(files, names, strict=True):
                with naming(folder / name):
                    file.flush()
                    os.fsync(file.fileno())
        for path, name in zip(temporary, names, strict=True):
            put_in_place(path, folder / name)
    finally:
        for path in temporary:
            path.unlink(missing_ok=True)


@contextlib.contextmanager
def written_whole(path: str | os.PathLike[str]) -> Iterator[BinaryIO]:
    """Open a file that is renamed into place when the block ends, as by `written_together`.

    The target of a link is written, and the link stays. A pipe or a device, which no file must replace, is written into
    as the block goes on.
    """
    target = Path(os.path.realpath(path))
    if target.exists() and not target.is_file():
        with naming(path), open(target, "wb") as file:
            yield file
    else:
        with written_together(target.parent, [target.name]) as (file,):
            yield file


def temporary_name(name: str) -> str:
    """Return a hidden name that no other file has, for a file as long as it is written; not much longer than `name`."""
    short = os.fsdecode(os.fsencode(name)[:NAME_BYTES]).encode("utf-8", "ignore").decode()  # no half character
    return f".{short}.{os.getpid()}-{secrets.token_hex(4)}.part"


def remove_leftovers(folder: Path, names: Sequence[str]) -> None:
    """Remove what killed processes left of `written_together` for files of these names.

    Only for names that nobody else is writing, such as those of a folder that the caller has locked.
    """
    for path in folder.glob(".*.part"):
        match = TEMPORARY.fullmatch(path.name)
        if match and match["name"] in names and path.is_file():
            path.unlink(missing_ok=True)


def put_in_place(path: Path, target: Path) -> None:
    """Rename a complete file to its final name, for good."""
    os.replace(path, target)
    sync_folder(target.parent)


def sync_folder(folder: Path) -> None:
    """Write a folder's list of names to the disk, without which a power failure may undo a rename.

    Where the system cannot do that for a folder (Windows, some network file systems), it is left to the system.
    """
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


@contextlib.contextmanager
def naming(path: str | os.PathLike[str]) -> Iterator[None]:
    """Let an OSError of a `with` block name the file, where it names none: a full disk says only that it is full."""
    try:
        yield
    except OSError as error:
        if error.filename is not None:
            raise
        if error.errno is None:  # NumPy's "40744 requested and 4032 written"
            raise OSError(f"cannot write {os.fspath(path)}: {error}") from None
        raise OSError(error.errno, error.strerror or str(error), os.fspath(path)) from None


def _keep_mode(path: Path, target: Path) -> None:
    """Give a file the permissions of the one that it will replace, if there is one."""
    with contextlib.suppress(FileNotFoundError):
        there = target.lstat()
        if stat.S_ISREG(there.st_mode):
            path.chmod(stat.S_IMODE(there.st_mode))
