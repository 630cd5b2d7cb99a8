import io
import json
import os
import shlex
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from checkpoints.hub import Hub, Repository
from conftest import STORY_FOLDER

import gptcompare as gc
from gptcompare.cli import EXAMPLES, _parser, main
from gptcompare.units import in_bytes, in_letters

STORY = ["--model", str(STORY_FOLDER)]


def test_generate_writes_the_prompt_and_its_completion(story, capsys):
    assert main(["generate", "Once upon a time", *STORY, "--max-new-tokens", "12"]) == 0
    out, err = capsys.readouterr()
    assert out == "Once upon a time" + story.generate("Once upon a time", max_new_tokens=12).text + "\n"
    assert "12 tokens" in err
    assert "length" in err


def test_every_option_reaches_the_generation(story, capsys):
    arguments = "--max-new-tokens 30 --temperature 0.8 --top-k 50 --top-p 0.9 --seed 4 --stop the --stop a --json"
    assert main(["generate", "Once", *STORY, *arguments.split()]) == 0
    expected = story.generate(
        "Once", max_new_tokens=30, temperature=0.8, top_k=50, top_p=0.9, seed=4, stop=["the", "a"]
    )  # fmt: skip
    result = json.loads(capsys.readouterr().out)
    assert result == vars(expected)


def test_a_prompt_is_read_from_standard_input(monkeypatch, capsys):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO("Das Ende, schön".encode()), "latin-1"))
    assert main(["generate", "-", *STORY, "--max-new-tokens", "0"]) == 0
    assert capsys.readouterr().out == "Das Ende, schön\n"


def test_standard_input_that_is_no_text_is_refused(monkeypatch, capsys):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"a\xff")))
    assert main(["tokenize", "-"]) == 2
    assert "standard input is not UTF-8 text (invalid start byte at byte 1)" in capsys.readouterr().err
    monkeypatch.setattr(sys, "stdin", None)
    assert main(["tokenize", "-"]) == 2
    assert "standard input is closed" in capsys.readouterr().err


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


def test_tokenize_shows_every_token(capsys):
    assert main(["tokenize", "don't 🐇"]) == 0
    lines = capsys.readouterr().out.splitlines()
    tokenizer = gc.Tokenizer.from_pretrained("gpt2")
    assert [int(line.split()[0]) for line in lines[:-1]] == tokenizer.encode("don't 🐇")
    assert lines[0].endswith("'don'")
    assert any("b'" in line for line in lines)  # a part of a character
    assert lines[-1].endswith("7 characters, 10 bytes")


def test_tokenize_prints_the_ids_alone(capsys):
    main(["tokenize", "Hello<|endoftext|>", "--ids", "--allow-special"])
    assert capsys.readouterr().out == "15496 50256\n"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["generate", "x", "--model", "no-such-model"], "'no-such-model' is not a folder, and an unknown model"),
        (["generate", "x", "--model", "gpt3-175b"], "OpenAI never published the weights"),
        (["generate", "x", "--model", "gpt2"], "GPTCOMPARE_OFFLINE is set. Without a network: no model yet"),
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
        _parser().parse_args(words[1:])


def test_download_models_and_remove(story, capsys, monkeypatch):
    with Hub() as hub:
        hub.repositories["someone/story"] = Repository({p.name: p.read_bytes() for p in STORY_FOLDER.iterdir()})
        monkeypatch.setenv("HF_ENDPOINT", hub.url)
        monkeypatch.delenv("GPTCOMPARE_OFFLINE")
        assert main(["download", "someone/story"]) == 0
    out, err = capsys.readouterr()
    assert out == str(gc.download("someone/story")) + "\n"
    assert "model.safetensors: 100%" in err

    assert main(["models"]) == 0
    header, *rows = capsys.readouterr().out.splitlines()
    assert header.split() == ["name", "parameters", "on", "disk", "where"]
    assert [row.split()[0] for row in rows] == [model.name for model in gc.checkpoints.listing()]
    assert rows[0].split() == ["gpt2", "124M", "-", "openai-community/gpt2"]
    size = in_bytes(sum(path.stat().st_size for path in Path(out.strip()).iterdir()))
    assert rows[-1].split() == ["someone/story", in_letters(story.config.n_params), size, out.strip()]
    assert main(["models", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)[-1]["folder"] == out.strip()

    assert main(["remove", "someone/story"]) == 0
    assert capsys.readouterr().out == f"removed {out.strip()}: {size} are free again\n"
    assert main(["remove", "someone/story"]) == 2
    assert capsys.readouterr().err.startswith("gptcompare: 'someone/story' is not in ")


def test_the_source_reaches_the_download(capsys):
    for command in (["generate", "x", "--model"], ["download"]):
        assert main([*command, "opt-125m", "--source", "openai"]) == 2
        assert "OpenAI's store has no 'opt-125m'" in capsys.readouterr().err


def start(*arguments, **options):
    command = [sys.executable, "-c", "import sys; from gptcompare.cli import main; sys.exit(main())", *arguments]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, **options)


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


def test_text_streams_while_it_is_generated():
    environment = {**os.environ, "PYTHONUNBUFFERED": ""}
    process = start("generate", "Once", *STORY, "--max-new-tokens", "250", env=environment)
    pieces = 0
    while os.read(process.stdout.fileno(), 4096):
        pieces += 1
    process.communicate(timeout=60)
    assert pieces > 5


def test_table_shows_models_side_by_side(capsys):
    assert main(["table", "gpt2", "gpt3-small"]) == 0
    assert capsys.readouterr().out.splitlines()[0].split() == ["gpt2", "gpt3-small"]


def test_table_is_no_wider_than_the_terminal(monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", "200")
    main(["table"])
    wide = capsys.readouterr().out
    monkeypatch.setenv("COLUMNS", "80")
    main(["table"])
    assert len(capsys.readouterr().out.splitlines()[0]) <= 80 < len(wide.splitlines()[0]) <= 200


def test_table_prints_json_and_markdown(capsys):
    assert main(["table", "gpt3-xl", "opt-1.3b", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == json.loads(json.dumps(gc.table(["gpt3-xl", "opt-1.3b"]).to_dict()))
    assert main(["table", "gpt3-xl", "--markdown"]) == 0
    assert capsys.readouterr().out == gc.table(["gpt3-xl"]).to_markdown() + "\n"
