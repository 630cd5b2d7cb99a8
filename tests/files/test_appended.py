import os

import pytest

from gptcompare.files import appended
from gptcompare.files.appended import SYNC_EVERY, AppendedFile


@pytest.fixture
def synced(monkeypatch):
    """How often a file has been synced."""
    found = []
    monkeypatch.setattr(os, "fsync", found.append)
    return found


def test_lines_are_behind_those_that_were_there_and_in_the_file_at_once(tmp_path):
    path = tmp_path / "lines"
    for n in range(2):
        with AppendedFile(path) as file:
            file.write(b"one\n")
            assert path.read_bytes().count(b"\n") == 2 * n + 1
            file.write(b"two\n")
    assert path.read_bytes() == b"one\ntwo\none\ntwo\n"


def test_they_go_to_the_disk_at_the_end_when_asked_and_at_times(tmp_path, synced, monkeypatch):
    now = 100.0
    monkeypatch.setattr(appended.time, "monotonic", lambda: now)
    with AppendedFile(tmp_path / "lines") as file:
        for _ in range(100):
            file.write(b"line\n")
        assert len(synced) == 0
        now += SYNC_EVERY
        for _ in range(100):
            file.write(b"line\n")
        assert len(synced) == 1
        file.sync()
        assert len(synced) == 2
    assert len(synced) == 3


def test_a_stop_syncs_and_a_failure_is_the_first_one(tmp_path, synced, monkeypatch):
    with pytest.raises(KeyboardInterrupt), AppendedFile(tmp_path / "lines"):
        raise KeyboardInterrupt
    assert len(synced) == 1
    with pytest.raises(OSError, match="the first"), AppendedFile(tmp_path / "lines"):
        raise OSError("the first")
    assert len(synced) == 1


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
def test_a_full_disk_is_an_error_that_names_the_file(tmp_path, monkeypatch):
    (tmp_path / "lines").symlink_to("/dev/full")
    with (
        pytest.raises(OSError, match=r"No space left on device: '.*lines'"),
        AppendedFile(tmp_path / "lines") as file,
    ):
        file.write(b"line\n")
