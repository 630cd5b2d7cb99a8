"""What a run measures at each step, and metrics.csv, the file that keeps it: one line per step."""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from collections.abc import Iterable
from dataclasses import astuple, dataclass, fields
from pathlib import Path

from ..files.atomic_files import written_together

METRICS = "metrics.csv"


@dataclass(frozen=True)
class Metrics:
    """The measurements of one step of a run.

    Attributes
    ----------
    step : int
        Counted from 1.
    tokens : int
        Number of tokens trained on so far, this step included.
    loss : float
        Loss of the step's batch before the update, in nats per token.
    learning_rate : float
    gradient_norm : float
        Norm of the whole gradient before clipping.
    tokens_per_second : float
        0 if the step took no time on a clock that stood still.
    validation_loss : float, optional
        Validation loss after the step, in nats per token; None if it was not measured.
    """

    step: int
    tokens: int
    loss: float
    learning_rate: float
    gradient_norm: float
    tokens_per_second: float
    validation_loss: float | None = None

    def to_line(self) -> bytes:
        """Return the line of metrics.csv."""
        return _line(astuple(self))


COLUMNS = [field.name for field in fields(Metrics)]


def read_metrics(folder: str | os.PathLike[str]) -> list[Metrics]:
    """Read the lines of a run's metrics.csv.

    A damaged line is left out, as is the last one if a kill or a crash left it incomplete, and a line whose step does
    not fit to its number of tokens. Nothing in the file is an error.

    Parameters
    ----------
    folder : path

    Returns
    -------
    list of Metrics
        In the order of their steps.

    Raises
    ------
    FileNotFoundError
        If there is no such folder.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise FileNotFoundError(f"there is no folder {str(folder)!r}")
    path = folder / METRICS
    return _whole_lines(path.read_bytes())[0] if path.is_file() else []


def cut_off(folder: Path, step: int) -> list[Metrics]:
    """Cut metrics.csv off after a step, and return what is left of it.

    If it has damaged lines, the file as it was is kept beside it, under a name that says so.
    """
    path = folder / METRICS
    content = path.read_bytes() if path.is_file() else b""
    found, n_damaged = _whole_lines(content)
    metrics = [line for line in found if line.step <= step]
    is_cut = not content.endswith(b"\n") and (metrics[-1].step if metrics else 0) < step  # and not by a kill
    if content and (n_damaged or is_cut):
        kept = f"metrics.damaged-{hashlib.sha256(content).hexdigest()[:8]}.csv"
        with written_together(folder, [kept]) as (file,):
            file.write(content)
    write_metrics(folder, metrics)
    return metrics


def write_metrics(folder: Path, metrics: Iterable[Metrics]) -> None:
    """Write metrics.csv anew."""
    with written_together(folder, [METRICS]) as (file,):
        file.write(_line(COLUMNS))
        file.writelines(line.to_line() for line in metrics)


def _whole_lines(content: bytes) -> tuple[list[Metrics], int]:
    """Return the lines that are whole, by their steps, and how many others there are before the last line's end."""
    header, *rows = content.split(b"\n")[:-1] or [b""]  # what follows the last line's end is incomplete
    parsed = [line for line in map(_parsed, rows) if line is not None]
    # The tokens of a step are the same number in each: a wrong step or number of tokens is found out by it.
    usual = Counter(line.tokens / line.step for line in parsed).most_common(1)
    lines = {line.step: line for line in parsed if line.tokens / line.step == usual[0][0]}
    return [lines[step] for step in sorted(lines)], len(rows) - len(lines) + (header + b"\n" != _line(COLUMNS))


def _parsed(row: bytes) -> Metrics | None:
    """Return a row as metrics, or None if it is not one."""
    try:
        step, tokens, *numbers, validation = row.decode("ascii").split(",")
        loss, rate, norm, speed = (float(number) for number in numbers)
        line = Metrics(int(step), int(tokens), loss, rate, norm, speed, float(validation) if validation else None)
    except ValueError:
        return None
    is_as_written = line.to_line() == row + b"\n"  # Python reads more than it writes, such as " 1_0"
    return line if is_as_written and 0 < line.step <= line.tokens < 2**63 else None


def _line(values: Iterable[object]) -> bytes:
    return (",".join("" if value is None else str(value) for value in values) + "\n").encode()
