"""The packages that tests compare with; a test that asks for one is skipped where it is not installed."""

import pytest

REASON = "needs the `reference` extra"


@pytest.fixture(scope="session")
def tf():
    return pytest.importorskip("tensorflow", reason=REASON)


@pytest.fixture(scope="session")
def safetensors_numpy():
    return pytest.importorskip("safetensors.numpy", reason=REASON)


@pytest.fixture(scope="session")
def safetensors_torch(torch):
    return pytest.importorskip("safetensors.torch", reason=REASON)


@pytest.fixture
def hub(monkeypatch):
    """A server in the place of both publishers, and a network that may be used; no waiting between tries."""
    from gptcompare.checkpoints import transfer

    from .hub import Hub

    monkeypatch.setattr(transfer, "FIRST_WAIT", 0.001)
    monkeypatch.delenv("GPTCOMPARE_OFFLINE")
    with Hub() as server:
        monkeypatch.setenv("HF_ENDPOINT", server.url)
        monkeypatch.setenv("GPTCOMPARE_OPENAI_ENDPOINT", server.url)
        yield server
