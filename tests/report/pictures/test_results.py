"""Drawn results: a dot stands where its value is, in the colour of its model."""

from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gptcompare.display.colours import COLOURS
from gptcompare.report.pictures.drawing import estimated_width
from gptcompare.report.pictures.results import RADIUS, SCALE, STEP, dots, kinds_of

SVG = "{http://www.w3.org/2000/svg}"
NAMES = ["gpt2-xl", "gpt3-175b", "opt-66b"]
ROWS = {
    "Winograd": {"gpt2-xl": 70.7, "gpt3-175b": 88.3},
    "LAMBADA": {"gpt2-xl": 51.21, "gpt3-175b": 76.2, "opt-66b": 73.9},
    "none right": {"opt-66b": 0.0, "gpt3-175b": 100.0},
}
VALUES = st.dictionaries(st.sampled_from(NAMES), st.floats(0, 100), min_size=1)


def drawn(svg):
    """Label -> name -> the dot's centre, class and value, as it says them."""
    found = {}
    for dot in ElementTree.fromstring(svg).iter(f"{SVG}circle"):
        if (said := dot.find(f"{SVG}title")) is not None:
            name, rest = said.text.split(", ", 1)
            label, _, value = rest.rpartition(": ")
            place = float(dot.get("cx")), float(dot.get("cy")), dot.get("class"), float(value)
            found.setdefault(label, {})[name] = place
    return found


def words(svg):
    return {text.text: text for text in ElementTree.fromstring(svg).iter(f"{SVG}text")}


@given(st.dictionaries(st.text(st.characters(codec="ascii", categories=["L"]), min_size=1), VALUES, min_size=1))
def test_every_value_has_a_dot_where_the_scale_says_it(rows):
    svg = dots("of some models", NAMES, rows)
    numbers = words(svg)
    zero, hundred = (float(numbers[n].get("x")) for n in ("0", "100"))
    found = drawn(svg)
    assert {label: set(of_row) for label, of_row in found.items()} == {label: set(row) for label, row in rows.items()}
    for label, row in rows.items():
        for name, value in row.items():
            assert found[label][name][0] == pytest.approx(zero + (hundred - zero) * value / 100, abs=0.01)


def test_the_dots_of_a_task_stand_on_its_line_beside_its_name():
    svg = dots("three", NAMES, ROWS)
    heights = [{y for _, y, *_ in row.values()} for row in drawn(svg).values()]
    assert [len(of_row) for of_row in heights] == [1, 1, 1]
    for label, of_row in zip(ROWS, heights, strict=True):
        assert abs(float(words(svg)[label].get("y")) - max(of_row)) <= RADIUS


def test_a_model_has_one_colour_which_the_legend_shows():
    svg = dots("three", NAMES, ROWS)
    kinds = kinds_of(NAMES)
    assert all(place[2] == kinds[name] for row in drawn(svg).values() for name, place in row.items())
    legend = [dot for dot in ElementTree.fromstring(svg).iter(f"{SVG}circle") if dot.find(f"{SVG}title") is None]
    assert [dot.get("class") for dot in legend] == [kinds[name] for name in NAMES]


def test_gpt2_and_gpt3_have_their_own_colours_in_any_order():
    for names in (["gpt2-xl", "gpt3-175b"], ["gpt3-175b", "gpt2-xl"], ["opt-66b", "gpt3-175b", "gpt2-xl", "gpt2"]):
        kinds = kinds_of(names)
        assert (kinds["gpt2-xl"], kinds["gpt3-175b"]) == ("colour-0", "colour-1")
    assert kinds_of(["nano-gpt3", "nano-gpt2"]) == {"nano-gpt3": "colour-1", "nano-gpt2": "colour-0"}
    assert not {"colour-0", "colour-1"} & set(kinds_of(["opt-66b", "gpt-neo-1.3b"]).values())


def test_models_are_told_apart_by_rings_when_all_colours_are_taken():
    n_others = len(COLOURS) - 2
    kinds = kinds_of(["gpt2", "gpt3-xl", *(f"opt-{n}" for n in range(2 * n_others))])
    assert len(set(kinds.values())) == len(kinds)
    assert sum(kind.endswith("again") for kind in kinds.values()) == n_others


def test_a_long_legend_goes_on_in_the_next_line_and_stays_in_the_picture():
    names = [f"a model with a long name, number {n}" for n in range(9)]
    root = ElementTree.fromstring(dots("many", names, {"task": dict.fromkeys(names, 50.0)}))
    for text in root.iter(f"{SVG}text"):
        if text.text in names:
            assert float(text.get("x")) + estimated_width(text.text, "title") <= float(root.get("width"))
    first, *_, last = (float(text.get("y")) for text in root.iter(f"{SVG}text") if text.text in names)
    top = min(float(text.get("y")) for text in root.iter(f"{SVG}text") if text.text == "task")
    assert first < last < top


def test_the_scale_has_its_numbers():
    assert {str(n) for n in range(0, 101, STEP)} <= set(words(dots("three", NAMES, ROWS)))
    assert SCALE % (100 // STEP) == 0


def test_what_is_read_out_has_every_value():
    said = ElementTree.fromstring(dots("three", NAMES, ROWS)).find(f"{SVG}desc").text
    for label, row in ROWS.items():
        assert f"{label}: {', '.join(f'{name} {value:g}' for name, value in row.items())}" in said


@pytest.mark.parametrize("value", [-0.1, 100.1, float("nan")])
def test_what_is_not_on_the_scale_is_refused(value):
    with pytest.raises(ValueError, match="the scale is from 0 to 100"):
        dots("one", ["gpt2"], {"task": {"gpt2": value}})
