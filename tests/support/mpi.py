"""The command and programs on real ranks, started by mpiexec, where MPI is installed."""

import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

HERE = str(Path(__file__).parents[1])
MPIEXEC = shutil.which("mpiexec", path=os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")]))
# CI installs MPI with the extra `reference`.
needs_mpi = [
    pytest.mark.reference,
    pytest.mark.skipif(
        importlib.util.find_spec("mpi4py") is None or MPIEXEC is None,
        reason="needs mpi4py and mpiexec, of the extras `mpi` and `reference`",
    ),
]


def start(n, *program, **options):
    """Start Python on n ranks, each with products on one thread, since they may be more than the cores."""
    path = os.pathsep.join([HERE, str(Path(HERE).parent), os.environ.get("PYTHONPATH", "")])
    environment = {**os.environ, "PYTHONPATH": path, "OPENBLAS_NUM_THREADS": "1", **options.pop("env", {})}
    pipes = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen(
        [MPIEXEC, "-n", str(n), sys.executable, *program], env=environment, **{**pipes, **options}
    )  # fmt: skip


def run(n, *program, given=None, **options):
    """Run Python on n ranks to its end; return its status and what it has written, to standard output and error."""
    stdin = {} if given is None else {"stdin": subprocess.PIPE}
    process = start(n, *program, **stdin, **options)
    out, err = process.communicate(given, timeout=240)
    return process.returncode, out, err


def command(n, *arguments, **options):
    """Run the command on n ranks."""
    return run(n, "-m", "gptcompare", *arguments, **options)
