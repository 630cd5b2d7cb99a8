import io
import json
import math
import os
import re
import sys
from itertools import pairwise

import pytest
from support.command import start
from support.places import ROOT, STORY_FOLDER

import gptcompare as gc
from gptcompare.cli import main
from gptcompare.model import GPT

STORY = ["--model", str(STORY_FOLDER)]


def test_generate_writes_the_prompt_and_its_completion(story, capsys):
    assert main(["generate", "Once upon a time", *STORY, "--max-new-tokens", "12"]) == 0
    out, err = capsys.readouterr()
    assert out == "Once upon a time" + story.generate("Once upon a time", max_new_tokens=12).text + "\n"
    assert "12 tokens" in err
    assert "length" in err


def test_without_a_name_it_is_the_embedded_gpt2(monkeypatch, tmp_path, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["generate", "Once upon a time", "--max-new-tokens", "5"]) == 0
    completion = gc.load("nano-gpt2").generate("Once upon a time", max_new_tokens=5)
    assert capsys.readouterr().out == f"Once upon a time{completion.text}\n"


def test_every_option_reaches_the_generation(story, capsys):
    arguments = "--max-new-tokens 30 --temperature 0.8 --top-k 50 --top-p 0.9 --seed 4 --stop the --stop a --json"
    assert main(["generate", "Once", *STORY, *arguments.split()]) == 0
    expected = story.generate(
        "Once", max_new_tokens=30, temperature=0.8, top_k=50, top_p=0.9, seed=4, stop=["the", "a"]
    )  # fmt: skip
    result = json.loads(capsys.readouterr().out)
    assert result == {**vars(expected), "seed": 4}


@pytest.mark.parametrize("draft", ["repetitions", "nano-gpt3"])
def test_a_draft_changes_nothing_of_what_is_written(draft, capsys):
    options = ["generate", "Once upon a time", "--temperature", "0.8", "--seed", "3", "--max-new-tokens", "30"]
    main(options)
    plain = capsys.readouterr().out
    main([*options, "--draft", draft])
    assert capsys.readouterr().out == plain


@pytest.mark.parametrize(
    "command",
    [
        ["generate", "Once", "--max-new-tokens", "9"],
        ["score", "The king had a daughter."],
        ["compare", "Once", "--greedy", "--max-new-tokens", "9"],
        ["compare", "--text", str(ROOT / "docs" / "guides" / "story.txt")],
        ["choose", "The fox is", "red", "blue"],
    ],
    ids=lambda command: command[0],
)
def test_weights_that_are_kept_change_nothing_of_what_is_written(command, capsys, monkeypatch):
    assert main(command) == 0
    expected, found, load = capsys.readouterr().out, [], GPT.from_pretrained
    monkeypatch.setattr(GPT, "from_pretrained", lambda *given, **how: found.append(load(*given, **how)) or found[-1])
    assert main([*command, "--keep", "as-stored"]) == 0
    assert capsys.readouterr().out == expected
    assert {model.kept_in for model in found} == {"float16"}


def test_a_prompt_is_read_from_standard_input(monkeypatch, capsys):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO("Das Ende, schön".encode()), "latin-1"))
    assert main(["generate", "-", *STORY, "--max-new-tokens", "0"]) == 0
    assert capsys.readouterr().out == "Das Ende, schön\n"


@pytest.mark.parametrize("command", ["generate", "compare", "tokenize"])
@pytest.mark.parametrize("written", ["Once\n", "Once\r\n", "\ufeffOnce\r\n"])
def test_a_prompt_from_standard_input_is_as_if_given_as_an_argument(command, written, typed, capsys):
    options = [] if command == "tokenize" else ["--max-new-tokens", "3", "--temperature", "0", "--json"]
    assert main([command, "Once", *options]) == 0
    expected = capsys.readouterr().out
    typed(written)
    assert main([command, "-", *options]) == 0
    assert capsys.readouterr().out == expected


def test_a_prompt_from_standard_input_can_end_with_a_line_end(typed, capsys):
    typed("Once\n\n")
    assert main(["generate", "-", "--max-new-tokens", "3", "--json"]) == 0
    expected = vars(gc.load("nano-gpt2").generate("Once\n", max_new_tokens=3))
    assert json.loads(capsys.readouterr().out) == {**expected, "seed": None}


@pytest.mark.parametrize("command", ["generate", "compare"])
def test_a_space_at_the_end_of_a_prompt_is_kept_and_said(command, capsys):
    for prompt, n_hints in (("Once upon a ", 1), ("Once upon a", 0), ("", 0)):
        assert main([command, prompt, "--max-new-tokens", "1", "--json"]) == 0
        out, err = capsys.readouterr()
        assert err.count("ends with a space") == n_hints
        assert json.loads(out)["prompt"] == prompt


def test_a_seed_that_was_drawn_is_said_and_gives_the_same_again(capsys):
    assert main(["generate", "Once", "--max-new-tokens", "9", "--temperature", "1"]) == 0
    out, err = capsys.readouterr()
    assert main(["generate", "Once", "--max-new-tokens", "9", "--temperature", "1", "--seed", _seed(err)]) == 0
    assert capsys.readouterr().out == out
    assert main(["generate", "Once", "--max-new-tokens", "2"]) == 0
    assert "seed" not in capsys.readouterr().err
    options = ["generate", "Once", "--max-new-tokens", "9", "--temperature", "1", "--json"]
    assert main(options) == 0
    drawn = json.loads(capsys.readouterr().out)
    assert main([*options, "--seed", str(drawn["seed"])]) == 0
    assert json.loads(capsys.readouterr().out) == drawn


