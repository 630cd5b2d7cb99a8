"""The command on one rank, which writes down its process first: python rank_program.py PIDS FAULT COMMAND...

FAULT is "none", or what happens to one rank: "RANK:full", whose disk is full when a file is to be written into place,
"RANK:defect", an error that nobody expected, or "RANK:memory", one that users may cause, both before the model is
loaded.
"""

import os
import sys
from pathlib import Path

from mpi4py import MPI

from gptcompare.__main__ import run
from gptcompare.files import atomic_files
from gptcompare.generation import loading
from gptcompare.model import GPT

pids, fault, *arguments = sys.argv[1:]
rank = MPI.COMM_WORLD.Get_rank()
(Path(pids) / f"{rank}.part").write_text(str(os.getpid()))
(Path(pids) / f"{rank}.part").rename(Path(pids) / str(rank))


def failing(error):
    def fail(*arguments, **options):
        raise error

    return fail


if fault.startswith(f"{rank}:"):
    kind = fault.partition(":")[2]
    if kind == "full":
        atomic_files.os.replace = failing(OSError(28, "No space left on device"))
    elif kind == "defect":
        GPT.from_pretrained = failing(ZeroDivisionError("a defect"))
    else:
        loading.GPT.from_pretrained = failing(MemoryError("no memory left"))
sys.argv = ["gptcompare", *arguments]
sys.exit(run())
