"""Tokens as people see them; as bars: tests/comparison/terminal/test_explain.py."""

import re
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

import gptcompare as gc
from gptcompare.display.text_width import CONTROL
from gptcompare.display.tokens import CHIPS_STYLE, ScoredTokens, Tokens, bare_token, paper_of, shown_token

TOKENS = st.lists(st.tuples(st.integers(0, 50256), st.binary(max_size=6)), max_size=8)


@pytest.fixture(scope="module")
def tokens():
    return gc.Tokenizer.from_pretrained("gpt2").tokens("The <b>rabbit</b>\n🐇")


class Chips(HTMLParser):
    """The text and the id of each chip, and its colour."""

    def __init__(self, html):
        super().__init__()
        self.texts, self.ids, self.papers, self.open, self.tags = [], [], [], [], set()
        self.feed(html)

    def handle_starttag(self, tag, attributes):
        self.tags.add(tag)
        if tag == "br":
            return
        self.open.append(tag)
        if tag == "b":
            self.texts.append("")
        if dict(attributes).get("class") == "chip":
            self.papers.append(re.search("#[0-9a-f]{6}", dict(attributes)["style"])[0])

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open[-1:] == ["b"]:
            self.texts[-1] += data
        elif self.open[-1:] == ["small"]:
            self.ids.append(float(data))


def test_a_notebook_shows_a_chip_for_each_token_with_its_id(tokens):
    chips = Chips(tokens._repr_html_())
    assert chips.ids == tokens.ids
    assert chips.texts[:4] == ["The", " <", "b", ">"]
    assert chips.texts[-1] == "\\x87"
    assert "⏎" in chips.texts
    assert all(left != right for left, right in zip(chips.papers, chips.papers[1:], strict=False))


@given(TOKENS)
def test_whatever_a_token_is_nothing_of_it_is_markup_or_controls(pairs):
    tokens = Tokens(pairs)
    html = tokens._repr_html_()
    chips = Chips(html)
    assert chips.open == []
    assert chips.tags <= {"div", "style", "span", "b", "small", "br"}
    assert chips.ids == tokens.ids
    assert html.count("\u2068") == html.count("\u2069")  # with which a label from right to left is isolated
    assert not CONTROL.search(re.sub("[\u2068\u2069]", "", html))
    assert not CONTROL.search(re.sub("\x1b\\[[0-9;]*m", "", tokens.to_ansi()))
    assert "\n" not in repr(tokens)
    assert not any(CONTROL.search(bare_token(token)) for _, token in pairs)


def test_they_are_a_sequence(tokens):
    assert tokens[0] == (464, b"The")
    assert tokens[0].id == 464
    assert b"".join(token.bytes for token in tokens).decode() == "The <b>rabbit</b>\n🐇"
    assert isinstance(tokens[1:], Tokens)
    assert tokens[1:].ids == tokens.ids[1:]
    assert len(str(tokens).splitlines()) == len(tokens)
    assert tokens == Tokens([*tokens])
    assert repr(Tokens([])) == "<Tokens: 0>"


@pytest.mark.parametrize("token", [b" man", b"\xe2", b"'", b"\n", b"\x1b", "雪".encode()])
def test_a_bare_token_is_the_quoted_one_without_its_marks(token):
    assert bare_token(token) in shown_token(token)


class TestScoredTokens:
    SCORED = ScoredTokens([b"The", b" <b>", b"\n", b"\xe2"], [1.0, -2.0, 0.0, 0.5])

    def test_a_notebook_shows_a_chip_for_each_with_its_score(self):
        chips = Chips(self.SCORED._repr_html_())
        assert chips.ids == [1.0, -2.0, 0.0, 0.5]
        assert chips.texts == ["The", " <b>", "⏎", "\\xe2"]
        assert chips.tags <= {"div", "style", "span", "b", "small", "br"}

    def test_the_colour_says_the_sign_and_the_share_of_the_largest_score(self):
        assert Chips(self.SCORED._repr_html_()).papers == [paper_of(share) for share in (0.5, -1, 0, 0.25)]
        assert len({paper_of(share) for share in (-1, -0.5, 0, 0.5, 1)}) == 5
        assert set(Chips(ScoredTokens([b"a"], [0.0])._repr_html_()).papers) == {"#ffffff"}

    @pytest.mark.parametrize("share", [-1, 1])
    @pytest.mark.parametrize("ink", re.findall("color: (#[0-9a-f]{3,6})", CHIPS_STYLE))
    def test_letters_read_on_every_colour(self, share, ink):
        """A contrast of 4.5, as WCAG 2 asks for."""
        full = ink if len(ink) == 7 else "#" + "".join(2 * digit for digit in ink[1:])
        assert (luminance(paper_of(share)) + 0.05) / (luminance(full) + 0.05) >= 4.5

    def test_it_is_a_list_of_tokens_and_scores_and_prints_as_a_table(self):
        assert self.SCORED[1] == (b" <b>", -2.0)
        assert self.SCORED[2:] == [(b"\n", 0.0), (b"\xe2", 0.5)]
        assert str(self.SCORED).splitlines()[1] == "   -2.000  '␣<b>'"
        assert repr(ScoredTokens([], [])) == "<ScoredTokens: 0>"
        assert ScoredTokens([], [])._repr_html_().count('chip"') == 0


def luminance(colour):
    """As WCAG 2 defines it."""
    parts = [int(colour[start : start + 2], 16) / 255 for start in (1, 3, 5)]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue
