"""Work on several threads at once, each of which computes its own matrix products.

NumPy's BLAS spreads a single product over the cores. For many tokens it is faster to give each core products of its
own: the work between the products is then spread as well, and no core waits for the others after each product.
"""

from __future__ import annotations

import contextvars
import ctypes
import importlib
import os
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from queue import SimpleQueue
from typing import Any, Generic, TypeAlias, TypeVar

Item = TypeVar("Item")
Map: TypeAlias = Callable[..., Iterable[Any]]  # called as Python's own `map`


def in_parallel(
    work: Callable[[Item], None], items: Sequence[Item], on_failure: Callable[[], None] = lambda: None
) -> None:
    """Call `work(item)` for every item, started in order, on as many threads as one of NumPy's products would use.

    A single item is worked on by the calling thread, with its products on all threads. Where the system starts fewer
    threads, or none, as in a browser, those that run do the work. After an exception no further item is started,
    `on_failure` is called, and the exception is raised once the items in progress have ended.
    """
    if len(items) < 2:
        for item in items:
            work(item)
        return
    queue = _WorkQueue(work, items, on_failure)
    with products_on_one_thread():
        try:
            _waiting_threads.offer(queue.help, min(n_threads(), len(items)) - 1)
            queue.take_items()
        finally:
            queue.wait_for_helpers()
    if queue.errors:
        raise queue.errors[0]


class _WaitingThreads:
    """Threads that are started once and then wait for work: to wake one takes less time than to start one."""

    def __init__(self) -> None:
        self.restart()

    def restart(self) -> None:
        """Start anew: a forked process has none of its parent's threads."""
        self._jobs: SimpleQueue[Callable[[], None]] = SimpleQueue()
        self._starting = threading.Lock()
        self._n_started = 0

    def offer(self, job: Callable[[], None], n: int) -> None:
        """Have up to `n` threads call `job()` in the caller's context (np.errstate), each as soon as it is free."""
        with self._starting:
            while self._n_started < n and _started(threading.Thread(target=self._take_jobs, daemon=True)):
                self._n_started += 1
        for _ in range(min(n, self._n_started)):
            self._jobs.put(partial(contextvars.copy_context().run, job))

    def _take_jobs(self) -> None:
        while True:
            self._jobs.get()()


_waiting_threads = _WaitingThreads()


def _started(thread: threading.Thread) -> bool:
    """Start a thread, and say whether the system has done so: WebAssembly has no threads, and a full system no more."""
    try:
        thread.start()
    except RuntimeError:  # "can't start new thread"
        return False
    return True


@contextmanager
def map_on_threads(n: int) -> Iterator[Map]:
    """Yield, for a `with` block, a `map` that makes its calls on `n` threads, and gives their results in order.

    For one thread, and where none can be started, it is Python's own `map`, on the calling thread.
    """
    trial = threading.Thread(target=int)
    if n == 1 or not _started(trial):
        yield map
        return
    trial.join()
    from concurrent.futures import ThreadPoolExecutor  # imported here: a program that trains nothing does not need it

    with ThreadPoolExecutor(n) as pool:
        yield pool.map


class _WorkQueue(Generic[Item]):
    """A queue from which threads take items one by one until none is left or one has failed.

    Nobody waits for a helper that has not come yet: on a busy machine the calling thread does most of the work.
    """

    NONE_LEFT = object()

    def __init__(self, work: Callable[[Item], None], items: Sequence[Item], on_failure: Callable[[], None]) -> None:
        self._work = work
        self._items = iter(items)
        self._taking = threading.Condition(threading.Lock())
        self._n_helpers = 0  # threads besides the caller's that are taking items
        self._is_over = False
        self._on_failure = on_failure
        self.errors: list[BaseException] = []

    def help(self) -> None:
        """Take items on another thread than the caller's, unless it is too late."""
        with self._taking:
            if self._is_over:
                return
            self._n_helpers += 1
        self.take_items()
        with self._taking:
            self._n_helpers -= 1
            self._taking.notify()

    def take_items(self) -> None:
        """Take items and work on them: the loop that each thread runs."""
        try:
            while (item := self._next()) is not self.NONE_LEFT:
                self._work(item)
        except BaseException as error:
            self.errors.append(error)
            self._on_failure()

    def wait_for_helpers(self) -> None:
        """Wait until the items in progress have ended, and let no helper begin."""
        with self._taking:
            self._is_over = True
            self._taking.wait_for(lambda: not self._n_helpers)

    def _next(self) -> Any:
        with self._taking:
            return self.NONE_LEFT if self.errors else next(self._items, self.NONE_LEFT)


class LayerOrder:
    """Keeps chunks in order: each enters a layer, by `with order:`, after the one ahead of it has left that layer."""

    def __init__(self, ahead: LayerOrder | None) -> None:
        self._ahead = ahead
        self._free = threading.Semaphore(0)  # layers that this chunk has left and the next one has not entered

    def __enter__(self) -> None:
        if self._ahead is not None:
            self._ahead._free.acquire()

    def __exit__(self, *exception: object) -> None:
        self._free.release()

    def release(self, n_layers: int) -> None:
        """Stop making the next chunk wait, at any layer."""
        self._free.release(n_layers)


def in_layer_order(work: Callable[[Item, LayerOrder], None], chunks: Sequence[Item], n_layers: int) -> None:
    """Call `in_parallel` for chunks that must pass through the same layers in order.

    `work(chunk, order)` enters each of the `n_layers` layers by `with order:`. A chunk that fails lets the others pass,
    so that none waits forever.
    """
    orders: list[LayerOrder] = []
    for _ in chunks:
        orders.append(LayerOrder(orders[-1] if orders else None))

    def release_all() -> None:
        for order in orders:
            order.release(n_layers)

    in_parallel(lambda both: work(*both), list(zip(chunks, orders, strict=True)), release_all)


