import contextlib
import dataclasses
import fcntl
import io
import json
import math
import os
import pty
import re
import select
import shlex
import signal
import struct
import subprocess
import sys
import termios
import time
from pathlib import Path
from unittest.mock import Mock

import pyte
import pytest
from support.places import STORY_FOLDER

import gptcompare as gc
from gptcompare.cli import main
from gptcompare.cli.generate import flag_of
from gptcompare.comparison.sides import describe
from gptcompare.comparison.terminal.closing import closing
from gptcompare.comparison.terminal.columns import rows
from gptcompare.comparison.terminal.summary import speeds
from gptcompare.display.shades import key
from gptcompare.generation.options import SAMPLED

HEADERS = [(name, describe(gc.GPTConfig.preset(name))) for name in ("nano-gpt2", "nano-gpt3")]
PROMPT = "Once upon a time"
SAMPLED_ONLY = {"temperature": SAMPLED.temperature, "top_p": SAMPLED.top_p}


def expected_rows(prompt, width, **options):
    """Of finished columns, and the whole summary."""
    comparison = gc.compare(prompt, **options)
    columns = rows(HEADERS, [prompt + side.text for side in comparison.sides], width)
    return [*columns, "", *comparison.summary(width).splitlines()]


def expected_on_a_terminal(prompt, width, **options):
    """The same, with a few lines instead of the summary."""
    comparison = gc.compare(prompt, **options)
    columns = rows(HEADERS, [prompt + side.text for side in comparison.sides], width)
    parts = comparison.sides, comparison.readings, comparison.parting, True, comparison.options
    return [*columns, "", *plain(key()).splitlines(), *closing(*parts, width).splitlines()]


def plain(text):
    return re.sub("\x1b\\[[0-9;]*m", "", text)


