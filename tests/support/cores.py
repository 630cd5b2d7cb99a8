"""Shares the cores among the processes in which pytest-xdist runs tests, and what they start.

Two processes whose matrix products use two threads each wait for each other on two cores. Imported before NumPy, which
reads the number once; who has set it keeps it.
"""

import os

if "PYTEST_XDIST_WORKER_COUNT" in os.environ:
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    os.environ.setdefault("OPENBLAS_NUM_THREADS", str(max(1, cores // int(os.environ["PYTEST_XDIST_WORKER_COUNT"]))))
