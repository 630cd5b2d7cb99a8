import numpy as np
import pytest
from support.forge import assert_same_arrays, little_memory, random_parameters, small_config

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

    def test_a_matrix_alone_is_the_embedding_too(self):
        parameters = random_parameters(CONFIG)
        alone = {name: array for name, array in parameters.items() if name != "wte.weight"}
        config, read = common.with_output("x", alone | {"lm_head.weight": parameters["wte.weight"].T}, CONFIG)
        assert config == CONFIG
        assert_same_arrays(read, parameters)

    def test_an_untied_model_needs_both(self):
        parameters = random_parameters(UNTIED)
        del parameters["wte.weight"]
        with pytest.raises(CheckpointError, match=r"missing, among them wte\.weight"):
            common.with_output("model.safetensors", parameters, UNTIED)


class TestOtherTensors:
    OTHERS = {"score.weight": np.ones((2, 8)), "transformer.steps": np.array(7)}  # noqa: RUF012

    def read(self, others):
        return common.checked("model.safetensors", random_parameters(CONFIG) | others, CONFIG)

    def test_they_are_left_out_and_named(self):
        with pytest.warns(UserWarning, match=r"^model\.safetensors: 2 .* left out: score\.weight, transformer\.steps$"):
            assert_same_arrays(self.read(self.OTHERS), random_parameters(CONFIG))

    def test_they_are_named_where_something_is_missing(self):
        parameters = random_parameters(CONFIG) | self.OTHERS
        del parameters["wpe.weight"]
        with pytest.raises(CheckpointError, match=r"among them wpe\.weight; it has 2 other tensors, among them score"):
            common.checked("model.safetensors", parameters, CONFIG)

    @pytest.mark.parametrize(
        "place", ["h.0.attn.c_attn.lora_{}.default.weight", "h.0.attn.c_attn.lora_{}", "x.lora_{}"]
    )
    def test_adapters_that_change_the_result_are_refused_and_untrained_ones_left_out(self, place):
        a, b = place.format("A"), place.format("B")
        with pytest.raises(CheckpointError, match=r"has 2 tensors of adapters that change the result.*merge them"):
            self.read({a: np.ones((2, 8)), b: np.ones((8, 2))})
        with pytest.raises(CheckpointError, match="has 1 tensors of adapters"):
            self.read({a: np.ones((2, 8))})
        with pytest.warns(UserWarning, match="2 of its tensors"):
            self.read({a: np.ones((2, 8)), b: np.zeros((8, 2))})


class TestPrefix:
    WTE = r"(transformer\.)?wte\.weight"

    @pytest.mark.parametrize(
        "prefix", ["_orig_mod.", "module.", "model.", "base_model.model.", "module._orig_mod.", "a.h."]
    )
    @pytest.mark.parametrize("own", ["", "transformer."])
    def test_what_stands_before_all_names_is_left_out(self, prefix, own):
        tensors = {f"{own}{name}": 1 for name in ("wte.weight", "h.0.ln_1.bias")} | {"lm_head.weight": 2}
        before = {prefix + name: value for name, value in tensors.items()}
        assert common.without_prefix("x", tensors, self.WTE) == (tensors, "")
        assert common.without_prefix("x", before, self.WTE) == (tensors, prefix)
        assert common.without_prefix("x", before | {"step": 3}, self.WTE) == (tensors | {"step": 3}, prefix)

    def test_a_tied_model_may_be_stored_under_its_output_alone(self):
        assert common.without_prefix("x", {"m.lm_head.weight": 1, "m.a": 2}, self.WTE) == (
            {"lm_head.weight": 1, "a": 2}, "m.",
        )  # fmt: skip

    def test_several_models_are_refused_by_their_names(self):
        tensors = {"student.wte.weight": 1, "teacher.transformer.wte.weight": 2}
        with pytest.raises(CheckpointError, match=r"has several models, under the names 'student\.', 'teacher\.'"):
            common.without_prefix("x", tensors, self.WTE)

    def test_a_tensor_with_and_without_the_prefix_is_refused(self):
        tensors = {"module.transformer.wte.weight": 1, "module.transformer.ln_f.weight": 2}
        with pytest.raises(CheckpointError, match=r"'module.transformer.ln_f.weight' is there without 'module.', too"):
            common.without_prefix("x", tensors | {"transformer.ln_f.weight": 3}, self.WTE)

    def test_no_model_has_none(self):
        assert common.without_prefix("x", {"a.b": 1}, self.WTE) == ({"a.b": 1}, "")
