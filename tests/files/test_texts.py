import json
import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gptcompare.checkpoints import CheckpointError
from gptcompare.files.texts import decode_text, decode_utf8, lines_of, parse_json, parse_object, read_text, text_files


@given(st.text())
def test_utf_8_comes_back(text):
    encoded = text.encode("utf-8", errors="replace")
    assert decode_utf8(encoded, "x") == encoded.decode("utf-8")


def test_what_is_not_utf_8_is_refused_with_its_name_the_reason_and_the_place():
    with pytest.raises(ValueError, match=r"^a\.txt: not UTF-8 text \(invalid start byte at byte 3\)$"):
        decode_utf8(b"abc\xff", "a.txt")


MARK = b"\xef\xbb\xbf"  # a byte-order mark
# Of these, str.splitlines makes line ends.
CHARACTERS = [chr(n) for n in range(0x110000) if len(f"a{chr(n)}b".splitlines()) > 1]


@pytest.mark.parametrize("mark", [b"", MARK])
@pytest.mark.parametrize("ends", ["\n", "\r\n", "\r"])
def test_a_text_is_the_same_from_every_system(tmp_path, ends, mark):
    content = mark + f"one{ends}{ends}two{ends}".encode()
    (tmp_path / "a.txt").write_bytes(content)
    assert read_text(tmp_path / "a.txt") == decode_text(content, "a.txt") == "one\n\ntwo\n"
    assert [line for _, line in lines_of(content, "a.txt")] == ["one", "", "two", ""]


def test_nothing_but_line_feed_and_carriage_return_ends_a_line():
    assert len(CHARACTERS) > 8
    for character in {*CHARACTERS} - {"\n", "\r"}:
        text = f"one{character}two"
        assert [*lines_of(text.encode(), "a.txt")] == [("a.txt, line 1", text)]
        assert decode_text(text.encode(), "a.txt") == text


@given(st.text(st.sampled_from("ab\r\n\u2028\x85\ufeff")))
def test_the_lines_of_a_text_joined_are_the_text(text):
    assert "\n".join(line for _, line in lines_of(text.encode(), "a.txt")) == decode_text(text.encode(), "a.txt")


def test_a_byte_order_mark_is_dropped_at_the_beginning_alone_and_once():
    assert decode_text(MARK + MARK + b"one\n" + MARK, "a.txt") == "\ufeffone\n\ufeff"


def test_a_line_that_is_no_utf_8_is_named():
    with pytest.raises(ValueError, match=r"^a\.txt, line 2: not UTF-8 text"):
        [*lines_of(b"one\r\ntw\xff", "a.txt")]


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.text(), lambda inner: st.lists(inner)))
def test_json_comes_back(value):
    assert parse_json(json.dumps(value).encode(), "x") == value


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"{", "not JSON"),
        (b"\xff", "not UTF-8 text"),
        (b"[" * 100_000, "not JSON"),
        (b"9" * 5000, "not JSON"),
        (b"[]", "not a JSON object"),
        (b"3", "not a JSON object"),
    ],
    ids=["cut", "bytes", "deep", "long number", "list", "number"],
)
@pytest.mark.parametrize("refusal", [None, CheckpointError])
def test_what_is_not_a_json_object_is_one_error_that_names_the_file(content, reason, refusal):
    given_refusal = {} if refusal is None else {"refusal": refusal}
    with pytest.raises(refusal or ValueError, match=f"^a.json: {reason}"):
        parse_object(content, "a.json", **given_refusal)


class TestTextFiles:
    def test_a_file_is_itself_whatever_its_name_is_and_whether_it_is_there(self, tmp_path):
        assert text_files(tmp_path / "none") == [tmp_path / "none"]

    def test_of_a_folder_they_are_those_in_it_and_in_its_folders_in_order(self, tmp_path):
        (tmp_path / "b").mkdir()
        for name in ("c.txt", "a.txt", "b/x.txt", "b/y.md"):
            (tmp_path / name).touch()
        assert text_files(tmp_path) == [tmp_path / name for name in ("a.txt", "b/x.txt", "c.txt")]

    def test_a_folder_without_any_is_refused(self, tmp_path):
        with pytest.raises(ValueError, match=r"no file in this folder has a name that ends in \.txt"):
            text_files(tmp_path)

    def test_a_folder_that_cannot_be_listed_is_an_error(self, tmp_path, monkeypatch):
        def refuse(path):
            raise PermissionError(13, "Permission denied", path)

        monkeypatch.setattr(os, "scandir", refuse)
        with pytest.raises(PermissionError):
            text_files(tmp_path)
