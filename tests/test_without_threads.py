"""All of it works where no thread can be started, as in a browser, and without what else is missing there."""

import difflib
import subprocess
import sys
import threading
from functools import lru_cache
from pathlib import Path

import numpy as np
import pytest

from gptcompare.display.progress import progress_bar
from gptcompare.files.lock import locked
from gptcompare.model.threads import _WaitingThreads, in_parallel, map_on_threads

EVERYTHING = Path(__file__).parent / "support" / "webassembly" / "everything.py"

# What WebAssembly's Pythons lack, of one kind or another: all of it is taken away here.
AS_IN_A_BROWSER = """
import mmap, os, subprocess, sys, threading

def no_thread(self):
    raise RuntimeError("can't start new thread")

class NoMap:
    def __new__(cls, *_, **__):
        raise OSError("mmap is unavailable")

def no_process(*_, **__):
    raise OSError("processes are not supported")

import numpy.linalg._umath_linalg as built_in
del built_in.__file__
threading.Thread.start = no_thread
mmap.mmap = NoMap
subprocess.run = subprocess.Popen = no_process
for missing in ("fcntl", "ssl", "_ssl", "requests", "urllib3", "multiprocessing", "_multiprocessing"):
    sys.modules[missing] = None
"""
RUN = "import runpy, sys; runpy.run_path(sys.argv[1], run_name='__main__')"


@lru_cache
def printed(code):
    """What the script prints, without a warning, as one line for each thing it does."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code, EVERYTHING], capture_output=True, text=True, encoding="utf-8"
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_all_is_the_same_without_threads_file_locks_memory_maps_processes_and_a_network():
    ours, browsers = printed(RUN), printed(AS_IN_A_BROWSER + RUN)
    assert not list(difflib.unified_diff(ours[:-1], browsers[:-1], "as ever", "as in a browser", lineterm=""))
    assert len(ours) > 12


def test_nothing_that_downloads_or_starts_processes_is_imported_before_it_is_needed():
    assert printed(RUN)[-1] == "not imported: requests ssl multiprocessing urllib3"


@pytest.fixture
def no_more_threads(monkeypatch):
    def fails(_):
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr("gptcompare.model.threads._waiting_threads", _WaitingThreads())
    monkeypatch.setattr(threading.Thread, "start", fails)


@pytest.mark.usefixtures("no_more_threads")
class TestWithoutThreads:
    def test_the_calling_thread_does_all_the_work_in_order(self):
        done = []
        in_parallel(lambda item: done.append((item, threading.get_ident())), range(5))
        assert done == [(item, threading.get_ident()) for item in range(5)]

    def test_a_map_on_threads_is_pythons_own(self):
        with map_on_threads(4) as made:
            assert made is map

    def test_a_progress_bar_warns_of_nothing(self):
        with progress_bar(total=2) as bar:
            bar.update(2)
            assert bar.n == 2


def test_a_map_on_one_thread_starts_none(monkeypatch):
    monkeypatch.setattr(threading.Thread, "start", None)
    with map_on_threads(1) as made:
        assert made is map


def test_a_map_on_threads_gives_results_in_order_and_works_at_the_same_time():
    meeting = threading.Barrier(3, timeout=60)
    with map_on_threads(3) as made:
        assert list(made(lambda a, b: (meeting.wait(), a - b)[1], [5, 6, 7], [1, 2, 3])) == [4, 4, 4]


def test_those_threads_that_start_do_the_work(monkeypatch):
    start, started = threading.Thread.start, []

    def fails_from_the_second_on(thread):
        if started:
            raise RuntimeError("can't start new thread")
        started.append(thread)
        start(thread)

    monkeypatch.setattr("gptcompare.model.threads.n_threads", lambda: 4)
    monkeypatch.setattr("gptcompare.model.threads._waiting_threads", _WaitingThreads())
    monkeypatch.setattr(threading.Thread, "start", fails_from_the_second_on)
    done, meeting = np.zeros(100, int), threading.Barrier(2, timeout=60)
    in_parallel(lambda item: (item < 2 and meeting.wait(), done.__setitem__(item, done[item] + 1)), range(100))
    assert (done == 1).all()
    assert len(started) == 1


def test_a_progress_bar_starts_no_thread():
    before = threading.active_count()
    with progress_bar(total=2) as bar:
        bar.update()
        assert threading.active_count() == before


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has locks of its own")
def test_without_file_locks_nobody_waits(monkeypatch, tmp_path):
    monkeypatch.setattr("gptcompare.files.lock.fcntl", None)
    with locked(tmp_path / "lock", on_wait=pytest.fail), locked(tmp_path / "lock", on_wait=pytest.fail):
        assert (tmp_path / "lock").exists()
