import pytest

from gptcompare.evaluation import (
    ENTITY_EXAMPLES,
    SENTIMENT_EXAMPLES,
    SENTIMENT_WORDS,
    read_entity_examples,
    read_examples,
)


def written(folder, *lines):
    file = folder / "examples.jsonl"
    file.write_bytes(b"\n".join(lines))
    return file


def test_an_example_a_line(tmp_path):
    file = written(
        tmp_path, b'{"text": "na\xc3\xafve", "answer": "yes"}', b"", b'{"answer": "no", "a": "1", "b": "2"}\r'
    )
    assert read_examples(file) == [({"text": "naïve"}, "yes"), ({"a": "1", "b": "2"}, "no")]


def test_names_a_line(tmp_path):
    file = written(tmp_path, b'{"text": "Anna sang.", "person": ["Anna"], "place": []}')
    assert read_entity_examples(file) == [("Anna sang.", {"person": ["Anna"], "place": []})]


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (b"{", "line 2: not JSON"),
        (b"\xff", "line 2: not UTF-8 text"),
        (b"[" * 100_000, "line 2: not JSON"),
        (b"[]", "line 2: not a JSON object"),
        (b'{"text": "x"}', "line 2: an example is"),
        (b'{"answer": "x"}', "line 2: an example is"),
        (b'{"text": 1, "answer": "x"}', "line 2: an example is"),
    ],
)
def test_a_line_that_is_no_example_is_named(tmp_path, line, words):
    file = written(tmp_path, b'{"text": "x", "answer": "y"}', line)
    with pytest.raises(ValueError, match=words):
        read_examples(file)


@pytest.mark.parametrize(
    "line", [b'{"person": ["Anna"]}', b'{"text": "x", "person": "Anna"}', b'{"text": "x", "a": [1]}']
)
def test_a_line_without_names_in_lists_is_named(tmp_path, line):
    with pytest.raises(ValueError, match="line 1: an example is"):
        read_entity_examples(written(tmp_path, line))


def test_a_file_without_examples_is_refused(tmp_path):
    with pytest.raises(ValueError, match="no example in it"):
        read_examples(written(tmp_path, b"", b" "))


def test_the_ready_examples_are_balanced_and_name_what_stands_in_their_texts():
    labels = [label for _, label in SENTIMENT_EXAMPLES]
    assert {labels.count(label) for label in SENTIMENT_WORDS} == {len(labels) // len(SENTIMENT_WORDS)}
    for text, names in ENTITY_EXAMPLES:
        assert all(name in text for several in names.values() for name in several)
