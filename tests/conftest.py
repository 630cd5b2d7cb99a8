from pathlib import Path

import pytest

import gptcompare as gc

STORY_FOLDER = Path(__file__).parent / "data" / "story-gpt2"


@pytest.fixture(scope="session")
def story():
    """A small trained model that reads and writes English: see tests/data/make_story_model.py."""
    return gc.load(STORY_FOLDER)
