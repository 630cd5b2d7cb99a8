from dataclasses import replace

import pytest

import gptcompare as gc
from gptcompare.verification import known_records
from gptcompare.verification.models import is_folder, model_named, model_of_config, model_of_name

RECORDED = list(dict.fromkeys(record.model for record in known_records()))


def test_the_presets_of_which_there_are_records_are_found_by_their_configuration_or_must_be_named():
    for name in set(RECORDED) & set(gc.presets()):
        config = gc.GPTConfig.preset(name)
        if name == "gpt2-medium":
            with pytest.raises(ValueError, match="configuration of gpt2-medium and of DialoGPT-medium: say whose"):
                model_of_config(config, RECORDED)
        else:
            assert model_of_config(config, RECORDED) == name


def test_distilgpt2_is_found_by_its_six_layers():
    assert model_of_config(replace(gc.GPTConfig.preset("gpt2"), n_layer=6), RECORDED) == "distilgpt2"


def test_another_configuration_is_refused_with_the_way_on():
    with pytest.raises(ValueError, match=r"no model of this configuration .*--as gpt2, .* some of gpt2, "):
        model_of_config(replace(gc.GPTConfig.preset("gpt2"), n_vocab=50304), RECORDED)


@pytest.mark.parametrize(
    ("name", "model"),
    [
        ("gpt2", "gpt2"), ("GPT2-XL", "gpt2-xl"), ("openai-community/gpt2", "gpt2"),
        ("openai-community/gpt2@main", "gpt2"),
        ("distilbert/distilgpt2", "distilgpt2"), ("microsoft/dialogpt-medium", "DialoGPT-medium"),
        ("facebook/opt-125m", "opt-125m"), ("nano-gpt2", "nano-gpt2"), ("someone/gpt2", None),
    ],
)  # fmt: skip
def test_a_name_stands_for_the_publishers_model_and_for_nobody_elses(name, model):
    assert model_of_name(name, RECORDED) == model


def test_an_alias_and_any_case_name_a_model():
    assert model_named("dialogpt-MEDIUM", RECORDED) == "DialoGPT-medium"
    assert model_named("124m", RECORDED) == "gpt2"


def test_a_model_without_records_is_refused_with_the_nearest_names():
    with pytest.raises(
        ValueError, match=r"no recorded outputs of 'gpt2-lrge': did you mean gpt2-large.* some of gpt2, "
    ):
        model_named("gpt2-lrge", RECORDED)
    with pytest.raises(ValueError, match="no recorded outputs of 'gpt3-175b'"):
        model_of_name("gpt3-175b", RECORDED)


def test_the_models_in_the_package_take_precedence_over_folders(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("nano-gpt2", "gpt2"):
        (tmp_path / name).mkdir()
    assert not is_folder("nano-gpt2")
    assert is_folder("gpt2")
    assert is_folder("./nano-gpt2")
    assert not is_folder("gpt2-xl")
