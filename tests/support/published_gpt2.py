"""A small model as a publisher has it, for tests of what fetches it."""

from gptcompare.checkpoints import listing
from gptcompare.checkpoints.catalogue import origin_of
from gptcompare.checkpoints.download import cache
from support.places import STORY_FOLDER

STORY = {path.name: path.read_bytes() for path in STORY_FOLDER.iterdir()}
TENSORFLOW = STORY_FOLDER.parent / "tensorflow-gpt2"
NAME = "someone/story"


def folder_of(name, source="huggingface"):
    """Where it lies in our cache."""
    return cache.folder_of(origin_of(name, source))


def contents(folder):
    """The published files in a folder, and what has arrived of others."""
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.name != cache.RECORD}


def on_this_machine():
    """What is listed with a folder, but for what is a part of the package."""
    return [model for model in listing() if model.folder and model.published_as != "in the package"]
