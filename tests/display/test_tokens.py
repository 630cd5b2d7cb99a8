"""Tokens as people see them; as bars: tests/comparison/terminal/test_explain.py."""

import re
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

import gptcompare as gc
from gptcompare.display.text_width import CONTROL
from gptcompare.display.tokens import Tokens, bare_token, shown_token

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
            self.ids.append(int(data))


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
