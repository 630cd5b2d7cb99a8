import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gptcompare.checkpoints import CheckpointError
from gptcompare.files.texts import decode_utf8, parse_json, parse_object, read_text


@given(st.text())
def test_utf_8_comes_back(text):
    encoded = text.encode("utf-8", errors="replace")
    assert decode_utf8(encoded, "x") == encoded.decode("utf-8")


def test_what_is_not_utf_8_is_refused_with_its_name_the_reason_and_the_place():
    with pytest.raises(ValueError, match=r"^a\.txt: not UTF-8 text \(invalid start byte at byte 3\)$"):
        decode_utf8(b"abc\xff", "a.txt")


@pytest.mark.parametrize("ends", ["\n", "\r\n", "\r"])
def test_a_file_s_line_ends_are_python_s(tmp_path, ends):
    (tmp_path / "a.txt").write_bytes(f"one{ends}two{ends}".encode())
    assert read_text(tmp_path / "a.txt") == "one\ntwo\n"


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
