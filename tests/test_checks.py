import enum
import json

import numpy as np
import pytest

from gptcompare.checks import did_you_mean, each_text, integer, number, one_text, shortened, shown


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


TEXTS = ["one", "zwölf", ""]


class Scalar:
    """As PyArrow's scalars are: no str, and `as_py` gives one."""

    def __init__(self, value):
        self._value = value

    def as_py(self):
        return self._value


class Table:
    """As the tables of pandas, polars and PyArrow are: what can be iterated is not the texts."""

    @property
    def columns(self):
        pytest.fail("it may be a lazy one: to ask it for its columns can take long")

    def __iter__(self):
        return iter(["text", "label"])


class NAType:
    """As pandas' NA is: it can be compared with nothing."""

    def __eq__(self, other):
        return self

    def __bool__(self):
        raise TypeError("boolean value of NA is ambiguous")

    __ne__ = __eq__
    __hash__ = None


class Colour(str, enum.Enum):
    RED = "one"


@pytest.mark.parametrize(
    "several",
    [
        TEXTS, tuple(TEXTS), (text for text in TEXTS), dict.fromkeys(TEXTS).keys(), np.array(TEXTS),
        np.array(TEXTS, object), np.array(TEXTS, np.dtypes.StringDType()), map(Scalar, TEXTS),
        [Colour.RED, np.str_("zwölf"), ""],
    ],
    ids=lambda several: type(several).__name__,
)  # fmt: skip
def test_a_list_of_texts_of_any_kind_becomes_pythons(several):
    found = list(each_text("prompt", several))
    assert found == TEXTS
    assert {type(text) for text in found} == {str}


@pytest.mark.parametrize(
    "missing",
    [None, float("nan"), np.nan, np.float32("nan"), NAType(), Scalar(None), np.ma.masked, np.datetime64("NaT", "D")],
    ids=lambda missing: type(missing).__name__,
)
def test_a_missing_text_is_refused_by_its_position(missing):
    with pytest.raises(TypeError, match=r"^prompt\[2\] (is missing|must be a str)"):
        list(each_text("prompt", ["a", "b", missing, "c", missing]))


@pytest.mark.parametrize(
    "dtype", [object, np.dtypes.StringDType(na_object=None), np.dtypes.StringDType(na_object=np.nan)]
)
def test_a_missing_text_of_an_array_is_refused_by_its_position(dtype):
    nothing = getattr(dtype, "na_object", None)
    with pytest.raises(TypeError, match=r"^prompt\[1\] is missing \((None|nan)\): leave it out"):
        list(each_text("prompt", np.array(["a", nothing], dtype)))


@pytest.mark.parametrize("table", [Table(), {"text": ["a", "b"]}], ids=["table", "dict"])
def test_a_table_is_refused_and_not_read_as_the_names_of_its_columns(table):
    with pytest.raises(
        TypeError, match=r"^prompt must be a list of texts, got a table \((Table|dict)\): choose its column"
    ):
        each_text("prompt", table)


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ("a", "got a single str: put it into a list"), (b"a", "got bytes: decode it"),
        ({"a", "b"}, "got a set, which has no order"), (5, "got int"), (None, "got NoneType"),
        (np.array([["a"]]), r"got ndarray of shape \(1, 1\)"), (np.array("a"), r"got ndarray of shape \(\)"),
        ([b"a"], r"^prompt\[0\] must be a str, got bytes: decode it"),
        (["a", 5], r"^prompt\[1\] must be a str, got int"),
        ([["a"]], r"^prompt\[0\] must be a str, got list"),
        (["a", {"b": "c"}], r"^prompt\[1\] must be a str, got dict"),
    ],
)  # fmt: skip
def test_what_is_no_list_of_texts_is_refused_by_its_name(wrong, words):
    with pytest.raises(TypeError, match=words) as refusal:
        list(each_text("prompt", wrong))
    assert str(refusal.value).startswith("prompt")


def test_texts_are_taken_one_by_one():
    def endless():
        while True:
            yield "a"

    found = each_text("texts", endless())
    assert [next(found) for _ in range(3)] == ["a", "a", "a"]


def test_one_text_is_a_str_and_nothing_else():
    assert type(one_text("question", np.str_("a"))) is str
    for wrong in (None, 5, b"a", ["a"]):
        with pytest.raises(TypeError, match=f"^question must be a str, got {type(wrong).__name__}"):
            one_text("question", wrong)


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
