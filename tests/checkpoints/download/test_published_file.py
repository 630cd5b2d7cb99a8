import dataclasses
import hashlib
import re

import pytest
from support.hub import COMMIT, Repository, cut_after, hang_up, other_bytes, status

import gptcompare as gc
from gptcompare.checkpoints import listing
from gptcompare.checkpoints.download import cache, transfer
from gptcompare.checkpoints.download.data_publishers import AI2, GitHub, HuggingFaceDataset, OpenAIData
from gptcompare.checkpoints.download.published_file import PublishedFile

CONTENT = b"Published once, and never changed.\n" * 100
DIGEST = "sha256:" + hashlib.sha256(CONTENT).hexdigest()
NO_CONNECTION = (hang_up,) * (transfer.RETRIES + 1)
WHAT = "the texts of a task"

# A place, and where in it a file is published.
PLACES = {
    "GitHub": (GitHub("someone/questions", COMMIT), f"/someone/questions/{COMMIT}/data/dev.zip"),
    "OpenAI": (OpenAIData(), "/gpt-2/data/data/dev.zip"),
    "AI2": (AI2(), "/ai2-mosaic/public/data/dev.zip"),
}


@pytest.fixture
def server(hub, monkeypatch):
    """A server in the place of all publishers, which have one file."""
    monkeypatch.setenv("GPTCOMPARE_GITHUB_ENDPOINT", hub.url)
    monkeypatch.setenv("GPTCOMPARE_AI2_ENDPOINT", hub.url)
    hub.github = {path: CONTENT for _, path in PLACES.values()}
    hub.repositories["datasets/someone/questions"] = Repository({"dev.zip": CONTENT})
    return hub


def published(place=PLACES["GitHub"][0], file="data/dev.zip", size=None, digest=DIGEST):
    return PublishedFile(place, file, digest, size)


