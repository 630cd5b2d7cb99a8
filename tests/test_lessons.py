"""Exercises: a right attempt is told so, and of a wrong one what is wrong."""

import numpy as np
import pytest

from gptcompare.lessons import NOT_YET, RIGHT, WRONG, check, difference
from gptcompare.plots import COLOURS


def line_of(capsys, *arguments, **options):
    check("n", *arguments, **options)
    return capsys.readouterr().out


@pytest.mark.parametrize(
    "value",
    [3, 2.5, True, "text", b"bytes", [1, [2.0, "a"]], (1, 2), {"a": [1]}, {1, 2}, np.arange(6).reshape(2, 3), 2**70],
)
def test_what_is_expected_is_right(capsys, value):
    assert line_of(capsys, lambda: value, value) == f"{RIGHT} n\n"


@pytest.mark.parametrize("nothing", [None, ...])
def test_nothing_is_not_yet_wrong(capsys, nothing):
    assert line_of(capsys, lambda: nothing, 3) == f"{NOT_YET} n: nothing there yet\n"


def test_what_an_attempt_raises_is_shown_and_does_not_stop_the_notebook(capsys):
    assert line_of(capsys, lambda: 1 / 0, 3) == f"{WRONG} n raises ZeroDivisionError: division by zero\n"
    assert line_of(capsys, lambda: not_there, 3).startswith(f"{WRONG} n raises NameError")  # noqa: F821


def test_an_attempt_does_not_raise_what_its_check_raises(capsys):
    line = line_of(capsys, lambda: "four", lambda n: "" if n > 3 else "too small")
    assert line.startswith(f"{WRONG} n is 'four', which cannot be checked: TypeError: ")


def test_a_reason_is_said_and_an_empty_one_is_right(capsys):
    assert line_of(capsys, lambda: 4, lambda n: "even" if n % 2 == 0 else "") == f"{WRONG} n is 4: even\n"
    assert line_of(capsys, lambda: 5, lambda n: "even" if n % 2 == 0 else None) == f"{RIGHT} n\n"


@pytest.mark.parametrize(
    ("found", "expected", "said"),
    [
        (8, 9, " is 8, which is not it"),
        ("8", 9, " is '8', which is not it"),
        ([1, 2], [1, 3], "[1] is 2 and should be 3"),
        ([1], [1, 3], " has 1 elements and should have 2"),
        ("ab", ["a", "b"], " is 'ab', a str and no list"),
        ({"a": 1}, {"a": 1, "b": 2}, " has no 'b'"),
        ({"a": 1, "c": 2}, {"a": 1}, " has 'c', which should not be there"),
        ({"a": {"b": 1}}, {"a": {"b": 2}}, "['a']['b'] is 1 and should be 2"),
        ([["a"]], [["b"]], "[0][0] goes on with 'a' and not with 'b' at place 0"),
        ("rabbit", "rabbits", " has 6 characters and should have 7"),
        (b"a", "a", " is b'a', a bytes and no str"),
        (np.zeros(2), np.zeros(3), " has shape (2,) and should have (3,)"),
        ([1, 2], np.array([1, 3]), "[1] is 2 and should be 3; 1 of 2 numbers differ"),
        (np.array([1, 2]), [1, 3], "[1] is 2 and should be 3"),
    ],
)
def test_the_first_difference_is_named(found, expected, said):
    assert difference(found, expected) == said


def test_numbers_may_differ_by_the_tolerance_and_no_more():
    for whole in (lambda x: x, lambda x: [x], np.array):
        assert difference(whole(100.00001), whole(100.0)) == ""
        assert difference(whole(100.01), whole(100.0)) != ""
        assert difference(whole(100.01), whole(100.0), tolerance=0.01) == ""
        assert difference(whole(float("nan")), whole(float("nan"))) == ""
    assert difference(np.array([1]), np.array([1])) == ""
    assert difference([2**70], [2**70 + 1]) != ""


def test_numbers_of_any_kind_may_stand_for_each_other_but_integers_are_exact():
    for found in (3.0000000001, np.float32(3), np.array(3.0), np.int64(3), 3 + 0j):
        for expected in (3, 3.0, np.float32(3), np.array(3), np.int64(3)):
            assert difference(found, expected) == ""
            assert difference([found], [expected]) == ""
    assert difference(0.1, np.float32(0.1)) == difference(np.array([0.1]), np.array([0.1], np.float32)) == ""
    assert difference(np.array([3.0000000001]), np.array([3])) == ""
    assert difference(124439807, 124439808) == " is 124439807, which is not it"
    assert difference(np.array(4), np.array(3)) == " is array(4), which is not it"
    assert difference(np.True_, True) == difference(True, np.True_) == ""


@pytest.mark.parametrize("expected", [3, 3.0, np.float32(3), np.array(3), True])
def test_of_an_array_in_the_place_of_a_number_the_shape_is_said(expected):
    assert difference(np.ones((2, 3)), expected) == " has shape (2, 3) and should be a single value"
    assert difference([1, 2], expected) == " is [1, 2], which is not it"


def test_a_whole_answer_is_not_given_away():
    for found, expected in ((8, 97531), (8.0, 97531.0), ("8", "97531")):
        assert "97531" not in difference(found, expected).replace("'97531'", "")


@pytest.mark.plots
def test_pictures_have_the_two_colours_and_no_text_below_eight_points():
    style = pytest.importorskip("matplotlib.style", reason="needs the `plots` extra")
    import matplotlib as mpl

    with style.context("gptcompare.lessons"):
        assert mpl.rcParams["figure.dpi"] == 110
        assert [colour.upper() for colour in mpl.rcParams["axes.prop_cycle"].by_key()["color"]] == list(COLOURS)
        names = (
            "font.size",
            "xtick.labelsize",
            "ytick.labelsize",
            "legend.fontsize",
            "axes.titlesize",
            "axes.labelsize",
        )
        assert min(mpl.rcParams[name] for name in names) >= 8
