import json
import shutil

import numpy as np
import pytest
from support.places import DATA, STORY_FOLDER

import gptcompare as gc
from gptcompare.checkpoints.folder import files_of
from gptcompare.cli import main


@pytest.fixture
def folder(tmp_path):
    shutil.copytree(STORY_FOLDER, tmp_path, dirs_exist_ok=True)
    return tmp_path


def lines(capsys):
    out, err = capsys.readouterr()
    assert err == ""
    place, *rest = out.splitlines()
    return place, {line[2:].split("  ")[0]: line[2:].split("  ", 1)[1].strip() for line in rest}


def test_inspect_says_what_is_read_and_what_is_not(folder, capsys):
    for name in ("README.md", "pytorch_model.bin", "training_args.bin"):
        (folder / name).write_text("")
    assert main(["inspect", str(folder)]) == 0
    place, found = lines(capsys)
    assert place == str(folder)
    assert found["model"].startswith("4 layers, width 128, 4 heads of 32, dense attention, context 256, 1.09M")
    assert found["tokenizer"] == "2,047 tokens of byte-level BPE, from vocab.json"
    assert found["special tokens"] == found["ends a text"] == "<|endoftext|> 0"
    assert found["read"] == "config.json, merges.txt, model.safetensors, vocab.json"
    assert found["ignored"] == "README.md, pytorch_model.bin, training_args.bin"


def test_inspect_takes_a_name(capsys):
    assert main(["inspect", "nano-gpt3"]) == 0
    assert "banded/dense attention" in lines(capsys)[1]["model"]


def test_inspect_shows_tokens_that_the_model_lacks(folder, capsys):
    (folder / "added_tokens.json").write_text(json.dumps({"<pad>": 2048, "<|user|>": 2049}))
    (folder / "tokenizer_config.json").write_text(json.dumps({"pad_token": "<pad>"}))
    assert main(["inspect", str(folder)]) == 0
    _, found = lines(capsys)
    assert found["special tokens"] == "<|endoftext|> 0, <pad> 2048 (not in the model)"
    assert found["added tokens"] == "<|user|> 2049 (not in the model)"


def test_inspect_names_what_is_left_out(folder, capsys):
    model = gc.GPT.from_pretrained(folder)
    gc.GPT(model.config, model.parameters()).save_pretrained(folder)
    (folder / "model.safetensors").unlink()
    from gptcompare.checkpoints.formats.safetensors import write_safetensors

    tensors = {f"transformer.{name}": array for name, array in model.parameters().items()}
    with open(folder / "model.safetensors", "wb") as file:
        write_safetensors(file, {**tensors, "score.weight": np.ones((2, 128), np.float32)})
    assert main(["inspect", str(folder), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert "1 of its tensors are not part of the model and were left out: score.weight" in found["left out"]
    assert found["loads"] is True


@pytest.mark.parametrize(
    ("part", "damage", "words"),
    [
        ("model", lambda f: (f / "model.safetensors").write_bytes(b"x"), "model.safetensors: "),
        ("model", lambda f: (f / "model.safetensors").unlink(), "has a config.json but no weights"),
        ("tokenizer", lambda f: (f / "merges.txt").unlink(), "has no tokenizer"),
        ("tokenizer", lambda f: (f / "vocab.json").write_text("{}"), "has no id"),
        ("ends a text", lambda f: (f / "generation_config.json").write_text('{"eos_token_id": "x"}'), "must be an id"),
    ],
)
def test_inspect_says_which_part_cannot_be_read_and_why(part, damage, words, folder, capsys):
    damage(folder)
    assert main(["inspect", str(folder)]) == 1
    _, found = lines(capsys)
    assert words in found[part]


def test_inspect_refuses_what_is_neither_a_folder_nor_a_name(capsys):
    assert main(["inspect", "no/such/folder"]) == 2
    assert capsys.readouterr().err.count("\n") == 1


@pytest.mark.parametrize("name", ["story-gpt2", "tensorflow-gpt2"])
def test_the_files_that_are_read_are_enough(name, tmp_path):
    for path in files_of(DATA / name):
        shutil.copy(path, tmp_path)
    expected = gc.GPT.from_pretrained(DATA / name)([1, 2, 3])
    assert np.array_equal(gc.GPT.from_pretrained(tmp_path)([1, 2, 3]), expected)


def test_inspect_reports_files_that_cannot_be_listed_as_an_error(folder, capsys):
    """The index names a file outside the folder, which no reader follows."""
    (folder / "model.safetensors").unlink()
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": {"wte.weight": "../x.safetensors"}}))
    assert main(["inspect", str(folder), "--json"]) == 1
    found = json.loads(capsys.readouterr().out)
    assert (found["loads"], found["read"]) == (False, [])
    assert "../x.safetensors" in found["model"]
