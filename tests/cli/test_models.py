import json
from pathlib import Path
from xml.etree import ElementTree

from support.hub import Hub, Repository
from support.places import STORY_FOLDER

import gptcompare as gc
from gptcompare.cli import main
from gptcompare.display.units import in_bytes, in_letters

STORY = ["--model", str(STORY_FOLDER)]


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
    assert header.split() == ["name", "parameters", "float32", "16", "bits", "on", "disk", "where"]
    assert [row.split()[0] for row in rows] == [model.name for model in gc.checkpoints.listing()]
    assert rows[0].split() == ["gpt2", "124M", "498MB", "249MB", "-", "openai-community/gpt2"]
    size = in_bytes(sum(path.stat().st_size for path in Path(out.strip()).iterdir()))
    n = story.config.n_params
    assert rows[-1].split() == ["someone/story", in_letters(n), in_bytes(4 * n), in_bytes(2 * n), size, out.strip()]
    assert main(["models", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)[-1]["folder"] == out.strip()

    assert main(["remove", "someone/story"]) == 0
    assert capsys.readouterr().out == f"removed {out.strip()}: freed {size}\n"
    assert main(["remove", "someone/story"]) == 2
    assert capsys.readouterr().err.startswith("gptcompare: 'someone/story' is not in ")


def test_the_source_reaches_the_download(capsys):
    for command in (["generate", "x", "--model"], ["download"]):
        assert main([*command, "opt-125m", "--source", "openai"]) == 2
        assert "OpenAI's store has no 'opt-125m'" in capsys.readouterr().err


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


def test_table_prints_a_picture_whose_file_is_valid_in_any_encoding(capsys):
    assert main(["table", "nano-gpt2", "nano-gpt3", "--svg"]) == 0
    out = capsys.readouterr().out
    assert out.isascii()
    drawn = gc.plots.architecture("nano-gpt2", "nano-gpt3").svg
    assert ElementTree.canonicalize(out) == ElementTree.canonicalize(drawn)


def test_export_writes_a_file_that_every_command_takes(tmp_path, capsys):
    file = tmp_path / "story.gguf"
    assert main(["export", str(STORY_FOLDER), "--gguf", str(file), "--dtype", "float16"]) == 0
    assert capsys.readouterr().out == f"wrote {file}: {in_bytes(file.stat().st_size)}\n"
    assert main(["generate", "Once upon a time", "--model", str(file), "--max-new-tokens", "5"]) == 0
    assert capsys.readouterr().out.startswith("Once upon a time")
    assert main(["tokenize", "Once upon", "--model", str(file)]) == 0
    of_file = capsys.readouterr().out
    assert main(["tokenize", "Once upon", *STORY]) == 0
    assert capsys.readouterr().out == of_file


def test_export_writes_to_the_target_of_a_link(tmp_path):
    (tmp_path / "link.gguf").symlink_to("target.gguf")
    assert main(["export", str(STORY_FOLDER), "--gguf", str(tmp_path / "link.gguf")]) == 0
    assert (tmp_path / "link.gguf").is_symlink()
    assert gc.load(tmp_path / "target.gguf").generate("Once", max_new_tokens=2).ids


def test_download_says_that_a_folder_is_one(tmp_path, capsys):
    assert main(["download", str(tmp_path)]) == 2
    assert "is a folder on this machine: there is nothing to download" in capsys.readouterr().err


def test_export_refuses_what_llama_cpp_cannot_run(tmp_path, capsys):
    assert main(["export", "nano-gpt3", "--gguf", str(tmp_path / "x.gguf")]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("\n") == 1
    assert "cannot have banded attention" in err
    assert list(tmp_path.iterdir()) == []
