import contextlib
import json
import os
import random
import shutil
import signal
import time
from dataclasses import asdict
from pathlib import Path

import pytest
from support.command import KINDS, once_or_often, start
from support.packages import needs_dask
from support.places import STORY_FOLDER

from gptcompare import evaluation
from gptcompare.cli import main

STORY = ["--model", str(STORY_FOLDER)]
ROWS = Path("story-gpt2", "lambada", "items.jsonl")
WORDS = ["king", "queen", "castle", "forest", "daughter", "brother", "garden"]


@pytest.fixture(autouse=True)
def in_a_folder_of_its_own(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def lambada(n):
    text = "Once upon a time there was a king who had three daughters, and he lived in a"
    lines = [json.dumps({"text": f"{text} {WORDS[k % 5]} near a {WORDS[k % 7]}"}) for k in range(n)]
    Path("lambada_test.jsonl").write_text("\n".join(lines))
    return "lambada_test.jsonl"


def test_it_prints_a_table_and_keeps_everything_in_a_folder_of_model_and_task(story, capsys):
    file = lambada(12)
    command = ["evaluate", "--task", "lambada", "--data", file, *STORY]
    found = evaluation.evaluate(STORY_FOLDER, "lambada", file)
    assert main(command) == 0
    out, err = capsys.readouterr()
    assert out == f"{found.to_text()}\n"
    assert "[evaluations/story-gpt2/lambada/result.json]" in err
    folder = Path("evaluations/story-gpt2/lambada")
    assert json.loads((folder / "result.json").read_text()) == found.to_dict()
    assert main([*command, "--json", "--beside", "gpt3-175b,gpt2"]) == 0
    assert json.loads(capsys.readouterr().out) == found.to_dict(["gpt3-175b", "gpt2"])


@pytest.mark.parametrize(
    ("options", "name"),
    [
        (["--shots", "2", "--limit", "3"], "lambada-shots-2-limit-3"),
        (["--seed", "7"], "lambada-seed-7"),
        (["--shots", "0", "--seed", "0"], "lambada"),
    ],
)
def test_other_settings_have_other_folders(options, name):
    file = lambada(6)
    assert main(["evaluate", "--task", "lambada", "--data", file, *STORY, *options, "--out", "found"]) == 0
    assert [path.name for path in Path("found/story-gpt2").iterdir()] == [name]


def test_several_tasks_come_one_after_the_other(capsys):
    file = lambada(6)
    assert main(["evaluate", "--task", "lambada,lambada-cloze", "--data", file, *STORY]) == 0
    out = capsys.readouterr().out
    assert out.index(f"lambada of {STORY_FOLDER}") < out.index(f"lambada-cloze of {STORY_FOLDER}")


def test_a_text_is_read_with_the_stride_that_is_wanted(capsys):
    Path("text.txt").write_text("Once upon a time there was a king. " * 60)
    found = {}
    for stride in (64, 256):
        command = ["evaluate", "--task", "text", "--data", "text.txt", "--stride", str(stride), *STORY, "--json"]
        assert main(command) == 0
        found[stride] = json.loads(capsys.readouterr().out)["metrics"]
        expected = evaluation.evaluate(STORY_FOLDER, "text", "text.txt", stride=stride)
        assert found[stride] == [asdict(metric) for metric in expected.metrics]
    assert found[64] != found[256]


def test_each_text_has_a_folder_of_its_own(capsys):
    for name in ("a.txt", "b.txt"):
        Path(name).write_text(f"Once upon a time there was a king, and {name} is of him.")
        assert main(["evaluate", "--task", "text", "--data", name, *STORY]) == 0
    assert {path.name for path in Path("evaluations/story-gpt2").iterdir()} == {"text-a.txt", "text-b.txt"}
    assert "stride 256, 1 window\n" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--task", "lambda"], "unknown task 'lambda': did you mean lambada"),
        (["--task", "lambada,piqqa"], "unknown task 'piqqa'"),
        (["--task", "lambada", "--beside", "gpt5"], "unknown model 'gpt5'"),
        (["--task", "lambada", "--stride", "5"], "lambada has no stride"),
        (["--task", "lambada", "--limit", "0"], "limit must be at least 1, got 0"),
        (["--task", "lambada", "--data", "nowhere.jsonl"], "there is no nowhere.jsonl"),
        (["--task", "lambada"], "GPTCOMPARE_OFFLINE is set"),
        (["--task", "text,lambada", "--stride", "5"], "lambada has no stride"),
        (["--task", "lambada", "--dask", "-3"], "or a number of workers, got -3"),
        (["--task", "lambada", "--dask", "foo"], "or a number of workers, got 'foo'"),
    ],
)
def test_what_cannot_be_is_one_line_and_leaves_nothing(options, message, capsys):
    lambada(3)
    if "--data" not in options and options[1:] != ["lambada"]:
        options = [*options, "--data", "lambada_test.jsonl"]
    assert main(["evaluate", *STORY, *options]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert message in err
    assert err.count("\n") == 1
    assert not Path("evaluations").exists()


@pytest.mark.skipif(os.name == "nt", reason="Windows has no groups of processes to send Ctrl-C to")
@pytest.mark.parametrize("dask", [[], pytest.param(["--dask", "2"], marks=pytest.mark.reference)])
def test_ctrl_c_says_how_it_goes_on_and_costs_no_more_than_was_in_hand(dask, capsys):
    if dask:
        needs_dask()
    file = lambada(2000)
    command = ["evaluate", "--task", "lambada", "--data", file, *STORY]
    process = start(*command, *dask, start_new_session=True)
    rows = Path("evaluations/story-gpt2/lambada/items.jsonl")
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and (not rows.exists() or rows.read_bytes().count(b"\n") < 20):
        time.sleep(0.01)
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does: to the workers, too
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert b"Traceback" not in err
    assert b"stopped: run the same command again to resume from evaluations/story-gpt2/lambada" in err
    n_kept = rows.read_bytes().count(b"\n") - 1
    assert 20 <= n_kept + 1 < 2000
    kept = rows.read_bytes()
    assert main(command) == 0
    assert rows.read_bytes().startswith(kept)
    assert rows.read_bytes().count(b"\n") == 2001


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such signals")
@once_or_often(5)
def test_an_evaluation_that_was_stopped_loses_no_row_and_ends_with_the_same_bits(kind, n_kills):
    stop_and_resume(kind, n_kills)


@pytest.mark.reference
@pytest.mark.skipif(os.name == "nt", reason="Windows has no such signals")
@once_or_often(2)
def test_so_it_is_on_workers_of_dask_and_none_of_them_is_left(kind, n_kills):
    needs_dask()
    stop_and_resume(kind, n_kills, "--dask", "2")


def stop_and_resume(kind, n_kills, *dask):
    """An evaluation is resumed after each stop, until all items are there, and then begun anew."""
    file, rng = lambada(600 + 150 * n_kills), random.Random(kind)
    command = ["evaluate", "--task", "lambada", "--data", file, *STORY, "--json"]
    n_stopped = 0
    for _ in range(2 * n_kills + 2):  # now and then one has ended before it is stopped
        process = start(*command, *dask, "--out", "stopped", start_new_session=True)
        kept = new_rows(process, Path("stopped") / ROWS)
        time.sleep(rng.uniform(0, 0.1))
        for number in KINDS[kind]:
            with contextlib.suppress(ProcessLookupError):
                os.kill(process.pid, number) if kind == "KILL" else os.killpg(process.pid, number)
            time.sleep(rng.uniform(0, 0.02))
        out, err = process.communicate(timeout=120)  # its workers have its pipes, so none of them is left after this
        lines = err.decode().replace("\r", "\n").split("\n")
        if kind == "KILL":  # Python's own process that clears up after a killed one may say so
            lines = [line for line in lines if "resource_tracker" not in line]
        assert all(line.startswith(("lambada:", "stopped: ", "[stopped/")) for line in lines if line), err
        if process.returncode == 0:
            shutil.rmtree("stopped")
            continue
        number = KINDS[kind][0]  # before the command begins and when it has ended, the system ends the process
        assert process.returncode in ({-number} if kind == "KILL" else {128 + number, -number}), err
        assert (Path("stopped") / ROWS).read_bytes().startswith(kept[: kept.rfind(b"\n") + 1])
        n_stopped += 1
        if n_stopped == n_kills:
            break
    assert n_stopped == n_kills
    results = []
    for folder in ("stopped", "whole"):
        process = start(*command, *(dask if folder == "stopped" else ()), "--out", folder)
        out, err = process.communicate(timeout=600)
        assert process.returncode == 0, err
        results.append({**json.loads(out), "gptcompare": None})  # its commit changes if somebody works on it
    assert results[0] == results[1]
    rows = [sorted(set((Path(folder) / ROWS).read_text().splitlines())) for folder in ("stopped", "whole")]
    assert rows[0] == rows[1]


def new_rows(process, path):
    """Wait until this process has written some, or has ended; return all rows that there are."""
    before = found = path.read_bytes() if path.exists() else b""
    while process.poll() is None and len(found) <= len(before):
        time.sleep(0.01)
        found = path.read_bytes() if path.exists() else b""
    return found


@pytest.mark.reference
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("dask", [["--dask", "2"], ["--dask"]])
def test_with_dask_it_prints_the_same(dask, capsys):
    needs_dask()
    file = lambada(30)
    command = ["evaluate", "--task", "lambada", "--data", file, *STORY]
    assert main(command) == 0
    alone = capsys.readouterr().out
    assert main([*command, "--out", "by-dask", *dask]) == 0
    assert capsys.readouterr().out == alone


def test_tasks_are_listed_with_their_sizes_and_papers(capsys):
    assert main(["tasks"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == [*evaluation.TASKS]
    assert "hellaswag                 10,042  Zellers et al. 2019 (arXiv:1905.07830), validation set" in lines
    assert main(["tasks", "--json"]) == 0
    assert [row["name"] for row in json.loads(capsys.readouterr().out)] == [*evaluation.TASKS]


PAIR = ["--models", "nano-gpt2,nano-gpt3"]


def test_several_models_are_compared_at_the_same_items(capsys):
    file = lambada(10)
    assert main(["evaluate", "--task", "lambada", "--data", file, *PAIR]) == 0
    out = capsys.readouterr().out
    found = evaluation.compare(["nano-gpt2", "nano-gpt3"], "lambada", file)
    assert out == f"{found.to_text()}\n"
    kept = ["evaluations/nano-gpt2", "evaluations/nano-gpt3"]
    assert main(["evaluate", "--from", *kept]) == 0
    assert capsys.readouterr().out == out
    assert main(["evaluate", "--from", *kept, "--markdown"]) == 0
    assert capsys.readouterr().out == f"{found.to_markdown()}\n"
    assert main(["evaluate", "--from", *kept, "--json", "--examples", "2", "--html", "page.html"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["differences"] == json.loads(json.dumps(found.to_dict()["differences"]))
    assert len(told["examples"]) == 2
    assert "Is the difference real?" in Path("page.html").read_text(encoding="utf-8")


def test_one_model_and_several_share_the_kept_rows(capsys):
    file = lambada(6)
    assert main(["evaluate", "--task", "lambada", "--data", file, "--model", "nano-gpt2", "--limit", "4"]) == 0
    assert main(["evaluate", "--task", "lambada", "--data", file, *PAIR, "--limit", "4"]) == 0
    folders = {path.parent.relative_to("evaluations").as_posix() for path in Path("evaluations").rglob("items.jsonl")}
    assert folders == {"nano-gpt2/lambada-limit-4", "nano-gpt3/lambada-limit-4"}


def test_several_numbers_of_shots_are_a_curve(capsys):
    file = lambada(6)
    assert main(["evaluate", "--task", "lambada", "--data", file, *STORY, "--shots", "0,2", "--html", "c.html"]) == 0
    name = str(STORY_FOLDER)
    found = evaluation.curve([name], "lambada", (0, 2), file)
    assert capsys.readouterr().out == f"{found.to_text()}\n"
    assert Path("c.html").read_text(encoding="utf-8").count("<circle") == 2


def test_texts_that_the_model_may_have_read_are_looked_through(capsys):
    file = lambada(6)
    Path("seen.txt").write_text(json.loads(Path(file).read_text().splitlines()[2])["text"])
    assert main(["evaluate", "--task", "lambada", "--data", file, *STORY, "--contamination", "seen.txt"]) == 0
    assert "words in a row in common with 1 text" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ([], "give either --task, or --from"),
        (["--task", "lambada", "--from", "a", "b"], "give either --task, or --from"),
        (["--from", "a", "b", *PAIR], "give one of them"),
        (["--from", "a", "b", "--limit", "3"], "--limit: only for what is evaluated now"),
        (["--from", "a", "b", "--data", "x", "--seed", "4"], "--seed, --data: only for what is evaluated now"),
        (["--task", "lambada", *PAIR, "--tokenizer", "gpt2"], "--tokenizer: only for one model"),
        (["--task", "lambada", *PAIR, "--model", "gpt2-xl"], "--model: only for one model"),
        (["--task", "lambada", "--shots", "0,1", *PAIR, "--examples", "3"], "are for one number of shots"),
        (["--from", "a"], "a difference needs two models, got a"),
        (["--from", "a", "b"], "a has no evaluation"),
        (["--task", "lambada", "--models", "nano-gpt2"], "a difference needs two models"),
        (["--task", "lambada", "--examples", "2"], "are for several models"),
        (["--task", "lambada", "--markdown"], "are for several models"),
        (["--task", "lambada", "--html", "a.html"], "several models or several numbers of shots"),
        (["--task", "lambada", *PAIR, "--beside", "gpt2"], "for one model and one number of shots"),
        (["--task", "lambada", *PAIR, "--examples", "-1"], "--examples must be at least 0"),
        (["--task", "lambada", "--shots", "-1"], "shots must be at least 0"),
        (["--task", "lambada", "--shots", "0,-1"], "shots must be at least 0"),
        (["--task", "lambada", "--contamination", "nowhere"], "there is no text 'nowhere'"),
    ],
)
def test_options_that_do_not_go_together_are_refused_before_anything_is_read(options, message, capsys):
    assert main(["evaluate", *options]) == 2
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert message in err


@pytest.mark.parametrize("shots", ["two", "1,", ""])
def test_numbers_of_shots_must_be_numbers(shots, capsys):
    with pytest.raises(SystemExit):
        main(["evaluate", "--task", "lambada", "--shots", shots])
    assert "--shots" in capsys.readouterr().err


@pytest.mark.parametrize("option", [["--tokenizer", "gpt2"], ["--source", "openai"]])
def test_what_several_numbers_of_shots_cannot_heed_is_refused(option, capsys):
    command = ["evaluate", "--task", "lambada", "--data", lambada(4), *STORY, *option, "--shots", "0,1"]
    assert main(command) == 2
    assert f"{option[0]}: only for one number of shots" in capsys.readouterr().err


def test_shots_that_are_no_numbers_are_refused_in_words(capsys):
    with pytest.raises(SystemExit):
        main(["evaluate", "--task", "lambada", "--shots", "a"])
    assert "'a' is no number, nor several with commas between them" in capsys.readouterr().err


def test_an_infinite_perplexity_is_no_number_of_json_and_differs_from_none(capsys):
    unlikely = "qzxjkvwqpfgh7$%&" * 20  # e to the loss of this word is beyond the largest float64
    texts = ["The king had a dog", f"The king had a {unlikely}"]
    Path("lambada_test.jsonl").write_text("".join(json.dumps({"text": text}) + "\n" for text in texts))
    command = ["evaluate", "--task", "lambada", "--data", "lambada_test.jsonl", "--models", "nano-gpt2,nano-gpt3"]
    assert main(command) == 0
    row = next(line for line in capsys.readouterr().out.splitlines() if "perplexity (lm-eval)" in line)
    assert row.split()[3:] == ["inf", "inf", "–", "–", "1.000", "–", "–"]
    assert main([*command, "--json"]) == 0
    printed = capsys.readouterr().out
    found = json.loads(printed, parse_constant=lambda name: pytest.fail(f"{name} is not JSON"))
    assert {one["metric"]: one["value"] for one in found["differences"]}["perplexity (lm-eval)"] is None
