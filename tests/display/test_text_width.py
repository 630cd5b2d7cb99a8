import unicodedata
from itertools import accumulate

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from gptcompare.display.text_width import CHARACTER, Wrapped, pad, printable, width, wrap

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=80)
FAMILY = "👨‍👩‍👧"

# How many cells each takes: Unicode Annex 11 (wide and full width), Annex 29 (what is one character).
WIDTHS = {
    "": 0, "abc": 3, "naïve": 5, "nai\u0308ve": 5, "雪": 2, "ｆ": 2, "한글": 4, "한": 2, "🐇": 2, FAMILY: 2,
    "🇩🇪": 2, "❤️": 2, "—": 1, "a\u200bb": 2, "é": 1, "1️⃣": 2, "👍🏽": 2, "a\ufe0f": 1, "a\u00adb": 3, "น้ำ": 2,
    "\u1112\u1161\u11ab": 2, "か\u3099": 2, "か\u3099き": 4, "ｶ\u3099": 1,
}  # fmt: skip


@pytest.mark.parametrize("text", WIDTHS)
def test_a_character_takes_as_many_cells_as_unicode_says(text):
    assert width(text) == WIDTHS[text]


def test_padding_fills_cells_and_not_characters():
    assert pad("雪", 5) == "雪   "


@pytest.mark.parametrize("control", ["\x1b", "\x00", "\r", "\x7f", "\x9b", "\u202e", "\u2028"])
def test_what_would_command_a_terminal_is_shown_instead(control):
    shown = printable(f"a{control}b")
    assert shown[0] + shown[2] == "ab"
    assert unicodedata.category(shown[1]) == "So"


def test_ends_of_lines_stay_and_tabs_are_spaces():
    assert printable("a\n\tb") == "a\n    b"


class TestWrap:
    @given(TEXTS, st.integers(2, 12))
    def test_no_line_is_too_wide_and_no_letter_is_lost(self, text, n_cells):
        lines = wrap(text, n_cells)
        assert all(width(line) <= n_cells for line in lines)
        assert "".join("".join(lines).split()) == "".join(printable(text).split())

    @given(st.lists(TEXTS, min_size=2, max_size=4), st.integers(2, 12))
    def test_text_that_is_added_gives_the_lines_of_the_whole_and_changes_none_but_the_last(self, parts, n_cells):
        whole = "".join(parts)
        ends = {sum(map(len, parts[:n])) for n in range(len(parts))}
        assume(ends <= {0, *accumulate(map(len, CHARACTER.findall(whole)))})  # no character is cut
        wrapped = Wrapped(n_cells, parts[0])
        for part in parts[1:]:
            before = wrapped.lines.copy()
            wrapped.add(part)
            assert wrapped.lines[: len(before) - 1] == before[:-1]
        assert wrapped.lines == wrap(whole, n_cells)

    def test_words_stay_whole_where_they_fit(self):
        assert wrap("Once upon a time", 9) == ["Once upon", "a time"]

    def test_a_word_longer_than_a_line_is_broken_between_characters(self):
        assert wrap(f"ab {FAMILY * 3} c", 5) == ["ab", FAMILY * 2, f"{FAMILY} c"]

    def test_a_character_wider_than_a_line_has_one_of_its_own(self):
        assert wrap("雪雪", 1) == ["雪", "雪"]

    def test_paragraphs_and_empty_lines_stay(self):
        assert wrap("a\n\n b", 5) == ["a", "", " b"]
        assert wrap("", 5) == [""]
