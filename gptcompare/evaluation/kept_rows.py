"""The results so far, on disk, so that an evaluation that was stopped or killed can be resumed.

items.jsonl    what identifies this evaluation, then a row for each item, in the order in which they were finished
result.json    the metrics over all items, once they are finished

Each line of items.jsonl ends with a check, from the rest of the line. A row whose line is not as it was written, cut by
a kill or damaged in any other way, is as if it had not been found yet: its item is scored anew, to the same bits.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn

from ..files.appended import AppendedFile
from ..files.atomic_files import remove_leftovers, written_together
from ..files.lock import locked
from ..files.texts import parse_object
from .tasks.protocols import Row

ROWS, RESULT = "items.jsonl", "result.json"
CHECK = "check"


class KeptRows:
    """Rows by item number, in memory and, if there is a folder, on disk.

    Attributes
    ----------
    found : dict of int -> Row
    """

    def __init__(self, file: AppendedFile | None, found: dict[int, Row]) -> None:
        self._file = file
        self.found = found

    def add(self, numbers: Sequence[int], rows: Sequence[Row]) -> None:
        """Save the rows of some items; being killed or a full disk can lose no other rows."""
        self.found.update(zip(numbers, rows, strict=True))
        if self._file is not None:
            self._file.write(b"".join(_line({"item": n, **self.found[n]}) for n in numbers))


@contextmanager
def kept_rows(folder: str | os.PathLike[str] | None, identity: Mapping[str, Any]) -> Iterator[KeptRows]:
    """Yield the rows that an earlier run left in a folder, which is made if necessary, ready to take new ones.

    Raises
    ------
    ValueError
        If the folder holds another evaluation, or a result.json without the rows it is of, or another process is using
        it.
    OSError
        If the folder cannot be written to.
    """
    if folder is None:
        yield KeptRows(None, {})
        return
    folder = Path(folder)
    if (folder / RESULT).exists() and not (folder / ROWS).exists():
        raise ValueError(
            f"{folder / RESULT} is of something else, as there is no {ROWS} beside it: give another folder (--out), or "
            "remove the file"
        )

    def refuse() -> NoReturn:
        raise ValueError(f"another process is evaluating in {folder}: wait for its end, or give another folder")

    with locked(folder / ".lock", refuse):
        remove_leftovers(folder, [ROWS, RESULT])
        found = _read(folder / ROWS, json.loads(json.dumps(identity)))
        with written_together(folder, [ROWS]) as (file,):  # without lines that are damaged
            file.write(_line(identity))
            file.writelines(_line({"item": number, **row}) for number, row in found.items())
        with AppendedFile(folder / ROWS) as rows:
            yield KeptRows(rows, found)


def write_result(folder: str | os.PathLike[str], result: Mapping[str, Any]) -> None:
    """Write a folder's result.json."""
    with written_together(folder, [RESULT]) as (file,):
        file.write(json.dumps(result, indent=2).encode() + b"\n")


def _read(path: Path, identity: dict[str, Any]) -> dict[int, Row]:
    """Read the rows of a file whose lines are as they were written; none if there is no file."""
    if not path.exists():
        return {}
    there, found = _read_all(path)
    if there != identity:
        other = ", ".join(part for part in {**identity, **there} if there.get(part) != identity.get(part))
        raise ValueError(f"{path} is from another evaluation (it differs in {other}): give another folder (--out)")
    return found


def read_rows(folder: str | os.PathLike[str]) -> tuple[dict[str, Any], dict[int, Row]]:
    """Return what identifies the evaluation in a folder, and its rows by item number, without those that are damaged.

    Raises
    ------
    ValueError
        If nobody can say any more which evaluation it is.
    """
    return _read_all(Path(folder) / ROWS)


def _read_all(path: Path) -> tuple[dict[str, Any], dict[int, Row]]:
    first, *lines = path.read_bytes().split(b"\n")
    there, is_whole = _parsed(first)
    if there is None or (CHECK in there and not is_whole):
        raise ValueError(
            f"{path}, line 1: damaged, so nobody knows which evaluation the rows are from: give another folder "
            f"(--out), or remove the file, and {RESULT} if it is there, and all items are scored anew"
        )
    there.pop(CHECK, None)  # an earlier version, which differs in its version, wrote none
    found = {}
    for row, is_whole in map(_parsed, lines):
        if row is not None and is_whole and type(row.get("item")) is int:
            del row[CHECK]
            found[row.pop("item")] = row
    return there, found


def _parsed(line: bytes) -> tuple[dict[str, Any] | None, bool]:
    """Return the object on a line, or None if it is none, and whether it is as it was written."""
    with contextlib.suppress(ValueError):
        value = parse_object(line, ROWS)
        rest = {name: part for name, part in value.items() if name != CHECK}
        return value, value.get(CHECK) == _check(rest)
    return None, False


def _line(value: Mapping[str, Any]) -> bytes:
    return json.dumps({**value, CHECK: _check(value)}).encode() + b"\n"


def _check(value: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(value).encode()).hexdigest()[:16]
