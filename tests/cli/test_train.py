import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from support.amounts import few_or_many
from support.command import KINDS, once_or_often, start
from support.places import ALICE, STORY_FOLDER

import gptcompare as gc
from gptcompare.checkpoints import room
from gptcompare.cli import main
from gptcompare.cli import train as train_command
from gptcompare.cli.train import NUMBERS
from gptcompare.display.units import in_bytes
from gptcompare.training import Recipe, read_metrics
from gptcompare.training.run_folder import RunFolder

SIZES = {"n_layer": 2, "n_head": 2, "d_model": 16, "n_ctx": 32, "n_vocab": 300}
FEW = ["--steps", "6", "--batch", "2", "--warmup-steps", "2"]


@pytest.fixture
def texts(tmp_path):
    text = ALICE.read_text(encoding="utf-8")
    paths = [tmp_path / "one.txt", tmp_path / "two.txt", tmp_path / "held-out.txt"]
    for n, path in enumerate(paths):
        path.write_text(text[4000 * n : 4000 * (n + 1)], encoding="utf-8")
    return [str(path) for path in paths]


@pytest.fixture
def config(tmp_path):
    path = tmp_path / "config.json"
    path.write_text(json.dumps(SIZES))
    return str(path)


def recipe_of(folder):
    return json.loads((folder / "run.json").read_text())["recipe"]


def test_a_model_is_trained_and_opens(texts, config, tmp_path, capsys):
    out = tmp_path / "run"
    command = ["train", *texts[:2], "--validation", texts[2], "--config", config, "--out", str(out), *FEW]
    assert main(command) == 0
    printed, err = capsys.readouterr()
    assert "6 steps, 384 tokens, loss 5." in printed
    assert ", validation loss 5." in printed
    assert "training: 100%" in err
    lm = gc.load(out)
    assert lm.config == gc.GPTConfig(**SIZES)
    assert len(lm.generate("Alice", max_new_tokens=3).ids) <= 3
    tokens = np.load(out / "tokens.npy")
    written = [Path(path).read_text(encoding="utf-8") for path in texts[:2]]
    assert lm.tokenizer.decode(tokens.tolist()).split("<|endoftext|>") == [*written, ""]
    assert [line.step for line in read_metrics(out)] == [1, 2, 3, 4, 5, 6]
    assert read_metrics(out)[-1].validation_loss == pytest.approx(5.6, abs=0.5)


def test_a_tuned_model_ends_its_texts_as_before(texts, tmp_path, story):
    first, out = tmp_path / "first", tmp_path / "tuned"
    gc.LanguageModel(story.model, story.tokenizer, [5, 7]).save_pretrained(first)
    assert main(["train", texts[0], "--init", str(first), "--out", str(out), "--context", "16", *FEW]) == 0
    assert gc.load(out).end_ids == {5, 7}


@pytest.mark.parametrize("name", ["vocab.json", "tokenizer.json", "special_tokens_map.json", "metrics.csv"])
def test_no_file_of_somebody_else_is_replaced_or_removed(texts, config, tmp_path, capsys, name):
    out = tmp_path / "theirs"
    out.mkdir()
    (out / name).write_text("{}")
    assert main(["train", texts[0], "--config", config, "--out", str(out), *FEW]) == 2
    assert f"has what no run has saved there ({name}): give another folder" in capsys.readouterr().err
    assert {path.name: path.read_text() for path in out.iterdir()} == {name: "{}"}


def test_tokens_of_somebody_else_stay(texts, config, tmp_path, capsys):
    out = tmp_path / "theirs"
    out.mkdir()
    (out / "tokens.npy").write_text("theirs")
    assert main(["train", texts[0], "--config", config, "--out", str(out), *FEW]) == 2
    assert "tokens.npy is not a file of tokens that was made here: it stays; give another" in capsys.readouterr().err
    assert {path.name for path in out.iterdir()} == {".lock", "tokens.npy"}


