"""Signals that ask a run to stop: they wait until the step in progress is done and saved."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator
from typing import Any

# Ctrl-C; what batch systems and `docker stop` send; what a terminal sends that is closed (not on Windows).
SIGNALS = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]


class Stop:
    """Whether a signal has asked to stop, and what it would have done without this module."""

    def __init__(self) -> None:
        self._number: int | None = None
        self._before: dict[int, Any] = {}

    @property
    def is_asked(self) -> bool:
        return self._number is not None

    def take_course(self) -> None:
        """Let the signal do what it would have done: raise KeyboardInterrupt, end the process, call a handler."""
        assert self._number is not None
        self.hand_back()
        signal.raise_signal(self._number)
        raise KeyboardInterrupt  # the handler of the caller has returned, and the run has stopped all the same

    def take_over(self) -> None:
        """Note these signals from now on, except for those that are ignored, as in a script's background job."""
        for number in SIGNALS:
            handler = signal.getsignal(number)
            if handler not in (signal.SIG_IGN, None):  # None: it was not set from Python
                self._before[number] = handler
                signal.signal(number, self._note)

    def hand_back(self) -> None:
        """Give the signals to those who had them before."""
        while self._before:
            signal.signal(*self._before.popitem())

    def _note(self, number: int, frame: object) -> None:
        second, self._number = self.is_asked, number
        if second:
            self.take_course()


@contextlib.contextmanager
def stop_after_step() -> Iterator[Stop]:
    """Yield what says, in a `with` block, whether to stop after the current step; a second signal ends it at once."""
    stop = Stop()
    if threading.current_thread() is not threading.main_thread():
        yield stop  # signals come to the main thread alone
        return
    stop.take_over()
    try:
        yield stop
    finally:
        stop.hand_back()
