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
from typing import Any, Generic, TypeAlias, TypeVar

import numpy as np

from ..arrays import Array

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
        others = [
            threading.Thread(
                target=contextvars.copy_context().run, args=(queue.take_items,)
            )  # the caller's np.errstate
            for _ in range(min(n_threads(), len(items)) - 1)
        ]
        try:
            for thread in others:
                if not _started(thread):
                    break
            queue.take_items()
        finally:
            for thread in others:
                if thread.ident is not None:  # it has been started
                    thread.join()
    if queue.errors:
        raise queue.errors[0]


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
    """A queue from which threads take items one by one until none is left or one has failed."""

    NONE_LEFT = object()

    def __init__(self, work: Callable[[Item], None], items: Sequence[Item], on_failure: Callable[[], None]) -> None:
        self._work = work
        self._items = iter(items)
        self._taking = threading.Lock()
        self._on_failure = on_failure
        self.errors: list[BaseException] = []

    def take_items(self) -> None:
        """Take items and work on them: the loop that each thread runs."""
        try:
            while (item := self._next()) is not self.NONE_LEFT:
                self._work(item)
        except BaseException as error:
            self.errors.append(error)
            self._on_failure()

    def _next(self) -> Any:
        with self._taking:
            return self.NONE_LEFT if self.errors else next(self._items, self.NONE_LEFT)


class LayerOrder:
    """Keeps chunks in order: a chunk enters a layer after the chunk ahead of it has left that layer.

    Use `with order:` once for each layer, from the first to the last.
    """

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
    """Do the same as `in_layer_order` for one chunk after the other, each with its products on all threads.

    What is said to other processes is then said in the same order by all of them.
    """
    for chunk in chunks:
        work(chunk, LayerOrder(None))


def shares(n: int, n_shares: int) -> list[slice]:
    """Split range(n) into at most `n_shares` slices of equal length; the last may be shorter.

    >>> shares(7, 3)
    [slice(0, 3, None), slice(3, 6, None), slice(6, 7, None)]
    """
    step = max(1, -(-n // n_shares))
    return [slice(start, min(start + step, n)) for start in range(0, n, step)]


def product_in_shares(x: Array, weight: Array) -> Array:
    """Return x @ weight for many vectors and a wide matrix, whose columns are shared among the threads.

    (..., d_in) -> (..., d_out), weight (d_in, d_out).
    """
    vectors = x.reshape(-1, x.shape[-1])
    y: Array = np.empty((len(vectors), weight.shape[1]), x.dtype)

    def multiply(columns: slice) -> None:
        np.matmul(vectors, weight[:, columns], out=y[:, columns])

    in_parallel(multiply, shares(weight.shape[1], n_threads()))
    return y.reshape(*x.shape[:-1], -1)


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
    """The number of threads that NumPy's BLAS uses for a product, where it can be read and set.

    That is the case for OpenBLAS with its own threads: in NumPy's wheels for Linux and macOS, and in most
    distributions. It is not for other BLAS libraries, or where linked libraries cannot be searched (Windows).
    """

    # In NumPy's wheels, OpenBLAS's function openblas_get_num_threads has another name.
    NAMES = ("scipy_openblas_{}64_", "openblas_{}64_", "openblas_{}")
    CALLS = ("get_num_threads", "set_num_threads", "get_parallel")
    OPENMP = 2  # get_parallel's answer for OpenMP, where every thread has its own number of threads

    def __init__(self) -> None:
        self.get, self.set = self._functions()
        self.lock = threading.Lock()
        self.holders: set[object] = set()  # one for each caller that wants products on one thread
        self.n_threads = int(self.get())  # when there are no holders

    @property
    def can_be_set(self) -> bool:
        """Whether the number of threads can be read and set."""
        return self.get is not _unknown

    def _functions(self) -> tuple[Callable[[], int], Callable[[int], object]]:
        library = _linear_algebra_of_numpy()
        for name in self.NAMES:
            calls: list[Any] = [getattr(library, name.format(call), None) for call in self.CALLS]
            if all(calls) and calls[2]() != self.OPENMP:
                return calls[0], calls[1]
        return _unknown, lambda n: None

    def restart(self) -> None:
        """Start anew in a forked process, which has no holders, and whose lock may have been held."""
        self.lock = threading.Lock()
        self.holders.clear()
        self.set(self.n_threads)


_blas = _Blas()
_is_single_threaded = contextvars.ContextVar("_is_single_threaded", default=False)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=lambda: _blas.restart())


def n_threads() -> int:
    """Return how many threads a product uses, or would use without `products_on_one_thread`; 1 if that is unknown.

    It is also 1 inside `single_threaded`.
    """
    if _is_single_threaded.get():
        return 1
    return _blas.n_threads if _blas.holders else int(_blas.get())


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
