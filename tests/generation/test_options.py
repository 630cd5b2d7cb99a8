"""The options of generation are said once: a field of `Sampling` or `GenerationOptions` is an option everywhere."""

import argparse
import dataclasses
import inspect
import json

import numpy as np
import pytest
from support.places import ROOT

import gptcompare as gc
from gptcompare.cli import main
from gptcompare.cli.generate import generation_options_of, take_generation_options
from gptcompare.generation import GenerationOptions, Sampling
from gptcompare.generation.options import SAMPLED

FIELDS = [field.name for field in dataclasses.fields(GenerationOptions)]
# For each option a value that changes the text below, and the options that it needs beside it.
CHANGED = {
    "temperature": (1.5, {}),
    "top_k": (2, {"temperature": 1.5}),
    "top_p": (0.1, {"temperature": 1.5}),
    "min_p": (0.9, {"temperature": 1.5}),
    "repetition_penalty": (1.8, {}),
    "max_new_tokens": (7, {}),
    "seed": (2, {"temperature": 1.5}),
    "stop": (("a",), {}),
}
PROMPT = "Once upon a time there was"


def as_arguments(options):
    """The options as they are written on the command line."""
    return [
        word
        for name, value in options.items()
        for one in (value if isinstance(value, tuple) else [value])
        for word in ("--" + name.replace("_", "-"), str(one))
    ]


@pytest.fixture(scope="module")
def lm():
    return gc.load("nano-gpt2")


def test_every_option_has_a_value_here_that_changes_the_text():
    assert sorted(CHANGED) == sorted(FIELDS)


@pytest.mark.parametrize("name", FIELDS)
def test_an_option_changes_what_is_written(name, lm):
    value, others = CHANGED[name]
    others = {"seed": 1, "max_new_tokens": 20, **others}
    plain, changed = lm.generate(PROMPT, **others), lm.generate(PROMPT, **{**others, name: value})
    assert changed.ids != plain.ids


@pytest.mark.parametrize("name", FIELDS)
@pytest.mark.parametrize("function", [gc.LanguageModel.generate, gc.LanguageModel.stream, gc.compare])
def test_an_option_is_a_parameter_that_help_and_editors_show(name, function):
    shown = inspect.signature(function).parameters[name]
    assert shown.kind is inspect.Parameter.KEYWORD_ONLY
    assert shown.default == getattr(GenerationOptions(), name)


@pytest.mark.parametrize("name", FIELDS)
@pytest.mark.parametrize("of", [gc.LanguageModel.generate, gc.compare, GenerationOptions])
def test_the_docstrings_name_an_option(name, of):
    assert name in inspect.getdoc(of)


@pytest.mark.parametrize("name", [field.name for field in dataclasses.fields(Sampling)])
def test_sampling_describes_its_own_options(name):
    assert f"\n{name} : " in inspect.getdoc(Sampling)


@pytest.mark.parametrize("name", FIELDS)
def test_an_option_of_the_command_line_is_read_and_explained(name, capsys):
    value, _ = CHANGED[name]
    parser = argparse.ArgumentParser()
    take_generation_options(parser)
    given = generation_options_of(parser.parse_args(as_arguments({name: value})))
    assert getattr(given, name) == value
    assert given == dataclasses.replace(GenerationOptions(), **{name: value})
    (action,) = [action for action in parser._actions if action.dest == name]
    assert len(action.help) > 10
    assert action.metavar.isupper()


