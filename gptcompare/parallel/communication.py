"""What ranks say to each other while they compute: sums, and parts that are put together.

Each rank gets the parts of all and adds them itself, in the order of the ranks. So every sum is the same on all ranks
to the last bit, whatever order an MPI library prefers, and all ranks choose the same token and take the same turn.
"""

from __future__ import annotations

import math
import time
import zlib
from collections.abc import Sequence
from typing import Any, TypeAlias, TypeVar

import numpy as np
import numpy.typing as npt

from ..arrays import AnyArray, Array, Ids
from ..sixteen_bits import widened
from .cut import WHOLE, Share, evenly

Value = TypeVar("Value")
Number = TypeVar("Number", bound=np.generic)

# Bytes that must be saved for a second call to pay: what 10 Gbit/s move in the latency of one, 25 us.
SAVED = 2**15


def in_slices(n: int, n_bytes: int) -> bool:
    """Return whether n ranks add up an array of so many bytes in slices, of which each adds one.

    Then 2 (n - 1)/n of it travel to each rank, in two calls; otherwise all of each other rank, n - 1 of it, in one.
    """
    return (n - 1) * (n - 2) * n_bytes >= n * SAVED


class Alone:
    """The only rank: it holds the whole model, and there is nothing to say."""

    share = WHOLE
    title = ""

    def looked_up(self, table: AnyArray, ids: Ids, n_rows: int) -> Array:
        """Return the rows of a table, (..., D), of whose `n_rows` rows each rank has its part."""
        return widened(table[ids])

    def sum(self, x: Array) -> Array:
        """Return the sum over all ranks of an array that each has."""
        return x

    def joined_columns(self, x: Array, n_columns: int) -> Array:
        """Return an array, (..., n_columns), of which each rank has some columns."""
        return x

    def gathered(self, x: Array) -> list[Array]:
        """Return the arrays of all ranks, which may differ in shape, by rank."""
        return [x]

    def broadcast(self, value: Value) -> Value:
        """Return rank 0's value, on every rank."""
        return value

    def check_same(self, ids: Ids) -> None:
        """Raise ValueError, on all ranks, if not all are about to read the same ids."""


ALONE = Alone()


