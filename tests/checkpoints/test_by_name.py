import shutil
import subprocess
import sys
from pathlib import Path
from unittest.mock import Mock

import pytest
from support.hub import COMMIT
from support.places import STORY_FOLDER
from support.published_gpt2 import NAME, STORY, contents, on_this_machine

import gptcompare as gc
from gptcompare.checkpoints import locate
from gptcompare.checkpoints.download import cache
from gptcompare.checkpoints.download.publishers import HuggingFace
from gptcompare.presets import published

REPOSITORIES = {name: published(name).repository for name in gc.presets() if published(name).repository}
CACHE_VARIABLES = ("HF_HUB_CACHE", "HF_HOME", "XDG_CACHE_HOME")


@pytest.fixture
def home(tmp_path, monkeypatch):
    """An empty home folder, without what says that the caches are elsewhere."""
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in CACHE_VARIABLES:
        monkeypatch.delenv(name, raising=False)
    return tmp_path


def add_snapshot(
    cache,
    repository="openai-community/gpt2",
    revision="607a30d",
    files=("config.json", "model.safetensors", "vocab.json", "merges.txt"),
):
    """As huggingface_hub lays out what it fetches ("Understand caching" in its documentation)."""
    folder = cache / f"models--{repository.replace('/', '--')}"
    snapshot = folder / "snapshots" / revision
    snapshot.mkdir(parents=True)
    (folder / "refs").mkdir(exist_ok=True)
    (folder / "refs" / "main").write_text(revision)
    for file in files:
        (snapshot / file).write_text("{}")
    return snapshot


class TestFolders:
    @pytest.mark.parametrize("kind", [str, lambda path: path], ids=["text", "path"])
    def test_a_folder_is_itself(self, tmp_path, kind):
        assert locate(kind(tmp_path)) == tmp_path

    def test_a_folder_comes_before_a_model_of_its_name(self, home, monkeypatch):
        add_snapshot(home / ".cache" / "huggingface" / "hub")
        (home / "gpt2").mkdir()
        monkeypatch.chdir(home)
        assert locate("gpt2").resolve() == (home / "gpt2").resolve()

    def test_a_file_is_refused_with_what_to_give(self, tmp_path):
        (tmp_path / "model.safetensors").touch()
        with pytest.raises(FileNotFoundError, match=r"is a file, but not a model of .*: give the folder that it is in"):
            locate(tmp_path / "model.safetensors")

    @pytest.mark.parametrize("name", ["no/such/folder", "x" * 5000, "nul\0", "\ud800"])
    def test_what_is_neither_a_folder_nor_a_model_is_refused(self, home, name):
        with pytest.raises(FileNotFoundError, match="is neither a folder nor the name of a model: "):
            locate(name)


