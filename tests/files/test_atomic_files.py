import errno
import os
import stat

import pytest

from gptcompare.files.atomic_files import remove_leftovers, temporary_name, written_together, written_whole

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


@pytest.mark.parametrize("name", ["a" * 255, "é" * 127, "a", ".hidden.html"])
def test_a_name_of_any_length_that_a_file_may_have_can_be_written(tmp_path, name):
    """The temporary name once was longer than the name, and so longer than file systems allow."""
    for text in (b"one", b"two"):
        with written_together(tmp_path, [name]) as (file,):
            file.write(text)
    assert contents(tmp_path) == {name: b"two"}


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such permissions")
@pytest.mark.parametrize("mode", [0o600, 0o640, 0o664, 0o444, 0o755])
def test_a_file_that_is_replaced_keeps_its_permissions_and_has_them_while_it_is_written(tmp_path, mode):
    write(tmp_path, b"old", b"old")
    (tmp_path / "a.json").chmod(mode)
    with written_together(tmp_path, NAMES) as files:
        assert {path.stat().st_mode & 0o777 for path in tmp_path.glob(".a.json.*.part")} == {mode}
        for file in files:
            file.write(b"new")
    assert (tmp_path / "a.json").stat().st_mode & 0o777 == mode
    assert contents(tmp_path) == {"a.json": b"new", "b.bin": b"new"}


def test_the_folder_is_synced_after_the_files_have_their_names(tmp_path, monkeypatch):
    """Without it a power failure may undo the renaming."""
    done = []
    rename, sync = os.replace, os.fsync
    monkeypatch.setattr(
        os, "replace", lambda old, new: done.append(f"rename {os.path.basename(new)}") or rename(old, new)
    )

    def noted(descriptor):
        done.append("sync folder" if os.path.isdir(f"/proc/self/fd/{descriptor}") else "sync file")
        sync(descriptor)

    monkeypatch.setattr(os, "fsync", noted)
    write(tmp_path, b"one", b"two")
    if os.path.isdir("/proc/self/fd"):
        assert done == ["sync file", "sync file", "rename a.json", "sync folder", "rename b.bin", "sync folder"]


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), r"No space left on device: '.*a\.json, .*b\.bin'"),
        (OSError("40744 requested and 4032 written"), r"cannot write .*a\.json, .*b\.bin: 40744 requested and 4032"),
        (FileNotFoundError(2, "No such file", "a text"), "No such file: 'a text'"),
    ],
    ids=["full", "NumPy's", "of another file"],
)
def test_an_error_names_a_file(tmp_path, error, words):
    with pytest.raises(type(error), match=words) as found:
        write(tmp_path, b"new one", error)
    assert found.value.errno == error.errno


class TestLeftovers:
    def test_those_of_the_given_names_go(self, tmp_path):
        name = temporary_name("a.json")
        (tmp_path / name).touch()
        (tmp_path / temporary_name("page.html")).touch()
        (tmp_path / temporary_name("b.bin")).mkdir()
        before = {path.name for path in tmp_path.iterdir()}
        remove_leftovers(tmp_path, NAMES)
        assert before - {path.name for path in tmp_path.iterdir()} == {name}

    def test_no_two_names_are_the_same(self):
        assert len({temporary_name("a") for _ in range(100)}) == 100


class TestWrittenWhole:
    def test_a_file_is_replaced_at_the_end_of_the_block(self, tmp_path):
        (tmp_path / "a").write_bytes(b"before")
        with written_whole(tmp_path / "a") as file:
            file.write(b"after")
            assert (tmp_path / "a").read_bytes() == b"before"
        assert contents(tmp_path) == {"a": b"after"}

    def test_the_target_of_a_link_is_written_and_the_link_stays(self, tmp_path):
        (tmp_path / "folder").mkdir()
        (tmp_path / "link").symlink_to("folder/target")
        with written_whole(tmp_path / "link") as file:
            file.write(b"new")
        assert (tmp_path / "link").is_symlink()
        assert contents(tmp_path / "folder") == {"target": b"new"}

    @pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no named pipes")
    def test_a_pipe_is_written_into(self, tmp_path):
        os.mkfifo(tmp_path / "pipe")
        read = os.open(tmp_path / "pipe", os.O_RDONLY | os.O_NONBLOCK)
        with written_whole(tmp_path / "pipe") as file:
            file.write(b"new")
        assert os.read(read, 10) == b"new"
        os.close(read)
        assert stat.S_ISFIFO((tmp_path / "pipe").stat().st_mode)