@pytest.mark.parametrize(
    "command",
    [["generate", "Once \x1b upon", "--temperature", "1.5", "--seed", "1"], ["score", "Once there was king bread"]],
)
def test_colours_are_written_where_they_are_asked_for_and_change_no_text(command, capsys):
    assert main(command) == 0
    plain = capsys.readouterr().out
    assert main([*command, "--color", "never"]) == 0
    assert capsys.readouterr().out == plain
    assert "\x1b[" not in plain
    assert main([*command, "--color", "always"]) == 0
    coloured = capsys.readouterr().out
    assert len(set(re.findall(r"38;5;(\d+)m", coloured))) >= 2
    assert re.sub("\x1b\\[[0-9;]*m", "", coloured).split() == plain.split()


def _seed(err):
    return err.strip().removesuffix("]").rpartition("seed ")[2]


def test_standard_input_that_is_no_text_is_refused(monkeypatch, capsys):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"a\xff")))
    assert main(["tokenize", "-"]) == 2
    assert "standard input: not UTF-8 text (invalid start byte at byte 1)" in capsys.readouterr().err
    monkeypatch.setattr(sys, "stdin", None)
    assert main(["tokenize", "-"]) == 2
    assert "standard input is closed" in capsys.readouterr().err


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


def test_tokenize_shows_the_text_with_its_tokens_in_colours_where_there_are_any(capsys):
    text = "The rabbit 🐇\nran \x1b[31m away."
    assert main(["tokenize", text]) == 0
    plain = capsys.readouterr().out
    assert main(["tokenize", text, "--color", "always"]) == 0
    coloured, _, rest = capsys.readouterr().out.partition("\n\n")
    assert rest == plain
    chips = re.findall("\x1b\\[48;5;(\\d+);38;5;231m([^\x1b]*)\x1b\\[0m", coloured)
    assert [token for _, token in chips] == [
        "The", " rabbit", " \\xf0\\x9f", "\\x90", "\\x87", "ran", " ", "␛", "[", "31", "m", " away", ".",
    ]  # fmt: skip
    assert all(left != right for (left, _), (right, _) in pairwise(chips))


def test_tokenize_shows_how_words_come_about_merge_by_merge(capsys):
    assert main(["tokenize", " rabbits 🐇", "--merges"]) == 0
    first, second = capsys.readouterr().out.rstrip().split("\n\n")
    tokenizer = gc.Tokenizer.from_pretrained("gpt2")
    stages = tokenizer.merges(" rabbits 🐇")
    assert [line.split(" ") for line in first.splitlines()] == [
        [token.decode().replace(" ", "␣") for token in stage] for stage in stages[0]
    ]
    assert first.splitlines()[0] == "␣ r a b b i t s"
    assert second.splitlines()[0] == "␣ \\xf0 \\x9f \\x90 \\x87"
    assert main(["tokenize", " rabbits 🐇", "--merges", "--color", "always"]) == 0
    coloured = capsys.readouterr().out
    assert coloured.count("\x1b[38;5;") == sum(len(of_piece) - 1 for of_piece in stages)


def test_text_streams_while_it_is_generated():
    environment = {**os.environ, "PYTHONUNBUFFERED": ""}
    process = start("generate", "Once", *STORY, "--max-new-tokens", "250", env=environment)
    pieces = 0
    while os.read(process.stdout.fileno(), 4096):
        pieces += 1
    process.communicate(timeout=60)
    assert pieces > 5


class TestScore:
    def test_score_prints_a_line_for_each_token(self, capsys):
        assert main(["score", "Once upon a time there was a king."]) == 0
        header, *rows, total = capsys.readouterr().out.splitlines()
        score = gc.load("nano-gpt2").score("Once upon a time there was a king.", alternatives=5)
        assert header.split() == ["token", "probability", "rank", "entropy", "likeliest"]
        assert len(rows) == len(score.logprobs)
        for row, logprob, rank in zip(rows, score.logprobs, score.alternatives.ranks, strict=True):
            assert f"  {math.exp(logprob):.2%}  " in row
            assert f" {rank}  " in row
        assert total == f"8 tokens, perplexity {score.perplexity:.2f}, {score.bits_per_byte:.3f} bits per byte"

    def test_score_as_json(self, capsys):
        assert main(["score", "Once upon a time", "--json", "--alternatives", "2"]) == 0
        expected = gc.load("nano-gpt2").score("Once upon a time", alternatives=2).to_dict()
        assert json.loads(capsys.readouterr().out) == json.loads(json.dumps(expected))

    def test_generate_prints_them_after_the_text(self, capsys):
        assert main(["generate", "Once upon a time", "--max-new-tokens", "3", "--alternatives", "2"]) == 0
        text, _, *rows = capsys.readouterr().out.splitlines()
        assert text == "Once upon a time" + gc.load("nano-gpt2").generate("Once upon a time", max_new_tokens=3).text
        assert len(rows) == 3
        assert all(row.count(" %") == 2 for row in rows)
