import math

import pytest

from gptcompare.verification import Record
from gptcompare.verification.agreement import agreement

ABOUT = {"id": "r1", "model": "m", "given": {}, "tolerance": "", "by": "", "source": ""}


def numbers(expected, absolute, relative=0.0):
    return Record(**ABOUT, quantity="logits", expected=expected, absolute=absolute, relative=relative)


def ids(expected):
    return Record(**ABOUT, quantity="greedy tokens", expected=expected)


def test_a_number_agrees_within_both_tolerances_together_and_not_beyond():
    record = numbers([-100.0], 0.25, 0.5)
    assert agreement(record, [-49.75]).agrees
    assert agreement(record, [-150.25]).agrees
    assert not agreement(record, [-49.74]).agrees
    assert not agreement(record, [-150.26]).agrees


def test_the_worst_of_several_numbers_is_shown():
    found = agreement(numbers([1.0, 2.0, 3.0], 0.5), [1.25, 2.0, 4.0])
    assert (found.agrees, found.at, found.difference, found.allowed) == (False, 2, 1.0, 0.5)
    found = agreement(numbers([1.0, 100.0], 0.0, 0.5), [1.4, 110.0])
    assert (found.agrees, found.at) == (True, 0)  # 80% of what is allowed, and not 20%


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_what_is_no_number_agrees_with_nothing(value):
    found = agreement(numbers([1.0, 2.0], 1e300), [1.0, value])
    assert (found.agrees, found.at, found.difference) == (False, 1, None)


def test_another_number_of_numbers_is_refused():
    with pytest.raises(ValueError, match="gives 1 numbers, but 2 are recorded"):
        agreement(numbers([1.0, 2.0], 1.0), [1.0])


@pytest.mark.parametrize(("got", "at"), [([1, 2, 3], None), ([1, 9, 3], 1), ([1, 2], 2), ([1, 2, 3, 4], 3), ([], 0)])
def test_only_the_same_ids_agree(got, at):
    found = agreement(ids([1, 2, 3]), got)
    assert found.agrees == (at is None)
    assert found.at == (at or 0)
    assert found.allowed is None


def test_only_the_same_text_agrees():
    record = Record(**ABOUT, quantity="greedy text", expected=" to go")
    assert agreement(record, " to go").agrees
    assert agreement(record, " to be").at == 4
