from statistics import mean

import pytest

import gptcompare as gc
from gptcompare.presets import cerebras_gpt, published
from gptcompare.presets.record import ACCURACY

# "Number of Steps" of the model card; the 13B's batch changed on the way.
STEPS = {
    "cerebras-gpt-111m": 9037, "cerebras-gpt-256m": 9468, "cerebras-gpt-590m": 21836, "cerebras-gpt-1.3b": 24334,
    "cerebras-gpt-2.7b": 49041, "cerebras-gpt-6.7b": 62522,
}  # fmt: skip
# "d_head" and "d_ffn" of the model card.
WIDTHS = {
    "cerebras-gpt-111m": (64, 3072), "cerebras-gpt-256m": (64, 4352), "cerebras-gpt-590m": (128, 6144),
    "cerebras-gpt-1.3b": (128, 8192), "cerebras-gpt-2.7b": (80, 10240), "cerebras-gpt-6.7b": (128, 16384),
    "cerebras-gpt-13b": (128, 20480),
}  # fmt: skip


@pytest.mark.parametrize("name", WIDTHS)
def test_the_widths_of_heads_and_mlp_are_the_card_s(name):
    config = gc.GPTConfig.preset(name)
    assert (config.d_head, config.d_mlp) == WIDTHS[name]


@pytest.mark.parametrize("name", cerebras_gpt.MODELS)
def test_every_layer_is_dense_and_the_activation_is_the_erf_form(name):
    config = gc.GPTConfig.preset(name)
    assert (config.attention, config.activation) == (("dense",), "gelu_erf")


@pytest.mark.parametrize("name", cerebras_gpt.MODELS)
def test_a_model_saw_twenty_tokens_for_each_parameter(name):
    assert published(name).training.tokens / gc.GPTConfig.preset(name).n_params == pytest.approx(20, abs=0.05)


@pytest.mark.parametrize("name", STEPS)
def test_steps_times_batch_are_the_tokens_to_three_digits(name):
    training = published(name).training
    assert float(f"{STEPS[name] * training.batch_tokens:.3g}") == training.tokens


@pytest.mark.parametrize("name", cerebras_gpt.MODELS)
def test_the_printed_average_is_that_of_the_seven_tasks(name):
    *tasks, average = [r.value for r in published(name).results if r.metric == ACCURACY]
    assert len(tasks) == 7
    assert average == pytest.approx(mean(tasks), abs=0.1)
