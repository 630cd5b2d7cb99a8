import hashlib
import json
import subprocess

import gptcompare as gc
from gptcompare.checkpoints.download.cache import Record, folder_of
from gptcompare.checkpoints.download.publishers import HuggingFace
from gptcompare.evaluation import Content, provenance


def test_of_a_repository_the_commit_is_known(monkeypatch, tmp_path):
    package = tmp_path / "gptcompare" / "evaluation"
    package.mkdir(parents=True)
    monkeypatch.setattr(provenance, "__file__", str(package / "provenance.py"))
    assert provenance.of_library() == {"version": gc.__version__, "commit": None}

    def git(*command):
        identity = ["-c", "user.name=A", "-c", "user.email=a@example.org"]
        done = subprocess.run(["git", "-C", tmp_path, *identity, *command], capture_output=True, text=True, check=True)
        return done.stdout.strip()

    git("init", "-q")
    (package / "file").write_text("one")
    git("add", ".")
    git("commit", "-qm", "one")
    assert provenance.of_library()["commit"] == git("rev-parse", "HEAD")
    (package / "file").write_text("two")
    assert provenance.of_library()["commit"] == git("rev-parse", "HEAD") + "+"


def test_without_git_there_is_no_commit(monkeypatch):
    monkeypatch.setenv("PATH", "")
    assert provenance.of_library()["commit"] is None


def test_the_model_is_known_by_its_parameters_whatever_its_name(story, tmp_path):
    story.model.save_pretrained(tmp_path)
    story.tokenizer.save_pretrained(tmp_path)
    there = gc.load(tmp_path)
    found = provenance.of_model(there, str(tmp_path), "huggingface")
    assert found["sha256"] == provenance.of_model(story, None, "huggingface")["sha256"]
    assert (found["name"], found["commit"], found["dtype"]) == (str(tmp_path), None, "float32")
    assert json.loads(json.dumps(found["config"])) == json.loads(json.dumps(story.config.to_dict()))
    changed = {name: value.copy() for name, value in story.model.parameters().items()}
    changed["ln_f.bias"][3] += 1e-6
    other = gc.LanguageModel(gc.GPT(story.config, changed), story.tokenizer)
    assert provenance.of_model(other, None, "huggingface")["sha256"] != found["sha256"]


def test_of_a_downloaded_model_the_commit_of_its_repository_is_known(story):
    origin = HuggingFace("owner/story")
    folder = folder_of(origin)
    story.model.save_pretrained(folder)
    story.tokenizer.save_pretrained(folder)
    record = Record("huggingface", "owner/story", "main", "ab" * 20, ["tokenizer", "weights"])
    record.write(folder)
    assert provenance.of_model(story, "owner/story", "huggingface")["commit"] == "ab" * 20


def test_a_file_is_known_by_its_digest_and_not_by_where_it_lies():
    assert provenance.of_data([Content("/a/b/dev.jsonl", b"x")]) == [
        {"file": "dev.jsonl", "sha256": hashlib.sha256(b"x").hexdigest()}
    ]
