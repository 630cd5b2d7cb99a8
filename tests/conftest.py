from pathlib import Path

import pytest

import gptcompare as gc

STORY_FOLDER = Path(__file__).parent / "data" / "story-gpt2"
OF_THE_USER = (
    "HF_ENDPOINT", "HF_HUB_CACHE", "HF_TOKEN", "HF_TOKEN_PATH", "HF_HUB_OFFLINE", "HUGGING_FACE_HUB_TOKEN",
    "HF_HUB_DISABLE_IMPLICIT_TOKEN", "GPTCOMPARE_OPENAI_ENDPOINT", "XDG_CACHE_HOME",
)  # fmt: skip


@pytest.fixture(autouse=True)
def no_network(tmp_path_factory, monkeypatch):
    """No test reads or fills the caches of the user, has the user's token, or downloads from a publisher."""
    for name in OF_THE_USER:
        monkeypatch.delenv(name, raising=False)
    caches = tmp_path_factory.mktemp("caches")
    monkeypatch.setenv("HF_HOME", str(caches / "huggingface"))
    monkeypatch.setenv("GPTCOMPARE_HOME", str(caches / "gptcompare"))
    monkeypatch.setenv("GPTCOMPARE_OFFLINE", "1")


@pytest.fixture(scope="session")
def story():
    """A small trained model that reads and writes English: see tests/data/make_story_model.py."""
    return gc.load(STORY_FOLDER)


@pytest.fixture(scope="session")
def torch():
    """A test that asks for a package to compare with is skipped where that is not installed."""
    return pytest.importorskip("torch", reason="needs the `reference` extra")


@pytest.fixture(scope="session")
def transformers(torch):
    return pytest.importorskip("transformers", reason="needs the `reference` extra")
