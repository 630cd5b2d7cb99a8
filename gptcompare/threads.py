"""Work on several threads at once, each with its matrix products to itself.

NumPy's BLAS spreads a single product over the cores. For many tokens it is faster to give every core products of its
own: what lies between the products is then spread as well, and no core waits for the others after each of them.
"""

from __future__ import annotations

import contextvars
import ctypes
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Generic, TypeVar

from numpy.linalg import _umath_linalg

Item = TypeVar("Item")


def in_parallel(
    work: Callable[[Item], None], items: Sequence[Item], on_failure: Callable[[], None] = lambda: None
) -> None:
    """`work(item)` for every item, begun in their order, on as many threads as one of NumPy's products would use.

    One item alone is worked on as without this function, its products on all threads. After an exception no other item
    is begun, `on_failure` is called, and the exception comes out when what had begun has ended.
    """
    if len(items) < 2:
        for item in items:
            work(item)
        return
    team = _Team(work, items, on_failure)
    with products_on_one_thread():
        others = [
            threading.Thread(target=contextvars.copy_context().run, args=(team.take_items,))  # the caller's np.errstate
            for _ in range(min(n_threads(), len(items)) - 1)
        ]
        try:
            for thread in others:
                thread.start()
            team.take_items()
        finally:
            for thread in others:
                if thread.ident is not None:  # it was started
                    thread.join()
    if team.errors:
        raise team.errors[0]


class _Team(Generic[Item]):
    """Threads that take items one after the other until none is left or one has failed."""

    NONE_LEFT = object()

    def __init__(self, work: Callable[[Item], None], items: Sequence[Item], on_failure: Callable[[], None]) -> None:
        self._work = work
        self._items = iter(items)
        self._taking = threading.Lock()
        self._on_failure = on_failure
        self.errors: list[BaseException] = []

    def take_items(self) -> None:
        """What each of the threads does."""
        try:
            while (item := self._next()) is not self.NONE_LEFT:
                self._work(item)
        except BaseException as error:
            self.errors.append(error)
            self._on_failure()

    def _next(self) -> Any:
        with self._taking:
            return self.NONE_LEFT if self.errors else next(self._items, self.NONE_LEFT)


class Turn:
    """That of one of several workers who visit the same stations in a row: `with turn:` is a visit to the next one.

    A station is entered when the worker ahead has left it.
    """

    def __init__(self, ahead: Turn | None) -> None:
        self._ahead = ahead
        self._free = threading.Semaphore(0)  # stations that this one has left and the one behind has not entered

    def __enter__(self) -> None:
        if self._ahead is not None:
            self._ahead._free.acquire()

    def __exit__(self, *exception: object) -> None:
        self._free.release()

    def give_up(self, n_stations: int) -> None:
        """The worker behind waits at none of its stations any more."""
        self._free.release(n_stations)


def in_turns(work: Callable[[Item, Turn], None], items: Sequence[Item], n_stations: int) -> None:
    """`in_parallel` for items that pass the same stations in their order: `work(item, turn)` enters each with the turn.

    `n_stations` is how many there are. What fails lets the others pass, so that all come to an end.
    """
    turns: list[Turn] = []
    for _ in items:
        turns.append(Turn(turns[-1] if turns else None))

    def let_all_pass() -> None:
        for turn in turns:
            turn.give_up(n_stations)

    in_parallel(lambda both: work(*both), list(zip(items, turns, strict=True)), let_all_pass)


def shares(n: int, n_shares: int) -> list[slice]:
    """range(n) in so many slices, or in fewer, of the same length; the last one may be shorter."""
    step = max(1, -(-n // n_shares))
    return [slice(start, min(start + step, n)) for start in range(0, n, step)]


class _Blas:
    """The number of threads that NumPy's BLAS uses for a product, where it can be found out and changed.

    That is OpenBLAS with threads of its own: in NumPy's wheels for Linux and macOS, in most distributions. It is not
    found where the libraries that a library is linked to cannot be searched (Windows), and with other BLAS libraries.
    """

    # NumPy's wheels rename what OpenBLAS calls openblas_get_num_threads.
    NAMES = ("scipy_openblas_{}64_", "openblas_{}64_", "openblas_{}")
    CALLS = ("get_num_threads", "set_num_threads", "get_parallel")
    OPENMP = 2  # what get_parallel says if the threads are OpenMP's, of which every thread has a number of its own

    def __init__(self) -> None:
        self.get, self.set = self._functions()
        self.lock = threading.Lock()
        self.inside: set[object] = set()  # one for each who wants the products on one thread
        self.n_threads = int(self.get())  # without them

    def _functions(self) -> tuple[Callable[[], int], Callable[[int], object]]:
        try:
            library: Any = ctypes.CDLL(_umath_linalg.__file__)
        except OSError:  # it is part of the program
            library = None
        for name in self.NAMES:
            calls: list[Any] = [getattr(library, name.format(call), None) for call in self.CALLS]
            if all(calls) and calls[2]() != self.OPENMP:
                return calls[0], calls[1]
        return lambda: 1, lambda n: None

    def restart(self) -> None:
        """In a forked process, where nobody is inside any more, and the lock may have been held."""
        self.lock = threading.Lock()
        self.inside.clear()
        self.set(self.n_threads)


_blas = _Blas()
_is_alone = contextvars.ContextVar("_is_alone", default=False)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=lambda: _blas.restart())


def n_threads() -> int:
    """How many threads a product uses, or would use were it not for `products_on_one_thread`; 1 if it is not known.

    It is 1 for who is `alone`, too.
    """
    if _is_alone.get():
        return 1
    return _blas.n_threads if _blas.inside else int(_blas.get())


@contextmanager
def alone() -> Iterator[None]:
    """Everything that the block computes is computed on the thread that runs it, and nothing is shared out.

    What is computed so is the same to the last bit however many threads there are, and whatever others do; but a
    BLAS library whose number of threads cannot be set (`_Blas`) goes on sharing products out.
    """
    token = _is_alone.set(True)
    try:
        with products_on_one_thread():
            yield
    finally:
        _is_alone.reset(token)


@contextmanager
def products_on_one_thread() -> Iterator[int]:
    """Every product on the thread that asks for it; gives how many threads would have shared one.

    The setting is that of the BLAS library and so of the whole process; the last to leave restores it.
    """
    me = object()
    try:
        with _blas.lock:
            if not _blas.inside:
                _blas.n_threads = int(_blas.get())
            _blas.inside.add(me)
            _blas.set(1)
        yield _blas.n_threads
    finally:
        with _blas.lock:
            _blas.inside.discard(me)
            if not _blas.inside:
                _blas.set(_blas.n_threads)
