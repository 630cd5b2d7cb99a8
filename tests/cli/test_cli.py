import os
import shlex
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from support.command import start
from support.places import STORY_FOLDER

import gptcompare as gc
from gptcompare.cli import COMMANDS, EXAMPLES, _parser, main

STORY = ["--model", str(STORY_FOLDER)]


@pytest.mark.parametrize(("closed", "stdout"), [(">&-", ""), ("2>&-", "Hi\n")])
def test_a_closed_output_is_no_error(closed, stdout):
    command = shlex.join([sys.executable, "-m", "gptcompare", "generate", "Hi", *STORY, "--max-new-tokens", "0"])
    result = subprocess.run(f"{command} {closed}", shell=True, capture_output=True, text=True)
    assert result.returncode == 0
    assert result.stdout == stdout
    assert "Traceback" not in result.stderr


def test_the_package_runs_as_the_command():
    result = subprocess.run(
        [sys.executable, "-m", "gptcompare", "--version"], capture_output=True, text=True, check=True
    )
    assert result.stdout == f"gptcompare {gc.__version__}\n"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["generate", "x", "--model", "no-such-model"], "'no-such-model' is neither a folder nor the name of a model"),
        (["generate", "x", "--model", "gpt3-175b"], "OpenAI never published the weights"),
        (
            ["generate", "x", "--model", "gpt2"],
            "GPTCOMPARE_OFFLINE is set. Without a network: nano-gpt2, nano-gpt3, and",
        ),
        (["download", "gpt2-medum"], "did you mean gpt2-medium"),
        (["generate", "x", *STORY, "--temperature", "-1"], "temperature must be 0"),
        (["generate", "x " * 300, *STORY], "the model's context is 256"),
        (["tokenize", "\ud800"], "argument 2, '\\xed\\xa0\\x80', is not UTF-8"),
    ],
)
def test_a_user_s_error_is_one_line_and_status_2(arguments, words, capsys):
    assert main(arguments) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert words in err
    assert err.startswith("gptcompare: ")
    assert err.count("\n") == 1


@pytest.mark.parametrize("command", COMMANDS)
def test_an_argument_that_is_not_utf_8_is_named_in_every_command(command, capsys):
    assert main([command, "x", "caf\udce9 au lait"]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err == (
        "gptcompare: argument 3, 'caf\\xe9 au lait', is not UTF-8: set the terminal to UTF-8, or convert it "
        "(iconv -f LATIN1 -t UTF-8)\n"
    )


def test_a_file_whose_name_is_not_utf_8_can_be_given(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    Path("caf\udce9").write_text("Once")
    assert main(["compare", "--text", "caf\udce9", "--json"]) == 0
    expected = capsys.readouterr().out
    assert main(["compare", "--text=caf\udce9", "--json"]) == 0
    assert capsys.readouterr().out == expected


def test_where_python_takes_arguments_for_ascii_it_says_so():
    environment = {**os.environ, "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    result = subprocess.run(
        [sys.executable, "-m", "gptcompare", "tokenize", "café"], env=environment, capture_output=True, text=True
    )
    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr == (
        "gptcompare: argument 2, 'caf\\xe9', cannot be read, since the encoding here is ascii: "
        "set LC_ALL=C.UTF-8 or PYTHONUTF8=1\n"
    )


@pytest.mark.parametrize(
    "arguments", [["--help"], ["generate", "--help"], ["tokenize", "--help"], ["models", "--help"], ["--version"]]
)
def test_help_and_version_end_well(arguments, capsys):
    with pytest.raises(SystemExit) as end:
        main(arguments)
    assert end.value.code == 0
    out = capsys.readouterr().out
    assert out.strip() == f"gptcompare {gc.__version__}" if arguments == ["--version"] else "usage: gptcompare" in out


def test_every_example_of_the_help_parses():
    commands = [line.strip() for line in EXAMPLES.splitlines() if line.strip().startswith("gptcompare ")]
    assert len(commands) >= 4
    for command in commands:
        words = shlex.split(command.partition(" < ")[0])
        _parser(words[1:]).parse_args(words[1:])


def test_ctrl_c_keeps_what_was_written_and_ends_with_130():
    process = start("generate", "Once upon a time", *STORY, "--max-new-tokens", "200", "--temperature", "1")
    first = process.stdout.read(20)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode in (130, 0)  # 0 if it had just finished
    assert first == b"Once upon a time" + first[16:]
    assert (first + out).endswith(b"\n")
    assert b"Traceback" not in err


def test_a_reader_that_goes_away_is_no_error():
    process = start("generate", "Once upon a time", *STORY, "--max-new-tokens", "200")
    process.stdout.read(5)
    process.stdout.close()
    assert b"Traceback" not in process.stderr.read()
    process.stderr.close()
    assert process.wait(timeout=60) == 0
