import errno
import os

import pytest

from gptcompare.files.atomic_files import written_together

NAMES = ["a.json", "b.bin"]


def contents(folder):
    """Name -> bytes of everything in a folder, so that a left-over file is noticed."""
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def write(folder, *texts):
    """Write the texts together; an error among them is raised instead."""
    with written_together(folder, NAMES) as files:
        for file, text in zip(files, texts, strict=True):
            if isinstance(text, BaseException):
                raise text
            file.write(text)


def test_all_files_get_their_names_and_contents(tmp_path):
    write(tmp_path, b"one", b"two")
    assert contents(tmp_path) == {"a.json": b"one", "b.bin": b"two"}


def test_the_folder_is_made_with_those_above_it(tmp_path):
    write(tmp_path / "new" / "folder", b"one", b"two")
    assert contents(tmp_path / "new" / "folder") == {"a.json": b"one", "b.bin": b"two"}


def test_files_that_were_there_are_replaced_and_others_kept(tmp_path):
    (tmp_path / "a.json").write_bytes(b"a longer text from before")
    (tmp_path / "other").write_bytes(b"kept")
    write(tmp_path, b"one", b"two")
    assert contents(tmp_path) == {"a.json": b"one", "b.bin": b"two", "other": b"kept"}


def test_no_file_has_its_new_contents_before_the_block_ends(tmp_path):
    write(tmp_path, b"old", b"old")
    with written_together(tmp_path, NAMES) as files:
        for file in files:
            file.write(b"new")
            file.flush()
        assert [(tmp_path / name).read_bytes() for name in NAMES] == [b"old", b"old"]


@pytest.mark.parametrize("error", [OSError(errno.ENOSPC, "No space left on device"), KeyboardInterrupt()])
def test_an_error_in_the_block_leaves_the_folder_as_it_was(tmp_path, error):
    write(tmp_path, b"old one", b"old two")
    before = contents(tmp_path)
    with pytest.raises(type(error)):
        write(tmp_path, b"new one", error)
    assert contents(tmp_path) == before


def test_a_disk_that_is_full_when_the_files_are_flushed_leaves_the_folder_as_it_was(tmp_path, monkeypatch):
    write(tmp_path, b"old one", b"old two")
    before = contents(tmp_path)

    def full(descriptor):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        write(tmp_path, b"new one", b"new two")
    assert contents(tmp_path) == before


@pytest.mark.parametrize("mask", [0o022, 0o077, 0o002])
def test_files_get_the_permissions_of_the_umask(tmp_path, mask):
    before = os.umask(mask)
    try:
        write(tmp_path, b"one", b"two")
    finally:
        os.umask(before)
    assert {path.stat().st_mode & 0o777 for path in tmp_path.iterdir()} == {0o666 & ~mask}


def test_two_writers_at_once_do_not_mix_their_files(tmp_path):
    with written_together(tmp_path, NAMES) as first, written_together(tmp_path, NAMES) as second:
        for text, files in ((b"first", first), (b"second", second)):
            for file in files:
                file.write(text)
    assert contents(tmp_path) == {"a.json": b"first", "b.bin": b"first"}  # the block that ends last
