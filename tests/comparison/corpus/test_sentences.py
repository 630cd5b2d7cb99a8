import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.places import ALICE

from gptcompare.comparison.corpus.sentences import LONGEST, sentences

PIECES = st.sampled_from(
    [".", "!", "?", "…", " ", "\n", "\n\n", '"', "'", ")", "Word", "word", "。", "」", "é", "🐇", "x" * 300]
)


def parts(text):
    return [text[start:end] for start, end in sentences(text)]


@given(st.one_of(st.text(), st.lists(PIECES).map("".join)))
def test_together_they_are_the_text_and_none_is_empty_or_very_long(text):
    found = parts(text)
    assert "".join(found) == text
    assert all(0 < len(part) <= LONGEST for part in found)


@pytest.mark.parametrize(
    "expected",
    [
        ["One ended. ", "Two!  ", "Three?\n", "Four did not… because of the small letter."],
        ['"Why?" he asked. ', '"I do not know." ', "'Nor I!' ", "(Nobody did.) ", "They left"],
        ["What?! ", "Well... ", "So it is."],
        ["Mr. ", "Fox met Dr. ", "Crow, i.e. a bird, at 3.30 p.m. on 1.5.1900."],
        ["Chapter 1\n\n", "it began\nin the middle of a line\n \t\n", "And went on. "],
        ["昔々。", "「行くよ！」", "彼は行った。 ", "終わり"],
        ["“Stop!” ", "«Pourquoi?» ", "„Halt.“ ", "*Now.* ", "_Then._"],
        ["no stop at all"],
        ["\n\n  It begins after empty lines. ", "So."],
        ["3.14 is a number, and so is v1.2.Final"],
    ],
)
def test_where_a_sentence_ends(expected):
    assert parts("".join(expected)) == expected


def test_a_very_long_one_is_cut_after_a_word():
    found = parts("word " * 1000)
    assert all(part.endswith("word ") for part in found)
    assert {len(part) for part in found} == {LONGEST}


def test_one_without_any_white_space_is_cut_anywhere():
    assert [len(part) for part in parts("x" * (2 * LONGEST + 7))] == [LONGEST, LONGEST, 7]


def test_in_a_book_nearly_all_of_them_begin_as_a_sentence_does():
    found = [part.strip() for part in parts(ALICE.read_text(encoding="utf-8"))]
    begins = [part.lstrip("'\"(_*[")[:1] for part in found]
    assert sum(letter.isupper() for letter in begins) > 0.9 * len(found)
