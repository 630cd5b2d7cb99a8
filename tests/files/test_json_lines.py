import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gptcompare.files.json_lines import json_objects

OBJECTS = st.dictionaries(st.text(), st.text() | st.integers() | st.none(), max_size=3)


@given(st.lists(OBJECTS, min_size=1), st.booleans(), st.sampled_from([b"\n", b"\r\n", b"\n\n \n"]))
def test_what_was_written_is_read_with_the_number_of_its_line(objects, ascii_alone, end):
    lines = [json.dumps(one, ensure_ascii=ascii_alone).encode() for one in objects]
    step = 3 if end == b"\n\n \n" else 1
    read = list(json_objects("x.jsonl", end.join(lines), "item"))
    assert read == [(f"x.jsonl, line {1 + step * n}", one) for n, one in enumerate(objects)]


def test_a_byte_order_mark_is_passed_over_at_the_beginning_alone():
    assert list(json_objects("x", b'\xef\xbb\xbf{"a": 1}', "item")) == [("x, line 1", {"a": 1})]
    with pytest.raises(ValueError, match=r"^x, line 2: not (JSON|UTF-8 text)"):
        list(json_objects("x", b'{}\n\xef\xbb\xbf{"a": 1}', "item"))


@pytest.mark.parametrize("content", [b"", b"\n \t\r\n"])
def test_a_file_with_nothing_in_it_is_refused(content):
    with pytest.raises(ValueError, match=r"^x: there is no item in it$"):
        list(json_objects("x", content, "item"))