class TestNames:
    @pytest.mark.parametrize("name", REPOSITORIES)
    def test_a_model_is_found_in_the_cache(self, home, name):
        snapshot = add_snapshot(home / ".cache" / "huggingface" / "hub", REPOSITORIES[name])
        assert locate(name) == snapshot

    @pytest.mark.parametrize("name", [name for name, place in REPOSITORIES.items() if place.endswith("/" + name)])
    def test_a_model_is_found_under_its_name_of_before_repositories_had_owners(self, home, name):
        snapshot = add_snapshot(home / ".cache" / "huggingface" / "hub", name)
        assert locate(name) == snapshot

    def test_a_name_of_openai_is_the_model_of_that_size(self, home):
        snapshot = add_snapshot(home / ".cache" / "huggingface" / "hub")
        assert locate("124M") == snapshot

    def test_the_main_revision_is_taken(self, home):
        cache = home / ".cache" / "huggingface" / "hub"
        add_snapshot(cache, revision="older")
        newer = add_snapshot(cache, revision="newer")
        assert locate("gpt2") == newer

    @pytest.mark.parametrize("files", [(), ("model.safetensors",), ("config.json",)], ids=str)
    def test_a_snapshot_that_is_not_complete_is_not_taken(self, home, files):
        add_snapshot(home / ".cache" / "huggingface" / "hub", files=files)
        with pytest.raises(gc.DownloadError, match="'gpt2' is neither a folder nor a model on this machine"):
            locate("gpt2")

    def test_a_snapshot_in_shards_is_taken_when_all_are_there(self, home):
        files = ("config.json", "pytorch_model.bin.index.json", "1.bin")
        snapshot = add_snapshot(home / ".cache" / "huggingface" / "hub", files=files)
        (snapshot / files[1]).write_text('{"weight_map": {"a": "1.bin", "b": "2.bin"}}')
        with pytest.raises(gc.DownloadError):
            locate("gpt2")
        (snapshot / "2.bin").touch()
        assert locate("gpt2") == snapshot

    def test_another_owner_s_model_of_that_name_is_not_taken(self, home):
        add_snapshot(home / ".cache" / "huggingface" / "hub", "gpt2")
        with pytest.raises(gc.DownloadError, match="'mallory/gpt2' is neither a folder nor a model on this machine"):
            locate("mallory/gpt2")

    def test_a_snapshot_without_its_tokenizer_is_taken_only_for_what_it_has(self, home):
        files = ("config.json", "model.safetensors")
        snapshot = add_snapshot(home / ".cache" / "huggingface" / "hub", "facebook/opt-125m", files=files)
        assert locate("opt-125m", wanted="weights") == snapshot
        for wanted in ("model", "tokenizer"):
            with pytest.raises(gc.DownloadError):
                locate("opt-125m", wanted=wanted)
        for file in ("vocab.json", "merges.txt"):
            (snapshot / file).touch()
        assert locate("opt-125m") == locate("opt-125m", wanted="tokenizer") == snapshot

    def test_a_model_with_gpt2_s_vocabulary_needs_no_tokenizer(self, home):
        files = ("config.json", "model.safetensors")
        snapshot = add_snapshot(home / ".cache" / "huggingface" / "hub", "EleutherAI/gpt-neo-125m", files=files)
        assert locate("gpt-neo-125m") == snapshot

    def test_a_damaged_snapshot_does_not_get_in_the_way(self, home):
        files = ("config.json", "model.safetensors.index.json")
        add_snapshot(home / ".cache" / "huggingface" / "hub", files=files)
        assert on_this_machine() == []

    def test_a_revision_is_found_by_its_name_and_by_its_commit(self, home):
        cache = home / ".cache" / "huggingface" / "hub"
        snapshot = add_snapshot(cache, revision="607a30d")
        (snapshot.parents[1] / "refs" / "v1").write_text("607a30d")
        assert locate("gpt2@v1") == locate("openai-community/gpt2@607a30d") == snapshot

    @pytest.mark.parametrize("variable", ["GPTCOMPARE_OFFLINE", "HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"])
    def test_without_a_network_what_works_is_named(self, home, monkeypatch, variable):
        add_snapshot(home / ".cache" / "huggingface" / "hub")
        monkeypatch.delenv("GPTCOMPARE_OFFLINE")
        monkeypatch.setenv(variable, "1")
        with pytest.raises(gc.DownloadError, match=f"{variable} is set. Without a network: gpt2, nano-gpt2"):
            locate("gpt2-xl")

    @pytest.mark.parametrize("name", ["gpt3-175b", "GPT-3", "gpt3", "gpt3-small"])
    def test_weights_that_were_never_published_are_refused_with_the_reason(self, home, name):
        with pytest.raises(FileNotFoundError, match=f"OpenAI never published the weights of '{name}'"):
            locate(name)

    @pytest.mark.parametrize("name", [name for name in gc.presets() if name.startswith("gpt3")])
    def test_in_their_place_the_public_models_nearest_in_size_are_named(self, home, name):
        with pytest.raises(FileNotFoundError) as error:
            locate(name)
        wanted = gc.GPTConfig.preset(name).n_params
        ratios = {other: gc.GPTConfig.preset(other).n_params / wanted for other in REPOSITORIES}
        named = str(error.value).partition("such as ")[2].split(", ")
        assert len(named) == 3
        worst = max(max(ratios[other], 1 / ratios[other]) for other in named)
        assert all(max(ratio, 1 / ratio) >= worst for other, ratio in ratios.items() if other not in named)

    def test_a_misspelt_name_gets_the_nearest_one(self, home):
        with pytest.raises(FileNotFoundError, match="did you mean gpt2-medium"):
            locate("gpt2-medum")


