import errno
import hashlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from support.amounts import few_or_many
from support.hub import COMMIT, Repository, cut_after, hang_up, other_bytes, status
from support.places import STORY_FOLDER
from support.published_gpt2 import NAME, STORY, TENSORFLOW, contents, folder_of

import gptcompare as gc
from gptcompare.checkpoints.by_name import locate
from gptcompare.checkpoints.download import cache, transfer


def no_wrong_file(folder, files):
    """Whatever has its final name is the file that was published."""
    there = contents(folder) if folder.is_dir() else {}
    return all(files[name] == content for name, content in there.items() if not name.endswith(".part"))


def test_without_a_home_directory_one_error_says_how_to_name_a_folder(monkeypatch, tmp_path, story_hub):
    def no_entry(uid):
        raise KeyError(uid)

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("pwd.getpwuid", no_entry)
    for name in ("HOME", "GPTCOMPARE_HOME", "HF_HOME"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(
        gc.DownloadError, match=r"kept in ~/\.cache/gptcompare, but .* no such home .*set GPTCOMPARE_HOME"
    ):
        gc.download(NAME)
    assert list(tmp_path.iterdir()) == []
    assert gc.load("nano-gpt2")
    monkeypatch.setenv("GPTCOMPARE_HOME", str(tmp_path / "folder"))
    assert gc.download(NAME).parents[1] == tmp_path / "folder"


class TestAModel:
    def test_it_arrives_once_and_is_loaded_from_then_on_without_a_network(self, story_hub, story, monkeypatch):
        lm = gc.load(NAME)
        assert lm.generate("Once upon", max_new_tokens=5) == story.generate("Once upon", max_new_tokens=5)
        assert contents(folder_of(NAME)) == STORY
        n_asked = len(story_hub.asked)
        monkeypatch.setenv("GPTCOMPARE_OFFLINE", "1")
        assert gc.load(NAME).config == lm.config
        assert len(story_hub.asked) == n_asked

    def test_the_record_says_what_came_from_where(self, story_hub):
        record = json.loads((gc.download(NAME) / cache.RECORD).read_text())
        assert (record["publisher"], record["name"], record["commit"]) == ("huggingface", NAME, COMMIT)
        digest = "sha256:" + hashlib.sha256(STORY["model.safetensors"]).hexdigest()
        assert record["files"]["model.safetensors"] == {"bytes": len(STORY["model.safetensors"]), "digests": [digest]}

    def test_a_preset_is_its_repository(self, story_hub):
        story_hub.repositories["facebook/opt-125m"] = Repository(dict(STORY))
        assert gc.download("opt-125m") == gc.download("facebook/opt-125m") == folder_of("OPT-125M")
        assert len(story_hub.requests("GET", "model.safetensors")) == 2  # the redirect, and what is behind it

    def test_all_files_are_of_one_commit(self, story_hub):
        gc.download(NAME)
        first, *others = [path for server, _, path, _ in story_hub.asked if server == "main"]
        assert "/resolve/main/config.json" in first
        assert all(f"/resolve/{COMMIT}/" in path or "/resolve/main/config.json" in path for path in others)

    def test_a_revision_has_a_folder_of_its_own(self, story_hub):
        assert gc.download(f"{NAME}@{COMMIT}") != gc.download(NAME)

    def test_gpt2_s_vocabulary_is_checked_against_its_known_digest(self, story_hub):
        story_hub.repositories["openai-community/gpt2"] = Repository(dict(STORY))  # with another vocabulary
        with pytest.raises(gc.DownloadError, match=r"vocab\.json .* arrived damaged"):
            gc.download("gpt2")

    def test_gpt2_s_own_vocabulary_has_that_digest(self, story_hub, tmp_path):
        model = gc.GPT(gc.GPTConfig(n_layer=1, n_head=1, d_model=2, n_ctx=4, n_vocab=50257))
        model.save_pretrained(tmp_path)
        gc.Tokenizer.from_pretrained("gpt2").save_pretrained(tmp_path)
        merges = (tmp_path / "merges.txt").read_bytes()
        assert merges.count(b"\n") == 50001
        story_hub.repositories["openai-community/gpt2"] = Repository(contents(tmp_path))
        assert gc.load("gpt2").tokenizer.encode("Hello world") == [15496, 995]

    def test_it_comes_in_shards(self, story_hub, tmp_path):
        model = gc.GPT.from_pretrained(STORY_FOLDER)
        files = {name: content for name, content in STORY.items() if name != "model.safetensors"}
        names = sorted(model.parameters())
        weight_map = {}
        for n, some in enumerate((names[::2], names[1::2])):
            shard = f"model-{n}.safetensors"
            files[shard] = shard_of(tmp_path, {name: model.parameters()[name] for name in some})
            weight_map |= dict.fromkeys(some, shard)
        files["model.safetensors.index.json"] = json.dumps({"weight_map": weight_map}).encode()
        story_hub.repositories[NAME] = Repository(files)
        loaded = gc.GPT.from_pretrained(NAME).parameters()
        assert all(np.array_equal(loaded[name], value) for name, value in model.parameters().items())
        assert contents(folder_of(NAME)) == files

    def test_openai_s_own_files_arrive(self, story_hub):
        story_hub.openai["124M"] = {path.name: path.read_bytes() for path in TENSORFLOW.iterdir()}
        ours, theirs = gc.GPT.from_pretrained("gpt2", source="openai"), gc.GPT.from_pretrained(TENSORFLOW)
        assert ours.config == theirs.config
        assert all(np.array_equal(ours.parameters()[name], value) for name, value in theirs.parameters().items())
        assert folder_of("124M", "openai").parts[-2:] == ("openai", "124M")

    def test_openai_s_vocabulary_is_checked_against_its_known_digest(self, story_hub):
        files = {path.name: path.read_bytes() for path in TENSORFLOW.iterdir()}
        story_hub.openai["124M"] = {**files, "vocab.bpe": b"#version: 0.2\na b\n"}
        with pytest.raises(gc.DownloadError, match=r"vocab\.bpe .* arrived damaged"):
            gc.download("gpt2", source="openai")

    @pytest.mark.parametrize("name", ["gpt2", "openai-community/gpt2", "OpenAI-Community/GPT2"])
    def test_a_tokenizer_that_is_not_checked_is_never_read_instead_of_gpt2_s(self, story_hub, tmp_path, name):
        model = gc.GPT(gc.GPTConfig(n_layer=1, n_head=1, d_model=2, n_ctx=4, n_vocab=50257))
        model.save_pretrained(tmp_path)
        gc.Tokenizer.from_pretrained("gpt2").save_pretrained(tmp_path)
        files = {**contents(tmp_path), "tokenizer.json": b"another tokenizer"}
        story_hub.repositories[name if "/" in name else f"openai-community/{name}"] = Repository(files)
        assert gc.load(name).tokenizer.encode("Hello world") == [15496, 995]

    def test_a_tokenizer_alone_comes_without_the_weights(self, story_hub, story):
        tokenizer = gc.Tokenizer.from_pretrained(NAME)
        assert tokenizer.encode("Once upon a time") == story.tokenizer.encode("Once upon a time")
        assert set(contents(folder_of(NAME))) == {"config.json", "vocab.json", "merges.txt"}
        n_asked = len(story_hub.asked)
        gc.Tokenizer.from_pretrained(NAME)
        assert len(story_hub.asked) == n_asked
        gc.load(NAME)
        assert len(story_hub.requests("GET", "vocab.json")) == 1

    def test_an_existing_hugging_face_cache_is_used(self, story_hub, tmp_path, monkeypatch):
        monkeypatch.setenv("HF_HOME", str(tmp_path))
        snapshot = tmp_path / "hub" / "models--someone--story" / "snapshots" / COMMIT
        shutil.copytree(STORY_FOLDER, snapshot)
        (snapshot.parents[1] / "refs").mkdir()
        (snapshot.parents[1] / "refs" / "main").write_text(COMMIT)
        assert locate(NAME) == gc.download(NAME) == snapshot
        assert story_hub.asked == []


def shard_of(folder, parameters):
    from gptcompare.checkpoints.formats.safetensors import write_safetensors

    with open(folder / "shard", "wb") as file:
        write_safetensors(file, parameters)
    return (folder / "shard").read_bytes()


class TestRefusals:
    def test_another_architecture_is_refused_before_its_weights_are_fetched(self, story_hub):
        story_hub.repositories[NAME].files["config.json"] = b'{"model_type": "llama"}'
        with pytest.raises(gc.CheckpointError, match="model_type 'llama' is not supported"):
            gc.download(NAME)
        assert not story_hub.requests("GET", "model.safetensors")
        assert not folder_of(NAME).exists()

    @pytest.mark.parametrize(
        ("lacking", "words"),
        [
            (["config.json"], r"has no config\.json, or there is no such repository"),
            (["model.safetensors"], r"no weights in a layout that can be read: none of model\.safetensors, "),
        ],
    )
    def test_a_repository_without_a_model_is_refused(self, story_hub, lacking, words):
        for name in lacking:
            del story_hub.repositories[NAME].files[name]
        with pytest.raises(gc.DownloadError, match=words):
            gc.download(NAME)

    @pytest.mark.parametrize(
        "trick", ["../../evil", "/tmp/evil", "a/b", "..", ".", "", "a\\b", "nul\0", "C:\\evil"]
    )  # fmt: skip
    def test_a_file_name_that_leads_elsewhere_is_refused(self, story_hub, trick, tmp_path):
        files = story_hub.repositories[NAME].files
        del files["model.safetensors"]
        files["model.safetensors.index.json"] = json.dumps({"weight_map": {"wte.weight": trick}}).encode()
        with pytest.raises(gc.CheckpointError, match="is not the name of a file beside it"):
            gc.download(NAME)
        assert set(contents(folder_of(NAME))) <= {"config.json", "model.safetensors.index.json"}

    @pytest.mark.parametrize("name", ["download.json", "x" * 300 + ".bin", "\ud800.bin", "é.bin", "weights"])
    def test_a_shard_that_is_no_file_of_weights_is_refused(self, story_hub, name):
        files = story_hub.repositories[NAME].files
        del files["model.safetensors"]
        files["model.safetensors.index.json"] = json.dumps({"weight_map": {"wte.weight": name}}).encode()
        files[name] = b"{}"
        with pytest.raises(gc.DownloadError, match=r"has no weights .*, which its model\.safetensors\.index"):
            gc.download(NAME)

    def test_a_description_of_gigabytes_is_refused(self, story_hub):
        story_hub.head_faults["config.json"] = [
            lambda handler, content: handler.reply(200, {"Content-Length": 10**10, "ETag": '"x"'})
        ]
        with pytest.raises(gc.DownloadError, match=r"has a config\.json of 10,000,000,000 bytes, which is too large"):
            gc.download(NAME)
        assert not story_hub.requests("GET")

    def test_a_shard_that_is_not_there_is_named(self, story_hub):
        files = story_hub.repositories[NAME].files
        del files["model.safetensors"]
        files["model.safetensors.index.json"] = b'{"weight_map": {"wte.weight": "1.safetensors"}}'
        with pytest.raises(gc.DownloadError, match=r"has no weights '1\.safetensors', which its model"):
            gc.download(NAME)


class TestTheDisk:
    def test_a_model_that_does_not_fit_is_refused_before_it_is_fetched(self, story_hub, monkeypatch):
        monkeypatch.setattr(shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(10**9, 10**9, 11_000_000))
        story_hub.repositories[NAME].files["model.safetensors"] = bytes(2_000_000)
        with pytest.raises(gc.DownloadError, match=r"needs 2,0\d\d,\d{3} more bytes, and the disk .* GPTCOMPARE_HOME"):
            gc.download(NAME)
        assert not story_hub.requests("GET", "model.safetensors")

    def test_a_full_disk_is_told_with_what_was_kept(self, story_hub, monkeypatch):
        def full(descriptor):
            if os.fstat(descriptor).st_size > 1_000_000:
                raise OSError(errno.ENOSPC, "No space left on device")

        with monkeypatch.context() as patch:
            patch.setattr(os, "fsync", full)
            with pytest.raises(gc.DownloadError, match=r"is full: make room, .* Kept: [\d,]+ bytes in "):
                gc.download(NAME)
        assert folder_of(NAME).is_dir()
        assert no_wrong_file(folder_of(NAME), STORY)

    def test_a_cache_that_cannot_be_written_to_is_told(self, story_hub, tmp_path, monkeypatch):
        (tmp_path / "file").touch()
        monkeypatch.setenv("GPTCOMPARE_HOME", str(tmp_path / "file"))
        with pytest.raises(gc.DownloadError, match=r"cannot write to the cache in .*set GPTCOMPARE_HOME"):
            gc.download(NAME)

    def test_what_was_deleted_by_hand_is_fetched_again(self, story_hub):
        (gc.download(NAME) / "model.safetensors").unlink()
        gc.load(NAME)
        assert contents(folder_of(NAME)) == STORY

    def test_what_was_cut_short_by_hand_is_fetched_again(self, story_hub):
        path = gc.download(NAME) / "model.safetensors"
        path.write_bytes(path.read_bytes()[:1000])
        gc.load(NAME)
        assert contents(folder_of(NAME)) == STORY

    @pytest.mark.parametrize(
        "damage",
        [
            b"",
            b"{",
            b"[]",
            b'{"name": 3}',
            b'{"publisher": "x", "name": 1, "files": 2}',
            b'{"publisher": "huggingface", "name": "someone/story", "revision": "main", "complete": null}',
        ],
    )
    def test_a_damaged_record_only_costs_time(self, story_hub, damage):
        (gc.download(NAME) / cache.RECORD).write_bytes(damage)
        gc.load(NAME)
        assert contents(folder_of(NAME)) == STORY

    def test_files_of_the_user_in_the_folder_stay(self, story_hub):
        folder_of(NAME).mkdir(parents=True)
        (folder_of(NAME) / "notes").mkdir()
        (folder_of(NAME) / "notes.txt").write_text("mine")
        gc.load(NAME)
        assert (folder_of(NAME) / "notes").is_dir()
        assert (folder_of(NAME) / "notes.txt").read_text() == "mine"

    def test_a_tokenizer_that_was_withdrawn_is_not_read(self, story_hub):
        story_hub.repositories[NAME].files["tokenizer.json"] = b"an older tokenizer"
        with pytest.raises(ValueError, match="not JSON"):
            gc.Tokenizer.from_pretrained(NAME)
        story_hub.repositories[NAME] = Repository(dict(STORY), commit="f" * 40)
        (folder_of(NAME) / cache.RECORD).unlink()
        gc.Tokenizer.from_pretrained(NAME)

    def test_a_file_that_a_newer_version_no_longer_has_is_removed(self, story_hub):
        story_hub.repositories[NAME].files["tokenizer.json"] = b"an older tokenizer"
        story_hub.faults["model.safetensors"] = [cut_after(1000)] + [hang_up] * (transfer.RETRIES + 1)
        with pytest.raises(gc.DownloadError):
            gc.download(NAME)
        assert "tokenizer.json" in contents(folder_of(NAME))
        story_hub.faults.clear()
        story_hub.repositories[NAME] = Repository(dict(STORY), commit="f" * 40)
        gc.load(NAME)
        assert contents(folder_of(NAME)) == STORY


class TestInterruptions:
    def test_a_kill_before_the_record_knows_of_a_file_costs_no_second_transfer(self, story_hub, monkeypatch):
        with monkeypatch.context() as patch:
            record_dies_at(patch, "model.safetensors")
            with pytest.raises(RuntimeError):
                gc.download(NAME)
        assert "model.safetensors" in contents(folder_of(NAME))
        story_hub.asked.clear()
        gc.load(NAME)
        assert not story_hub.requests("GET")

    def test_a_kill_while_a_new_version_replaces_an_old_one_never_passes_for_the_old_one(self, story_hub, monkeypatch):
        old = story_hub.repositories[NAME]
        story_hub.faults["model.safetensors"] = [hang_up] * (transfer.RETRIES + 1)
        with pytest.raises(gc.DownloadError):
            gc.download(NAME)
        newer = {**STORY, "vocab.json": STORY["vocab.json"][::-1]}  # as long, and no vocabulary
        story_hub.repositories[NAME] = Repository(newer, commit="f" * 40)
        with monkeypatch.context() as patch:
            record_dies_at(patch, "vocab.json")
            with pytest.raises(RuntimeError):
                gc.download(NAME)
        assert contents(folder_of(NAME))["vocab.json"] == newer["vocab.json"]
        story_hub.repositories[NAME] = old
        gc.load(NAME)
        assert contents(folder_of(NAME)) == STORY

    def test_a_failed_download_of_the_weights_leaves_the_tokenizer_usable(self, story_hub, monkeypatch):
        gc.Tokenizer.from_pretrained(NAME)
        story_hub.faults["model.safetensors"] = [hang_up] * (transfer.RETRIES + 1)
        with pytest.raises(gc.DownloadError):
            gc.load(NAME)
        monkeypatch.setenv("GPTCOMPARE_OFFLINE", "1")
        gc.Tokenizer.from_pretrained(NAME)

    def test_a_later_try_fetches_only_what_is_missing(self, story_hub):
        story_hub.faults["model.safetensors"] = [cut_after(1_000_000)] + [status(503)] * (transfer.RETRIES + 1)
        with pytest.raises(gc.DownloadError, match=r"7 times in a row.* Kept: 1,0[\d,]+ bytes in"):
            gc.load(NAME)
        assert no_wrong_file(folder_of(NAME), STORY)
        story_hub.faults.clear()
        story_hub.asked.clear()
        gc.load(NAME)
        assert [headers.get("Range") for *_, headers in story_hub.requests("GET")] == ["bytes=1000000-"] * 2
        assert contents(folder_of(NAME)) == STORY

    def test_wrong_bytes_are_not_kept(self, story_hub):
        story_hub.faults["model.safetensors"] = [other_bytes]
        with pytest.raises(gc.DownloadError, match="arrived damaged"):
            gc.load(NAME)
        assert set(contents(folder_of(NAME))) == set(STORY) - {"model.safetensors"}

    @few_or_many("n_kills", 6, 20)
    def test_killed_at_random_moments_it_still_arrives(self, story_hub, n_kills):
        story_hub.bytes_per_second = 600_000  # some seven seconds in all
        rng = random.Random(0)
        for number in range(n_kills):
            n_asked, n_sent = len(story_hub.asked), story_hub.n_sent
            process = start_download()
            if number % 3:  # else at any moment after the first question, which on a busy machine is before any byte
                wait_until(lambda n_sent=n_sent: story_hub.n_sent > n_sent, process)
            else:
                wait_until(lambda n_asked=n_asked: len(story_hub.asked) > n_asked, process)
            time.sleep(rng.uniform(0, 0.4))
            process.send_signal(signal.SIGKILL)
            process.communicate()
            assert no_wrong_file(folder_of(NAME), STORY)
        story_hub.bytes_per_second = None
        process = start_download()
        out, _ = process.communicate(timeout=60)
        assert process.returncode == 0
        assert out.decode().strip() == str(folder_of(NAME))
        assert contents(folder_of(NAME)) == STORY
        assert story_hub.n_sent < 1.6 * sum(map(len, STORY.values()))

    def test_two_at_once_share_one_download(self, story_hub):
        story_hub.bytes_per_second = 3_000_000
        processes = [start_download() for _ in range(2)]
        results = [process.communicate(timeout=60) for process in processes]
        assert [process.returncode for process in processes] == [0, 0]
        assert contents(folder_of(NAME)) == STORY
        assert len(story_hub.requests("GET", "model.safetensors")) == 2  # the redirect, and what is behind it
        assert sum(b"waiting for another process" in err for _, err in results) == 1

    def test_ctrl_c_ends_with_130_and_keeps_what_has_arrived(self, story_hub):
        story_hub.bytes_per_second = 500_000
        process = start_download()
        wait_until(lambda: story_hub.n_sent > 400_000, process)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=60)
        assert process.returncode == 130
        assert b"Traceback" not in err
        assert b"stopped. Kept: " in err
        assert any(path.name.endswith(".part") for path in folder_of(NAME).iterdir())


def record_dies_at(patch, file):
    """The process dies when the record is to learn of a file."""
    original = cache.Record.write

    def write(record, folder):
        path = folder / cache.RECORD
        if file in record.files and path.exists() and file not in json.loads(path.read_text())["files"]:
            raise RuntimeError
        original(record, folder)

    patch.setattr(cache.Record, "write", write)


def start_download():
    command = [sys.executable, "-m", "gptcompare", "download", NAME]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def wait_until(condition, process):
    while not condition() and process.poll() is None:
        time.sleep(0.01)
