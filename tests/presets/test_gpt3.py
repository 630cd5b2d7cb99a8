import math

import pytest

import gptcompare as gc
from gptcompare.presets import gpt3, published

SIZES = list(gpt3.MODELS)
PRINTED = {name: row for name, *row in gpt3.TABLE_2_1}
FLOPS_PER_PETAFLOP_S_DAY = 1e15 * 24 * 60 * 60


def unit_of_the_last_digit(n_millions: int) -> int:
    """Of a number printed in millions: 10 for 12,850, whose zero may be a rounded one."""
    return 10 ** (len(str(n_millions)) - len(str(n_millions).rstrip("0")))


def millions_as_printed(n_params: int, name: str) -> int:
    unit = unit_of_the_last_digit(gpt3.TABLE_D_1[name][2] // 10**6)
    return round(n_params / 1e6 / unit) * unit


def three_digits(value: float) -> float:
    return float(f"{value:.3g}")


@pytest.mark.parametrize(("n_millions", "unit"), [(125, 1), (760, 10), (12_850, 10), (174_600, 100)])
def test_trailing_zeros_are_not_printed_precision(n_millions, unit):
    assert unit_of_the_last_digit(n_millions) == unit


@pytest.mark.parametrize("name", SIZES)
class TestTableD1:
    def test_the_configuration_has_the_printed_number_of_parameters(self, name):
        n_params = gc.GPTConfig.preset(name).n_params
        assert millions_as_printed(n_params, name) * 10**6 == published(name).n_params_in_print

    def test_six_operations_a_parameter_and_token_are_the_printed_compute(self, name):
        model = published(name)
        flops = 6 * model.n_params_in_print * model.training.tokens
        assert three_digits(flops) == model.training.flops
        assert three_digits(flops / FLOPS_PER_PETAFLOP_S_DAY) == model.training.petaflop_s_days

    def test_the_configuration_s_parameters_need_the_printed_compute_within_half_a_percent(self, name):
        flops = 6 * gc.GPTConfig.preset(name).n_params * 300e9
        training = published(name).training
        assert flops == pytest.approx(training.flops, rel=5e-3)
        assert flops / FLOPS_PER_PETAFLOP_S_DAY == pytest.approx(training.petaflop_s_days, rel=5e-3)


class TestTable21:
    @pytest.mark.parametrize("name", [name for name in SIZES if name not in gpt3.CORRECTED])
    def test_the_configuration_is_the_printed_row(self, name):
        config = gc.GPTConfig.preset(name)
        _, *printed, batch_tokens, learning_rate = PRINTED[name]
        assert [config.n_layer, config.d_model, config.n_head, config.d_head] == printed
        assert published(name).training.batch_tokens == batch_tokens
        assert published(name).training.learning_rate == learning_rate

    @pytest.mark.parametrize("name", gpt3.CORRECTED)
    def test_a_row_is_corrected_that_table_d_1_contradicts(self, name):
        _, n_layer, d_model, n_head, d_head, *_ = PRINTED[name]
        printed = gc.GPTConfig(n_layer=n_layer, n_head=n_head, d_model=d_model, d_head=d_head, n_ctx=2048)
        assert millions_as_printed(printed.n_params, name) * 10**6 != published(name).n_params_in_print

    @pytest.mark.parametrize("name", gpt3.CORRECTED)
    def test_a_corrected_row_keeps_its_printed_depth_and_head_width_and_is_noted(self, name):
        config = gc.GPTConfig.preset(name)
        _, n_layer, _, _, d_head, *_ = PRINTED[name]
        assert (config.n_layer, config.d_head) == (n_layer, d_head)
        assert "Table 2.1 prints" in published(name).notes[0]

    @pytest.mark.parametrize("name", SIZES)
    def test_the_heads_together_are_as_wide_as_the_residual_stream(self, name):
        config = gc.GPTConfig.preset(name)
        assert config.n_head * config.d_head == config.d_model


def test_every_second_layer_is_banded_from_the_second_on_and_the_notes_say_that_this_is_a_choice():
    for name in SIZES:
        config = gc.GPTConfig.preset(name)
        assert (config.attention, config.band_width, config.n_ctx) == (("dense", "banded"), 256, 2048)
        assert any("GPT-Neo's" in note and "256" in note for note in published(name).notes)


@pytest.mark.parametrize(
    ("data", "agrees"),
    [("Common Crawl (filtered)", True), ("Books2", True), ("WebText2", False), ("Books1", False), ("Wikipedia", False)],
)
def test_two_of_the_printed_numbers_of_epochs_follow_from_weight_and_size(data, agrees):
    _, tokens, weight, epochs = next(row for row in gpt3.TABLE_2_2 if row[0] == data)
    assert math.isclose(weight * 300e9 / tokens, epochs, abs_tol=0.007) == agrees
