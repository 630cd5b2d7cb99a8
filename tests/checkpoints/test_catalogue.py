import json

import pytest
from support.published_gpt2 import NAME, TENSORFLOW, on_this_machine

import gptcompare as gc
from gptcompare.checkpoints.download import cache
from gptcompare.checkpoints.download.publishers import HuggingFace


class TestNames:
    @pytest.mark.parametrize("name", ["a/b--c", "a/b.git", "a/b..c", "-a/b", "a/b@..", "a/b@", "a/b@x y", "é/b"])
    def test_a_name_that_no_repository_can_have_is_refused(self, story_hub, name):
        with pytest.raises(gc.DownloadError, match=r"is not the name of a Hugging Face repository|is not a revision"):
            gc.load(name)
        assert story_hub.asked == []

    @pytest.mark.parametrize("name", ["./a/b", "/a/b", "~/a", "a/b/c", "a/", "../b"])
    def test_a_path_is_never_taken_for_a_repository(self, story_hub, name):
        with pytest.raises(
            gc.DownloadError, match="is neither a folder nor the name of a model: `gptcompare models` lists "
        ) as refusal:
            gc.load(name)
        assert str(refusal.value).count(repr(name)) == 1
        assert story_hub.asked == []

    @pytest.mark.parametrize("name", ["opt-125m", "distilgpt2", "gpt2@main", "cerebras-gpt-13b"])
    def test_what_openai_does_not_have_is_refused_with_what_it_has(self, name):
        with pytest.raises(gc.DownloadError, match="it has gpt2, gpt2-medium, gpt2-large, gpt2-xl"):
            gc.load(name, source="openai")

    def test_an_unknown_source_is_refused(self):
        for name in ("gpt2", "."):
            with pytest.raises(ValueError, match="unknown source 'google': known are huggingface, openai"):
                gc.load(name, source="google")


class TestListing:
    def test_every_published_preset_is_listed(self):
        listed = {model.name: model for model in gc.checkpoints.listing()}
        assert set(listed) == {name for name in gc.presets() if not name.startswith("gpt3")}
        assert [name for name, model in listed.items() if model.folder or model.complete] == ["nano-gpt2", "nano-gpt3"]

    def test_what_is_on_this_machine_is_listed_with_its_folder_and_size(self, story_hub):
        story_hub.openai["124M"] = {path.name: path.read_bytes() for path in TENSORFLOW.iterdir()}
        folders = [gc.download(NAME), gc.download("gpt2", source="openai")]
        here = {model.folder: model for model in on_this_machine()}
        assert set(here) == set(folders)
        assert [here[folder].name for folder in folders] == [NAME, "gpt2"]
        assert [here[folder].source for folder in folders] == ["huggingface", "openai"]
        assert all(here[folder].complete and here[folder].n_bytes > 0 for folder in folders)
        (folders[0] / "folder of the user").mkdir()
        assert {model.folder: model for model in on_this_machine()} == here

    def test_records_of_nonsense_are_not_listed(self):
        for n, values in enumerate(
            [{"publisher": "openai", "name": "999M"}, {"publisher": "huggingface", "name": "x"}]
        ):
            folder = cache.home() / "huggingface" / str(n)
            folder.mkdir(parents=True)
            (folder / cache.RECORD).write_text(json.dumps({**values, "revision": "main"}))
        assert on_this_machine() == []

    def test_two_revisions_that_the_disk_takes_for_one_are_not(self, story_hub):
        story_hub.repositories[NAME].commit = "f" * 40
        folder = gc.download(f"{NAME}@{'f' * 40}")
        folder.rename(folder.with_name(folder.name.upper()))
        (folder.parent / folder.name).symlink_to(folder.with_name(folder.name.upper()))
        record = json.loads((folder / cache.RECORD).read_text())
        (folder / cache.RECORD).write_text(json.dumps({**record, "revision": "F" * 40}))
        assert cache.find(HuggingFace(NAME, "f" * 40)) is None

    def test_what_has_arrived_in_part_is_listed_as_incomplete(self, story_hub):
        gc.Tokenizer.from_pretrained(NAME)
        (model,) = on_this_machine()
        assert (model.name, model.complete) == (NAME, False)
