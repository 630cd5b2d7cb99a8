import dataclasses
import errno
import hashlib
import json
import os
import re
import shutil
from concurrent.futures import ThreadPoolExecutor

import pytest
from support.hub import cut_after, hang_up, other_bytes, other_length, status

import gptcompare as gc
from gptcompare.checkpoints import listing
from gptcompare.checkpoints.download import cache, transfer
from gptcompare.comparison import gpt3_samples

PUBLISHED = gpt3_samples.SAMPLES
FILE, PLACE = PUBLISHED.file, PUBLISHED.place
TEXTS = ['One text.\n\n<|endoftext|>Another "document"', "", "27−10 \u2028 \u0085 \r\n 中文", "long " * 5000]
SAMPLES = "".join(json.dumps(text, ensure_ascii=False) + "\n" for text in TEXTS).encode()
DAMAGED = SAMPLES.replace(b"One", b"Two")
NO_CONNECTION = (hang_up,) * (transfer.RETRIES + 1)


def expect(monkeypatch, content):
    """Take this for what OpenAI published."""
    digest = "sha256:" + hashlib.sha256(content).hexdigest()
    changed = dataclasses.replace(PUBLISHED, size=len(content), digest=digest)
    monkeypatch.setattr(gpt3_samples, "SAMPLES", changed)


@pytest.fixture(autouse=True)
def small_file(monkeypatch):
    monkeypatch.delenv("GPTCOMPARE_GITHUB_ENDPOINT", raising=False)
    expect(monkeypatch, SAMPLES)


@pytest.fixture
def github(hub, monkeypatch):
    """A server in the place of GitHub, with a small file of samples."""
    monkeypatch.setenv("GPTCOMPARE_GITHUB_ENDPOINT", hub.url)
    publish(hub, SAMPLES)
    return hub


@pytest.fixture
def path():
    return cache.home() / "openai" / "gpt-3" / "175b_samples.jsonl"


def publish(hub, content):
    hub.github = {f"/openai/gpt-3/{PLACE.commit}/{FILE}": content}


def put(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


def names_in(folder):
    return [entry.name for entry in folder.iterdir()] if folder.is_dir() else []


def says_what_else_can_be_done(message, host, path):
    place = rf"{re.escape(host)}/openai/gpt-3/[0-9a-f]{{40}}/175b_samples\.jsonl"
    return re.search(rf"\. They are at {place}; that file can also be put by hand at {re.escape(str(path))}$", message)


def refusal(of=gc.DownloadError):
    with pytest.raises(of) as caught:
        gpt3_samples.gpt3_samples()
    return str(caught.value)


class TestTheFile:
    def test_it_is_fetched_once_and_then_read_without_a_network(self, github, path, monkeypatch):
        assert gpt3_samples.gpt3_samples() == TEXTS
        assert path.read_bytes() == SAMPLES
        assert names_in(path.parent) == [FILE]
        n_asked = len(github.asked)
        assert gpt3_samples.gpt3_samples() == TEXTS
        monkeypatch.setenv("GPTCOMPARE_OFFLINE", "1")
        assert gpt3_samples.gpt3_samples() == TEXTS
        assert len(github.asked) == n_asked == 1

    def test_a_copy_put_there_by_hand_needs_no_network_and_no_endpoint(self, path, monkeypatch):
        monkeypatch.setenv("GPTCOMPARE_GITHUB_ENDPOINT", "no address")
        put(path, SAMPLES)
        assert gpt3_samples.gpt3_samples() == TEXTS
        assert names_in(path.parents[1]) == ["gpt-3"]  # and no lock: a cache that is shared may not be written to

    def test_two_at_once_share_one_download(self, github):
        github.bytes_per_second = 100_000  # a quarter of a second
        with ThreadPoolExecutor(2) as pool:
            assert list(pool.map(lambda _: gpt3_samples.gpt3_samples(), range(2))) == [TEXTS, TEXTS]
        assert len(github.asked) == 1

    def test_it_comes_from_openai_s_repository_on_github(self):
        url = f"https://raw.githubusercontent.com/openai/gpt-3/{PLACE.commit}/175b_samples.jsonl"
        assert PLACE.url(FILE) == url
        assert PUBLISHED.size == 4_092_490
        assert re.fullmatch("sha256:c62eb611[0-9a-f]{56}", PUBLISHED.digest)

    def test_it_is_no_model(self, github):
        before = listing()
        gpt3_samples.gpt3_samples()
        assert cache.origins() == []
        assert listing() == before

    def test_what_is_behind_a_password_of_the_mirror_is_fetched_and_the_password_never_shown(
        self, github, path, monkeypatch
    ):
        monkeypatch.setenv("GPTCOMPARE_GITHUB_ENDPOINT", github.url.replace("//", "//user:secret@"))
        github.faults[FILE] = [status(404)]
        assert "secret" not in refusal()
        assert gpt3_samples.gpt3_samples() == TEXTS
        assert github.asked[-1][3]["Authorization"].startswith("Basic ")

    def test_no_token_of_hugging_face_is_shown_to_github(self, github, monkeypatch):
        monkeypatch.setenv("HF_TOKEN", "hf_secret")
        gpt3_samples.gpt3_samples()
        assert all("Authorization" not in headers for *_, headers in github.asked)


class TestWhatGoesWrongOnTheWay:
    def test_a_cut_is_resumed_in_the_same_call(self, github, path):
        github.faults[FILE] = [cut_after(1000), cut_after(1000)]
        assert gpt3_samples.gpt3_samples() == TEXTS
        ranges = [headers.get("Range") for *_, headers in github.requests("GET")]
        assert ranges == [None, "bytes=1000-", "bytes=2000-"]

    def test_what_has_arrived_is_kept_for_the_next_call_and_never_has_the_final_name(self, github, path):
        github.faults[FILE] = [cut_after(1000), *NO_CONNECTION]
        assert f"7 times in a row: try again later. Kept: 1,000 bytes in {path.parent}; " in refusal()
        assert not path.exists()
        github.faults.clear()
        github.asked.clear()
        assert gpt3_samples.gpt3_samples() == TEXTS
        assert [headers.get("Range") for *_, headers in github.requests("GET")] == ["bytes=1000-"]
        assert names_in(path.parent) == [FILE]

    @pytest.mark.parametrize("fault", [other_bytes, other_length(5), other_length(len(SAMPLES) + 1)])
    def test_another_file_is_refused_and_nothing_of_it_is_left(self, github, path, fault):
        github.faults[FILE] = [fault] * (transfer.RETRIES + 1)
        assert "Kept" not in refusal()
        assert names_in(path.parent) == []

    def test_a_missing_file_is_told_with_the_host(self, github, path):
        github.github.clear()
        host = github.url.removeprefix("http://")
        assert f"not on this machine: {host} answered with HTTP status 404 for openai/gpt-3. They are at" in refusal()
        assert names_in(path.parent) == []

    def test_a_full_disk_is_told_before_anything_is_fetched(self, github, monkeypatch):
        monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(10**9, 10**9, 1000))
        assert f"openai/gpt-3 needs {len(SAMPLES):,} more bytes, and the disk of {cache.home()} has 1,000 " in refusal()
        assert github.asked == []

    def test_a_disk_that_cannot_be_written_to_is_told(self, github, monkeypatch):
        def refuse(*_):
            raise OSError(errno.EROFS, os.strerror(errno.EROFS))

        monkeypatch.setattr(os, "replace", refuse)
        assert "cannot write to the cache" in refusal()