def in_turn(work: Callable[[Item, LayerOrder], None], chunks: Sequence[Item], n_layers: int) -> None:
    """Do the same for one chunk after the other, so that other processes hear of all in the same order."""
    for chunk in chunks:
        work(chunk, LayerOrder(None))


def shares(n: int, n_shares: int) -> list[slice]:
    """Split range(n) into at most `n_shares` slices of equal length; the last may be shorter.

    >>> shares(7, 3)
    [slice(0, 3, None), slice(3, 6, None), slice(6, 7, None)]
    """
    step = max(1, -(-n // n_shares))
    return [slice(start, min(start + step, n)) for start in range(0, n, step)]


def _linear_algebra_of_numpy() -> Any:
    """Return a library linked to NumPy's BLAS, through which the BLAS's functions can be found, or None.

    The module is private to NumPy. If a release renames it, products stay as fast, but their threads are left to NumPy.
    """
    try:
        module = importlib.import_module("numpy.linalg._umath_linalg")
        return ctypes.CDLL(module.__file__)
    except (ImportError, OSError, TypeError, AttributeError):  # missing, or built into the program: without a file
        return None


def _unknown() -> int:
    return 1


class _Blas:
    """What NumPy's BLAS tells of itself, and the number of threads that it uses for a product, which can be set.

    That is the case for OpenBLAS with its own threads: in NumPy's wheels for Linux and macOS, and in most
    distributions. It is not for other BLAS libraries, or where linked libraries cannot be searched (Windows).
    """

    # In NumPy's wheels, OpenBLAS's function openblas_get_num_threads has another name.
    NAMES = ("scipy_openblas_{}64_", "openblas_{}64_", "openblas_{}")
    CALLS = ("get_num_threads", "set_num_threads", "get_parallel", "get_corename")
    OPENMP = 2  # get_parallel's answer for OpenMP, where every thread has its own number of threads

    def __init__(self) -> None:
        self.get, self.set, self.kernels = self._functions()
        self.lock = threading.Lock()
        self.holders: set[object] = set()  # one for each caller that wants products on one thread
        self.n_threads = int(self.get())  # when there are no holders

    @property
    def can_be_set(self) -> bool:
        """Whether the number of threads can be read and set."""
        return self.get is not _unknown

    def _functions(self) -> tuple[Callable[[], int], Callable[[int], object], str]:
        library = _linear_algebra_of_numpy()
        for name in self.NAMES:
            calls: list[Any] = [getattr(library, name.format(call), None) for call in self.CALLS]
            if all(calls) and calls[2]() != self.OPENMP:
                calls[3].restype = ctypes.c_char_p
                return calls[0], calls[1], calls[3]().decode()
        return _unknown, lambda n: None, ""

    def restart(self) -> None:
        """Start anew in a forked process, which has no holders, and whose lock may have been held."""
        self.lock = threading.Lock()
        if self.holders:  # without them, the BLAS has a number that others may have set since
            self.holders.clear()
            self.set(self.n_threads)


_blas = _Blas()
_is_single_threaded = contextvars.ContextVar("_is_single_threaded", default=False)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=lambda: _blas.restart())
    os.register_at_fork(after_in_child=lambda: _waiting_threads.restart())


def n_threads() -> int:
    """Return how many threads a product uses, or would without `products_on_one_thread`; 1 if unknown or forbidden."""
    if _is_single_threaded.get():
        return 1
    return _blas.n_threads if _blas.holders else int(_blas.get())


def kernels() -> str:
    """Return the kind of processor for which the BLAS computes, in OpenBLAS's words; "" if that is unknown."""
    return _blas.kernels


def n_threads_if_known() -> int | None:
    """Return `n_threads`, or None if this library can neither read nor set it."""
    return n_threads() if _blas.can_be_set else None


@contextmanager
def products_on(n: int) -> Iterator[None]:
    """Compute each product on `n` threads in a `with` block, where that number can be set.

    The number decides in which order a product's terms are added, and so its last bits. The setting belongs to the
    whole process. Inside, `products_on_one_thread` holds for its own block.
    """
    before = _set_threads(n)
    try:
        yield
    finally:
        _set_threads(before)


def _set_threads(n: int) -> int:
    """Set the number of threads that products use when there are no holders; return the one of before."""
    with _blas.lock:
        before = _blas.n_threads if _blas.holders else int(_blas.get())
        _blas.n_threads = n
        if not _blas.holders:
            _blas.set(n)
    return before


@contextmanager
def single_threaded() -> Iterator[None]:
    """Compute everything in the `with` block on the thread that runs it.

    The results are the same to the last bit however many threads there are, and whatever else runs. A BLAS library
    whose number of threads cannot be set (`_Blas`) still spreads its products over threads, however.
    """
    token = _is_single_threaded.set(True)
    try:
        with products_on_one_thread():
            yield
    finally:
        _is_single_threaded.reset(token)


@contextmanager
def products_on_one_thread() -> Iterator[int]:
    """Compute each product on the thread that calls it; yield how many threads would otherwise have shared it.

    The setting belongs to the BLAS library and so to the whole process; the last block to end restores it.
    """
    holder = object()
    try:
        with _blas.lock:
            if not _blas.holders:
                _blas.n_threads = int(_blas.get())
            _blas.holders.add(holder)
            _blas.set(1)
        yield _blas.n_threads
    finally:
        with _blas.lock:
            _blas.holders.discard(holder)
            if not _blas.holders:
                _blas.set(_blas.n_threads)
