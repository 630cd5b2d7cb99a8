import io
import itertools
import json
import os
import random
import shlex
import signal
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import pytest
from support.amounts import few_or_many
from support.command import start
from support.forge import OPT_FIELDS, safetensors
from support.places import STORY_FOLDER

import gptcompare as gc
from gptcompare import cli
from gptcompare.checkpoints import CheckpointError, errors
from gptcompare.cli import COMMANDS, EXAMPLES, LONGEST, _parser, main
from gptcompare.display.text_width import CONTROL

STORY = ["--model", str(STORY_FOLDER)]
SIGNALS = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]


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


def test_the_command_alone_prints_the_help_and_ends_well(capsys):
    outs = []
    for arguments in ([], ["--help"]):
        with pytest.raises(SystemExit) as end:
            main(arguments)
        assert end.value.code == 0
        out, err = capsys.readouterr()
        assert err == ""
        outs.append(out)
    assert outs[0] == outs[1]
    assert "gptcompare compare" in outs[0]


def test_every_example_of_the_help_parses():
    commands = [line.strip() for line in EXAMPLES.splitlines() if " gptcompare " in line]
    assert len(commands) >= 4
    for command in commands:
        words = shlex.split(command.rpartition(" | ")[2])
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
@few_or_many("n", 6, 60)
def test_a_stop_at_any_moment_gives_no_traceback(n):
    """Also while modules are imported."""
    rng = random.Random(0)
    code = "import gptcompare.__main__ as m, sys; print(flush=True); sys.exit(m.run())"  # after Python's own start
    for number in SIGNALS * (n // 3):
        command = [sys.executable, "-c", code, "sentiment", "x", *STORY]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        process.stdout.readline()
        time.sleep(rng.uniform(0, 0.9))
        process.send_signal(number)
        _, err = process.communicate(timeout=60)
        assert process.returncode in (0, 128 + number, -number), err
        assert b"Traceback" not in err, err


def test_signals_are_left_to_the_system_while_modules_are_imported(capsys, monkeypatch):
    """An import may make another exception of theirs: up to Python 3.11, a class with descriptors a RuntimeError."""
    handlers = []

    def seen(arguments):
        handlers.append([signal.getsignal(number) for number in SIGNALS])
        return _parser(arguments)

    monkeypatch.setattr(cli, "_parser", seen)
    before = [signal.getsignal(number) for number in SIGNALS]
    assert main(["tokenize", "x"]) == 0
    assert handlers == [before]


def test_signals_are_as_they_were_after_a_command(capsys):
    before = [signal.getsignal(number) for number in SIGNALS], sys.stderr
    assert main(["tokenize", "x"]) == 0
    assert ([signal.getsignal(number) for number in SIGNALS], sys.stderr) == before


def test_a_reader_that_goes_away_is_no_error():
    process = start("generate", "Once upon a time", *STORY, "--max-new-tokens", "200")
    process.stdout.read(5)
    process.stdout.close()
    assert b"Traceback" not in process.stderr.read()
    process.stderr.close()
    assert process.wait(timeout=60) == 0


# A new title for the window, a bell, a cleared screen, text from right to left, and a new line.
NASTY = "\x1b]0;title\x07\x1b[2Jx\u202e\x9b31m\u2028\x7f"


def _files_of_a_stranger(folder):
    """Files that hold such a text wherever they can."""

    def put(name, content):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else json.dumps(content, ensure_ascii=False).encode())
        return str(path)

    def zipped(member, content=b"x"):
        file = io.BytesIO()
        with zipfile.ZipFile(file, "w") as archive:
            archive.writestr(member, content)
        return file.getvalue()

    entry = {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}
    put("tensor/config.json", OPT_FIELDS)
    put("tensor/model.safetensors", safetensors({NASTY: entry}, bytes(4)))
    put("dtype/config.json", OPT_FIELDS)
    put("dtype/model.safetensors", safetensors({"x": entry | {"dtype": NASTY}}, bytes(4)))
    put("member/config.json", OPT_FIELDS)
    put("member/pytorch_model.bin", zipped(NASTY)[:-30] + zipped(NASTY))
    put("type/config.json", {"model_type": NASTY})
    put("field/config.json", {"model_type": "gptcompare", NASTY: 1})
    put("shard/config.json", OPT_FIELDS)
    put("shard/model.safetensors.index.json", {"weight_map": {"x": f"../{NASTY}"}})
    put("tokens/vocab.json", {NASTY: -1})
    put("tokens/merges.txt", f"{NASTY} a".encode())
    put("template.json", {NASTY: "x"})
    put("examples.jsonl", {"query": "x", "answer": "y", NASTY: "z"})
    put("text.txt", f"Once {NASTY} upon a time there was a fox.".encode())
    put("task.jsonl", {NASTY: 1})
    return folder


