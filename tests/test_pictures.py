"""The pictures of the README and of the first page show what happens now."""

from __future__ import annotations

import re
from xml.etree import ElementTree

import pytest
from support.pages import DOCS, module_of_the_docs

MAKE = module_of_the_docs("pictures/make")
DEPTH = re.compile(r'fill-opacity="([\d.]+)" x="([\d.]+)" y="([\d.]+)" width="([\d.]+)"')
ONE_SHADE = 0.7 / MAKE.SHADES + 1e-9


def kept(name):
    return (DOCS / "pictures" / name).read_text(encoding="utf-8")


def in_cells(picture):
    """Place of a cell of a text -> how deep its colour is."""
    return {
        (round(float(x) + n * MAKE.CELL), float(y)): float(depth)
        for depth, x, y, width in DEPTH.findall(picture)
        for n in range(round(float(width) / MAKE.CELL))
    }


@pytest.mark.parametrize("name", MAKE.PICTURES)
def test_a_picture_is_what_the_script_makes_now(name):
    """The last digits of a computation, which differ between machines, may make a colour one shade deeper."""
    made, there = MAKE.PICTURES[name](), kept(name)
    without_colour = re.compile(r"^<rect class=\"mark\".*\n", flags=re.MULTILINE)
    assert without_colour.sub("", made) == without_colour.sub("", there), "run `python docs/pictures/make.py`"
    ours, theirs = in_cells(made), in_cells(there)
    assert all(abs(ours.get(cell, 0) - theirs.get(cell, 0)) <= ONE_SHADE for cell in {*ours, *theirs})


@pytest.mark.parametrize("name", MAKE.PICTURES)
def test_a_picture_is_well_formed_and_readable_on_dark_and_on_light(name):
    picture = kept(name)
    assert ElementTree.fromstring(picture).tag.endswith("svg")
    assert "prefers-color-scheme: dark" in picture


def test_no_text_is_wider_than_its_column():
    for line in MAKE.lines_of([(character, 0.0) for character in "a fox and " * 20], 12):
        assert len(line) <= 12
