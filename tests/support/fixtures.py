"""A server in the place of the publishers, and standard input."""

import io
import sys

import pytest


@pytest.fixture
def typed(monkeypatch):
    """Put a text, or bytes, on standard input."""

    def put(text):
        content = text if isinstance(text, bytes) else text.encode()
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content), "latin-1"))

    return put


@pytest.fixture
def hub(monkeypatch):
    """A server in the place of both publishers, and a network that may be used; no waiting between tries."""
    from gptcompare.checkpoints.download import transfer
    from support.hub import Hub

    monkeypatch.setattr(transfer, "FIRST_WAIT", 0.001)
    monkeypatch.delenv("GPTCOMPARE_OFFLINE")
    with Hub() as server:
        monkeypatch.setenv("HF_ENDPOINT", server.url)
        monkeypatch.setenv("GPTCOMPARE_OPENAI_ENDPOINT", server.url)
        yield server


@pytest.fixture
def story_hub(hub):
    """The same, with a small model that someone has published."""
    from support.hub import Repository
    from support.published_gpt2 import NAME, STORY

    hub.repositories[NAME] = Repository(dict(STORY))
    return hub