class Communicator:
    """The ranks of an MPI program, as one of them sees them: the same calls in the same order on each.

    Parameters
    ----------
    comm : mpi4py.MPI.Intracomm
        Or what has its methods.

    Attributes
    ----------
    share : Share
        The number of this rank, and of all.
    title : str
        What a message begins with.
    n_bytes : int
        That this rank has received of others, or rank 0 has given to all.
    n_calls : int
    seconds : float
        In communication, waiting for slower ranks included.
    """

    def __init__(self, comm: Any) -> None:
        self.comm = comm
        self.share = Share(comm.Get_rank(), comm.Get_size())
        self.title = f"rank {self.share.rank} of {self.share.n}: "
        self.n_bytes = self.n_calls = 0
        self.seconds = 0.0

    def __repr__(self) -> str:
        return f"<Communicator: rank {self.share.rank} of {self.share.n}>"

    def looked_up(self, table: AnyArray, ids: Ids, n_rows: int) -> Array:
        """Return the rows of a table, (..., D), of whose `n_rows` rows each rank has its part: the others add zeros."""
        first = evenly(n_rows, self.share.n)[self.share.rank]
        own = (first <= ids) & (ids < first + len(table))
        rows = widened(table[np.where(own, ids - first, 0)])
        rows[~own] = 0
        return self.sum(rows)

    def sum(self, x: Array) -> Array:
        """Return the sum over all ranks of an array that each has, added in the order of the ranks."""
        flat = np.ascontiguousarray(x).reshape(-1)
        total = self._sum_in_slices(flat) if in_slices(self.share.n, flat.nbytes) else _added(self._all(flat))
        return total.reshape(x.shape)

    def _sum_in_slices(self, x: Array) -> Array:
        """Add up one slice on each rank, and put the slices together."""
        n, rank = self.share.n, self.share.rank
        ends = evenly(len(x), n)
        sizes = np.diff(ends).tolist()
        parts = np.empty((n, sizes[rank]), x.dtype)
        total = np.empty_like(x)
        start = time.perf_counter()
        self.comm.Alltoallv([x, (sizes, ends[:-1])], [parts, ([sizes[rank]] * n, [sizes[rank] * r for r in range(n)])])
        self._count(start, parts.nbytes - parts[rank].nbytes)
        start = time.perf_counter()
        self.comm.Allgatherv(_added(parts), [total, (sizes, ends[:-1])])
        self._count(start, total.nbytes - sizes[rank] * total.itemsize)
        return total

    def joined_columns(self, x: Array, n_columns: int) -> Array:
        """Return an array, (..., n_columns), of which each rank has some columns."""
        widths = np.diff(evenly(n_columns, self.share.n)).tolist()
        return np.concatenate(self._parts(x, [(*x.shape[:-1], width) for width in widths]), axis=-1)

    def gathered(self, x: Array) -> list[Array]:
        """Return the arrays of all ranks, which may differ in shape, by rank."""
        return self._parts(x, self._all(np.array(x.shape, np.intp)).tolist())

    def _parts(self, x: Array, shapes: Sequence[Sequence[int]]) -> list[Array]:
        """Return the arrays of all ranks, whose shapes are known."""
        sizes = [math.prod(shape) for shape in shapes]
        firsts = [sum(sizes[:rank]) for rank in range(len(sizes))]
        joined = np.empty(sum(sizes), x.dtype)
        start = time.perf_counter()
        self.comm.Allgatherv(np.ascontiguousarray(x).reshape(-1), [joined, (sizes, firsts)])
        self._count(start, joined.nbytes - x.nbytes)
        return [
            joined[first : first + size].reshape(shape)
            for first, size, shape in zip(firsts, sizes, shapes, strict=True)
        ]

    def check_same(self, ids: Ids) -> None:
        """Raise ValueError, on all ranks, if not all are about to read the same ids."""
        content = np.array([ids.size, zlib.crc32(np.ascontiguousarray(ids).data)], np.int64)
        said = self._all(content)
        if (said != said[0]).any():
            raise ValueError(
                "the ranks are about to read different tokens: all must make the same calls with the same texts"
            )

    def broadcast(self, value: Value) -> Value:
        """Return rank 0's value, on every rank."""
        start = time.perf_counter()
        value = self.comm.bcast(value, root=0)
        self._count(start, 0)
        return value

    def send(self, array: Array, rank: int) -> None:
        """Give an array, which is contiguous, to a rank that receives one like it."""
        start = time.perf_counter()
        self.comm.Send(array, dest=rank)
        self._count(start, 0)

    def receive(self, array: Array, rank: int) -> None:
        """Fill an array with what a rank sends."""
        start = time.perf_counter()
        self.comm.Recv(array, source=rank)
        self._count(start, array.nbytes)

    def fill(self, array: Array) -> None:
        """Fill an array, on every rank, with rank 0's."""
        start = time.perf_counter()
        self.comm.Bcast(array, root=0)
        self._count(start, array.nbytes)

    def _all(self, x: npt.NDArray[Number]) -> npt.NDArray[Number]:
        """Return the arrays of all ranks, (n, ...), which have one shape."""
        parts = np.empty((self.share.n, *x.shape), x.dtype)
        start = time.perf_counter()
        self.comm.Allgather(x, parts)
        self._count(start, parts.nbytes - x.nbytes)
        return parts

    def _count(self, start: float, n_bytes: int) -> None:
        self.seconds += time.perf_counter() - start
        self.n_calls += 1
        self.n_bytes += n_bytes


Ranks: TypeAlias = "Alone | Communicator"


def _added(parts: Array) -> Array:
    """Return the sum of (n, ...) over its first axis, added in that order."""
    total: Array = parts[0] + parts[1] if len(parts) > 1 else parts[0]
    for part in parts[2:]:
        total += part
    return total


def communicator_of(given: Any) -> Ranks:
    """Return the communicator of an mpi4py communicator, of one of ours, or of None, which is one rank alone.

    Raises
    ------
    TypeError
        If it is none of these.
    """
    if given is None:
        return ALONE
    if isinstance(given, (Alone, Communicator)):
        return given
    if not hasattr(given, "Allgatherv"):
        raise TypeError(f"parallel must be a communicator of mpi4py, such as MPI.COMM_WORLD, got {given!r}")
    return Communicator(given) if given.Get_size() > 1 else ALONE
