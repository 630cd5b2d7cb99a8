import gzip
import hashlib
import io
import re
import tarfile
import tracemalloc
import zipfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.amounts import examples
from support.forge import little_memory

import gptcompare as gc
from gptcompare.checkpoints.download.data_publishers import GitHub
from gptcompare.checkpoints.download.published_file import PublishedFile
from gptcompare.evaluation.tasks import data_files
from gptcompare.evaluation.tasks.data_files import (  # fmt: skip
    CBT,
    GPT3,
    HELLASWAG,
    LAMBADA,
    PIQA,
    WIKITEXT_2,
    WINOGRANDE,
    Content,
    TaskData,
)

QUESTIONS, LABELS = b'{"goal": "to boil water"}\n' * 50, b"0\n" * 50
MEMBERS = ("task-1.0/dev.jsonl", "task-1.0/dev-labels.lst")
FILES = {"task-1.0/readme.txt": b"Read me.", MEMBERS[1]: LABELS, "task-1.0/dev": b"", MEMBERS[0]: QUESTIONS}
PLACE = GitHub("someone/task", "0" * 40)
PUBLISHED_AT = f"it is published at raw.githubusercontent.com/someone/task/{'0' * 40}/data/"


def zipped(files, **how):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", **how) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def tarred(files, prefix="", mode="w:gz"):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode=mode) as archive:
        for name, content in files.items():
            info = tarfile.TarInfo(prefix + name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


ARCHIVES = {
    "task.zip": zipped(FILES),
    "deflated.zip": zipped(FILES, compression=zipfile.ZIP_DEFLATED),
    "task.tgz": tarred(FILES),
    "dotted.tar.gz": tarred(FILES, "./"),
}


def task(file, content, members=()):
    digest = "sha256:" + hashlib.sha256(content).hexdigest()
    return TaskData(PublishedFile(PLACE, f"data/{file}", digest, len(content)), members)


def of_archive(name="task.zip", content=None):
    return task(name, ARCHIVES[name] if content is None else content, MEMBERS)


def put(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def bytes_of(contents):
    return [one.content for one in contents]


@pytest.mark.parametrize("archive", ARCHIVES)
class TestAnArchive:
    def test_the_members_come_in_the_order_asked_for_with_their_places(self, tmp_path, archive):
        path = put(tmp_path / archive, ARCHIVES[archive])
        found = of_archive(archive).contents(path)
        assert found == [Content(f"{path}/{MEMBERS[0]}", QUESTIONS), Content(f"{path}/{MEMBERS[1]}", LABELS)]
        assert [entry.name for entry in tmp_path.iterdir()] == [archive]  # nothing is unpacked

    def test_it_may_have_any_name_and_lie_in_the_folder_that_is_given(self, tmp_path, archive):
        renamed = put(tmp_path / "mine.bin", ARCHIVES[archive])
        assert bytes_of(of_archive(archive).contents(str(renamed))) == [QUESTIONS, LABELS]
        put(tmp_path / "folder" / archive, ARCHIVES[archive])
        assert bytes_of(of_archive(archive).contents(tmp_path / "folder")) == [QUESTIONS, LABELS]

    def test_without_a_path_the_one_in_the_cache_is_read(self, archive):
        data = of_archive(archive)
        put(data.published.path, ARCHIVES[archive])
        assert bytes_of(data.contents()) == [QUESTIONS, LABELS]
        assert [entry.name for entry in data.published.path.parent.iterdir()] == [archive]

    def test_one_that_is_truncated_is_refused_with_what_is_expected(self, tmp_path, archive):
        for n in (0, 1, 3, 100, len(ARCHIVES[archive]) // 2, len(ARCHIVES[archive]) - 30):
            path = put(tmp_path / archive, ARCHIVES[archive][:n])
            with pytest.raises(ValueError, match=rf"^{re.escape(str(path))}.*; it is published at raw.git.*{archive}$"):
                of_archive(archive).contents(path)

    def test_a_missing_member_is_named(self, tmp_path, archive):
        path = put(tmp_path / archive, ARCHIVES[archive])
        data = task(archive, b"", (MEMBERS[0], "task-1.0/test.jsonl"))
        with pytest.raises(ValueError, match=r"\(there is no task-1\.0/test\.jsonl in it\): expected .*dev\.jsonl and"):
            data.contents(path)

    def test_a_member_that_is_absurdly_large_is_not_read(self, tmp_path, archive, monkeypatch):
        monkeypatch.setattr(data_files, "LIMIT", 1000)
        with pytest.raises(ValueError, match=r"(dev\.jsonl|the archive) has more than 1,000 bytes"):
            of_archive(archive).contents(put(tmp_path / archive, ARCHIVES[archive]))

    @settings(max_examples=examples(150), deadline=None)
    @given(data=st.data())
    def test_any_damage_is_one_error_of_value_or_changes_nothing_that_can_be_noticed(
        self, tmp_path_factory, archive, data
    ):
        content = bytearray(ARCHIVES[archive])
        for _ in range(data.draw(st.integers(1, 3))):
            content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
        path = put(tmp_path_factory.getbasetemp() / f"damaged-{archive}", bytes(content))
        try:
            assert len(of_archive(archive).contents(path)) == 2
        except ValueError as error:
            assert str(path) in str(error)  # noqa: PT017


class TestArchivesOfOtherKinds:
    @pytest.mark.parametrize("name", ["task.zip", "task.tgz"])
    def test_a_page_in_the_place_of_an_archive_is_refused(self, tmp_path, name):
        path = put(tmp_path / name, b"<html>Not found</html>")
        with pytest.raises(
            ValueError,
            match=rf"{name} is damaged, or the wrong file \(.*expected {name}, or the dev.jsonl and dev-labels",
        ):
            of_archive(name).contents(path)

    def test_links_and_folders_are_no_members(self, tmp_path):
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
            info = tarfile.TarInfo(MEMBERS[0])
            info.type, info.linkname = tarfile.SYMTYPE, "/etc/passwd"
            archive.addfile(info)
        with pytest.raises(ValueError, match=r"there is no task-1\.0/dev\.jsonl in it"):
            of_archive("task.tgz").contents(put(tmp_path / "task.tgz", buffer.getvalue()))

    def test_a_small_file_that_unpacks_to_a_large_one_costs_no_more_than_the_limit(self, tmp_path, monkeypatch):
        monkeypatch.setattr(data_files, "LIMIT", 10**6)
        path = put(tmp_path / "words.jsonl.gz", gzip.compress(bytes(10**8)))
        tracemalloc.start()
        with pytest.raises(ValueError, match="has more than 1,000,000 bytes"):
            task("words.jsonl.gz", b"").contents(path)
        assert tracemalloc.get_traced_memory()[1] < 10**7
        tracemalloc.stop()

    @pytest.mark.parametrize(
        ("where", "value"),
        [("flags", b"\x01\x00"), ("method", b"\x63\x00"), ("offset of all", b"\xf0\xff\xff\x7f")],
    )
    def test_one_that_cannot_be_unpacked_here_is_refused(self, tmp_path, where, value):
        content = bytearray(ARCHIVES["task.zip"])
        for entry in re.finditer(b"PK\x01\x02", ARCHIVES["task.zip"]):  # the list of files at the end
            if where != "offset of all":
                begin = entry.start() + {"flags": 8, "method": 10}[where]
                content[begin : begin + 2] = value
        if where == "offset of all":  # files would begin before the archive
            begin = content.rindex(b"PK\x05\x06") + 16
            content[begin : begin + 4] = value
        with pytest.raises(ValueError, match=r"task\.zip is damaged, or the wrong file \(.*\): expected"):
            of_archive().contents(put(tmp_path / "task.zip", bytes(content)))

    @pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
    def test_a_member_that_only_a_decompressor_without_a_bound_can_unpack_is_refused(self, tmp_path, method):
        path = put(tmp_path / "task.zip", zipped(FILES, compression=method))
        with pytest.raises(ValueError, match=rf"^{path} is damaged.*packed by method {method}, neither stored nor"):
            of_archive().contents(path)


def tar_header(name, size, kind=tarfile.REGTYPE):
    info = tarfile.TarInfo(name)
    info.size, info.type = size, kind
    return info.tobuf(tarfile.GNU_FORMAT)


class TestHeadersOfATar:
    """What they claim about themselves, in an archive of a few kilobytes that unpacks to some megabytes."""

    KINDS = (
        tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.SOLARIS_XHDTYPE, tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK,
    )  # fmt: skip

    def refused(self, tmp_path, tar, reason):
        path = put(tmp_path / "task.tgz", gzip.compress(tar))
        with little_memory(60_000_000), pytest.raises(ValueError, match=f"^{path} is damaged.*{reason}"):
            of_archive("task.tgz").contents(path)

    @pytest.mark.parametrize("kind", KINDS)
    def test_none_may_be_longer_than_headers_are(self, tmp_path, kind):
        claim = tar_header("header", 10**8, kind)
        self.refused(tmp_path, claim + bytes(10**8), "headers claim to be longer")
        self.refused(tmp_path, tarred(FILES, mode="w")[:1024] + claim + bytes(10**6), "headers claim to be longer")

    @pytest.mark.parametrize("kind", KINDS)
    def test_one_may_be_as_long_as_headers_are(self, tmp_path, kind):
        text = b"21 comment=a comment\n" if kind not in (tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK) else b"x"
        tar = tar_header("header", len(text), kind) + text.ljust(512, b"\0") + tar_header("any", 0)
        path = put(tmp_path / "task.tgz", gzip.compress(tar + tarred(FILES, mode="w")))
        assert bytes_of(of_archive("task.tgz").contents(path)) == [QUESTIONS, LABELS]

    def test_there_may_not_be_any_number_of_them(self, tmp_path):
        self.refused(tmp_path, tar_header("file", 0) * 10_000, "headers claim to be longer")

    @pytest.mark.parametrize("kind", KINDS)
    def test_header_after_header_of_one_file_is_refused(self, tmp_path, kind):
        one = tar_header("header", 10, kind) + b"10 a=bcdef".ljust(512, b"\0")
        self.refused(tmp_path, one * 900, "")

    def test_a_map_of_holes_must_be_one(self, tmp_path):
        words = {"GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.realsize": "9"}
        info = tarfile.TarInfo("sparse")
        info.pax_headers, info.size = words, 10**7
        self.refused(tmp_path, info.tobuf(tarfile.PAX_FORMAT) + b"5\n" + b"1" * 10**7, "")

    def test_none_leads_back(self, tmp_path):
        self.refused(tmp_path, tar_header("file", -4096), "")

    def test_a_member_with_holes_is_no_member(self, tmp_path):
        info = tarfile.TarInfo(MEMBERS[0])
        info.pax_headers = {"GNU.sparse.size": "100000000000", "GNU.sparse.map": "0,0"}
        self.refused(tmp_path, info.tobuf(tarfile.PAX_FORMAT) + bytes(10240), "there is no task")

    def test_a_member_that_claims_more_than_there_is_is_refused(self, tmp_path):
        self.refused(tmp_path, tar_header(MEMBERS[0], 10**6) + bytes(512), "ends in the middle of task-1.0/dev.jsonl")
        self.refused(tmp_path, tar_header(MEMBERS[0], 2**40) + bytes(512), "ends in the middle of task-1.0/dev.jsonl")


class TestFolders:
    @pytest.mark.parametrize("folder", ["", "task-1.0", "any/task-1.0"])
    def test_files_lie_directly_or_as_in_the_archive(self, tmp_path, folder):
        for member in MEMBERS:
            put(tmp_path / folder / Path(member).name, FILES[member])
        given = tmp_path / "any" if folder.startswith("any") else tmp_path
        assert bytes_of(of_archive().contents(given)) == [QUESTIONS, LABELS]

    def test_a_folder_in_the_middle_of_the_archive_will_do(self, tmp_path):
        put(tmp_path / "data" / "cbtest.txt", b"text")
        assert bytes_of(task("x.tgz", b"", ("CBTest/data/cbtest.txt",)).contents(tmp_path)) == [b"text"]

    def test_what_is_missing_in_it_is_named(self, tmp_path):
        put(tmp_path / "dev.jsonl", QUESTIONS)
        with pytest.raises(FileNotFoundError, match=rf"there is no dev-labels\.lst in {tmp_path}: expected task\.zip"):
            of_archive().contents(tmp_path)

    def test_a_clone_of_the_repository_will_do(self, tmp_path):
        put(tmp_path / "data" / "dev.jsonl", QUESTIONS)
        assert bytes_of(task("dev.jsonl", b"").contents(tmp_path)) == [QUESTIONS]


class TestTheWantedFileItself:
    def test_its_companions_lie_beside_it(self, tmp_path):
        path = put(tmp_path / "my-questions.jsonl", QUESTIONS)
        with pytest.raises(FileNotFoundError, match=rf"there is no dev-labels\.lst beside {path}: expected task\.zip"):
            of_archive().contents(path)
        put(tmp_path / "dev-labels.lst", LABELS)
        assert of_archive().contents(path)[0] == Content(str(path), QUESTIONS)
        assert bytes_of(of_archive().contents(path)) == [QUESTIONS, LABELS]

    def test_a_path_to_nothing_is_told_with_what_is_expected(self, tmp_path):
        missing = tmp_path / "no" / "dev.jsonl"
        with pytest.raises(FileNotFoundError) as caught:
            task("dev.jsonl", b"").contents(missing)
        expected = f"there is no {missing}: expected dev.jsonl, or a folder that contains it; {PUBLISHED_AT}dev.jsonl"
        assert str(caught.value) == expected

    def test_compressed_and_unpacked_are_the_same(self, tmp_path):
        data = task("words.jsonl.gz", b"")
        packed = put(tmp_path / "a" / "words.jsonl.gz", gzip.compress(QUESTIONS))
        unpacked = put(tmp_path / "b" / "words.jsonl", QUESTIONS)
        for path in (packed, packed.parent, unpacked, unpacked.parent):
            assert bytes_of(data.contents(path)) == [QUESTIONS]

    @pytest.mark.parametrize("damage", [slice(0, 30), slice(0, -4)])
    def test_a_damaged_compressed_one_is_refused(self, tmp_path, damage):
        path = put(tmp_path / "words.jsonl.gz", gzip.compress(QUESTIONS)[damage])
        with pytest.raises(ValueError, match=rf"^{path} is damaged, or the wrong file \(.*expected words\.jsonl\.gz"):
            task("words.jsonl.gz", b"").contents(path)


def test_without_a_network_and_a_path_one_error_says_where_it_is_and_where_to_put_it():
    data = of_archive()
    with pytest.raises(gc.DownloadError) as caught:
        data.contents()
    message = str(caught.value)
    assert message.startswith("the contents of task.zip are not on this machine, and GPTCOMPARE_OFFLINE is set. ")
    assert message.endswith(f"data/task.zip; that file can also be put by hand at {data.published.path}")


class TestThePublishedTasks:
    ALL = {  # noqa: RUF012
        "lambada": LAMBADA, "hellaswag": HELLASWAG, "piqa": PIQA, "winogrande": WINOGRANDE, "wikitext": WIKITEXT_2,
        **CBT, **GPT3,
    }  # fmt: skip

    def test_each_has_the_digest_of_a_whole_file(self):
        assert all(re.fullmatch("sha256:[0-9a-f]{64}", data.published.digest) for data in self.ALL.values())

    def test_no_two_files_lie_in_one_place_of_the_cache(self):
        paths = {data.published.path: data.published.digest for data in self.ALL.values()}
        assert len(paths) == len({data.published.digest for data in self.ALL.values()}) == 6 + 18

    def test_they_are_at_their_publishers(self):
        addresses = [data.published.address for data in (LAMBADA, HELLASWAG, PIQA, WINOGRANDE, WIKITEXT_2, CBT["NE"])]
        assert addresses == [
            "openaipublic.blob.core.windows.net/gpt-2/data/lambada_test.jsonl",
            "raw.githubusercontent.com/rowanz/hellaswag/a29ff8e9a04bba4bd6588223785ce105328adc57/data/hellaswag_val.jsonl",
            "storage.googleapis.com/ai2-mosaic/public/physicaliqa/physicaliqa-train-dev.zip",
            "storage.googleapis.com/ai2-mosaic/public/winogrande/winogrande_1.1.zip",
            "huggingface.co/datasets/ggml-org/ci/resolve/927b3642933080f1b0e811e2f916e14c292992f9/wikitext-2-raw-v1.zip",
            "huggingface.co/datasets/cam-cst/cbt/resolve/7503a0643517afe02a86e4750d375a9686008efa/data/CBTest.tgz",
        ]
        assert CBT["P"].members == ("CBTest/data/cbtest_P_valid_2000ex.txt",)

    def test_gpt_3_s_are_those_that_its_repository_has(self):
        words = ["cycle_letters_in_word", "mid_word_1_anagrams", "mid_word_2_anagrams", "random_insertion_in_word"]
        packed = [name for name, data in GPT3.items() if data.published.file == f"data/{name}.jsonl.gz"]
        assert packed == [*words, "reversed_words"]
        assert len(GPT3) == 18
        assert all(f"data/{name}.jsonl" in data.published.file for name, data in GPT3.items())
