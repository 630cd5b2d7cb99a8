"""One command on all ranks of an MPI program: rank 0 reads, speaks and is interrupted for all; one failure ends all.

Every rank runs the whole command. What only one of several may do, rank 0 does: the others' output is dropped, their
signals are ignored, and what the user types reaches them from rank 0.
"""

from __future__ import annotations

import contextlib
import io
import os
import signal
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from importlib import import_module
from typing import Any, NoReturn, TextIO

from ..files.stopping import SIGNALS
from .communication import ALONE, Communicator, Ranks
from .watch import watched

# Seconds that another rank than the first lets pass before it says what has failed: what fails on all is said once.
PATIENCE, PATIENCE_OF_EACH = 1.0, 0.2
PASSED_ON = 0.3  # seconds that mpiexec has to pass on what was said: at an abort it drops what it has not read
STANDARD_INPUT = "-"  # among the arguments


def world() -> Any:
    """Return mpi4py's module MPI, which joins this process to the others that mpiexec has started.

    Raises
    ------
    ImportError
        If mpi4py, or an MPI library, is not installed.
    """
    try:
        return import_module("mpi4py.MPI")
    except (ImportError, RuntimeError) as error:  # RuntimeError: it finds no MPI library
        raise ImportError(f'--mpi needs MPI: pip install "gptcompare[mpi]" ({error})') from None


def ranks_here(mpi: Any) -> int:
    """Return how many ranks share this machine, and so its cores."""
    return int(mpi.COMM_WORLD.Split_type(mpi.COMM_TYPE_SHARED).Get_size())


def run_on_ranks(command: Callable[[Ranks], int], comm: Any, arguments: list[str], n_here: int) -> int:
    """Run a command on this rank, and return its exit status; if it is not 0, end all ranks with it.

    Parameters
    ----------
    command : function of the communicator
        Returns its exit status, and has then said on standard error, in its last line, what is wrong.
    comm : mpi4py.MPI.Intracomm
    arguments : list of str
        If "-" is among them, all ranks read what standard input has on rank 0.
    n_here : int
        As many ranks share this machine.
    """
    if comm.Get_size() == 1:
        return command(ALONE)
    ranks = Communicator(comm)
    errors = sys.stderr
    same_machine = all(n == ranks.share.n for n in comm.allgather(n_here))
    with watched(ranks, same_machine=same_machine), _silent(ranks) as said:
        try:
            if STANDARD_INPUT in arguments:
                _share_standard_input(ranks)
            status = command(ranks)
        except Exception as error:  # a defect of the library, told as Python does
            traceback.print_exc()
            print(f"{ranks.title}{type(error).__name__}: {error}", file=sys.stderr)
            status = 1
        if status == 0:
            return 0
    _end_all(ranks, status, errors, said)


@contextlib.contextmanager
def _silent(ranks: Communicator) -> Iterator[_LastWords]:
    """On every rank but the first, let output vanish and signals do nothing; yield what was said on standard error."""
    said = _LastWords()
    if ranks.share.rank == 0:
        yield said
        return
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    with open(os.devnull, "w") as nowhere, contextlib.redirect_stdout(nowhere), contextlib.redirect_stderr(said):
        yield said


class _LastWords(io.TextIOBase):
    """A stream that remembers the end of what is written to it."""

    LONGEST = 10_000  # characters

    def __init__(self) -> None:
        self.text = ""

    def write(self, text: str) -> int:
        self.text = (self.text + text)[-self.LONGEST :]
        return len(text)


def _share_standard_input(ranks: Communicator) -> None:
    content = sys.stdin.buffer.read() if ranks.share.rank == 0 and sys.stdin is not None else None
    content = ranks.broadcast(content)
    sys.stdin = None if content is None else io.TextIOWrapper(io.BytesIO(content))


def _end_all(ranks: Communicator, status: int, errors: TextIO | None, said: _LastWords) -> NoReturn:
    """End all ranks; another one than the first says why, unless that ends them itself."""
    if ranks.share.rank:
        time.sleep(PATIENCE + PATIENCE_OF_EACH * ranks.share.rank)
        last = said.text.rstrip() if status == 1 else said.text.rstrip().rpartition("\n")[2]
        with contextlib.suppress(OSError, ValueError):
            print(last, file=errors, flush=True)
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError, AttributeError):
            stream.flush()
    time.sleep(PASSED_ON)
    with contextlib.suppress(OSError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # MPI libraries say in words of their own that this was asked for
    ranks.comm.Abort(status)
    raise AssertionError("MPI_Abort has returned")
