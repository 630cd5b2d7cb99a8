import ast
import re
from itertools import pairwise
from pathlib import Path

import pytest

import gptcompare as gc
from gptcompare.presets import canonical_name, hyperparameters, published, record

UNITS = {"m": 1e6, "b": 1e9}
SIZE = re.compile(r".*?(\d+)\.?(\d*)([mb])", re.IGNORECASE)
ALIASES = {
    "124M": "gpt2", "355M": "gpt2-medium", "774M": "gpt2-large", "1558M": "gpt2-xl",
    "gpt3-125m": "gpt3-small", "gpt3-350m": "gpt3-medium", "gpt3-760m": "gpt3-large", "gpt3-1.3b": "gpt3-xl",
    "gpt3": "gpt3-175b", "gpt-3": "gpt3-175b",
}  # fmt: skip
# "350M" is Table 2.1's; Table D.1 counts 356 million.
SIZED = [name for name in (*gc.presets(), *ALIASES) if SIZE.fullmatch(name) and name != "gpt3-350m"]


@pytest.mark.parametrize("name", SIZED)
def test_the_parameters_round_to_the_size_in_the_name(name):
    integer, decimals, unit = SIZE.fullmatch(name).groups()
    millions_or_billions = gc.GPTConfig.preset(name).n_params / UNITS[unit.lower()]
    assert round(millions_or_billions, len(decimals)) == float(f"{integer}.{decimals}")


@pytest.mark.parametrize("name", gc.presets())
def test_the_parameters_are_within_two_percent_of_those_in_print(name):
    assert gc.GPTConfig.preset(name).n_params == pytest.approx(published(name).n_params_in_print, rel=0.02)


def test_a_family_s_models_stand_together_the_smallest_first():
    names = gc.presets()
    families = [published(name).family for name in names]
    assert families == sorted(families, key=families.index)
    for name, after in pairwise(names):
        if published(name).family == published(after).family:
            assert gc.GPTConfig.preset(name).n_params <= gc.GPTConfig.preset(after).n_params


@pytest.mark.parametrize("family", ["GPT-3", "Cerebras-GPT", "OPT"])
def test_a_larger_model_of_a_family_was_not_trained_at_a_higher_learning_rate(family):
    rates = [published(name).training.learning_rate for name in gc.presets() if published(name).family == family]
    assert rates == sorted(rates, reverse=True)


@pytest.mark.parametrize(
    ("family", "n_models"),
    [("GPT-2", 4), ("DistilGPT2", 1), ("GPT-3", 8), ("GPT-Neo", 3), ("Cerebras-GPT", 7), ("OPT", 7)],
)
def test_a_family_has_all_its_sizes(family, n_models):
    assert sum(published(name).family == family for name in gc.presets()) == n_models


@pytest.mark.parametrize("alias", ALIASES)
def test_an_alias_is_the_model_of_that_name(alias):
    assert canonical_name(alias) == ALIASES[alias]
    assert gc.GPTConfig.preset(alias) == gc.GPTConfig.preset(ALIASES[alias])


def test_an_alias_is_not_listed_as_a_model():
    assert not set(ALIASES) & set(gc.presets())


@pytest.mark.parametrize("change", [str.lower, str.upper, str.title])
@pytest.mark.parametrize("name", ["gpt2-medium", "1558M", "gpt3-175b", "gpt-neo-1.3b", "cerebras-gpt-13b", "GPT-3"])
def test_upper_and_lower_case_are_the_same_name(name, change):
    assert published(change(name)) is published(name)


@pytest.mark.parametrize("ask", [gc.GPTConfig.preset, canonical_name, hyperparameters, published])
def test_an_unknown_name_is_refused_with_the_nearest_ones(ask):
    with pytest.raises(ValueError, match="did you mean gpt2-medium") as error:
        ask("gpt2-medum")
    assert "\n" not in str(error.value)


def test_the_nearest_name_is_found_in_upper_case_too():
    with pytest.raises(ValueError, match=r"unknown model 'GPT-NEO-1\.4B': did you mean gpt-neo-1\.3b"):
        canonical_name("GPT-NEO-1.4B")


def test_a_name_like_none_is_refused_in_a_line_that_says_what_lists_the_names():
    with pytest.raises(
        ValueError, match=r"unknown model '%': `gptcompare models` lists .*, gptcompare\.presets"
    ) as error:
        canonical_name("%")
    assert len(str(error.value)) < 150


@pytest.mark.parametrize("name", [None, 124, b"gpt2", ["gpt2"]])
def test_what_is_not_a_string_is_refused(name):
    with pytest.raises(TypeError, match="a model's name is a string"):
        canonical_name(name)


def test_a_change_to_the_hyperparameters_does_not_reach_the_preset():
    hyperparameters("gpt2")["n_layer"] = 1
    assert gc.GPTConfig.preset("gpt2").n_layer == 12


def test_all_weights_but_gpt3_s_are_in_the_package_or_have_a_repository_of_their_own():
    repositories = {name: published(name).repository for name in gc.presets()}
    published_weights = [repository for repository in repositories.values() if repository is not None]
    assert {name for name in repositories if repositories[name] is None} == {
        name for name in gc.presets() if published(name).family == "GPT-3" or published(name).embedded
    }
    assert all(re.fullmatch(r"[\w-]+/[\w.-]+", repository) for repository in published_weights)
    assert len(set(published_weights)) == len(published_weights)


def test_the_tables_import_nothing_of_the_package_outside_themselves():
    for path in Path(record.__file__).parent.glob("[!_]*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            modules = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            modules += [node.module or ""] if isinstance(node, ast.ImportFrom) and not node.level else []
            assert getattr(node, "level", 0) <= 1
            assert not [module for module in modules if module.startswith("gptcompare")]
