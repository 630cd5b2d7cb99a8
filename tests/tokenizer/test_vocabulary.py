from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gptcompare import Tokenizer
from gptcompare.tokenizer.vocabulary import BYTE_ORDER, BYTE_TO_CHAR, Vocabulary, to_bytes, to_characters


def test_each_byte_is_a_printable_character_of_its_own():
    assert sorted(BYTE_TO_CHAR) == sorted(BYTE_ORDER) == [*range(256)]
    assert len(set(BYTE_TO_CHAR.values())) == 256
    assert all(char.isprintable() and not char.isspace() for char in BYTE_TO_CHAR.values())


@settings(derandomize=True, deadline=None, database=None)
@given(token=st.binary())
def test_bytes_are_written_as_characters_and_read_back(token):
    assert to_characters(token) == "".join(BYTE_TO_CHAR[byte] for byte in token)
    assert to_bytes(to_characters(token)) == token


def test_a_merge_that_is_listed_twice_has_its_later_rank():
    """As `dict(zip(bpe_merges, range(len(bpe_merges))))` in openai/gpt-2, src/encoder.py, gives it."""
    vocabulary = Vocabulary.from_merges([("a", "b"), ("b", "c"), ("a", "b")])
    assert Tokenizer(vocabulary).encode("abc abd") == [vocabulary.ids[token] for token in ("a", "bc", "Ġ", "ab", "d")]


@pytest.mark.parametrize("role", ["eot", "bos"])
def test_a_vocabulary_has_the_tokens_that_begin_and_end_its_texts(role):
    with pytest.raises(ValueError, match=r"vocabulary: '<s>', which (begins|ends) a text, has no id"):
        replace(Vocabulary.from_merges([("h", "e")]), **{role: "<s>"})
