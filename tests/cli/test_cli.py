import itertools
import os
import random
import shlex
import signal
import subprocess
import sys
import time

import pytest
from support.amounts import few_or_many
from support.command import start
from support.places import STORY_FOLDER

import gptcompare as gc
from gptcompare.cli import EXAMPLES, _parser, main

STORY = ["--model", str(STORY_FOLDER)]


@pytest.mark.parametrize(("closed", "stdout"), [(">&-", ""), ("2>&-", "Hi\n")])
def test_a_closed_output_is_no_error(closed, stdout):
    command = shlex.join([sys.executable, "-m", "gptcompare", "generate", "Hi", *STORY, "--max-new-tokens", "0"])
    result = subprocess.run(f"{command} {closed}", shell=True, capture_output=True, text=True)
    assert result.returncode == 0
    assert result.stdout == stdout
    assert "Traceback" not in result.stderr


WORK = {
    "generate": (["generate", "Hi", "--max-new-tokens", "0"], "Hi\n"),
    "train": (
        ["train", "text.txt", "--init", STORY[1], "--out", "run", "--context", "16", "--steps", "3"],
        "3 steps, ",
    ),
    "evaluate": (["evaluate", "--task", "text", "--data", "text.txt"], "text of "),
}
BROKEN = {"full": "2>/dev/full", "closed": "2>&-", "reader gone": "2> >(true)"}
FEW = [("generate", "closed"), ("train", "full"), ("evaluate", "reader gone")]
REST = [pytest.param(*pair, marks=pytest.mark.slow) for pair in itertools.product(WORK, BROKEN) if pair not in FEW]


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
@pytest.mark.parametrize(("command", "errors"), [*FEW, *REST])
def test_an_error_stream_that_fails_ends_no_work_and_loses_no_result(tmp_path, command, errors):
    """A full disk under a log once ended a training without a save."""
    (tmp_path / "text.txt").write_text("Once upon a time there was a king who had no shoes. " * 30)
    arguments, begin = WORK[command]
    model = [] if command == "train" else STORY
    line = shlex.join([sys.executable, "-m", "gptcompare", *arguments, *model]) + f" {BROKEN[errors]}"
    done = subprocess.run(["bash", "-c", line], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0
    assert done.stdout.startswith(begin)
    assert (tmp_path / "run" / "model.safetensors").exists() is (command == "train")
    assert (tmp_path / "evaluations").exists() is (command == "evaluate")


def test_a_user_s_error_on_a_full_disk_has_its_status():
    line = shlex.join([sys.executable, "-m", "gptcompare", "generate", "x", "--model", "none"])
    if os.path.exists("/dev/full"):
        assert subprocess.run(["bash", "-c", f"{line} 2>/dev/full"]).returncode == 2


def test_the_package_runs_as_the_command():
    result = subprocess.run(
        [sys.executable, "-m", "gptcompare", "--version"], capture_output=True, text=True, check=True
    )
    assert result.stdout == f"gptcompare {gc.__version__}\n"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["generate", "x", "--model", "no-such-model"], "'no-such-model' is not a folder, and an unknown model"),
        (["generate", "x", "--model", "gpt3-175b"], "OpenAI never published the weights"),
        (
            ["generate", "x", "--model", "gpt2"],
            "GPTCOMPARE_OFFLINE is set. Without a network: nano-gpt2, nano-gpt3, and",
        ),
        (["download", "gpt2-medum"], "did you mean gpt2-medium"),
        (["generate", "x", *STORY, "--temperature", "-1"], "temperature must be 0"),
        (["generate", "x " * 300, *STORY], "the model's context is 256"),
        (["tokenize", "\udcff"], "lone surrogate"),
    ],
)
def test_a_user_s_error_is_one_line_and_status_2(arguments, words, capsys):
    assert main(arguments) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert words in err
    assert err.startswith("gptcompare: ")
    assert err.count("\n") == 1


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


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such signals")
@pytest.mark.parametrize("name", ["SIGTERM", "SIGHUP"])
def test_a_signal_keeps_what_was_written_and_is_the_status(name):
    number = getattr(signal, name)
    process = start("generate", "Once upon a time", *STORY, "--max-new-tokens", "200", "--temperature", "1")
    first = process.stdout.read(20)
    process.send_signal(number)
    out, err = process.communicate(timeout=60)
    assert process.returncode in (128 + number, 0)  # 0 if it had just finished
    assert (first + out).endswith(b"\n")
    assert b"Traceback" not in err


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such signals")
@few_or_many("n", 4, 60)
def test_ctrl_c_at_any_moment_gives_no_traceback(n):
    """Also while modules are imported."""
    rng = random.Random(0)
    code = "import gptcompare.__main__ as m, sys; print(flush=True); sys.exit(m.run())"  # after Python's own start
    for _ in range(n):
        command = [sys.executable, "-c", code, "sentiment", "x", *STORY]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        process.stdout.readline()
        time.sleep(rng.uniform(0, 0.9))
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=60)
        assert process.returncode in (0, 130, -signal.SIGINT)
        assert b"Traceback" not in err, err


def test_signals_are_as_they_were_after_a_command(capsys):
    numbers = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]
    before = [signal.getsignal(number) for number in numbers], sys.stderr
    assert main(["tokenize", "x"]) == 0
    assert ([signal.getsignal(number) for number in numbers], sys.stderr) == before


def test_a_reader_that_goes_away_is_no_error():
    process = start("generate", "Once upon a time", *STORY, "--max-new-tokens", "200")
    process.stdout.read(5)
    process.stdout.close()
    assert b"Traceback" not in process.stderr.read()
    process.stderr.close()
    assert process.wait(timeout=60) == 0
