import gzip
import io
import random
import tarfile
import zipfile

import pytest
from support.amounts import few_or_many
from support.forge import little_memory
from support.published_tasks import (
    additions,
    completions,
    content,
    lambada,
    prepared,
    wikitext,
    winogrande,
    write_lines,
)

from gptcompare.evaluation import TASKS, Content, Document, Item, Writing, task_named
from gptcompare.evaluation.tasks.published import ARITHMETIC, SCRAMBLED, UNSCRAMBLE, read_scrambled, read_text
from gptcompare.presets import presets, published

TITLES = {result.task for name in presets() for result in published(name).results}
NOT_IN_THE_PAPERS = {"cbt-v", "cbt-p", "text", "six-digit-addition", "six-digit-subtraction", "sum-of-digits"}


class TestRegistry:
    def test_results_are_published_under_a_tasks_title(self):
        assert {name for name, task in TASKS.items() if task.title not in TITLES} == NOT_IN_THE_PAPERS

    def test_all_files_of_gpt3_are_tasks_under_their_names(self):
        files = {task.data.published.file for task in TASKS.values() if task.data}
        for stem in (*ARITHMETIC, *SCRAMBLED):
            assert any(file.startswith(f"data/{stem}.jsonl") for file in files)
            assert stem.replace("_", "-") in TASKS

    def test_an_unknown_name_is_refused_with_the_nearest(self):
        with pytest.raises(ValueError, match="unknown task 'hellaswagg': did you mean hellaswag"):
            task_named("hellaswagg")


class TestGpt3sFiles:
    def test_questions_follow_each_other_as_they_are_published(self, story, tmp_path):
        item = prepared(story, "two-digit-addition", additions(tmp_path), shots=1).items[0]
        assert item.context.count("\n\nQ: What is ") == 2
        assert item.context.endswith("\n\nQ: What is 0 plus 11?\n\nA:")
        assert item.answer == " 11"

    @pytest.mark.parametrize("instruction", ["", f"{UNSCRAMBLE}\n", f"{UNSCRAMBLE} "])
    @pytest.mark.parametrize(("context", "completion"), [("asinoc = ", "casino"), ("asinoc =", " casino")])
    def test_the_instruction_stands_once_in_front(self, story, tmp_path, instruction, context, completion):
        pairs = [(instruction + context, completion), (instruction + "yfrogg =", "froggy")]
        path = completions(tmp_path, "cycle_letters_in_word.jsonl", pairs)
        assert read_scrambled(content(path))[0] == Item((("asinoc =", " casino"),))
        item = prepared(story, "cycle-letters-in-word", path, shots=1).items[0]
        assert item.context == f"{UNSCRAMBLE}\nyfrogg = froggy\nasinoc ="

    def test_the_number_of_beams_is_the_papers_or_the_one_that_is_wanted(self, story, tmp_path):
        path = additions(tmp_path)
        assert prepared(story, "two-digit-addition", path).protocol == Writing(4)
        assert prepared(story, "two-digit-addition", path, beams=1).protocol == Writing(1)


class TestReadText:
    def test_a_byte_order_mark_is_not_of_the_text(self):
        assert read_text([Content("text.txt", b"\xef\xbb\xbfna\xc3\xafve")]) == [Document("naïve", 1, 6)]

    def test_a_text_must_be_utf_8(self, tmp_path):
        with pytest.raises(ValueError, match=r"latin\.txt: not UTF-8 text \(.* at byte 1\)"):
            read_text([Content("latin.txt", b"n\xefve")])


def _cbt(folder):
    lines = [f"{n} `` Who is there ? '' asked fox {n} ." for n in range(1, 21)]
    lines.append("21 XXXXX ran .\tAnna\t\t" + "|".join(["Anna", *"BCDEFGHIJ"]))
    path = folder / "cbtest_NE_valid_2000ex.txt"
    path.write_text("\n".join([*lines, ""] * 3), encoding="utf-8")
    return path


