import io
import os
import sys

import pytest

from gptcompare.display.messages import Forgiving, silence, tell
from gptcompare.display.progress import progress_bar


class Failing(io.StringIO):
    """A disk that is full until there is room."""

    is_full = True

    def write(self, text):
        if self.is_full:
            raise OSError(28, "No space left on device")
        return super().write(text)


def closed():
    stream = io.StringIO()
    stream.close()
    return stream


@pytest.mark.parametrize("stream", [Failing(), closed()], ids=["full", "closed"])
def test_a_stream_that_fails_costs_the_words_alone(stream, monkeypatch):
    monkeypatch.setattr(sys, "stderr", stream)
    tell("words")
    print("more", file=Forgiving(stream), flush=True)
    with progress_bar(total=3, miniters=1) as bar:
        bar.update(3)
    assert bar.n == 3


def test_words_come_again_when_there_is_room():
    stream = Failing()
    print("lost", file=Forgiving(stream))
    stream.is_full = False
    print("seen", file=Forgiving(stream))
    assert stream.getvalue() == "seen\n"


def test_without_a_stream_nothing_is_told(monkeypatch):
    monkeypatch.setattr(sys, "stderr", None)
    tell("words")


def test_what_is_asked_of_it_is_the_stream_s():
    with open(os.devnull, "w", encoding="ascii") as file:
        stream = Forgiving(file)
        assert (stream.fileno(), stream.encoding, stream.isatty(), stream.name) == (
            file.fileno(), "ascii", False, os.devnull,
        )  # fmt: skip
        stream.close()
        assert not file.closed


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
def test_a_silenced_stream_can_be_closed():
    file = open("/dev/full", "w")  # noqa: SIM115  closing it is what is tried
    file.write("words")
    silence(file)
    file.close()