def test_a_folder_without_a_name_is_refused(texts, config, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    before = {*tmp_path.iterdir()}
    assert main(["train", texts[0], "--config", config, "--out", "", *FEW]) == 2
    assert capsys.readouterr().err == "gptcompare: the folder of a run needs a name\n"
    assert {*tmp_path.iterdir()} == before


@pytest.mark.parametrize(("optimizer", "n_copies"), [("adamw", 4), ("muon", 3)])
def test_a_model_too_large_to_be_trained_is_refused_before_it_is_made(
    texts, tmp_path, capsys, monkeypatch, optimizer, n_copies
):
    large = {**SIZES, "n_layer": 10, "d_model": 256}
    need = n_copies * 4 * gc.GPTConfig(**large).n_params
    monkeypatch.setattr(room, "memory_of_machine", lambda: need - 1)
    monkeypatch.setattr(train_command, "GPT", lambda *args, **kwargs: pytest.fail("it would be made"))
    sizes = tmp_path / "large.json"
    sizes.write_text(json.dumps(large))
    command = ["train", texts[0], "--config", str(sizes), "--out", str(tmp_path / "run"), "--optimizer", optimizer]
    assert main([*command, *FEW]) == 2
    assert f"large.json needs {in_bytes(need)} to be trained" in capsys.readouterr().err
    assert not (tmp_path / "run" / "run.json").exists()


class TestEndOfText:
    """Of a file with three texts in it, and of a held-out one with two."""

    @pytest.fixture
    def train(self, tmp_path, capsys):
        """Train with some options; return the run's folder and what was said about the texts."""
        text = ALICE.read_text(encoding="utf-8")
        (tmp_path / "three.txt").write_text("\n<|endoftext|>\n".join([text[:3000], text[:2000], text[:1000]]))
        (tmp_path / "two.txt").write_text("<|endoftext|>".join([text[:3000], text[:2000]]))

        def run(folder, *options, status=0):
            files = [str(tmp_path / "three.txt"), "--validation", str(tmp_path / "two.txt")]
            capsys.readouterr()
            assert main(["train", *files, "--out", str(tmp_path / folder), *options, *FEW]) == status
            err = capsys.readouterr().err
            return tmp_path / folder, [line.split(", ")[0] for line in err.splitlines() if line.startswith("[")]

        return run

    def test_it_separates_the_texts_in_a_file_and_their_number_is_said(self, train, config):
        folder, said = train("run", "--config", config)
        assert said == ["[training: 3 texts in 1 file", "[validation: 2 texts in 1 file"]
        tokenizer = gc.load(folder).tokenizer
        assert np.load(folder / "tokens.npy").tolist().count(tokenizer.eot_id) == 3
        assert not any("endof" in token for token in tokenizer.vocabulary.ids)

    def test_it_can_be_another_or_none(self, train, config):
        for name, mark in (("none", ""), ("other", "%%%")):
            folder, said = train(name, "--config", config, "--end-of-text", mark)
            assert said == ["[training: 1 text in 1 file", "[validation: 1 text in 1 file"]
            assert gc.load(folder).tokenizer.decode(np.load(folder / "tokens.npy").tolist()).count("<|endoftext|>") == 3

    def test_a_run_with_it_and_one_without_are_two(self, train, config):
        options = ["--config", config, "--tokenizer", str(STORY_FOLDER)]
        vocabulary = gc.Tokenizer.from_pretrained(STORY_FOLDER).n_vocab
        Path(config).write_text(json.dumps({**SIZES, "n_vocab": vocabulary}))
        folder, _ = train("run", *options)
        before = (folder / "state.safetensors").read_bytes()
        train("run", *options, "--end-of-text", "", status=2)
        train("run", *options)
        assert (folder / "state.safetensors").read_bytes() == before


def test_too_few_pairs_for_the_vocabulary_is_an_error_that_says_what_to_do(texts, config, tmp_path, capsys):
    Path(config).write_text(json.dumps({**SIZES, "n_vocab": 4096}))
    command = ["train", texts[0], "--config", config, "--out", str(tmp_path / "run"), *FEW]
    assert main(command) == 2
    err = capsys.readouterr().err
    assert "a smaller n_vocab" in err
    assert "nano-gpt2" in err
    assert "--tokenizer" in err
    Path(config).write_text(json.dumps({**SIZES, "n_vocab": gc.load("nano-gpt2").config.n_vocab}))
    assert main([*command, "--tokenizer", "nano-gpt2"]) == 0  # as it says


@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
@pytest.mark.parametrize("ends", [b"\n", b"\r\n"])
def test_a_text_is_the_same_from_every_system(config, tmp_path, mark, ends):
    for name, content in (("plain", ALICE.read_bytes()[:4000]), ("other", ALICE.read_bytes()[:4000])):
        written = content if name == "plain" else mark + content.replace(b"\n", ends)
        (tmp_path / f"{name}.txt").write_bytes(written)
        command = ["train", str(tmp_path / f"{name}.txt"), "--config", config, "--out", str(tmp_path / name)]
        assert main([*command, *FEW, "--steps", "1", "--warmup-steps", "0"]) == 0
    for file in ("run.json", "vocab.json", "merges.txt", "tokens.npy"):
        assert (tmp_path / "plain" / file).read_bytes() == (tmp_path / "other" / file).read_bytes(), file


def test_every_option_reaches_the_recipe(texts, config, tmp_path):
    values = {"n_steps": 3, "batch": 4, "context": 9, "learning_rate": 1e-2, "warmup_steps": 1, "weight_decay": 0.2}
    values |= {"final_learning_rate": 0.5}
    values |= {"gradient_clip": 0.5, "accumulation": 2, "dropout": 0.1, "seed": 3, "optimizer": "muon"}
    options = [word for option, (name, *_) in NUMBERS.items() for word in (option, str(values[name]))]
    assert main(["train", texts[0], "--config", config, "--out", str(tmp_path / "run"), *options]) == 0
    written = recipe_of(tmp_path / "run")
    assert Recipe(**written) == Recipe(**values)


def test_a_saved_model_s_description_is_a_configuration(texts, tmp_path):
    dense = gc.GPTConfig(**{**SIZES, "n_ctx": 16})
    for config in (dense, gc.GPTConfig(**{**SIZES, "n_ctx": 16, "attention": ("banded",), "band_width": 4})):
        folder = tmp_path / config.attention[0]
        gc.GPT(config).save_pretrained(folder)
        command = ["train", texts[0], "--config", str(folder / "config.json"), "--out", str(folder / "run"), *FEW]
        assert main(command) == 0
        assert gc.load(folder / "run").config == config


def test_a_preset_brings_its_own_numbers_and_gpt2_s_vocabulary(texts, tmp_path, monkeypatch):
    small = gc.GPTConfig(n_layer=1, n_head=1, d_model=4, n_ctx=16)
    monkeypatch.setattr(gc.GPTConfig, "preset", lambda name: small)
    assert main(["train", texts[0], "--config", "gpt3-xl", "--out", str(tmp_path / "run"), *FEW]) == 0
    assert recipe_of(tmp_path / "run")["learning_rate"] == 2e-4
    assert gc.load(tmp_path / "run").tokenizer.encode("Hello world") == [15496, 995]


def test_a_trained_model_is_tuned_with_its_own_vocabulary(texts, tmp_path, story):
    before = {name: value.copy() for name, value in gc.GPT.from_pretrained(STORY_FOLDER).parameters().items()}
    out = tmp_path / "run"
    assert main(["train", *texts[:2], "--init", str(STORY_FOLDER), "--out", str(out), "--context", "64", *FEW]) == 0
    metrics = read_metrics(out)
    assert metrics[0].loss < 5  # of a model that has learned before
    tuned = gc.load(out)
    assert tuned.config == story.config
    assert tuned.tokenizer.encode("Once upon a time") == story.tokenizer.encode("Once upon a time")
    assert not np.array_equal(tuned.model.parameters()["wte.weight"], before["wte.weight"])


def test_the_same_command_goes_on_after_ctrl_c_and_ends_as_if_it_had_not_stopped(texts, config, tmp_path):
    def command(folder):
        steps = ["--steps", "400", "--batch", "2", "--warmup-steps", "5"]
        return [
            sys.executable,
            "-m",
            "gptcompare",
            "train",
            *texts[:2],
            "--config",
            config,
            "--out",
            str(folder),
            *steps,
        ]

    (tmp_path / "stopped").mkdir()
    process = subprocess.Popen(command(tmp_path / "stopped"), stderr=subprocess.PIPE)
    while process.poll() is None and len(read_metrics(tmp_path / "stopped")) < 20:
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert b"Traceback" not in err
    assert b"run the same command again to resume" in err
    assert 20 <= len(read_metrics(tmp_path / "stopped")) < 400
    for folder in ("stopped", "whole"):
        subprocess.run(command(tmp_path / folder), check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    files = [(tmp_path / folder / "model.safetensors").read_bytes() for folder in ("stopped", "whole")]
    assert files[0] == files[1]


class TestStops:
    @pytest.mark.skipif(os.name == "nt", reason="Windows has no such signals")
    @once_or_often(5)
    def test_a_run_that_was_stopped_ends_with_the_same_bits(self, texts, config, tmp_path, kind, n_kills):
        """It is resumed after each stop."""
        steps = ["--steps", str(300 * n_kills), "--batch", "2", "--warmup-steps", "5", "--save-every", "100"]
        command = ["train", *texts[:2], "--config", config, *steps]
        rng = random.Random(kind)
        for _ in range(n_kills):
            process = start(*command, "--out", str(tmp_path / "stopped"))
            self.wait_for_steps(process, tmp_path / "stopped")
            time.sleep(rng.uniform(0, 0.2))
            for number in KINDS[kind]:
                process.send_signal(number)
                time.sleep(rng.uniform(0, 0.02))
            _, err = process.communicate(timeout=60)
            self.check_end(process.returncode, KINDS[kind][0], err.decode(), read_metrics(tmp_path / "stopped"))
        for folder in ("stopped", "whole"):
            process = start(*command, "--out", str(tmp_path / folder))
            _, err = process.communicate(timeout=600)
            assert process.returncode == 0, err
        for file in ("model.safetensors", "state.safetensors"):
            assert (tmp_path / "stopped" / file).read_bytes() == (tmp_path / "whole" / file).read_bytes()
        losses = [[(line.step, line.loss) for line in read_metrics(tmp_path / name)] for name in ("stopped", "whole")]
        assert losses[0] == losses[1]
        names = [{path.name for path in (tmp_path / name).iterdir()} for name in ("stopped", "whole")]
        assert names[0] == names[1]

    @staticmethod
    def wait_for_steps(process, folder):
        """Until this process has written a line."""
        path = folder / "metrics.csv"
        before = path.stat().st_ino if path.exists() else None
        while process.poll() is None:
            if path.exists() and path.stat().st_ino != before:
                return
            time.sleep(0.01)

    @staticmethod
    def check_end(status, number, err, metrics):
        """The status of the signal, and a message that says what was saved."""
        if status == 0:  # it had just finished
            return
        assert "Traceback" not in err
        if number == signal.SIGKILL:
            assert status == -number
            return
        at_the_end = {-signal.SIGINT} if number == signal.SIGINT else set()  # a second Ctrl-C, when Python already ends
        assert status in {128 + number, *at_the_end}, err
        saved = re.search(r"stopped and saved at step (\d+): run the same command again to resume", err)
        if saved:
            assert int(saved[1]) == len(metrics)
        else:
            assert re.search(r"stopped at step \d+, before it was saved: .* from step \d+|nothing was saved", err), err

    @pytest.mark.skipif(os.name == "nt", reason="Windows has no such signals")
    def test_sigterm_saves_where_ctrl_c_is_ignored(self, texts, config, tmp_path):
        """As in a script's background job."""
        before = signal.signal(signal.SIGINT, signal.SIG_IGN)
        try:
            process = start("train", texts[0], "--config", config, "--out", str(tmp_path / "run"), "--steps", "100000")
        finally:
            signal.signal(signal.SIGINT, before)
        self.wait_for_steps(process, tmp_path / "run")
        process.send_signal(signal.SIGINT)
        time.sleep(0.05)
        process.send_signal(signal.SIGTERM)
        _, err = process.communicate(timeout=60)
        assert process.returncode == 128 + signal.SIGTERM
        assert f"stopped and saved at step {len(read_metrics(tmp_path / 'run'))}" in err.decode()

    def test_a_stop_while_it_saves_says_what_was_saved(self, texts, config, tmp_path, capsys, monkeypatch):
        """The second Ctrl-C once said that all was saved."""

        command = ["train", texts[0], "--config", config, "--out", str(tmp_path / "run"), *FEW, "--save-every", "2"]
        for saves, words in ((0, "stopped, and nothing was saved"), (1, "stopped at step 4, before it was saved: ")):
            with monkeypatch.context() as patch:
                save, n_saved = RunFolder.save, []

                def save_some(folder, *rest, saves=saves, save=save, n_saved=n_saved):
                    if len(n_saved) == saves:
                        raise KeyboardInterrupt
                    n_saved.append(save(folder, *rest))

                patch.setattr(RunFolder, "save", save_some)
                assert main(command) == 130
            assert words in capsys.readouterr().err
        assert main(command) == 0


@pytest.mark.skipif(os.name == "nt", reason="Windows has other locks")
@few_or_many("n", 1, 10)
def test_of_two_commands_that_start_together_one_trains_and_the_other_says_so(texts, config, tmp_path, n):
    for number in range(n):
        folder = tmp_path / f"run-{number}"
        command = ["train", texts[0], "--config", config, "--out", str(folder), *FEW]
        both = [start(*command, "--seed", str(seed)) for seed in (1, 2)]
        ends = [process.communicate(timeout=120)[1].decode() for process in both]
        assert sorted(process.returncode for process in both) == [0, 2], ends
        winner = [process.returncode for process in both].index(0)
        assert re.search("another process is training in|differs in parameters, recipe.seed", ends[1 - winner])
        assert ends[1 - winner].count("gptcompare: ") == 1
        assert recipe_of(folder)["seed"] == winner + 1
        assert main([*command, "--seed", str(winner + 1)]) == 0


def test_a_vocabulary_is_taken_over_from_a_run_and_from_nothing_else(texts, config, tmp_path):
    out = tmp_path / "run"
    gc.Tokenizer.train([Path(texts[0]).read_text()], 270).save_pretrained(out)
    for name, of_openai in (("vocab.json", "encoder.json"), ("merges.txt", "vocab.bpe")):
        (out / name).rename(out / of_openai)  # which a run neither writes nor removes
    (out / "tokenizer_config.json").unlink()
    assert main(["train", texts[0], "--config", config, "--out", str(out), *FEW]) == 0
    assert gc.load(out).tokenizer.n_vocab == 300


def test_a_trained_model_is_never_written_over_by_its_own_tuning(texts, tmp_path, capsys, story):
    out = tmp_path / "model"
    story.model.save_pretrained(out)
    story.tokenizer.save_pretrained(out)
    before = {path.name: path.read_bytes() for path in out.iterdir()}
    assert main(["train", texts[0], "--init", str(out), "--out", str(out), *FEW]) == 2
    assert "has what no run has saved there" in capsys.readouterr().err
    assert {path.name: path.read_bytes() for path in out.iterdir()} == before


def test_intervals_and_threads_reach_the_loop(texts, config, tmp_path, monkeypatch):
    seen = {}
    monkeypatch.setattr(train_command, "train", lambda *_, **options: seen.update(options) or [])
    intervals = ["--validate-every", "3", "--save-every", "4", "--accumulation", "2", "--threads", "2"]
    validation = ["--validation", texts[1], "--validation", texts[2]]
    command = ["train", texts[0], "--config", config, "--out", str(tmp_path / "run"), *FEW, *intervals, *validation]
    assert main(command) == 0
    assert (seen["validate_every"], seen["save_every"], seen["threads"]) == (3, 4, 2)
    held_out = seen["tokenizer"].decode(seen["validation"].tolist())
    assert held_out == "".join(Path(path).read_text() + "<|endoftext|>" for path in texts[1:])


def test_a_file_is_a_configuration_whatever_its_name(texts, config, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    shutil.copy(config, "gpt3-175b")
    assert main(["train", texts[0], "--config", "gpt3-175b", "--out", "run", *FEW]) == 0
    assert recipe_of(tmp_path / "run")["learning_rate"] == Recipe(n_steps=1).learning_rate


def test_a_short_run_reaches_its_learning_rate(texts, config, tmp_path):
    assert main(["train", texts[0], "--config", config, "--out", str(tmp_path / "run"), "--steps", "30"]) == 0
    assert max(line.learning_rate for line in read_metrics(tmp_path / "run")) == pytest.approx(6e-4)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["no-such.txt", "--config", "CONFIG"], "No such file or directory"),
        pytest.param(["no-such.txt", "--config", "gpt2"], "No such file or directory", marks=pytest.mark.slow),
        (["TEXT", "--config", "gpt2-medum"], "did you mean gpt2-medium"),
        (["TEXT", "--config", "TEXT"], "not JSON"),
        (["TEXT", "--config", "DEEP"], "deep.json: not JSON"),
        (["TEXT", "--config", "CONFIG", "--context", "33"], "longer than the model's 32"),
        (["TEXT", "--config", "CONFIG", "--validation", "TEXT"], "it cannot be held out"),
        (["TEXT", "--config", "CONFIG", "--seed", "-1"], "seed must be at least 0"),
        (["TEXT", "--config", "CONFIG", "--optimizer", "sgd"], "optimizer must be one of adamw, muon, got 'sgd'"),
        (["TEXT", "--config", "CONFIG", "--context", "8", "--batch", "1" + "0" * 30], "batch must be at most 100000"),
        (["TEXT", "--config", "CONFIG", "--save-every", "0"], "save_every must be at least 1"),
        (["TEXT", "--config", "CONFIG", "--learning-rate", "-1"], "learning_rate must be finite and not negative"),
        (["TEXT", "--config", "CONFIG", "--tokenizer", "gpt2"], "the tokenizer has 50257 ids, the model only 300"),
        (["TEXT", "--config", "CONFIG", "--learning-rate", "1e30", "--gradient-clip", "0"], "the run stops here"),
    ],
    ids=str,
)
def test_a_user_s_error_is_one_line_and_status_2(arguments, words, texts, config, tmp_path, capsys):
    (tmp_path / "deep.json").write_text("[" * 100_000)
    places = {"TEXT": texts[0], "CONFIG": config, "DEEP": str(tmp_path / "deep.json")}
    run = ["train", *(places.get(word, word) for word in arguments), "--out", str(tmp_path / "run")]
    assert main([*run, *FEW] if "--context" not in run else run) == 2
    err = capsys.readouterr().err
    assert words in err
    assert err.splitlines()[-1].startswith("gptcompare: ")
    assert not os.path.exists(tmp_path / "run" / "model.safetensors")