class TestRemoving:
    def test_a_removed_model_is_gone(self, story_hub):
        folder = gc.download(NAME)
        n_bytes = sum(path.stat().st_size for path in folder.iterdir())
        assert gc.checkpoints.remove(NAME) == (folder, n_bytes)
        assert not folder.exists()
        assert cache.find(HuggingFace(NAME)) is None

    def test_a_kill_in_the_middle_leaves_nothing_that_counts_as_a_model(self, story_hub, monkeypatch):
        folder = gc.download(NAME)
        with monkeypatch.context() as patch:
            patch.setattr(shutil, "rmtree", Mock(side_effect=RuntimeError))
            with pytest.raises(RuntimeError):
                gc.checkpoints.remove(NAME)
        assert not folder.exists()
        assert cache.find(HuggingFace(NAME)) is None
        assert NAME not in [model.name for model in gc.checkpoints.listing()]
        gc.download(NAME)
        gc.checkpoints.remove(NAME)
        assert [path.name for path in folder.parent.iterdir()] == [f".{folder.name}.lock"]

    def test_a_model_that_is_not_there_cannot_be_removed(self):
        with pytest.raises(FileNotFoundError, match="'gpt2' is not in "):
            gc.checkpoints.remove("gpt2")

    def test_hugging_face_s_cache_is_left_alone(self, story_hub, tmp_path, monkeypatch):
        monkeypatch.setenv("HF_HOME", str(tmp_path))
        snapshot = tmp_path / "hub" / "models--someone--story" / "snapshots" / COMMIT
        shutil.copytree(STORY_FOLDER, snapshot)
        with pytest.raises(FileNotFoundError, match="is in Hugging Face's cache: remove it with its own tools"):
            gc.checkpoints.remove(f"{NAME}@{COMMIT}")
        assert contents(snapshot) == STORY


def test_no_network_names_what_works_without_it(story_hub, monkeypatch):
    gc.download(NAME)
    story_hub.__exit__()
    with pytest.raises(gc.DownloadError, match=f"cannot reach 127.* Without a network: nano-gpt2, nano-gpt3, {NAME}"):
        gc.load("gpt2")


def test_a_folder_that_is_not_there_is_said_to_be_none_beside_the_repository(hub):
    with pytest.raises(gc.DownloadError, match="no folder 'runs/mine', and there is no repository runs/mine"):
        gc.load("runs/mine")


@pytest.mark.reference
@pytest.mark.parametrize(
    "variables",
    [
        {}, {"HF_HOME": "hf"}, {"HF_HUB_CACHE": "hub"}, {"HF_HOME": "hf", "HF_HUB_CACHE": "hub"},
        {"XDG_CACHE_HOME": "xdg"}, {"XDG_CACHE_HOME": "xdg", "HF_HOME": "hf"}, {"HF_HOME": "~/under home"},
        {"HUGGINGFACE_HUB_CACHE": "older"}, {"HF_HOME": "~/$NAME", "NAME": "of a variable"},
    ],
    ids=str,
)  # fmt: skip
def test_the_cache_is_where_huggingface_hub_has_it(home, monkeypatch, variables):
    pytest.importorskip("huggingface_hub", reason="needs the `reference` extra")
    for name, value in variables.items():
        monkeypatch.setenv(name, value if value.startswith("~") else str(home / value))
    ask = "from huggingface_hub.constants import HF_HUB_CACHE; print(HF_HUB_CACHE)"
    snapshot = add_snapshot(Path(subprocess.check_output([sys.executable, "-c", ask], text=True).strip()))
    assert locate("gpt2") == snapshot