def put(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


def names_in(folder):
    return [entry.name for entry in folder.iterdir()] if folder.is_dir() else []


def refusal(file):
    with pytest.raises(gc.DownloadError) as caught:
        file.fetched(WHAT)
    return str(caught.value)


@pytest.mark.parametrize("size", [None, len(CONTENT)], ids=["size unknown", "size known"])
class TestOneFile:
    @pytest.mark.parametrize("name", PLACES)
    def test_it_is_fetched_once_and_then_found_without_a_network(self, server, monkeypatch, name, size):
        file = published(PLACES[name][0], size=size)
        assert file.fetched(WHAT).read_bytes() == CONTENT
        assert names_in(file.path.parent) == ["dev.zip"]
        n_asked = len(server.asked)
        monkeypatch.setenv("GPTCOMPARE_OFFLINE", "1")
        assert file.fetched(WHAT) == file.path
        assert len(server.asked) == n_asked
        assert [entry[1] for entry in server.asked] == (["HEAD", "GET"] if size is None else ["GET"])

    def test_one_of_a_dataset_of_hugging_face_is_fetched_with_the_token(self, server, monkeypatch, size):
        server.repositories["datasets/someone/questions"].token = "hf_mine"
        file = published(HuggingFaceDataset("someone/questions", COMMIT), "dev.zip", size)
        assert "answered with HTTP status 401 for someone/questions. They are at" in refusal(file)
        monkeypatch.setenv("HF_TOKEN", "hf_mine")
        assert file.fetched(WHAT).read_bytes() == CONTENT
        assert all("Authorization" not in headers for role, *_, headers in server.asked if role == "cdn")

    def test_the_token_is_shown_to_no_other_publisher(self, server, monkeypatch, size):
        monkeypatch.setenv("HF_TOKEN", "hf_secret")
        for place, _ in PLACES.values():
            published(place, size=size).fetched(WHAT)
        assert all("Authorization" not in headers for *_, headers in server.asked)

    def test_a_copy_put_there_by_hand_needs_no_network_and_no_endpoint(self, monkeypatch, size):
        monkeypatch.setenv("GPTCOMPARE_GITHUB_ENDPOINT", "no address")
        file = published(size=size)
        put(file.path, CONTENT)
        assert file.fetched(WHAT) == file.path
        assert names_in(file.path.parents[1]) == ["questions"]  # and no lock

    @pytest.mark.parametrize("damaged", [CONTENT[:-1], CONTENT.replace(b"once", b"many"), b""])
    def test_a_damaged_copy_is_replaced_and_without_a_network_refused(self, server, monkeypatch, size, damaged):
        file = published(size=size)
        put(file.path, damaged)
        with monkeypatch.context() as offline:
            offline.setenv("GPTCOMPARE_OFFLINE", "1")
            assert refusal(file).startswith(f"{file.path} is not what was published as {WHAT} (it")
            assert file.path.read_bytes() == damaged
        assert file.fetched(WHAT).read_bytes() == CONTENT

    def test_another_file_on_the_server_is_refused_and_nothing_of_it_is_left(self, server, size):
        server.faults["dev.zip"] = [other_bytes] * 2
        file = published(size=size)
        assert "dev.zip from 127.0.0.1" in refusal(file)
        assert names_in(file.path.parent) == []

    def test_what_has_arrived_is_kept_for_the_next_call(self, server, size):
        server.faults["dev.zip"] = [cut_after(1000), *NO_CONNECTION]
        file = published(size=size)
        assert "Kept: 1,000 bytes" in refusal(file)
        server.faults.clear()
        server.asked.clear()
        assert file.fetched(WHAT).read_bytes() == CONTENT
        assert [headers.get("Range") for *_, headers in server.requests("GET")] == ["bytes=1000-"]

    def test_without_a_network_one_error_says_what_is_missing_where_it_is_and_where_to_put_it(self, size):
        file = published(size=size)
        address = f"raw.githubusercontent.com/someone/questions/{COMMIT}/data/dev.zip"
        assert refusal(file) == (
            f"{WHAT} are not on this machine, and GPTCOMPARE_OFFLINE is set. They are at {address}; that file can also "
            f"be put by hand at {file.path}"
        )
        assert names_in(cache.home()) == []

    @pytest.mark.parametrize("fault", ["missing", "refused", "unreachable"])
    def test_a_server_that_does_not_give_it_is_told_in_the_same_way(self, server, monkeypatch, size, fault):
        if fault == "missing":
            server.github.clear()
        elif fault == "refused":
            server.head_faults["dev.zip"] = server.faults["dev.zip"] = [status(403)]
        else:
            monkeypatch.setenv("GPTCOMPARE_GITHUB_ENDPOINT", "http://127.0.0.1:9")
        file = published(size=size)
        reason = {"missing": "HTTP status 404 for", "refused": "HTTP status 403 for", "unreachable": "cannot reach"}
        message = refusal(file)
        assert re.match(f"{WHAT} are not on this machine: .*{reason[fault]} ", message)
        assert message.endswith(f"; that file can also be put by hand at {file.path}")
        assert names_in(file.path.parent) == []

    def test_a_password_of_the_mirror_is_used_and_never_shown(self, server, monkeypatch, size):
        monkeypatch.setenv("GPTCOMPARE_GITHUB_ENDPOINT", server.url.replace("//", "//user:secret@"))
        server.faults["dev.zip"] = [status(404)]
        file = published(size=size)
        assert "secret" not in refusal(file)
        file.fetched(WHAT)
        assert all(headers["Authorization"].startswith("Basic ") for *_, headers in server.asked)


def test_no_place_is_taken_for_a_model(server):
    before = listing()
    for place, _ in PLACES.values():
        published(place).fetched(WHAT)
    published(HuggingFaceDataset("someone/questions", COMMIT), "dev.zip").fetched(WHAT)
    assert cache.origins() == []
    assert listing() == before


def test_files_of_different_places_do_not_lie_in_one_folder():
    places = [place for place, _ in PLACES.values()] + [HuggingFaceDataset("someone/questions", COMMIT)]
    assert len({published(place).path.parent for place in places}) == len(places)


def test_the_publishers_are_where_they_are_documented_to_be():
    addresses = [published(place).address for place, _ in PLACES.values()]
    assert addresses == [
        f"raw.githubusercontent.com/someone/questions/{COMMIT}/data/dev.zip",
        "openaipublic.blob.core.windows.net/gpt-2/data/data/dev.zip",
        "storage.googleapis.com/ai2-mosaic/public/data/dev.zip",
    ]
    dataset = dataclasses.replace(published(), place=HuggingFaceDataset("someone/questions", COMMIT))
    assert dataset.address == f"huggingface.co/datasets/someone/questions/resolve/{COMMIT}/data/dev.zip"
