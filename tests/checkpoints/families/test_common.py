import numpy as np
import pytest
from support.forge import little_memory, random_parameters, small_config

from gptcompare.checkpoints import CheckpointError
from gptcompare.checkpoints.families import common
from gptcompare.config import MAX_LAYERS
from gptcompare.model.ops import ACTIVATION

CONFIG = small_config()
UNTIED = small_config(tied_embeddings=False)
SIZES = {"n_layer": 2, "n_head": 2, "d_model": 8}


@pytest.mark.reference
@pytest.mark.parametrize("theirs", common.ACTIVATIONS)
def test_every_activation_is_the_function_that_transformers_computes(torch, transformers, theirs):
    from transformers.activations import ACT2FN

    x = np.linspace(-6, 6, 1001)
    expected = ACT2FN[theirs](torch.from_numpy(x)).numpy()
    ours = ACTIVATION[common.activation("config.json", theirs)](x.copy())
    # gelu_fast writes sqrt(2 / pi) with ten digits
    np.testing.assert_allclose(ours, expected, rtol=0, atol=1e-9 if theirs == "gelu_fast" else 1e-14)


@pytest.mark.parametrize("name", ["swish", "quick_gelu", "ReLU", "", None, ["relu"], {}, 1])
def test_an_unknown_activation_is_refused_with_those_that_are_known(name):
    with pytest.raises(CheckpointError) as refusal:
        common.activation("config.json", name)
    assert str(refusal.value) == f"config.json: activation {name!r} is not supported: known are " + ", ".join(
        common.ACTIVATIONS
    )


def test_a_required_setting_may_be_missing_or_have_the_required_value():
    for values in ({}, {"biased": True}, {"biased": True, "other": 7}):
        common.require("config.json", values, {"biased": True})


@pytest.mark.parametrize("value", [False, None, 1, "true"])
def test_a_required_setting_with_any_other_value_is_refused_by_its_name(value):
    with pytest.raises(CheckpointError, match=rf"^config\.json: biased {value!r} is not supported, only True$"):
        common.require("config.json", {"biased": value}, {"biased": True})


def nested(depth):
    value = 1
    for _ in range(depth):
        value = [value]
    return value


@pytest.mark.parametrize("depth", [1, 100, 900, 1000, 100_000])
def test_a_field_nested_in_any_depth_is_refused(depth):
    with pytest.raises(CheckpointError):
        common.make_config("config.json", **SIZES, n_ctx=nested(depth))


def test_a_configuration_of_more_layers_than_there_are_tensors_is_refused_at_once():
    with little_memory(), pytest.raises(CheckpointError, match="more layers than there are tensors"):
        common.checked("model.safetensors", random_parameters(CONFIG), small_config(n_layer=MAX_LAYERS))


class TestOutputMatrix:
    def test_a_copy_of_the_embedding_is_dropped(self):
        parameters = random_parameters(CONFIG)
        copied = parameters | {"lm_head.weight": parameters["wte.weight"].T.copy()}
        config, read = common.with_output("model.safetensors", copied, CONFIG)
        assert config == CONFIG
        assert "lm_head.weight" not in read

    def test_another_matrix_unties_the_model(self):
        config, read = common.with_output("model.safetensors", random_parameters(UNTIED), CONFIG)
        assert config == UNTIED
        assert np.array_equal(read["lm_head.weight"], random_parameters(UNTIED)["lm_head.weight"])

    def test_an_untied_model_keeps_a_copy_of_the_embedding(self):
        parameters = random_parameters(CONFIG)
        copied = parameters | {"lm_head.weight": parameters["wte.weight"].T.copy()}
        config, read = common.with_output("model.safetensors", copied, UNTIED)
        assert config == UNTIED
        assert "lm_head.weight" in read

    @pytest.mark.parametrize("shape", [(), (0,), (40,), (40, 8), (8, 41)])
    def test_a_matrix_of_another_shape_is_refused(self, shape):
        parameters = random_parameters(CONFIG) | {"lm_head.weight": np.ones(shape, np.float32)}
        with pytest.raises(CheckpointError, match=r"lm_head\.weight has shape"):
            common.with_output("model.safetensors", parameters, CONFIG)

    def test_a_matrix_without_an_embedding_is_refused(self):
        parameters = random_parameters(CONFIG) | {"lm_head.weight": np.ones(0, np.float32)}
        del parameters["wte.weight"]
        with pytest.raises(CheckpointError, match=r"missing, among them wte\.weight"):
            common.with_output("model.safetensors", parameters, CONFIG)