REFUSED = {
    "the name of a tensor": ["generate", "x", "--model", "tensor"],
    "an element type": ["generate", "x", "--model", "dtype"],
    "a member of an archive": ["generate", "x", "--model", "member"],
    "a kind of model": ["generate", "x", "--model", "type"],
    "a field": ["compare", "x", "--models", "nano-gpt2,field"],
    "a shard": ["generate", "x", "--model", "shard"],
    "a merge": ["tokenize", "x", "--model", "tokens"],
    "a field of a template": ["choose", "x", "y", "z", "--template", "template.json"],
    "a field of an example": ["answer", "x", "--examples", "examples.jsonl"],
    "a file of a task": ["evaluate", "--task", "lambada", "--data", "task.jsonl"],
    "the name of a model": ["generate", "x", "--model", NASTY],
    "the name of a folder": ["generate", "x", "--model", f"./{NASTY}"],
    "the name of a published model": ["download", NASTY],
    "the name of a model to remove": ["remove", f"a/{NASTY}"],
    "the names of a table": ["table", NASTY],
    "the name of a task": ["evaluate", "--task", NASTY],
    "the name of data": ["evaluate", "--task", "lambada", "--data", NASTY],
    "the name of a text": ["train", NASTY, "--init", "nano-gpt2", "--out", "run"],
    "the name of a configuration": ["train", "text.txt", "--config", NASTY, "--out", "run"],
    "labels": ["classify", "x", "--labels", f"{NASTY},,"],
    "types": ["entities", "x", "--types", f"{NASTY},,"],
    "the name of a page": ["compare", "x", "--html", f"{NASTY}/p.html"],
    "an option": ["generate", "x", f"--{NASTY}"],
    "a command": [NASTY],
    "a number": ["generate", "x", "--seed", NASTY],
}


@pytest.mark.parametrize("what", REFUSED)
def test_nothing_in_a_message_controls_the_terminal(what, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(_files_of_a_stranger(tmp_path))
    try:
        status = main(REFUSED[what])
    except SystemExit as end:  # from argparse
        status = end.code
    out, err = capsys.readouterr()
    assert status == 2
    assert out == ""
    assert err
    assert not CONTROL.search(err)


SHOWN = {
    "a prompt": ["generate", NASTY, *STORY, "--max-new-tokens", "2"],
    "two texts": ["compare", NASTY, "--max-new-tokens", "2", "--width", "60"],
    "two texts, one after the other": ["compare", NASTY, "--max-new-tokens", "2"],
    "a text that is read": ["compare", "--text", "text.txt"],
    "labels": ["classify", f"The hens {NASTY}", "--labels", f"{NASTY},weather", *STORY],
    "a text": ["sentiment", f"It was {NASTY}", *STORY],
    "choices": ["choose", f"What {NASTY}?", NASTY, "gold", *STORY],
    "a prompt of examples": ["answer", f"What {NASTY}?", "--show-prompt", *STORY],
    "types": ["entities", f"Max {NASTY}", "--types", NASTY, *STORY],
    "tokens": ["tokenize", NASTY],
    "a task's data": ["evaluate", "--task", "text", "--data", "text.txt", "--out", f"out{NASTY}", *STORY],
}


@pytest.mark.parametrize("what", SHOWN)
def test_nothing_that_is_shown_controls_the_terminal(what, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(_files_of_a_stranger(tmp_path))
    monkeypatch.setenv("TERM", "dumb")  # no columns that are drawn again
    for stream in (sys.stdout, sys.stderr):
        monkeypatch.setattr(stream, "isatty", lambda: True)
    assert main(SHOWN[what]) == 0
    out, err = capsys.readouterr()
    assert out
    assert not CONTROL.search(out)
    assert not CONTROL.search(err.replace("\r", ""))  # a bar returns to the beginning of its line


def test_what_is_written_to_a_file_is_what_the_model_reads_and_writes(capsys):
    assert main(["generate", "a\tb\x1b", *STORY, "--max-new-tokens", "0"]) == 0
    assert capsys.readouterr().out == "a\tb\x1b\n"


def test_a_message_is_short_whatever_a_value_s_length(capsys):
    for arguments in (["download", "x" * 100_000], ["compare", "x", "--models", ",".join("a" * 50_000)]):
        assert main(arguments) == 2
        assert len(capsys.readouterr().err) < LONGEST + 100
    assert len(str(CheckpointError("file", "x" * 100_000))) < errors.LONGEST + 20
