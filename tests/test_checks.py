import json

import numpy as np
import pytest

from gptcompare.checks import did_you_mean, integer, number, shortened, shown


@pytest.mark.parametrize("value", [3, np.int64(3), np.uint8(3)])
def test_an_integer_of_any_kind_becomes_pythons(value):
    assert type(integer("n", value)) is int
    assert integer("n", value, at_least=3) == 3


@pytest.mark.parametrize("value", [True, np.True_, 3.0, np.float32(3), "3", None, [3]], ids=repr)
def test_what_is_not_an_integer_is_refused_by_its_name(value):
    with pytest.raises(TypeError, match="n_layer must be an integer, got "):
        integer("n_layer", value)


@pytest.mark.parametrize("least", [0, 1, 5])
def test_an_integer_that_is_too_small_is_refused(least):
    with pytest.raises(ValueError, match=f"seed must be at least {least}, got {least - 1}"):
        integer("seed", least - 1, at_least=least)


@pytest.mark.parametrize("value", [3, 0.5, np.float32(0.5), np.float64(0.5), np.int8(3), np.float16(0.5)], ids=repr)
def test_a_number_of_any_kind_becomes_pythons_and_json_holds_it(value):
    assert json.loads(json.dumps(number("x", value))) == value
    assert type(number("x", value)) is float


@pytest.mark.parametrize("value", [True, "0.5", None, 1j, np.array(0.5)], ids=repr)
def test_what_is_not_a_number_is_refused_by_its_name(value):
    with pytest.raises(TypeError, match="top_p must be a number, got "):
        number("top_p", value)


@pytest.mark.parametrize(
    ("name", "hint"),
    [("gpt2-XXL", "did you mean GPT2-xl or gpt2? "), ("gpt", "did you mean gpt2 or GPT2-xl? "), ("zzz", ""), ("", "")],
)
def test_the_nearest_names_are_suggested_in_their_own_spelling(name, hint):
    assert did_you_mean(name, ["GPT2-xl", "gpt2", "other"]) == hint


NEST = []
for _ in range(100_000):
    NEST = [NEST]


@pytest.mark.parametrize("value", ["x" * 10**6, 10**100, 10**5000, [10**5000], list(range(10**5)), NEST], ids=type)
def test_a_value_of_any_size_is_shown_in_few_characters(value):
    assert len(shown(value)) <= 106


@pytest.mark.parametrize("n", [0, 1, 2, 3, 9, 10, 11, 100])
def test_a_text_is_shortened_only_if_it_is_longer(n):
    text = "abcdefghij" * 10
    short = shortened(text[:n], 10)
    assert short == text[:n] if n <= 10 else (short == f"abcdefg ... {text[n - 3 : n]}")
