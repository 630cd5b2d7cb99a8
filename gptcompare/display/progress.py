"""How far a long job is: a bar that a terminal redraws, a line now and then elsewhere, nothing without a stream."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, NoReturn, TypeAlias

if TYPE_CHECKING:
    from tqdm import tqdm

Bar: TypeAlias = "tqdm[NoReturn]"  # it iterates over nothing

REDRAWN, WRITTEN = 0.1, 10.0  # seconds between two looks of the bar, on a terminal and elsewhere


def progress_bar(**options: Any) -> Bar:
    """A bar on the standard error stream; the options are tqdm's, and TQDM_DISABLE=1 in the environment is no bar."""
    from tqdm import tqdm  # 20 ms that every program which uses the library would spend

    if sys.stderr is None:
        options["disable"] = True
    interval = REDRAWN if sys.stderr and sys.stderr.isatty() else WRITTEN
    return tqdm(**options, mininterval=interval, file=sys.stderr)
