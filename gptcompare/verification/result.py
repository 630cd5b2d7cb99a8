"""The result of a verification, as a table and as plain values."""

from __future__ import annotations

import math
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from typing import Any

from ..checks import brief, shortened
from ..display.text_width import pad, printable, width
from ..tokenizer import Tokenizer
from .agreement import Agreement
from .records import Record

WIDEST = {"what": 44, "recorded by": 16, "expected": 22, "got": 22}  # cells of a column
OF_TOKENS = ("greedy tokens", "likeliest tokens")
AGREES = {True: "agrees", False: "differs", None: "not computed"}


@dataclass(frozen=True)
class Row:
    """A record beside what the model computes.

    Attributes
    ----------
    record : Record
    got : list or str, optional
        What the model computes; None if that was not done.
    agreement : Agreement, optional
    missing : str, optional
        Why it was not done.
    seconds : float
    """

    record: Record
    got: list[Any] | str | None = None
    agreement: Agreement | None = None
    missing: str | None = None
    seconds: float = 0.0

    def __repr__(self) -> str:
        return brief(self, f"{self.record.quantity} of {self.record.model}, {AGREES[self.agrees]} ({self.record.id})")

    @property
    def agrees(self) -> bool | None:
        """Whether they agree; None if nothing was computed."""
        return None if self.agreement is None else self.agreement.agrees

    def to_dict(self) -> dict[str, Any]:
        """Return plain values that JSON can hold; what is no number, such as NaN, becomes None."""
        record = {name: value for name, value in asdict(self.record).items() if value is not None}
        got = self.got
        if isinstance(got, list):
            got = [None if isinstance(value, float) and not math.isfinite(value) else value for value in got]
        compared = {} if self.agreement is None else {"got": got, **asdict(self.agreement), "seconds": self.seconds}
        missing = {} if self.missing is None else {"missing": self.missing}
        return {**record, "decides": self.record.decides, **compared, **missing}


@dataclass(frozen=True)
class Verification:
    """The outputs that others recorded of a model, each beside what this library computes.

    Attributes
    ----------
    model : str
        The model whose records they are.
    rows : tuple of Row
    tokenizer : Tokenizer
        With which `str` shows tokens.
    n_not_asked : int
        The number of records that need a data file, if they were not asked for.
    """

    model: str
    rows: tuple[Row, ...]
    tokenizer: Tokenizer
    n_not_asked: int = 0

    def __repr__(self) -> str:
        return brief(self, " ".join(self._summary()[:1]))

    @property
    def agrees(self) -> bool:
        """True if every record that decides and was computed agrees, and there is at least one."""
        deciding = [row.agrees for row in self.rows if row.record.decides and row.agrees is not None]
        return bool(deciding) and all(deciding)

    def to_dict(self) -> dict[str, Any]:
        """Return plain values that JSON can hold."""
        rows = [row.to_dict() for row in self.rows]
        return {"model": self.model, "agrees": self.agrees, "n_not_asked": self.n_not_asked, "rows": rows}

    def to_text(self) -> str:
        """Return a table for a terminal: a line for each record, and what they come to."""
        head = ("", "what", "recorded by", "n", "expected", "got", "off by", "allowed")
        lines = _in_columns([head, *(self._cells(row) for row in self.rows if row.agreement is not None)])
        missing = [f"not run: {row.record.what}: {row.missing}" for row in self.rows if row.missing is not None]
        return "\n".join([*lines, "", *map(printable, missing), *([""] if missing else []), *self._summary()])

    __str__ = to_text

    def _cells(self, row: Row) -> tuple[str, ...]:
        record, compared, got = row.record, row.agreement, row.got
        assert compared is not None
        assert got is not None
        sign = "=" if compared.agrees else "!"
        expected, found = self._shown(record, record.expected, compared.at), self._shown(record, got, compared.at)
        if compared.allowed is None:
            off_by = "" if compared.agrees else f"at {compared.at + 1}"
            allowed = "the same"
        else:
            off_by = "–" if compared.difference is None else f"{compared.difference:.1g}"
            allowed = f"{compared.allowed:.1g}"
        sign += "" if record.decides else "?"
        return sign, record.what, record.by, str(len(record.expected)), expected, found, off_by, allowed

    def _shown(self, record: Record, values: list[Any] | str, at: int) -> str:
        """Show a text, tokens as text, or one number of several."""
        if isinstance(values, str):
            return repr(values)
        if record.quantity in OF_TOKENS:
            with suppress(ValueError):  # an id that the tokenizer does not have
                return repr(self.tokenizer.decode(values))
        if record.is_exact:
            return " ".join(map(str, values))
        return f"{values[at]:.7g}"

    def _summary(self) -> list[str]:
        deciding = [row for row in self.rows if row.record.decides and row.agrees is not None]
        doubtful = [row for row in self.rows if not row.record.decides and row.agrees is not None]
        lines = [f"{self.model}: {_of_them(deciding)}" if deciding else f"{self.model}: no record that decides was run"]
        if doubtful:
            lines.append(f"doubtful (?), which decide nothing: {_of_them(doubtful)} (--json says why they are)")
        if self.n_not_asked:
            lines.append(f"{self.n_not_asked} more need data files: --all")
        return lines


def _of_them(rows: Sequence[Row]) -> str:
    n_agree = sum(row.agrees is True for row in rows)
    return f"{n_agree} of {len(rows)} " + ("record agrees" if len(rows) == 1 else "records agree")


def _in_columns(rows: Sequence[tuple[str, ...]]) -> list[str]:
    """Align the cells, and cut those of a column that may be long; the last two columns are numbers."""
    most = [WIDEST.get(name, 12) for name in rows[0]]
    cells = [
        [shortened(printable(cell).replace("\n", " "), n) for cell, n in zip(row, most, strict=True)] for row in rows
    ]
    widths = [max(width(row[column]) for row in cells) for column in range(len(rows[0]))]
    lines = []
    for row in cells:
        left = "  ".join(pad(cell, n) for cell, n in zip(row[:-2], widths[:-2], strict=True))
        right = "  ".join(f"{cell:>{n}}" for cell, n in zip(row[-2:], widths[-2:], strict=True))
        lines.append(f"{left}  {right}".rstrip())
    return lines
