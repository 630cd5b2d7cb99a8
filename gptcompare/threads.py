"""Work on several threads at once, each with its matrix products to itself.

NumPy's BLAS spreads a single product over the cores. For many tokens it is faster to give every core products of its
own: what lies between the products is then spread as well, and no core waits for the others after each of them.
"""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, TypeVar

from numpy.linalg import _umath_linalg

Item = TypeVar("Item")


def in_parallel(work: Callable[[Item], None], items: Sequence[Item]) -> None:
    """`work(item)` for every item, begun in their order, on as many threads as one of NumPy's products would use.

    One item alone is worked on as without this function, its products on all threads. An exception is raised when what
    had begun by then has ended; the other items are not begun.
    """
    if len(items) < 2:
        for item in items:
            work(item)
        return
    with products_on_one_thread() as n_threads, ThreadPoolExecutor(n_threads) as pool:
        for _ in pool.map(work, items):
            pass


class Turn:
    """That of one of several workers who visit the same stations in a row: `with turn:` is a visit to the next one.

    A station is entered when the worker ahead has left it.
    """

    def __init__(self, ahead: Turn | None) -> None:
        self._ahead = ahead
        self._left = threading.Semaphore(0)  # stations that this one has left and the one behind has not entered

    def __enter__(self) -> None:
        if self._ahead is not None:
            self._ahead._left.acquire()

    def __exit__(self, *exception: object) -> None:
        self._left.release()

    def give_up(self, n_stations: int) -> None:
        """The worker behind waits at none of its stations any more."""
        self._left.release(n_stations)


def in_turns(work: Callable[[Item, Turn], None], items: Sequence[Item], n_stations: int) -> None:
    """`in_parallel` for items that must pass some stations of the work in their order: `work(item, turn)`."""
    turns: list[Turn] = []
    for _ in items:
        turns.append(Turn(turns[-1] if turns else None))

    def in_turn(worker: tuple[Item, Turn]) -> None:
        item, turn = worker
        try:
            work(item, turn)
        finally:
            turn.give_up(n_stations)  # if it failed, the one behind would wait for ever

    in_parallel(in_turn, list(zip(items, turns, strict=True)))


def shares(n: int, n_shares: int) -> list[slice]:
    """range(n) in so many slices of almost the same length, or in fewer."""
    step = max(1, -(-n // n_shares))
    return [slice(start, min(start + step, n)) for start in range(0, n, step)]


class _Blas:
    """How many threads NumPy's BLAS uses for a product; 1, and not to be changed, where it is not OpenBLAS."""

    # NumPy's wheels rename what OpenBLAS calls openblas_get_num_threads.
    NAMES = ("scipy_openblas_{}_num_threads64_", "openblas_{}_num_threads64_", "openblas_{}_num_threads")

    def __init__(self) -> None:
        library = ctypes.CDLL(_umath_linalg.__file__)  # whose symbols are those of the BLAS that it is linked to
        name = next((name for name in self.NAMES if hasattr(library, name.format("set"))), None)
        self.get_num_threads: Any = getattr(library, name.format("get")) if name else lambda: 1
        self.set_num_threads: Any = getattr(library, name.format("set")) if name else lambda n: None
        self.lock = threading.Lock()
        self.inside = 0
        self.n_threads = 1


_blas = _Blas()


def n_threads() -> int:
    """How many threads a product uses now."""
    return int(_blas.get_num_threads())


@contextmanager
def products_on_one_thread() -> Iterator[int]:
    """Every product on the thread that asks for it; gives how many threads would have shared one before.

    The setting is that of the BLAS library and so of the whole process; the last to leave restores it.
    """
    with _blas.lock:
        if not _blas.inside:
            _blas.n_threads = n_threads()
            _blas.set_num_threads(1)
        _blas.inside += 1
    try:
        yield _blas.n_threads
    finally:
        with _blas.lock:
            _blas.inside -= 1
            if not _blas.inside:
                _blas.set_num_threads(_blas.n_threads)
