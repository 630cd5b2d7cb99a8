import json

import numpy as np
import pytest
from support.forge import GPT2_FIELDS, GPT_NEO_FIELDS, OPT_FIELDS, assert_same_arrays, random_parameters, small_config

from gptcompare.checkpoints import CheckpointError
from gptcompare.checkpoints import families as names
from gptcompare.checkpoints.families import gpt2, gpt_neo, openai, opt, ours

CONFIG = small_config()


@pytest.mark.parametrize(
    ("values", "module"),
    [(GPT2_FIELDS, gpt2), (GPT_NEO_FIELDS, gpt_neo), (OPT_FIELDS, opt), (ours.config_to_file(CONFIG), ours)],
    ids=["gpt2", "gpt_neo", "opt", "gptcompare"],
)
def test_the_model_type_says_who_reads_it(values, module):
    assert names.family_of("config.json", values).config is module.config


def test_an_old_file_without_a_model_type_is_a_gpt2():
    values = {name: value for name, value in GPT2_FIELDS.items() if name != "model_type"}
    assert names.family_of("config.json", values).config("config.json", values) == CONFIG


@pytest.mark.parametrize("model_type", ["llama", "gpt_neox", "gptj", "GPT2", "", None, ["gpt2"], {}, 2])
def test_what_is_none_of_them_is_refused_with_those_that_are_known(model_type):
    with pytest.raises(CheckpointError) as refusal:
        names.family_of("config.json", GPT2_FIELDS | {"model_type": model_type})
    assert str(refusal.value) == (
        f"config.json: model_type {model_type!r} is not supported: known are gpt2, gpt_neo, opt, gptcompare"
    )


def test_a_file_without_a_model_type_and_not_of_a_gpt2_is_refused():
    with pytest.raises(CheckpointError, match="model_type None is not supported"):
        names.family_of("config.json", {"hidden_size": 8})


def test_each_family_reads_the_parameters_under_its_own_names():
    for name, module in [("gpt2", gpt2), ("gpt_neo", gpt_neo), ("opt", opt), (ours.MODEL_TYPE, gpt2)]:
        assert names.FAMILIES[name].parameters is module.parameters
    assert names.OPENAI[:2] == (openai.config, openai.parameters)


@pytest.mark.parametrize(
    ("changes", "model_type"),
    [
        ({}, "gpt2"),
        ({"tied_embeddings": False}, "gpt2"),
        ({"attention": ("banded",), "band_width": 3}, ours.MODEL_TYPE),
        ({"d_head": 3, "tied_embeddings": False}, ours.MODEL_TYPE),
    ],
    ids=str,
)
def test_what_is_written_is_a_gpt2_where_that_computes_the_same_and_is_read_back(changes, model_type):
    config = small_config(**changes)
    values, tensors = names.to_files(config, random_parameters(config))
    assert values["model_type"] == model_type
    values = json.loads(json.dumps(values))
    family = names.family_of("config.json", values)
    read_config, parameters = family.parameters("file", tensors, family.config("config.json", values), np.float32)
    assert read_config == config
    assert_same_arrays(parameters, random_parameters(config))