class TestWithoutANetwork:
    @pytest.mark.parametrize("variable", ["GPTCOMPARE_OFFLINE", "HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"])
    def test_one_error_says_what_is_missing_where_it_is_and_where_to_put_it(self, path, monkeypatch, variable):
        monkeypatch.delenv("GPTCOMPARE_OFFLINE")
        monkeypatch.setenv(variable, "1")
        message = refusal()
        assert message.startswith(f"the samples of GPT-3 are not on this machine, and {variable} is set. ")
        assert says_what_else_can_be_done(message, "raw.githubusercontent.com", path)
        assert names_in(cache.home()) == []

    def test_a_server_that_cannot_be_reached_is_told_in_the_same_way(self, github, path, monkeypatch):
        monkeypatch.setenv("GPTCOMPARE_GITHUB_ENDPOINT", "http://127.0.0.1:9")
        message = refusal()
        assert "not on this machine: cannot reach 127.0.0.1:9: no network" in message
        assert says_what_else_can_be_done(message, "127.0.0.1:9", path)

    def test_an_endpoint_that_is_no_address_is_told(self, monkeypatch):
        monkeypatch.setenv("GPTCOMPARE_GITHUB_ENDPOINT", "no address")
        assert refusal().startswith("GPTCOMPARE_GITHUB_ENDPOINT is not an address")


@pytest.mark.parametrize("damaged", [DAMAGED, SAMPLES[:-1], b""], ids=["edited", "cut", "empty"])
class TestADamagedCopy:
    def test_it_is_replaced(self, github, path, damaged):
        put(path, damaged)
        assert gpt3_samples.gpt3_samples() == TEXTS
        assert path.read_bytes() == SAMPLES

    def test_it_is_refused_without_a_network_and_stays_for_its_owner(self, path, damaged):
        put(path, damaged)
        assert refusal().startswith(f"{path} is not what was published as the samples of GPT-3 (it")
        assert path.read_bytes() == damaged

    def test_it_does_not_count_as_kept_when_fetching_fails(self, github, path, damaged):
        put(path, damaged)
        github.faults[FILE] = list(NO_CONNECTION)
        assert "Kept" not in refusal()
        assert path.read_bytes() == damaged


class TestLines:
    @pytest.mark.parametrize(
        "line",
        [b"", b"{", b"null", b"3", b'["x"]', b'{"text": "x"}', b'"x', b'"x" "y"', b"\xff", b'"\xff"', b"[" * 10**5],
        ids=range(11),
    )
    def test_what_is_no_json_string_is_refused_with_its_line(self, path, monkeypatch, line):
        content = b'"a"\n' + line + b'\n"b"\n'
        expect(monkeypatch, content)
        put(path, content)
        assert refusal(gc.CheckpointError) == f"{path}: line 2 is not a text, which is a JSON string"

    def test_the_last_line_needs_no_end(self, path, monkeypatch):
        expect(monkeypatch, b'"a"\n"b"')
        put(path, b'"a"\n"b"')
        assert gpt3_samples.gpt3_samples() == ["a", "b"]
