"""The examples in docstrings print what stands below them."""

import doctest
import importlib
import pkgutil
from pathlib import Path

import pytest
from support.places import REASON

import gptcompare

MODULES = [
    found.name
    for found in pkgutil.walk_packages(gptcompare.__path__, "gptcompare.")
    if ">>>" in Path(found.module_finder.find_spec(found.name).origin).read_text(encoding="utf-8")
]


@pytest.mark.parametrize("name", MODULES)
def test_examples_print_what_they_say(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GPTCOMPARE_OFFLINE", "1")
    try:
        module = importlib.import_module(name)
    except ImportError as error:
        pytest.skip(f"{error}: {REASON}")
    assert doctest.testmod(module).failed == 0


def test_there_are_examples():
    assert {"gptcompare.generation.language_model", "gptcompare.tokenizer.bpe"} <= {*MODULES}
