import contextlib
import os
import subprocess
import sys

import pytest
from tqdm import tqdm

from gptcompare.display.progress import REDRAWN, WRITTEN, progress_bar


@pytest.mark.parametrize(("terminal", "interval"), [(True, REDRAWN), (False, WRITTEN)])
def test_a_terminal_is_redrawn_more_often_than_a_file_is_written_to(monkeypatch, terminal, interval):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: terminal)
    with progress_bar(total=3) as bar:
        assert bar.mininterval == interval


def test_without_a_stream_there_is_no_bar(monkeypatch):
    monkeypatch.setattr(sys, "stderr", None)
    with progress_bar(total=3) as bar:
        bar.update()
        assert bar.disable


def test_the_user_can_do_without_bars():
    """In a process of its own: tqdm looks at the environment when it is imported."""
    code = "from gptcompare.display.progress import progress_bar; progress_bar(total=3).update(3)"
    for variable, shown in (("SOMETHING_ELSE", True), ("TQDM_DISABLE", False)):
        environment = {**os.environ, variable: "1"}
        done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, check=True)
        assert bool(done.stderr) is shown


@pytest.mark.parametrize("step", ["get_lock", "status_printer"])
def test_a_stop_while_a_bar_is_made_is_nothing_but_that(monkeypatch, step):
    """tqdm's __del__ needs what its __init__ has not set by then, and Python would tell so."""

    def stop(*_, **__):
        raise KeyboardInterrupt

    told = []
    monkeypatch.setattr(sys, "unraisablehook", told.append)
    monkeypatch.setattr(tqdm, step, stop)
    with contextlib.suppress(KeyboardInterrupt):  # pytest.raises would keep the bar
        progress_bar(total=3)
    assert told == []
