import io
import os
import threading
from pathlib import Path

import pytest

from gptcompare.cli import main
from gptcompare.files import whole_file
from gptcompare.files.whole_file import read_stream, read_whole

ZERO, STORY = Path("/dev/zero"), ["--init", "nano-gpt2"]
ENDLESS = pytest.mark.skipif(not ZERO.is_char_device(), reason="there is no device without an end")


@pytest.mark.parametrize("n", [0, 1, 9, 10])
def test_a_file_within_the_bound_is_read_whole(tmp_path, n, monkeypatch):
    monkeypatch.setattr(whole_file, "PORTION", 4)
    (tmp_path / "file").write_bytes(b"0123456789"[:n])
    assert read_whole(tmp_path / "file", 10) == read_stream(io.BytesIO(b"0123456789"[:n]), "x", 10) == b"0123456789"[:n]


def test_more_than_the_bound_is_refused_by_its_name(tmp_path, monkeypatch):
    monkeypatch.setattr(whole_file, "PORTION", 4)
    (tmp_path / "file").write_bytes(bytes(11))
    with pytest.raises(ValueError, match=f"{tmp_path}/file has more than 10 bytes: give less at a time"):
        read_whole(tmp_path / "file", 10)
    with pytest.raises(ValueError, match="standard input has more than 10 bytes"):
        read_stream(io.BytesIO(bytes(11)), "standard input", 10)


def test_a_stream_is_read_no_further_than_the_bound(monkeypatch):
    monkeypatch.setattr(whole_file, "PORTION", 4)
    stream = io.BytesIO(bytes(1000))
    with pytest.raises(ValueError, match="more than 10 bytes"):
        read_stream(stream, "x", 10)
    assert stream.tell() == 11


def test_a_named_pipe_is_read_to_its_end(tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = threading.Thread(target=pipe.write_bytes, args=[b"text"])
    writer.start()
    assert read_whole(pipe) == b"text"
    writer.join()


@ENDLESS
@pytest.mark.parametrize(
    "arguments",
    [
        ["compare", "--text", ZERO],
        ["evaluate", "--task", "text", "--data", ZERO],
        ["train", ZERO, *STORY, "--out", "run"],
        ["train", "text.txt", "--validation", ZERO, *STORY, "--out", "run"],
        ["choose", "x", "y", "z", "--examples", ZERO],
        ["choose", "x", "y", "z", "--template", ZERO],
        ["entities", "x", "--types", "person", "--examples", ZERO],
    ],
    ids=lambda arguments: " ".join(map(str, arguments[:2])),
)
def test_a_device_is_no_text(tmp_path, monkeypatch, capsys, arguments):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "text.txt").write_text("Once upon a time there was a fox. " * 200)
    assert main([*map(str, arguments)]) == 2
    assert f"gptcompare: {ZERO} is a device: give a file\n" in capsys.readouterr().err


def test_standard_input_has_an_end(monkeypatch, capsys):
    class Endless(io.RawIOBase):
        def readable(self):
            return True

        def readinto(self, buffer):
            buffer[:] = b"a " * (len(buffer) // 2) + b"a" * (len(buffer) % 2)
            return len(buffer)

    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BufferedReader(Endless())))
    monkeypatch.setattr(whole_file.read_stream, "__defaults__", (1000,))
    assert main(["sentiment", "-"]) == 2
    assert "standard input has more than 1,000 bytes: give less at a time" in capsys.readouterr().err