class Terminal:
    """The command, greedy unless it is said otherwise, in a pseudo-terminal whose screen is emulated."""

    def __init__(self, *arguments, columns=80, lines=200, greedy=True, environment=()):
        self.screen = pyte.Screen(columns, lines)
        self.stream = pyte.ByteStream(self.screen)
        self.terminal, inside = pty.openpty()
        self.resize(columns, lines)
        command = [sys.executable, "-m", "gptcompare", "compare", *(["--greedy"] if greedy else []), *arguments]
        kept = {name: value for name, value in os.environ.items() if name != "NO_COLOR"}
        self.process = subprocess.Popen(
            command, stdout=inside, stderr=subprocess.PIPE, stdin=inside, start_new_session=True,
            env={"TERM": "xterm", **kept, **dict(environment)},
        )  # fmt: skip
        os.close(inside)

    def resize(self, columns, lines):
        fcntl.ioctl(self.terminal, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))
        self.screen.resize(lines, columns)

    def read(self, until=None):
        """Feed the screen until a text is on it, or to the end."""
        with contextlib.suppress(OSError):  # the end of a pseudo-terminal
            while data := os.read(self.terminal, 4096):
                self.stream.feed(data)
                if until is not None and until in "\n".join(self.screen.display):
                    return
        assert until is None

    def read_for(self, seconds):
        """Feed the screen for a while, so that the command need not wait for its reader."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            if select.select([self.terminal], [], [], left)[0]:
                with contextlib.suppress(OSError):  # the end of a pseudo-terminal
                    self.stream.feed(os.read(self.terminal, 4096))

    def rows(self):
        return "\n".join(line.rstrip() for line in self.screen.display).rstrip("\n").split("\n")

    def end(self):
        self.read()
        _, err = self.process.communicate(timeout=60)
        os.close(self.terminal)
        return self.process.returncode, err.decode()


class TestTerminal:
    @pytest.mark.parametrize("width", [60, 80, 200])
    def test_two_columns_as_wide_as_the_window(self, width):
        terminal = Terminal(PROMPT, "--max-new-tokens", "30", columns=width)
        status, err = terminal.end()
        assert status == 0
        assert terminal.rows() == expected_on_a_terminal(PROMPT, width, max_new_tokens=30)
        assert "tokens per second" in err

    @pytest.mark.parametrize("options", [["--seed", "3"], ["--max-new-tokens", "150", "--seed", "1"], ["--greedy"]])
    def test_in_a_window_of_80_by_24_the_texts_are_in_sight_at_the_end(self, options):
        terminal = Terminal(PROMPT, *options, columns=80, lines=24, greedy=False)
        status, err = terminal.end()
        assert status == 0
        texts = [row for row in terminal.rows() if "│" in row]
        last = [" ".join(word for row in texts for word in row.split("│")[side].split()) for side in (0, 1)]
        n_new = int(options[1]) if "150" in options else 40
        chosen = {"seed": int(options[-1]), **SAMPLED_ONLY} if "--seed" in options else {}
        sides = gc.compare(PROMPT, max_new_tokens=n_new, **chosen).sides
        seen = [" ".join(side.text.split()[-8:]) in shown for side, shown in zip(sides, last, strict=True)]
        assert any(seen) if n_new == 150 else all(seen)  # a text that is much shorter than the other may be gone
        assert len(texts) >= 10
        assert "tokens per second" in err
        assert len(err.splitlines()) == 1

    def test_numbers_shows_the_whole_summary_there_too(self):
        terminal = Terminal(PROMPT, "--max-new-tokens", "5", "--numbers", "--color", "never")
        _, err = terminal.end()
        assert terminal.rows() == expected_rows(PROMPT, 80, max_new_tokens=5)
        assert err.splitlines()[1].split() == ["nano-gpt2", "nano-gpt3"]

    @pytest.mark.parametrize(
        ("options", "environment", "coloured"),
        [
            ([], {}, True),
            (["--color", "never"], {}, False),
            ([], {"NO_COLOR": "1"}, False),
            (["--color", "always"], {"NO_COLOR": "1"}, True),
        ],
    )
    def test_each_token_has_the_colour_of_its_surprise_unless_nobody_wants_it(self, options, environment, coloured):
        terminal = Terminal(PROMPT, "--max-new-tokens", "30", *options, environment=environment)
        assert terminal.end()[0] == 0
        cells = [cell for line in terminal.screen.buffer.values() for cell in line.values() if cell.data.strip()]
        assert (len({cell.fg for cell in cells}) > 3) is coloured

    def test_a_window_too_narrow_has_one_text_after_the_other(self):
        terminal = Terminal(PROMPT, "--max-new-tokens", "12", columns=45)
        assert terminal.end()[0] == 0
        text = " ".join("".join(line.ljust(45) for line in terminal.rows()).split())
        first, second = (" ".join(side.text.split()) for side in gc.compare(PROMPT, max_new_tokens=12).sides)
        positions = [text.index(part) for part in ("nano-gpt2: 6 layers", first, "nano-gpt3: 6 layers", second)]
        assert positions == sorted(positions)
        assert "│" not in text

    def test_wide_characters_and_emoji_keep_the_columns_apart(self):
        prompt = "昔々ある所に、おじいさんと 🐇🐺 naïve — the"
        terminal = Terminal(prompt, "--max-new-tokens", "20", columns=60)
        assert terminal.end()[0] == 0
        lines = terminal.rows()
        lines = lines[: lines.index("")]
        assert "🐇" in "".join(lines)
        assert {line.index("│") + sum(_is_wide(c) for c in line[: line.index("│")]) for line in lines} == {29}

    def test_a_window_that_is_resized_while_they_write_is_drawn_anew(self):
        terminal = Terminal(PROMPT, "--max-new-tokens", "200", columns=120)
        terminal.read(until=PROMPT)
        terminal.resize(70, 200)
        assert terminal.end()[0] == 0
        expected = expected_on_a_terminal(PROMPT, 70, max_new_tokens=200)
        assert terminal.rows()[-len(expected) :] == expected

    def test_ctrl_c_leaves_what_was_written_and_status_130(self):
        terminal = Terminal(PROMPT, "--max-new-tokens", "500")
        terminal.read(until=PROMPT)
        terminal.read_for(0.1)
        os.killpg(terminal.process.pid, signal.SIGINT)
        status, err = terminal.end()
        assert status == 130
        assert "Traceback" not in err
        lines = terminal.rows()
        n_header = next(n for n, line in enumerate(lines) if line.startswith("─")) + 1
        for number, (name, _) in enumerate(HEADERS):
            written = " ".join(line.split("│")[number].strip() for line in lines[n_header:])
            assert len(written) >= len(PROMPT)
            whole = PROMPT + gc.load(name).generate(PROMPT, max_new_tokens=500).text
            assert whole.split()[: len(written.split()) - 1] == written.split()[:-1]
        assert not any("log-probability" in line for line in lines)


def _is_wide(character):
    return pyte.screens.wcwidth(character) == 2 if character else False


class TestPiped:
    def test_one_text_after_the_other_and_the_summary(self, capsys):
        assert main(["compare", PROMPT, "--max-new-tokens", "10", "--greedy"]) == 0
        out, err = capsys.readouterr()
        comparison = gc.compare(PROMPT, max_new_tokens=10)
        texts = [
            f"{name}: {text}\n\n{PROMPT}{side.text}\n"
            for (name, text), side in zip(HEADERS, comparison.sides, strict=True)
        ]
        assert out == "\n".join(texts) + "\n" + comparison.summary() + "\n"
        assert err.split()[:2] == ["nano-gpt2", "nano-gpt3"]

    @pytest.mark.parametrize("width", [60, 130])
    def test_columns_of_the_width_that_is_asked_for(self, width, capsys):
        assert main(["compare", PROMPT, "--max-new-tokens", "10", "--greedy", "--width", str(width)]) == 0
        assert capsys.readouterr().out.splitlines() == expected_rows(PROMPT, width, max_new_tokens=10)

    def test_ctrl_c_while_finished_columns_are_made_shows_them_as_far_as_they_are(self, monkeypatch, capsys):
        monkeypatch.setattr(
            "gptcompare.comparison.stream.whole_tokens",
            Mock(side_effect=AssertionError("the comparison was asked for")),
        )
        pieces = iter([(0, " one"), (1, " two")])

        def interrupted(stream):
            for piece in pieces:
                return piece
            raise KeyboardInterrupt

        monkeypatch.setattr("gptcompare.comparison.ComparisonStream.__next__", interrupted)
        assert main(["compare", PROMPT, "--width", "80"]) == 130
        assert capsys.readouterr().out.splitlines() == rows(HEADERS, [PROMPT] * 2, 80)

    def test_a_terminal_that_knows_no_control_sequences_gets_none(self, monkeypatch):
        monkeypatch.setenv("TERM", "dumb")
        terminal = Terminal(PROMPT, "--max-new-tokens", "5", columns=120)
        raw = []
        monkeypatch.setattr(terminal.stream, "feed", raw.append)
        assert terminal.end()[0] == 0
        assert b"\x1b" not in b"".join(raw)
        assert b"".join(raw).count(PROMPT.encode()) == 2

    def test_ctrl_c_in_a_pipe_leaves_both_texts(self):
        with subprocess.Popen(
            [sys.executable, "-m", "gptcompare", "compare", PROMPT, "--max-new-tokens", "500"],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        ) as process:  # fmt: skip
            assert process.stdout.readline().startswith("nano-gpt2: ")
            process.stdout.readline()
            time.sleep(0.1)
            process.send_signal(signal.SIGINT)
            out, err = process.stdout.read(), process.stderr.read()  # communicate loses what readline has read ahead
        assert process.returncode == 130
        assert "Traceback" not in err
        assert out.count(PROMPT) == 2
        assert "nano-gpt3: " in out


class TestJson:
    def test_it_is_the_comparison_and_the_same_for_the_same_seed(self, capsys):
        command = ["compare", PROMPT, "--max-new-tokens", "10", "--temperature", "0.9", "--top-k", "50", "--seed", "5"]
        assert main([*command, "--json"]) == main([*command, "--json"]) == 0
        first, second = capsys.readouterr().out.splitlines()
        assert first == second
        options = {"max_new_tokens": 10, "temperature": 0.9, "top_k": 50, "top_p": 0.9, "seed": 5, "stop": []}
        assert json.loads(first) == json.loads(json.dumps(gc.compare(PROMPT, **options).to_dict()))

    def test_the_command_on_the_page_runs_for_a_prompt_that_looks_like_an_option(self, tmp_path, monkeypatch, capsys):
        monkeypatch.chdir(tmp_path)
        assert main(["compare", "--max-new-tokens", "4", "--html", "page.html", "--", "-x"]) == 0
        page = (tmp_path / "page.html").read_text(encoding="utf-8")
        command = re.search(r"gptcompare (compare [^\"<]* -- -x)", page)[1]
        assert main(shlex.split(command)) == 0
        first, second = re.findall(r"--seed (\d+)", command + " ".join(capsys.readouterr().out.split()))[:2]
        assert first == second

    def test_tokens_are_drawn_by_default_and_the_seed_that_is_printed_gives_the_same_again(self, capsys):
        assert main(["compare", PROMPT, "--max-new-tokens", "12", "--width", "80"]) == 0
        first = capsys.readouterr().out
        seed = re.search(r"--seed (\d+) writes the same", " ".join(first.split()))[1]
        assert main(["compare", PROMPT, "--max-new-tokens", "12", "--width", "80", "--seed", seed]) == 0
        assert capsys.readouterr().out == first
        assert main(["compare", PROMPT, "--max-new-tokens", "12", "--seed", seed, "--json"]) == 0
        found = json.loads(capsys.readouterr().out)
        options = {**SAMPLED.to_dict(), "max_new_tokens": 12, "seed": int(seed)}
        assert found == json.loads(json.dumps(gc.compare(PROMPT, **options).to_dict()))

    @pytest.mark.parametrize("greedy", [["--greedy"], ["--temperature", "0"]])
    def test_greedy_is_what_python_does_by_default(self, greedy, capsys):
        assert main(["compare", PROMPT, "--max-new-tokens", "8", "--json", *greedy]) == 0
        assert json.loads(capsys.readouterr().out) == json.loads(
            json.dumps(gc.compare(PROMPT, max_new_tokens=8).to_dict())
        )
        assert main(["compare", PROMPT, "--max-new-tokens", "8", *greedy]) == 0
        assert "--seed" not in capsys.readouterr().out

    def test_an_option_that_is_given_leaves_the_others_as_they_are_by_default(self, capsys):
        assert main(["compare", PROMPT, "--max-new-tokens", "3", "--temperature", "1.2", "--seed", "4", "--json"]) == 0
        options = json.loads(capsys.readouterr().out)["options"]
        assert (options["temperature"], options["top_p"], options["seed"]) == (1.2, SAMPLED.top_p, 4)

    def test_a_text_that_is_read(self, tmp_path, capsys):
        (tmp_path / "text").write_text("The king — ran.", encoding="utf-8")
        assert main(["compare", "--text", str(tmp_path / "text"), "--json"]) == 0
        assert json.loads(capsys.readouterr().out) == gc.compare_text("The king — ran.").to_dict()


class TestSides:
    MODELS = ("nano-gpt2", "nano-gpt2@temperature=0.5", "nano-gpt2@without=0.3+1.2@top-k=3")

    def test_a_model_stands_beside_itself_with_other_options_or_without_heads(self, capsys):
        options = ["--max-new-tokens", "6", "--temperature", "0.9", "--seed", "2"]
        assert main(["compare", PROMPT, "--json", "--models", ", ".join(self.MODELS), *options]) == 0
        found = json.loads(capsys.readouterr().out)
        assert found == gc.compare(PROMPT, self.MODELS, max_new_tokens=6, temperature=0.9, top_p=0.9, seed=2).to_dict()
        assert [side["name"] for side in found["sides"]] == [*self.MODELS]
        assert [side["options"]["temperature"] for side in found["sides"]] == [0.9, 0.5, 0.9]
        assert found["sides"][2]["changes"] == ["without head 3 of layer 0; without head 2 of layer 1"]
        assert main(["compare", PROMPT, "--models", self.MODELS[2], *options]) == 0
        shown = capsys.readouterr().out
        assert "6.97M parameters; without head 3 of layer 0; without head 2 of layer 1\n" in shown

    def test_a_text_is_read_without_heads_too(self, tmp_path, capsys):
        models, file = ["nano-gpt2", "nano-gpt2@without=0.3"], tmp_path / "text.txt"
        file.write_text("The king had a hat.")
        assert main(["compare", "--text", str(file), "--models", ",".join(models), "--json"]) == 0
        found = json.loads(capsys.readouterr().out)
        assert found == gc.compare_text("The king had a hat.", models).to_dict()
        assert found["perplexity"][0] != found["perplexity"][1]


def test_a_text_is_read_by_all_models(tmp_path, capsys):
    (tmp_path / "text").write_text("The king had three daughters.", encoding="utf-8")
    assert main(["compare", "--text", str(tmp_path / "text"), "--models", f"nano-gpt2,{STORY_FOLDER}"]) == 0
    expected = gc.compare_text("The king had three daughters.", ["nano-gpt2", STORY_FOLDER]).to_text()
    assert capsys.readouterr().out == expected + "\n"


class TestSentences:
    """Two models that share a vocabulary read one text, several, or a folder."""

    STORY = 'The king had three daughters. "Run!" he said. The fox saw the moon and the old man.\n\nThe end came.'

    @pytest.fixture
    def text(self, tmp_path):
        (tmp_path / "story.txt").write_text(self.STORY, encoding="utf-8")
        return tmp_path / "story.txt"

    def test_one_text_is_summarised_as_ever_and_its_sentences_stand_below(self, text, capsys):
        assert main(["compare", "--text", str(text)]) == 0
        out = capsys.readouterr().out
        assert out.startswith(gc.compare_text(self.STORY).to_text() + "\n\n")
        assert out == gc.compare_texts(text).to_text() + "\n"

    @pytest.mark.parametrize("by", ["divergence", "logprob", "rank"])
    def test_how_many_and_by_what_can_be_said(self, text, by, capsys):
        assert main(["compare", "--text", str(text), "--most", "2", "--by", by, "--width", "60"]) == 0
        assert capsys.readouterr().out == gc.compare_texts(text).to_text(2, by, 60) + "\n"

    def test_the_json_has_the_sentences_if_they_are_asked_for(self, text, capsys):
        assert main(["compare", "--text", str(text), "--most", "2", "--json"]) == 0
        assert json.loads(capsys.readouterr().out) == {
            **gc.compare_texts({str(text): self.STORY}).to_dict(2), "texts": [str(text)]
        }  # fmt: skip

    def test_several_files_folders_and_standard_input(self, text, tmp_path, monkeypatch, capsys):
        (tmp_path / "folder" / "in").mkdir(parents=True)
        (tmp_path / "folder" / "in" / "a.txt").write_text("The wolf ran.")
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"Once upon a time.")))
        assert main(["compare", "--text", str(text), str(tmp_path / "folder"), "-", "--json"]) == 0
        told = json.loads(capsys.readouterr().out)
        assert told["texts"] == [str(text), str(tmp_path / "folder" / "in" / "a.txt"), "standard input"]
        assert main(["compare", "--text", str(tmp_path / "folder")]) == 0
        assert capsys.readouterr().out == gc.compare_texts("The wolf ran.").to_text() + "\n"

    def test_a_page_and_an_explanation_come_after_them(self, text, tmp_path, capsys):
        assert main(["compare", "--text", str(text), "--explain", "1", "--html", str(tmp_path / "page.html")]) == 0
        out, err = capsys.readouterr()
        assert out.startswith(gc.compare_texts(text).to_text() + "\n")
        assert out.endswith("\n" + gc.compare_text(self.STORY).explain(1) + "\n")
        assert err == f"wrote {tmp_path / 'page.html'}\n"

    def test_special_tokens_that_are_read_as_text_are_hinted_at_in_each_of_them(self, text, tmp_path, capsys):
        (tmp_path / "special.txt").write_text("One.<|endoftext|>Two.")
        assert main(["compare", "--text", str(text), str(tmp_path / "special.txt")]) == 0
        assert capsys.readouterr().err.count("hint: <|endoftext|> is read as plain text") == 1
        assert main(["compare", "--text", str(text), str(tmp_path / "special.txt"), "--allow-special"]) == 0
        out, err = capsys.readouterr()
        texts = [text, tmp_path / "special.txt"]
        assert (out, err) == (gc.compare_texts(texts, allowed_special="all").to_text() + "\n", "")

    @pytest.mark.parametrize(
        ("arguments", "words"),
        [
            (["FOLDER/empty"], "empty: no file in this folder has a name that ends in .txt"),
            (["FOLDER/latin.txt", "FOLDER/story.txt"], "latin.txt: not UTF-8 text"),
            (["FOLDER/story.txt", "FOLDER/vanished.txt"], "No such file or directory: 'FOLDER/vanished.txt'"),
            (["FOLDER/nothing.txt"], "there is no text to compare: all that is given is empty"),
            (["FOLDER/story.txt", "--most", "-1"], "--most must be at least 0, got -1"),
            (
                ["FOLDER/story.txt", "FOLDER/story.txt", "--html", "FOLDER/x.html"],
                "--html and --explain show the tokens",
            ),
            (
                ["FOLDER/story.txt", "FOLDER/story.txt", "--models", f"nano-gpt2,{STORY_FOLDER}"],
                "different vocabularies",
            ),
            (
                ["FOLDER/story.txt", "--most", "1", "--models", "nano-gpt2"],
                "two models can differ in a sentence, and 1 given",
            ),
            (["gpt3-samples", "--most", "1"], "--most and --by are for the sentences of texts in files"),
        ],
    )
    def test_a_user_s_error_is_one_line_and_status_2(self, arguments, words, text, tmp_path, capsys):
        (tmp_path / "empty").mkdir()
        (tmp_path / "latin.txt").write_bytes(b"na\xefve")
        (tmp_path / "nothing.txt").write_text("")
        given = [word.replace("FOLDER", str(tmp_path)) for word in arguments]
        assert main(["compare", "--text", *given]) == 2
        out, err = capsys.readouterr()
        assert out == ""
        assert words.replace("FOLDER", str(tmp_path)) in err
        assert len(err.splitlines()) == 1

    def test_to_choose_sentences_without_a_text_is_refused(self, capsys):
        for option in (["--most", "3"], ["--by", "rank"]):
            assert main(["compare", PROMPT, *option]) == 2
            assert "they go with --text FILE" in capsys.readouterr().err


class TestGPT3Samples:
    """As OpenAI published them: a sample may hold several documents, each of which is read by itself."""

    SAMPLES = ("A king had three daughters.<|endoftext|>The second text", "The third.<|endoftext|>", "qXz\n~~ 4th")
    DOCUMENTS = ("A king had three daughters.", "The second text", "The third.", "qXz\n~~ 4th")

    @pytest.fixture(autouse=True)
    def samples(self, monkeypatch):
        monkeypatch.setattr("gptcompare.cli.compare.gpt3_samples", lambda: [*self.SAMPLES])

    def test_each_document_is_read_by_itself(self, capsys):
        assert main(["compare", "--text", "gpt3-samples", "--json"]) == 0
        expected = [gc.compare_text(text).to_dict() for text in self.DOCUMENTS]
        assert json.loads(capsys.readouterr().out) == expected

    def test_the_summary_has_the_spread_and_the_extremes(self, capsys):
        assert main(["compare", "--text", "gpt3-samples", "--width", "100"]) == 0
        out = capsys.readouterr().out
        readings = [gc.compare_text(text).reading for text in self.DOCUMENTS]
        lines = {line.split("  ")[0]: line.split()[-2:] for line in out.splitlines()}
        for n in range(2):
            bits = sorted(reading.bits_per_byte[n] for reading in readings)
            assert lines["lowest"][n] == f"{bits[0]:.3f}"
            assert lines["median"][n] == f"{(bits[1] + bits[2]) / 2:.3f}"
            assert lines["highest"][n] == f"{bits[3]:.3f}"
            total = -sum(sum(reading.logprobs[n]) for reading in readings) / math.log(2)
            assert lines["all together"][n] == f"{total / sum(reading.n_bytes[n] for reading in readings):.3f}"
        assert "Most surprising to nano-gpt2: 'qXz ~~ 4th'" in out

    def test_the_first_ones_alone(self, capsys):
        assert main(["compare", "--text", "gpt3-samples", "--first", "2", "--json"]) == 0
        assert [result["text"] for result in json.loads(capsys.readouterr().out)] == [*self.DOCUMENTS[:2]]

    @pytest.mark.parametrize("arguments", [["--first", "0"], ["--html", "x.html"]])
    def test_what_does_not_go_with_them_is_refused(self, arguments, capsys):
        assert main(["compare", "--text", "gpt3-samples", *arguments]) == 2
        assert "--text gpt3-samples" in capsys.readouterr().err


class TestReport:
    def test_it_answers_the_four_questions_of_the_models_that_are_named(self, capsys):
        assert main(["compare", "--report", "--models", "gpt2-xl,gpt3-175b"]) == 0
        out = capsys.readouterr().out
        assert out == gc.report(["gpt2-xl", "gpt3-175b"]).to_markdown()
        assert [line for line in out.splitlines() if line.startswith("## ")][:4] == [
            "## 1. Structure", "## 2. Training data", "## 3. Performance", "## 4. Applications",
        ]  # fmt: skip

    def test_it_is_of_the_pair_if_none_is_named_and_a_page_if_that_is_asked_for(self, tmp_path, capsys):
        assert main(["compare", "--report", "--html", str(tmp_path / "report.html")]) == 0
        assert capsys.readouterr().out == ""
        html = (tmp_path / "report.html").read_text(encoding="utf-8")
        assert html == gc.report(["nano-gpt2", "nano-gpt3"]).to_html()

    def test_an_unknown_model_is_refused(self, capsys):
        assert main(["compare", "--report", "--models", "gpt2,gpt5"]) == 2
        assert "unknown model 'gpt5'" in capsys.readouterr().err


def test_a_page_is_written_with_the_rest(tmp_path, capsys):
    path = tmp_path / "page.html"
    assert main(["compare", PROMPT, "--max-new-tokens", "5", "--html", str(path)]) == 0
    out, err = capsys.readouterr()
    assert f"wrote {path}" in err
    html = path.read_text(encoding="utf-8")
    assert html.startswith("<!DOCTYPE html>")
    assert out.splitlines()[-1] in html.replace("&#x27;", "'")


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
@pytest.mark.parametrize(
    "what", [[PROMPT, "--max-new-tokens", "3", "--greedy"], ["--text", "FILE"]], ids=["prompt", "text"]
)
@pytest.mark.parametrize("form", [["--json"], []], ids=["JSON", "text"])
def test_what_is_printed_does_not_depend_on_the_page(what, form, tmp_path, capsys):
    """A page that could not be written once lost the whole comparison."""
    (tmp_path / "text.txt").write_text(PROMPT)
    command = ["compare", *(str(tmp_path / "text.txt") if word == "FILE" else word for word in what), *form]
    assert main(command) == 0
    expected = capsys.readouterr().out
    assert main([*command, "--html", "/dev/full"]) == 2
    out, err = capsys.readouterr()
    assert out == expected
    assert "No space left on device: '/dev/full'" in err


def test_a_page_s_name_may_be_as_long_as_a_file_s(tmp_path):
    name = tmp_path / f"{'a' * 250}.html"
    assert main(["compare", "--report", "--html", str(name)]) == 0
    assert name.stat().st_size > 1000


def test_a_link_stays_and_what_it_points_to_is_the_page(tmp_path, capsys):
    (tmp_path / "link").symlink_to(tmp_path / "page.html")
    assert main(["compare", "--report", "--html", str(tmp_path / "link")]) == 0
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "page.html").read_text(encoding="utf-8").startswith("<!DOCTYPE html>")


def test_a_device_is_written_to_and_not_replaced(capsys):
    assert main(["compare", "--report", "--html", "/dev/null"]) == 0
    assert not Path("/dev/null").is_file()


def test_the_whole_of_a_text_is_read_and_its_last_line_end_is_a_part_of_it(tmp_path, monkeypatch, capsys):
    (tmp_path / "text").write_bytes(b" one\ntwo \n\n")
    read = gc.compare_text(" one\ntwo \n\n").to_dict()
    for given in (str(tmp_path / "text"), "-"):
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO((tmp_path / "text").read_bytes())))
        assert main(["compare", "--text", given, "--json"]) == 0
        assert json.loads(capsys.readouterr().out) == read


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["x", "--models", "nano-gpt2,no-such-model"], "no-such-model"),
        (["x", "--models", "nano-gpt2,"], "has an empty name"),
        (
            ["x", "--models", "nano-gpt2@colour=3"],
            "a side has no option 'colour' of its own: there are temperature, top_k",
        ),
        (["x", "--models", "nano-gpt2@temperature=hot"], "temperature must be a number, got 'hot'"),
        (
            ["x", "--models", "nano-gpt2@without=6.0"],
            "there is no head 6.0: the layers are 0 ... 5, the heads of each 0",
        ),
        (
            ["--text", "no-such-file", "--models", "nano-gpt2@top_k=3"],
            "nano-gpt2@top_k=3 has top_k of its own: that is for",
        ),
        (["--report", "--models", "nano-gpt2@top_k=3"], "unknown model 'nano-gpt2@top_k=3'"),
        (["--report", "--json"], "--report goes with --models and --html"),
        (["x", "--width", "0"], "width must be at least 1"),
        (["x", "--width", "1" + "0" * 30], "width must be at most 10000"),
        (["x", "--temperature", "-1"], "temperature must be 0"),
        (["x", "--html", "."], "is not the name of a file"),
        (["x", "--html", ""], "is not the name of a file"),
        (["x", "--html", "page.png"], "--html page.png: a page is HTML, so its name must end in .html or .htm"),
        (["x", "--html", "page"], "must end in .html or .htm"),
        (["--report", "--html", "page.md"], "must end in .html or .htm"),
        (["x", "--html", "no-such-folder/x.html"], "there is no folder 'no-such-folder'"),
        (["--text", "no-such-file"], "no-such-file"),
        (["x", "--first", "3"], "--first goes with --text gpt3-samples"),
        (["--text", "no-such-file", "--seed", "1", "--stop", "x"], "--seed, --stop: only for a prompt"),
        (["--text", "gpt3-samples", "--temperature", "0"], "--temperature: only for a prompt"),
        (["--text", "no-such-file", "--greedy"], "--greedy: only for a prompt"),
    ],
)
def test_a_user_s_error_is_one_line_and_status_2(arguments, words, capsys):
    assert main(["compare", *arguments]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert words in err
    assert len(err.splitlines()) == 1


@pytest.mark.parametrize("field", dataclasses.fields(gc.GenerationOptions), ids=lambda field: field.name)
def test_an_option_of_writing_is_refused_where_no_model_writes(field, capsys):
    for what in (["--text", "no-such-file"], ["--report"]):
        assert main(["compare", *what, flag_of(field.name), "1"]) == 2
        out, err = capsys.readouterr()
        assert out == ""
        assert flag_of(field.name) in err


def test_greedy_and_a_temperature_contradict_each_other(capsys):
    with pytest.raises(SystemExit):
        main(["compare", "x", "--greedy", "--temperature", "1"])
    assert "--temperature: not allowed with argument --greedy" in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [[], ["x", "--text", "y"]])
def test_either_a_prompt_or_a_text_is_asked_for(arguments, capsys):
    with pytest.raises(SystemExit):
        main(["compare", *arguments])
    assert "usage" in capsys.readouterr().err


def test_the_clock_s_lines_name_the_models():
    assert speeds(gc.compare(PROMPT, max_new_tokens=3).sides).splitlines()[0].split() == ["nano-gpt2", "nano-gpt3"]
