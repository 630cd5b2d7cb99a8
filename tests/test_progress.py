import sys

import pytest

from gptcompare.progress import REDRAWN, WRITTEN, progress_bar


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