def _piqa(folder):
    questions = [{"goal": "To keep soup warm,", "sol1": "put a lid on it.", "sol2": "eat it."}] * 3
    (folder / "dev-labels.lst").write_text("0\n1\n0\n", encoding="utf-8")
    return write_lines(folder / "dev.jsonl", questions)


def _scrambled(folder):
    return completions(folder, "reversed_words.jsonl", [("olleh =", "hello"), ("god =", "dog")])


# Task -> what writes its files.
WRITERS = {
    "lambada": lambada, "piqa": _piqa, "winogrande": winogrande, "cbt-ne": _cbt, "wikitext-2": wikitext,
    "two-digit-addition": additions, "reversed-words": _scrambled,
}  # fmt: skip


def _members(task, folder):
    """The bytes of the published members, or of the file itself, from the files in a folder."""
    return {name: (folder / name.split("/")[-1].removesuffix(".gz")).read_bytes() for name in task.data._wanted}


def _packed(task, members):
    """The file as it is published: bytes."""
    file, buffer = task.data.published.file, io.BytesIO()
    if file.endswith(".zip"):
        with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, content in members.items():
                archive.writestr(name, content)
    elif file.endswith(".tgz"):
        with tarfile.open(fileobj=buffer, mode="w") as archive:
            for name, content in members.items():
                info = tarfile.TarInfo(name)
                info.size = len(content)
                archive.addfile(info, io.BytesIO(content))
    else:
        buffer.write(*members.values())
    return buffer.getvalue()


def _unpacked(task, file):
    """The contents of a file as Python's own modules read it, or None where they refuse it."""
    try:
        content = gzip.decompress(file) if file.startswith(b"\x1f\x8b") else file
        if not task.data.members:
            return [content]
        if content.startswith(b"PK"):
            archive = zipfile.ZipFile(io.BytesIO(content))
            return [archive.read(name) for name in task.data.members]
        archive = tarfile.open(fileobj=io.BytesIO(content))  # noqa: SIM115
        return [archive.extractfile(name).read() for name in task.data.members]
    except Exception:
        return None


def _damaged(content, rng):
    """The bytes with one to four changes: replaced, cut out, put in, repeated, or the end cut off."""
    data = bytearray(content)
    for _ in range(rng.randint(1, 4)):
        begin = rng.randrange(len(data) + 1)
        kind = rng.choice(["replace", "cut", "insert", "repeat", "truncate", "number"])
        end = min(len(data), begin + rng.randint(1, 9))
        new = {
            "replace": rng.randbytes(end - begin), "insert": rng.randbytes(3), "repeat": data[begin:end] * 300,
            "number": rng.choice([b"\xff" * 4, b"99999999999", b"\x80" + b"\x7f" * 11, bytes(8)]),
        }.get(kind, b"")  # fmt: skip
        data[begin : len(data) if kind == "truncate" and rng.random() < 0.2 else end] = new
    return bytes(data)


@few_or_many("n", 105, 3000)
def test_a_damaged_file_is_read_as_python_reads_it_or_is_one_error_that_names_it(tmp_path, n):
    samples = {}
    for name, write in WRITERS.items():
        folder = tmp_path / name
        folder.mkdir()
        write(folder)
        samples[name] = _members(task_named(name), folder)
    rng = random.Random(0)
    for number in range(n):
        name = [*samples][number % len(samples)]
        task, members, where = task_named(name), samples[name], rng.choice(["member", "archive", "outside"])
        if where == "member":
            members = {member: _damaged(content, rng) for member, content in members.items()}
        packed = _packed(task, members)
        if where == "archive":
            packed = _damaged(packed, rng)
        if task.data.published.file.endswith(("gz", "tgz")):
            packed = gzip.compress(packed)
        if where == "outside":
            packed = _damaged(packed, rng)
        path = tmp_path / task.data.published.file.split("/")[-1]
        path.write_bytes(packed)
        with little_memory(200_000_000):
            try:
                found = task.data.contents(path)
                task.read(found)
            except ValueError as error:
                assert str(path) in str(error)  # noqa: PT017
                continue
        expected = _unpacked(task, packed)
        assert expected is None or [content.content for content in found] == expected
