"""The results so far, on disk, so that an evaluation that was stopped or killed can be resumed.

items.jsonl    what identifies this evaluation, then a row for each item, in the order in which they were finished
result.json    the metrics over all items, once they are finished
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, NoReturn

from ..files.atomic_files import written_together
from ..files.lock import locked
from .tasks.protocols import Row

ROWS, RESULT = "items.jsonl", "result.json"


class KeptRows:
    """Rows by item number, in memory and, if there is a folder, on disk.

    Attributes
    ----------
    found : dict of int -> Row
    """

    def __init__(self, file: BinaryIO | None, found: dict[int, Row]) -> None:
        self._file = file
        self.found = found

    def add(self, numbers: Sequence[int], rows: Sequence[Row]) -> None:
        """Save the rows of some items; being killed or a full disk can lose no other rows."""
        self.found.update(zip(numbers, rows, strict=True))
        if self._file is not None:
            self._file.write(b"".join(_line({"item": n, **self.found[n]}) for n in numbers))
            self._file.flush()


@contextmanager
def kept_rows(folder: str | os.PathLike[str] | None, identity: Mapping[str, Any]) -> Iterator[KeptRows]:
    """Yield the rows that an earlier run left in a folder, which is made if necessary, ready to take new ones.

    Raises
    ------
    ValueError
        If the folder holds another evaluation, or another process is using it.
    OSError
        If the folder cannot be written to.
    """
    if folder is None:
        yield KeptRows(None, {})
        return
    folder = Path(folder)

    def refuse() -> NoReturn:
        raise ValueError(f"another process is evaluating in {folder}")

    with locked(folder / ".lock", refuse):
        found = _read(folder / ROWS, json.loads(json.dumps(identity)))
        with written_together(folder, [ROWS]) as (file,):  # without a last line that is incomplete
            file.write(_line(identity))
            file.writelines(_line({"item": number, **row}) for number, row in found.items())
        with open(folder / ROWS, "ab") as file:
            yield KeptRows(file, found)


def write_result(folder: str | os.PathLike[str], result: Mapping[str, Any]) -> None:
    """Write a folder's result.json."""
    with written_together(folder, [RESULT]) as (file,):
        file.write(json.dumps(result, indent=2).encode() + b"\n")


def _read(path: Path, identity: dict[str, Any]) -> dict[int, Row]:
    """Read the rows of a file up to the first line that is incomplete; none if there is no file."""
    if not path.exists():
        return {}
    first, *lines = path.read_bytes().split(b"\n")
    if _parsed([first]) != [identity]:
        there = next(iter(_parsed([first])), {})
        other = [part for part in identity if there.get(part) != identity[part]]
        parts = ", ".join(other)
        raise ValueError(f"{path} is from another evaluation (it differs in {parts}): give another folder (--out)")
    found = {}
    for row in _parsed(lines):
        number = row.pop("item", None)
        if type(number) is not int:
            break
        found[number] = row
    return found


def _parsed(lines: Iterable[bytes]) -> list[dict[str, Any]]:
    found = []
    for line in lines:
        try:
            value = json.loads(line)
        except ValueError:
            break
        if not isinstance(value, dict):
            break
        found.append(value)
    return found


def _line(value: Mapping[str, Any]) -> bytes:
    return json.dumps(value).encode() + b"\n"