@pytest.mark.parametrize("name", FIELDS)
def test_the_command_writes_what_the_function_does_and_the_json_has_the_option(name, capsys):
    value, others = CHANGED[name]
    options = {"seed": 1, "max_new_tokens": 9, **others, name: value}
    # `compare` draws unless it is told otherwise, with a nucleus of its own.
    greedy = {"temperature": 0.0} if "temperature" not in options else {}
    all_of_it = {"top_p": 1.0} if greedy == {} and "top_p" not in options else {}
    options = {**options, **greedy, **all_of_it}
    assert main(["compare", PROMPT, "--json", *as_arguments(options)]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found == gc.compare(PROMPT, **options).to_dict()
    assert found["options"][name] == (list(value) if name == "stop" else value)
    assert main(["generate", PROMPT, "--json", *as_arguments(options)]) == 0
    assert json.loads(capsys.readouterr().out)["ids"] == found["sides"][0]["ids"]


def test_what_the_command_compare_begins_with_is_the_nucleus(capsys):
    assert main(["compare", PROMPT, "--json", "--seed", "1", "--max-new-tokens", "3"]) == 0
    chosen = {name: value for name, value in SAMPLED.to_dict().items() if value is not None}
    assert chosen.items() <= (json.loads(capsys.readouterr().out)["options"] | {"max_new_tokens": 40}).items()
    assert (SAMPLED.temperature, SAMPLED.top_p, SAMPLED.seed) == (0.8, 0.9, None)


def test_only_options_that_draw_get_a_seed_and_a_given_one_stays():
    assert GenerationOptions().seeded() == GenerationOptions()
    assert dataclasses.replace(SAMPLED, seed=3).seeded().seed == 3
    assert SAMPLED.seeded().seed != SAMPLED.seeded().seed  # of 2 ** 32
    assert dataclasses.replace(SAMPLED.seeded(), seed=None) == SAMPLED


def test_what_is_not_said_is_greedy_without_a_penalty_and_forty_tokens():
    said = {"temperature": 0.0, "repetition_penalty": 1.0, "max_new_tokens": 40, "stop": []}
    assert {name: value for name, value in GenerationOptions().to_dict().items() if value is not None} == said


@pytest.mark.parametrize("name", FIELDS)
@pytest.mark.parametrize("nonsense", [object(), [0.5], {}, -3], ids=["object", "list", "dict", "negative"])
def test_an_option_refuses_nonsense_by_its_name(name, nonsense):
    if name == "stop" and nonsense == {}:
        pytest.skip("no stop strings")
    with pytest.raises((TypeError, ValueError), match=name):
        GenerationOptions(**{name: nonsense})


@pytest.mark.parametrize("name", FIELDS)
def test_the_guide_has_an_option_in_its_table(name):
    guide = (ROOT / "docs" / "guides" / "generate.md").read_text(encoding="utf-8")
    assert f"| `{name}` |" in guide


@pytest.mark.parametrize(
    "options",
    [
        {"seed": np.int64(1), "temperature": np.float32(0.5)},
        {"max_new_tokens": np.int64(3), "top_k": np.int16(4), "temperature": np.float64(0.5)},
        {"top_p": np.float32(0.5), "min_p": np.float16(0.5), "repetition_penalty": np.int8(2), "temperature": 1},
        {"stop": np.array(["a", "b"])},
    ],
    ids=lambda options: ", ".join(options),
)
def test_numpy_numbers_are_numbers_and_json_holds_what_comes_of_them(options):
    checked = GenerationOptions(**options)
    assert json.loads(json.dumps(checked.to_dict())) == checked.to_dict()
    comparison = gc.compare("Once", **{"max_new_tokens": 3, "seed": 1, **options})
    assert json.loads(json.dumps(comparison.to_dict())) == comparison.to_dict()
    assert comparison.options == {**comparison.options, **{k: v for k, v in checked.to_dict().items() if k in options}}


@pytest.mark.parametrize("call", [gc.load("nano-gpt2").generate, gc.load("nano-gpt2").stream, gc.compare])
def test_an_unknown_option_is_refused_and_the_nearest_named(call):
    with pytest.raises(TypeError, match="there is no option 'temprature': did you mean temperature"):
        call("Once", temprature=1)
    with pytest.raises(TypeError, match="there is no option 'xyz': the options are temperature, top_k"):
        call("Once", xyz=1)


def test_a_comparison_takes_no_draft():
    with pytest.raises(TypeError, match="there is no option 'draft'"):
        gc.compare("Once", draft="repetitions")


def test_options_cannot_be_changed():
    with pytest.raises(dataclasses.FrozenInstanceError):
        GenerationOptions().seed = 1
