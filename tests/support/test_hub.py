"""The test server is what huggingface_hub takes it for, and what that leaves in its cache is used."""

import os
import subprocess
import sys

import pytest

import gptcompare as gc
from support.hub import COMMIT, Repository
from support.published_gpt2 import STORY, on_this_machine

NAME = "openai-community/gpt2-large"
FETCH = """
import sys
from huggingface_hub import snapshot_download
print(snapshot_download(sys.argv[1]))
"""
pytestmark = pytest.mark.reference


@pytest.fixture
def snapshot(hub, tmp_path, monkeypatch):
    """What huggingface_hub fetches from the test server."""
    pytest.importorskip("huggingface_hub", reason="needs the `reference` extra")
    hub.repositories[NAME] = Repository(dict(STORY), token="hf_secret")
    monkeypatch.setenv("HF_HOME", str(tmp_path))
    monkeypatch.setenv("HF_HUB_DISABLE_XET", "1")
    environment = {**os.environ, "HF_TOKEN": "hf_secret"}
    out = subprocess.check_output([sys.executable, "-c", FETCH, NAME], text=True, env=environment)
    return tmp_path / out.strip()


def test_huggingface_hub_fetches_a_repository_from_the_test_server(hub, snapshot):
    assert snapshot.name == COMMIT
    assert {path.name: path.read_bytes() for path in snapshot.iterdir()} == STORY
    assert {server for server, *_ in hub.asked} == {"main", "cdn"}


def test_what_huggingface_hub_has_fetched_is_not_fetched_again(hub, snapshot, story):
    n_asked = len(hub.asked)
    lm = gc.load("gpt2-large")
    assert lm.generate("Once upon a time", max_new_tokens=8) == story.generate("Once upon a time", max_new_tokens=8)
    (model,) = on_this_machine()
    assert model.folder == snapshot
    assert (model.name, model.complete, model.n_bytes) == ("gpt2-large", True, sum(map(len, STORY.values())))
    assert len(hub.asked) == n_asked


def test_both_ask_for_the_same_weights(hub, snapshot, monkeypatch, tmp_path):
    """At the same address, of the same commit."""
    theirs = {path for _, _, path, _ in hub.asked if "/model.safetensors" in path}
    hub.asked.clear()
    monkeypatch.setenv("HF_HOME", str(tmp_path / "other"))
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    hub.repositories["someone/story"] = hub.repositories[NAME]  # without the digests that GPT-2's files are known by
    folder = gc.download("someone/story")
    ours = {path.replace("someone/story", NAME) for _, _, path, _ in hub.asked if "/model.safetensors" in path}
    assert ours == theirs
    assert (folder / "model.safetensors").read_bytes() == (snapshot / "model.safetensors").read_bytes()
