import pytest
from support.places import STORY_FOLDER
from support.published_gpt2 import NAME

import gptcompare as gc
from gptcompare.play import shelf
from gptcompare.play.shelf import MOST_LOADED, Shelf


def test_it_has_the_pair_and_what_is_named():
    assert Shelf().names == ["nano-gpt2", "nano-gpt3"]
    assert Shelf(["nano-gpt3", "some/folder"]).names == ["nano-gpt3", "some/folder", "nano-gpt2"]


def test_it_has_what_was_downloaded(story_hub):
    assert NAME not in Shelf().names
    gc.load(NAME)
    assert NAME in Shelf().names


def test_a_model_is_loaded_once(monkeypatch):
    loaded = []

    def load(name):
        loaded.append(name)
        return gc.load(name)

    monkeypatch.setattr(shelf, "load", load)
    own = Shelf([str(STORY_FOLDER)])
    for name in ("nano-gpt2", str(STORY_FOLDER), "nano-gpt2"):
        assert own.take(name).config == gc.load(name).config
    assert loaded == ["nano-gpt2", str(STORY_FOLDER)]


def test_the_model_that_was_used_longest_ago_makes_room(monkeypatch):
    loaded = []
    monkeypatch.setattr(shelf, "load", lambda name: loaded.append(name) or name)
    names = [f"folder {n}" for n in range(MOST_LOADED + 1)]
    own = Shelf(names)
    for name in [*names[:MOST_LOADED], names[0], names[-1], names[0], names[1]]:
        assert own.take(name) == name
    assert loaded == [*names[:MOST_LOADED], names[-1], names[1]]


def test_another_model_is_refused_and_nothing_is_downloaded():
    with pytest.raises(ValueError, match="no model 'gpt2' here: there are nano-gpt2, nano-gpt3"):
        Shelf().take("gpt2")
