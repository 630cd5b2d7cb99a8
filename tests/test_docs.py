"""The page of the public names says all that their docstrings say, and nothing that they do not say any more."""

from __future__ import annotations

import inspect
import re
import runpy
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

import gptcompare

ROOT = Path(__file__).parents[1]
MAKE = runpy.run_path(str(ROOT / "docs" / "make.py"))
PAGE = (ROOT / "docs" / "api.md").read_text(encoding="utf-8")
NAMES = [name for names in MAKE["SECTIONS"].values() for name in names]


def own_members(of):
    """The public methods and properties that a class itself defines, documented or not."""
    kinds = (*MAKE["METHODS"], property)
    members = vars(of) if inspect.isclass(of) else {}
    return [name for name, member in members.items() if isinstance(member, kinds) and not name.startswith("_")]


def callables(name):
    """What a name of the page is the name of, if it can be called, and the methods of a class."""
    of = MAKE["resolved"](name)
    return [it for it in (of, *(getattr(of, member) for member in own_members(of))) if callable(it)]


def test_the_page_is_what_the_docstrings_say_now():
    assert MAKE["page"]() == PAGE, "run `python docs/make.py`"


def test_every_name_of_the_package_is_on_the_page_and_none_twice():
    assert set(gptcompare.__all__) <= set(NAMES)
    assert len(set(NAMES)) == len(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_a_public_name_and_its_members_have_a_summary(name):
    of = MAKE["resolved"](name)
    for it in (of, *(getattr(of, member) for member in own_members(of))):
        summary, *_ = (inspect.getdoc(it) or "").splitlines() or [""]
        assert summary.endswith("."), it


@pytest.mark.parametrize("name", NAMES)
def test_a_docstring_that_names_parameters_names_all_of_them(name):
    for of in callables(name):
        section = MAKE["parsed"](of)[1].get("Parameters")
        if section is not None:
            heads = [head.partition(" : ")[0] for head, _ in MAKE["items"](section)]
            named = [parameter.strip("*") for head in heads for parameter in head.split(", ")]
            assert sorted(named) == sorted(MAKE["parameters_of"](of)), of.__qualname__


def test_every_link_of_the_page_leads_somewhere():
    anchors, files = re.findall(r"\]\(#(.*?)\)", PAGE), re.findall(r"\]\((\.\./.*?)\)", PAGE)
    assert len(anchors) > len(NAMES)
    assert len(files) == len(NAMES)
    assert set(anchors) <= set(MAKE["anchors"]().values())
    assert [path for path in files if not (ROOT / "docs" / path).is_file()] == []


def test_headings_that_sound_the_same_have_anchors_of_their_own():
    anchors = MAKE["anchors"]()
    assert (anchors["inspection.trace"], anchors["inspection.Trace"]) == ("inspectiontrace", "inspectiontrace-1")
    assert anchors["GPT.__call__"] == "gpt__call__"
    assert len(set(anchors.values())) == len(anchors)


def sample(ids: npt.ArrayLike, name: str | None = None, *, dtype: npt.DTypeLike = np.float32) -> list[int]:
    """What `GPT` makes of ids * 2.

    An example:

        sample([1])

    Parameters
    ----------
    ids : integers, (T,)
        Such as "<|endoftext|>"'s,
        or another's.
    name, dtype
        Of something.

    Returns
    -------
    n : list of int
        Its length is T.

    Raises
    ------
    ValueError, CheckpointError
        If there is none.

    References
    ----------
    A paper, section 1.
    """


def test_a_docstring_becomes_markdown():
    assert list(MAKE["documentation"](sample, " HERE")) == [
        r"What [`GPT`](#gpt) makes of ids \* 2. HERE",
        "An example:",
        "```text\nsample([1])\n```",
        "| parameter | type | meaning |\n"
        "| --- | --- | --- |\n"
        r"""| `ids` | integers, (T,) | Such as "\<\|endoftext\|>"'s, or another's. |"""
        "\n"
        r"| `name`, `dtype` | `str \| None`, `DTypeLike` | Of something. |",
        "**Returns**\n\n- `n`, list of int: Its length is T.",
        "**Raises**\n\n- `ValueError`, [`CheckpointError`](#checkpointerror): If there is none.",
        "**References**",
        "A paper, section 1.",
    ]


def test_a_signature_is_as_one_would_write_it_and_a_long_one_has_a_line_for_each_parameter(monkeypatch):
    line = "sample(ids: ArrayLike, name: str | None = None, *, dtype: DTypeLike = np.float32) -> list[int]"
    assert MAKE["call"](sample) == line
    monkeypatch.setattr(sample, "__qualname__", "a_name_that_does_not_fit")
    assert MAKE["call"](sample).splitlines() == [
        "a_name_that_does_not_fit(",
        "    ids: ArrayLike,",
        "    name: str | None = None,",
        "    *,",
        "    dtype: DTypeLike = np.float32,",
        ") -> list[int]",
    ]
