"""Ranks that are threads of this process, with the few methods of an mpi4py communicator that the library calls.

They test how a model is cut without MPI; `mpi.py` starts real ones.
"""

from __future__ import annotations

import copy
import queue
import threading
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor

import numpy as np


class _Meeting:
    """Where all ranks leave something, and take what the others left."""

    def __init__(self, n):
        self.n, self.barrier, self.left = n, threading.Barrier(n, timeout=60), {}
        self.sent = defaultdict(queue.Queue)

    def exchanged(self, rank, thing):
        self.left[rank] = thing
        self.barrier.wait()
        taken = [self.left[other] for other in range(self.n)]
        self.barrier.wait()
        return taken


class ThreadComm:
    def __init__(self, rank, meeting):
        self.rank, self.meeting = rank, meeting

    def Get_rank(self):  # noqa: N802  mpi4py's names
        return self.rank

    def Get_size(self):  # noqa: N802
        return self.meeting.n

    def Allgather(self, sent, received):  # noqa: N802
        received[...] = self.meeting.exchanged(self.rank, sent.copy())

    def Allgatherv(self, sent, received):  # noqa: N802
        buffer, (sizes, firsts) = received
        for part, size, first in zip(self.meeting.exchanged(self.rank, sent.copy()), sizes, firsts, strict=True):
            assert part.size == size
            buffer[first : first + size] = part.reshape(-1)

    def Alltoallv(self, sent, received):  # noqa: N802
        values, (sizes, firsts) = sent
        parts = [values[first : first + size].copy() for size, first in zip(sizes, firsts, strict=True)]
        buffer, (wanted, places) = received
        flat = buffer.reshape(-1)
        for of_one, size, place in zip(self.meeting.exchanged(self.rank, parts), wanted, places, strict=True):
            assert of_one[self.rank].size == size
            flat[place : place + size] = of_one[self.rank]

    def Bcast(self, array, root=0):  # noqa: N802
        array[...] = self.meeting.exchanged(self.rank, array.copy())[root]

    def Send(self, array, dest):  # noqa: N802
        self.meeting.sent[self.rank, dest].put(array.copy())

    def Recv(self, array, source):  # noqa: N802
        array[...] = self.meeting.sent[source, self.rank].get(timeout=60)

    def bcast(self, value, root=0):
        return copy.deepcopy(self.meeting.exchanged(self.rank, value)[root])


def on_ranks(n, work):
    """Call `work(comm)` on n ranks, and return what each has returned; the first rank's exception is raised."""
    meeting = _Meeting(n)

    def one(rank):
        try:
            return work(ThreadComm(rank, meeting))
        except BaseException:
            meeting.barrier.abort()
            raise

    with ThreadPoolExecutor(n) as pool:
        futures = [pool.submit(one, rank) for rank in range(n)]
    errors = [future.exception() for future in futures]
    for error in errors:
        if error is not None and not isinstance(error, threading.BrokenBarrierError):
            raise error
    return [future.result() for future in futures]


def assert_all_the_same(arrays):
    for other in arrays[1:]:
        np.testing.assert_array_equal(other, arrays[0])
