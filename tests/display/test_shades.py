import math
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

import gptcompare as gc
from gptcompare.display.shades import (
    BITS,
    CHIPS,
    SHADES,
    Shading,
    chips,
    colour_wanted,
    key,
    painted,
    printable_shades,
    shade_of,
)
from gptcompare.display.text_width import CONTROL, printable

CODE = re.compile("\x1b\\[[0-9;]*m")
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)


class Stream:
    def __init__(self, is_terminal):
        self.isatty = lambda: is_terminal


@pytest.mark.parametrize(
    ("choice", "terminal", "environment", "wanted"),
    [
        ("auto", True, {}, True),
        ("auto", False, {}, False),
        ("auto", True, {"NO_COLOR": "1"}, False),
        ("auto", True, {"NO_COLOR": ""}, True),  # https://no-color.org: "when present and not an empty string"
        ("auto", True, {"TERM": "dumb"}, False),
        ("always", False, {"NO_COLOR": "1", "TERM": "dumb"}, True),
        ("never", True, {}, False),
    ],
)
def test_colours_are_for_terminals_whose_user_wants_them(choice, terminal, environment, wanted, monkeypatch):
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert colour_wanted(choice, Stream(terminal)) is wanted


def luminance(number):
    """Relative luminance (WCAG 2.1) of a colour of xterm's palette: 16 + 36 red + 6 green + blue, then 24 greys."""
    levels = (0, 95, 135, 175, 215, 255)
    number -= 16
    rgb = (levels[number // 36], levels[number // 6 % 6], levels[number % 6]) if number < 216 else [
        8 + 10 * (number - 216)
    ] * 3  # fmt: skip
    linear = [c / 255 / 12.92 if c / 255 <= 0.04045 else ((c / 255 + 0.055) / 1.055) ** 2.4 for c in rgb]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("colour", SHADES[1:])
def test_a_shade_reads_on_black_and_on_white(colour):
    assert 1.05 / (luminance(colour) + 0.05) >= 3.8
    assert (luminance(colour) + 0.05) / 0.05 >= 3.8


@pytest.mark.parametrize("colour", CHIPS)
def test_white_letters_read_on_every_chip(colour):
    assert 1.05 / (luminance(colour) + 0.05) >= 5.5


@given(TEXTS, st.lists(st.integers(0, len(SHADES) - 1), max_size=30))
def test_colours_change_no_character_and_end_where_they_begin(text, shades):
    text = printable(text)
    result = painted(text, shades)
    assert CODE.sub("", result) == text
    codes = CODE.findall(result)
    assert codes[1::2] == ["\x1b[0m"] * (len(codes) // 2)
    assert len(codes) % 2 == 0


def test_what_is_one_character_has_one_colour():
    assert painted("e\u0301x", [1, 2, 2]) == "\x1b[38;5;32me\u0301\x1b[0m\x1b[38;5;98mx\x1b[0m"


@given(TEXTS)
def test_what_becomes_visible_keeps_its_shade(text):
    shades = [n % len(SHADES) for n in range(len(text))]
    found = printable_shades(text, shades)
    assert len(found) == len(printable(text))
    assert [shade for character, shade in zip(printable(text), found, strict=True) if character == "x"] == [
        shade for character, shade in zip(text, shades, strict=True) if character == "x"
    ]


@given(st.lists(TEXTS, max_size=8))
def test_chips_have_the_tokens_each_beside_others_of_another_colour(tokens):
    tokens = [printable(token) for token in tokens]
    result = chips(tokens)
    assert CODE.sub("", result) == "".join(tokens)
    assert not CONTROL.search(CODE.sub("", result))
    colours = [re.findall(r"48;5;(\d+)", chips(["x", "y"]))]
    assert len(set(colours[0])) == 2


def test_a_line_end_in_a_chip_is_outside_its_colour():
    assert "\n" in chips(["a\nb"])
    assert re.fullmatch("\x1b[^\n]*a\x1b\\[0m\n\x1b[^\n]*b\x1b\\[0m", chips(["a\nb"]))


def test_the_key_has_every_shade_once():
    assert [int(code) for code in re.findall(r"38;5;(\d+)m", key())] == [*SHADES[1:]]
    assert CODE.sub("", key()) == "Surprise in bits: 0–2, 2–4, 4–7, 7–10, over 10."
    for n, low in enumerate(BITS):
        assert (shade_of(low - 0.01), shade_of(low)) == (n, n + 1)


class TestShading:
    @pytest.mark.parametrize("stop", [(), (" the", "d h")])
    @pytest.mark.parametrize("prompt", ["Once upon a time", "The 🐇"])
    def test_every_character_has_the_surprise_of_its_token_also_where_a_stop_string_holds_it_back(self, prompt, stop):
        lm = gc.load("nano-gpt2")
        stream = lm.stream(prompt, temperature=1.5, seed=2, max_new_tokens=60, stop=stop)
        shading = Shading(lm.tokenizer.stream_decoder().push)
        found = [shade for piece in stream for shade in shading.of(piece, *stream.tokens)]
        completion = stream.completion
        expected, decoder, bits = [], lm.tokenizer.stream_decoder(), 0.0
        for id_, logprob in zip(completion.ids, completion.logprobs, strict=True):
            bits -= logprob / math.log(2)
            if text := decoder.push(id_):
                expected += [shade_of(bits)] * len(text)
                bits = 0.0
        n = len(completion.text)
        assert found == [*expected, *[0] * n][:n]
        assert len(set(found)) > 2

    def test_the_tokens_of_one_character_have_one_shade(self):
        texts = {1: "", 2: "雪", 3: "a"}
        shading = Shading(texts.__getitem__)
        bit = -math.log(2)
        assert shading.of("", [1], [3 * bit]) == []
        assert shading.of("雪", [1, 2], [3 * bit, 2 * bit]) == [shade_of(5)]
        assert shading.of("a", [1, 2, 3], [3 * bit, 2 * bit, bit]) == [shade_of(1)]

    def test_what_no_token_says_has_no_shade(self):
        assert Shading(str).of("\ufffd", [], []) == [0]
