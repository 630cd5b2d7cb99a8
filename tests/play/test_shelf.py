import pytest
from support.places import STORY_FOLDER
from support.published_gpt2 import NAME

import gptcompare as gc
from gptcompare.play import shelf
from gptcompare.play.shelf import MOST_LOADED, Shelf


def test_it_has_the_pair_and_what_is_named():
    assert Shelf().names == ["nano-gpt2", "nano-gpt3"]
    folder = str(STORY_FOLDER)
    assert Shelf(["nano-gpt3", folder]).names == ["nano-gpt3", folder, "nano-gpt2"]


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


def test_the_model_that_was_used_longest_ago_makes_room(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    loaded = []
    monkeypatch.setattr(shelf, "load", lambda name: loaded.append(name) or name)
    names = [f"folder {n}" for n in range(MOST_LOADED + 1)]
    for name in names:
        (tmp_path / name).mkdir()
    own = Shelf(names)
    for name in [*names[:MOST_LOADED], names[0], names[-1], names[0], names[1]]:
        assert own.take(name) == name
    assert loaded == [*names[:MOST_LOADED], names[-1], names[1]]


def test_another_model_is_refused_and_nothing_is_downloaded():
    with pytest.raises(ValueError, match="no model 'gpt2' here: there are nano-gpt2, nano-gpt3"):
        Shelf().take("gpt2")


@pytest.mark.parametrize("name", ["gpt2", "nowhere", "nano-gpt2@temperature=0.5"])
def test_what_is_not_on_this_machine_is_refused_at_once(name):
    with pytest.raises(ValueError, match="is not on this machine, and the page downloads nothing"):
        Shelf([name])
