"""Progress bars for long jobs: redrawn on a terminal, an occasional line elsewhere, nothing without a stream."""

from __future__ import annotations

import contextlib
import sys
import threading
from typing import TYPE_CHECKING, Any, NoReturn, TypeAlias

from .messages import Forgiving
from .text_width import printable

if TYPE_CHECKING:
    from tqdm import tqdm

Bar: TypeAlias = "tqdm[NoReturn]"  # it iterates over nothing

REDRAWN, WRITTEN = 0.1, 10.0  # seconds between two updates of the bar, on a terminal and elsewhere

_drawing = threading.RLock()  # tqdm's own lock is for several processes: where it can be had, it may start one


def progress_bar(**options: Any) -> Bar:
    """Open a bar on the standard error stream. The options are tqdm's; TQDM_DISABLE=1 in the environment hides it.

    A stream that fails, such as on a full disk, ends no work: the bar is then not seen.
    """
    from tqdm import tqdm  # imported here: it would cost every user of the library 20 ms

    class Closing(tqdm):  # type: ignore[type-arg]  # it has none when it runs
        monitor_interval = 0  # no thread that looks after a bar: instead, each update looks at the clock (miniters)

        def __del__(self) -> None:
            with contextlib.suppress(AttributeError):  # of what a stop in the middle of its __init__ left unset
                super().__del__()

    Closing.set_lock(_drawing)
    if "desc" in options:
        options["desc"] = printable(options["desc"])
    if sys.stderr is None:
        return Closing(**{**options, "disable": True})
    stream = Forgiving(sys.stderr)
    interval = REDRAWN if stream.isatty() else WRITTEN
    return Closing(**{"miniters": 1, **options}, mininterval=interval, file=stream)
