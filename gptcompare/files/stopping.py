"""Signals that ask to stop: they wait until what is in progress is done, and nothing is left half written."""

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
        """Let the signal do what it would have done: raise KeyboardInterrupt, end the process, call a handler.

        Others that come while the work is cleared away are noted.
        """
        number, self._number = self._number, None
        assert number is not None
        self.hand_back()
        try:
            signal.raise_signal(number)
            raise KeyboardInterrupt  # the handler of the caller has returned, and the work has stopped all the same
        finally:
            self.take_over()

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
        self._number = number


class _ImpatientStop(Stop):
    """A stop that waits for no second signal."""

    def _note(self, number: int, frame: object) -> None:
        second = self.is_asked
        super()._note(number, frame)
        if second:
            self.take_course()


@contextlib.contextmanager
def stop_after_step() -> Iterator[Stop]:
    """Yield what says, in a `with` block, whether to stop after the current step; a second signal ends it at once."""
    with _taking_over(_ImpatientStop()) as stop:
        yield stop


@contextlib.contextmanager
def stop_where_asked() -> Iterator[Stop]:
    """Yield what says, in a `with` block, whether to stop: no signal does anything in it but where it is asked for.

    A signal that nobody asked for takes its course at the end of the block.
    """
    with _taking_over(Stop()) as stop:
        try:
            yield stop
        finally:
            if stop.is_asked:
                stop.take_course()


@contextlib.contextmanager
def _taking_over(stop: Stop) -> Iterator[Stop]:
    if threading.current_thread() is not threading.main_thread():
        yield stop  # signals come to the main thread alone
        return
    stop.take_over()
    try:
        yield stop
    finally:
        stop.hand_back()
