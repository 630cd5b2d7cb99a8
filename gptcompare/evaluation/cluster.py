"""A Dask cluster on this machine that nobody else on it can use, and that leaves this process as it was.

By itself, a scheduler of Dask takes orders, which are programs to run, from everyone who can reach its port, and tells
what it does by HTTP. Here scheduler, workers and client know each other by a certificate that is made for the one
evaluation, and there is no HTTP server. Imported only where Dask is used: it needs `distributed`.
"""

from __future__ import annotations

import logging
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing import active_children
from multiprocessing.util import Finalize
from typing import Any

import dask
from dask.system import CPU_COUNT
from distributed import Nanny, Scheduler, Security, SpecCluster, Worker

NO_PAGES: dict[str, list[str]] = {"distributed.scheduler.http.routes": [], "distributed.worker.http.routes": []}


class _Scheduler(Scheduler):  # type: ignore[misc]  # Dask has no types
    def start_http_server(self, *arguments: Any, **options: Any) -> None:
        """Start none."""


class _Worker(Worker):  # type: ignore[misc]
    def start_http_server(self, *arguments: Any, **options: Any) -> None:
        """Start none."""


@contextmanager
def local_cluster(n_workers: int | None) -> Iterator[Any]:
    """Yield a cluster that runs for the length of a `with` block: by default with a worker for each core.

    No exception may be raised, by a signal's handler, while it starts or closes: Dask has no order for that.

    Raises
    ------
    ImportError
        If the package `cryptography`, which makes the certificate, is missing.
    OSError
        If the workers cannot be started.
    """
    try:
        security = Security.temporary()
    except ImportError:
        raise ImportError(
            'workers that only this process can use need the package cryptography: pip install "gptcompare[dask]"'
        ) from None
    common = {"host": "127.0.0.1", "protocol": "tls://", "security": security, "dashboard": False}
    worker = {
        **common, "nthreads": 1, "memory_limit": 0, "worker_class": _Worker,
        "silence_logs": logging.CRITICAL + 1,  # silences all: what matters is raised as an exception
    }  # fmt: skip
    try:
        with _environment_unchanged(), _deaf_to_signals(), dask.config.set(NO_PAGES):
            cluster = SpecCluster(
                scheduler={"cls": _Scheduler, "options": {**common, "port": 0}},
                workers={n: {"cls": Nanny, "options": worker} for n in range(n_workers or CPU_COUNT)},
                security=security, silence_logs=logging.CRITICAL + 1,
            )  # fmt: skip
    except (RuntimeError, OSError) as error:
        raise OSError(
            f"Dask cannot start workers on this machine ({' '.join(str(error).split())}): they need shared memory "
            "(/dev/shm on Linux) that this user can write to. Without --dask the same work runs on threads"
        ) from None
    with _environment_unchanged(), cluster:
        yield cluster


@contextmanager
def _environment_unchanged() -> Iterator[None]:
    """Take back what Dask sets in this process's environment for the workers that it starts: OMP_NUM_THREADS=1 ..."""
    before = dict(os.environ)
    try:
        yield
    finally:
        for name in {*os.environ} - {*before}:
            del os.environ[name]
        os.environ.update(before)


@contextmanager
def _deaf_to_signals() -> Iterator[None]:
    """Block SIGINT, SIGTERM and SIGHUP: processes started in the `with` block never get those of their whole group.

    They end when this process tells them to, and when it has ended, in whatever way.
    """
    if not hasattr(signal, "pthread_sigmask"):  # Windows
        yield
        return
    from multiprocessing import resource_tracker

    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGHUP})
    try:
        resource_tracker.ensure_running()  # it ignores the others by itself, and unblocks them here when it starts
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _kill_workers() -> None:
    """Kill what Dask could not close: Python would ask it to end by SIGTERM, to which it is deaf, and wait for that."""
    for nanny in [nanny for nanny in Nanny._instances if nanny.is_alive()]:
        nanny.close_gracefully()  # it starts no other worker
    for process in active_children():
        if process.name.startswith("Dask Worker process"):
            process.kill()


Finalize(None, _kill_workers, exitpriority=0)  # called when this process ends, before Python waits for its children
