"""Recorded outputs: what someone else computed with a published model, with its source and its tolerance.

`data/public.json` has those that others recorded of published models, and what was left out; `data/nano.json` those of
the embedded pair, which `tests/data/make_nano_records.py` makes with PyTorch and transformers.
"""

from __future__ import annotations

import inspect
import json
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from ..checks import brief, did_you_mean, path, shown
from .data_quantities import DATA_QUANTITIES
from .quantities import QUANTITIES

DATA = Path(__file__).parent / "data"
HIGH = "high"


@dataclass(frozen=True, kw_only=True)
class Record:
    """A recorded output.

    Attributes
    ----------
    id, model : str
        Its own name, and that of the model.
    quantity : str
        What was computed: a name in `QUANTITIES` or `DATA_QUANTITIES`.
    given : dict
        The arguments of the quantity's function, besides the model.
    expected : list of float or int, or str
        What the other program got.
    absolute, relative : float, optional
        A number agrees if it is off by no more than absolute + relative x the size of the expected one; without them,
        only the same ids or the same text agree.
    tolerance : str
        What the source says of it.
    by, source : str
        The program, and the file in which its output stands.
    confidence : str
        "high"; anything else is doubtful: the record is shown, and decides nothing.
    prompt, prompt_from, continuation, tokens, dtype, note : optional
        For the reader.
    """

    id: str
    model: str
    quantity: str
    given: dict[str, Any]
    expected: list[Any] | str
    tolerance: str
    by: str
    source: str
    confidence: str = HIGH
    absolute: float | None = None
    relative: float | None = None
    prompt: str | list[str] | None = None
    prompt_from: str | None = None
    continuation: str | None = None
    tokens: list[str] | None = None
    dtype: str | None = None
    note: str | None = None

    def __repr__(self) -> str:
        return brief(self, f"{self.quantity} of {self.model}, recorded by {self.by} ({self.id})")

    @property
    def is_exact(self) -> bool:
        """True if only the same ids or the same text agree."""
        return self.absolute is None

    @property
    def needs_data(self) -> bool:
        """True if the quantity needs a file beside the model."""
        return self.quantity in DATA_QUANTITIES

    @property
    def decides(self) -> bool:
        """True if it is not doubtful."""
        return self.confidence == HIGH

    @property
    def what(self) -> str:
        """What was computed, of which text."""
        if self.quantity == "task":
            return f"{self.given['task']}: {self.given['metric']}"
        texts = self.prompt or self.prompt_from
        if isinstance(texts, list):
            texts = f"{texts[0]} ... ({len(texts)} texts)"
        return f"{self.quantity}: {texts}" if texts else self.quantity


def read_records(file: str | os.PathLike[str]) -> list[Record]:
    """Read a file of records, as the package has them: a JSON object with a list "records".

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If the file or a record in it is not of this form; the message names the record.
    """
    given = path("records", file)
    try:
        content = json.loads(Path(given).read_text(encoding="utf-8"))
        found = content["records"]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        reason = "it has no list of records" if isinstance(error, (KeyError, TypeError)) else str(error)
        raise ValueError(f'{given} is not a file of records: {reason}; expected {{"records": [...]}}') from None
    if not isinstance(found, list) or not found:
        raise ValueError(f'{given} has no records: "records" must be a list of at least one')
    return [_record(f"{given}, record {number}", fields_of_it) for number, fields_of_it in enumerate(found)]


def _record(place: str, values: object) -> Record:
    known = {field.name for field in fields(Record)}
    needed = {"id", "model", "quantity", "given", "expected", "tolerance", "by", "source"}
    if not isinstance(values, dict) or not needed <= set(values) <= known:
        raise ValueError(f"{place}: expected an object with {', '.join(sorted(needed))}, and of the rest only "
                         f"{', '.join(sorted(known - needed))}; got {shown(values)}")  # fmt: skip
    for name in ("id", "model", "quantity", "tolerance", "by", "source"):
        if not isinstance(values[name], str):
            raise ValueError(f"{place}: {name} must be a text, got {shown(values[name])}")
    record = Record(**values)
    _check_given(place, record)
    _check_expected(place, record)
    return record


def _check_given(place: str, record: Record) -> None:
    """Check that the quantity is known, and has what its function needs."""
    functions: dict[str, Callable[..., Any]] = {**QUANTITIES, **DATA_QUANTITIES}
    if record.quantity not in functions:
        hint = did_you_mean(record.quantity, functions)
        raise ValueError(f"{place}: unknown quantity {shown(record.quantity)}: {hint}known are {', '.join(functions)}")
    _, *parameters = inspect.signature(functions[record.quantity]).parameters
    parameters = [name for name in parameters if name != "data"]
    if not isinstance(record.given, dict) or sorted(record.given) != sorted(parameters):
        raise ValueError(f"{place}: {record.quantity} needs {', '.join(parameters)}; given is {shown(record.given)}")


def _check_expected(place: str, record: Record) -> None:
    """Check that numbers are expected where numbers are compared, and else ids or a text."""
    expected, tolerances = record.expected, [one for one in (record.absolute, record.relative) if one is not None]
    if len(tolerances) == 1 or not all(_is_number(one) and one >= 0 for one in tolerances):
        raise ValueError(f"{place}: absolute and relative are two numbers from 0, or both left out for ids and texts")
    if record.is_exact:
        is_right = isinstance(expected, str) or (isinstance(expected, list) and all(map(_is_integer, expected)))
    else:
        is_right = isinstance(expected, list) and all(map(_is_number, expected))
    if not is_right or not expected:
        wanted = "ids or a text" if record.is_exact else "a list of finite numbers"
        raise ValueError(f"{place}: expected must be {wanted}, got {shown(expected)}")


def _is_integer(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) <= sys.float_info.max


def known_records() -> list[Record]:
    """Return the records in the package."""
    return [record for file in sorted(DATA.glob("*.json"), reverse=True) for record in read_records(file)]
