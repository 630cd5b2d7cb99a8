"""Every example of the help works: with what is in the package, or in a clone; what needs a download says so."""

import io
import shlex
import sys

import pytest
from support.places import ROOT

from gptcompare.cli import COMMANDS, EXAMPLES, _parser, main
from gptcompare.presets import EMBEDDED_PAIR

SLOW = ("evaluate", "train", "verify")  # seconds
NEEDS_A_DOWNLOAD = "which are downloaded once"


def blocks():
    """The title of each block of examples, and its lines."""
    found = []
    for block in EXAMPLES.strip().split("\n\n"):
        title, *lines = block.splitlines()
        found.append((title, [line.strip() for line in lines]))
    return found


def command_and_input(line):
    """The words of the command, and what an echo before it gives to it."""
    before, bar, command = line.rpartition(" | ")
    program, *words = shlex.split(command)
    assert program == "gptcompare"
    assert not bar or before.startswith("echo ")
    return words, f"{shlex.split(before)[1]}\n" if bar else ""


UNTIL_CTRL_C = "gptcompare play"  # tests/cli/test_play.py sends that

HERE = [line for title, lines in blocks() if NEEDS_A_DOWNLOAD not in title for line in lines]
ELSEWHERE = [line for title, lines in blocks() if NEEDS_A_DOWNLOAD in title for line in lines]


def is_slow(line):
    return command_and_input(line)[0][0] in SLOW


@pytest.mark.parametrize(
    "line",
    [
        pytest.param(line, id=line, marks=[pytest.mark.slow] if is_slow(line) else [])
        for line in HERE
        if line != UNTIL_CTRL_C
    ],
)
def test_an_example_works_without_a_network(line, tmp_path, monkeypatch, capsys):
    (tmp_path / "tests").symlink_to(ROOT / "tests")
    monkeypatch.chdir(tmp_path)
    words, given = command_and_input(line)
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(given.encode())))
    assert main(words) == 0
    out, err = capsys.readouterr()
    assert out or "wrote" in err
    assert "too small" not in err


@pytest.mark.parametrize("line", ELSEWHERE)
def test_an_example_that_needs_a_download_is_understood_and_names_a_model_that_is_not_here(line):
    words, _ = command_and_input(line)
    assert _parser(words).parse_args(words).run
    assert not any(name in line for name in EMBEDDED_PAIR)


def test_what_an_example_asks_comes_out_right(capsys):
    (line,) = [line for line in HERE if line.startswith("gptcompare choose")]
    assert main(command_and_input(line)[0]) == 0
    assert capsys.readouterr().out.split()[1] == "time"


def test_no_other_help_has_examples_of_its_own(capsys):
    for command in COMMANDS:
        with pytest.raises(SystemExit):
            main([command, "--help"])
        assert "examples:" not in capsys.readouterr().out
