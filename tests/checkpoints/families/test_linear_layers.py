"""What GPT-Neo and OPT have in common, of each of them."""

import re
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import pytest
from support.forge import (
    assert_same_arrays,
    gpt_neo_tensors,
    little_memory,
    opt_tensors,
    random_parameters,
    small_config,
)

import gptcompare as gc
from gptcompare.checkpoints import CheckpointError
from gptcompare.checkpoints.families import gpt_neo, linear_layers, opt
from gptcompare.config import MAX_LAYERS


class Family(NamedTuple):
    read: Callable
    tensors: Callable
    prefixes: tuple[str, ...]
    queries: str  # of the second block, without the prefix
    embedding: str


FAMILIES = {
    "gpt_neo": Family(
        gpt_neo.parameters, gpt_neo_tensors, ("transformer.", ""), "h.1.attn.attention.q_proj.weight", "wte.weight"
    ),
    "opt": Family(
        opt.parameters, opt_tensors, ("model.decoder.", "decoder."), "layers.1.self_attn.q_proj.weight",
        "embed_tokens.weight",
    ),
}  # fmt: skip
CONFIG = small_config()  # four numbers to a head, so that multiplying by the root changes no digit
UNTIED = small_config(tied_embeddings=False)


@pytest.fixture(params=FAMILIES)
def family(request):
    return FAMILIES[request.param]


def read(family, tensors, config=CONFIG, dtype=np.float32):
    return family.read("model.safetensors", tensors, config, dtype)


def original(family, config, dtype=np.float32):
    """Random parameters as reading them must give them."""
    parameters = random_parameters(config, dtype)
    if family is FAMILIES["gpt_neo"]:
        for layer in range(config.n_layer):
            parameters[f"h.{layer}.attn.c_attn.weight"][:, : config.d_model] *= 2
            parameters[f"h.{layer}.attn.c_attn.bias"][:] = 0
    return parameters


class TestNames:
    @pytest.mark.parametrize("with_prefix", [0, 1])
    @pytest.mark.parametrize("config", [CONFIG, UNTIED], ids=["tied", "untied"])
    def test_with_and_without_the_prefix(self, family, with_prefix, config):
        tensors = family.tensors(random_parameters(config), family.prefixes[with_prefix])
        read_config, parameters = read(family, tensors, config)
        assert read_config == config
        assert_same_arrays(parameters, original(family, config))

    def test_one_name_with_both_prefixes_is_refused(self, family):
        tensors = family.tensors(random_parameters(CONFIG))
        for name in list(tensors):
            short = name.replace(*family.prefixes, 1)
            with pytest.raises(CheckpointError, match=rf"{short} occurs twice, with and without its prefix"):
                read(family, tensors | {short: tensors[name]})

    def test_a_missing_tensor_is_refused(self, family):
        tensors = family.tensors(random_parameters(CONFIG))
        for name in tensors:
            with pytest.raises(CheckpointError, match=r"missing"):
                read(family, {other: tensor for other, tensor in tensors.items() if other != name})

    def test_missing_queries_are_named(self, family):
        tensors = family.tensors(random_parameters(CONFIG), family.prefixes[1])
        del tensors[family.prefixes[1] + family.queries]
        with pytest.raises(CheckpointError, match=r"^model\.safetensors: h\.1\.attn\.q_proj\.weight is missing$"):
            read(family, tensors)

    @pytest.mark.parametrize("extra", ["score.weight", "weight", "", "decoder.version", "*.ln_1"])
    def test_a_tensor_outside_of_the_model_is_left_out_with_a_warning(self, family, extra):
        tensors = family.tensors(random_parameters(CONFIG), family.prefixes[1])
        with pytest.warns(UserWarning, match=rf"^model\.safetensors: 1 .* left out: {re.escape(extra)}$"):
            _, parameters = read(family, tensors | {extra: np.ones(3, np.float32)})
        assert_same_arrays(parameters, original(family, CONFIG))

    @pytest.mark.parametrize(
        "extra",
        [
            "h.0.attn.c_attn.weight", "h.1.attn.c_attn.bias", "h.0.attn.q_proj.weight", "layers.0.attn.c_attn.weight",
            "h.0.attn.bias", "h.0.*.weight",
        ],
    )  # fmt: skip
    def test_an_unknown_tensor_in_a_block_is_refused(self, family, extra):
        tensors = family.tensors(random_parameters(CONFIG), family.prefixes[1])
        with pytest.raises(CheckpointError) as refusal:
            read(family, tensors | {extra: np.ones(3, np.float32)})
        assert str(refusal.value) == f"model.safetensors: {extra} is not a parameter of such a model"

    def test_a_block_beyond_the_last_is_refused(self, family):
        tensors = family.tensors(random_parameters(small_config(n_layer=3)))
        with pytest.raises(CheckpointError, match=r"not part of this model, among them h\.2\.ln_1\.weight"):
            read(family, tensors)

    @pytest.mark.parametrize("n_layer", [3, MAX_LAYERS])
    def test_a_configuration_of_more_layers_than_the_file_has_is_refused_without_memory(self, family, n_layer):
        tensors = family.tensors(random_parameters(CONFIG))
        with little_memory(), pytest.raises(CheckpointError, match=r"h\.2\.attn\.q_proj\.weight is missing"):
            read(family, tensors, small_config(n_layer=n_layer))

    @pytest.mark.parametrize("changes", [{"d_model": 10**9}, {"n_vocab": 10**12}, {"n_ctx": 10**12}], ids=str)
    def test_a_configuration_of_larger_tensors_than_the_file_has_is_refused_without_memory(self, family, changes):
        tensors = family.tensors(random_parameters(CONFIG))
        with little_memory(), pytest.raises(CheckpointError, match="has shape"):
            read(family, tensors, small_config(**changes))

    def test_no_layers_in_the_file_are_refused(self, family):
        with pytest.raises(CheckpointError, match="more layers than there are tensors"):
            read(family, {})


class TestArrays:
    def test_any_tensor_of_another_shape_is_refused(self, family):
        tensors = family.tensors(random_parameters(CONFIG))
        for name, tensor in tensors.items():
            for wrong in [(), (0,), (7,), (*tensor.shape[::-1], 1), (*tensor.shape[:-1], 9), (1,) * 32]:
                with pytest.raises(CheckpointError, match=r"has shape .*, the configuration asks for"):
                    read(family, tensors | {name: np.ones(wrong, np.float32)})

    @pytest.mark.parametrize("dtype", ["int8", "uint16", "int64", "bool", "complex64"])
    def test_any_tensor_of_other_than_floating_point_numbers_is_refused(self, family, dtype):
        tensors = family.tensors(random_parameters(CONFIG))
        for name, tensor in tensors.items():
            with pytest.raises(CheckpointError, match=rf"holds {dtype} numbers, not floating-point ones"):
                read(family, tensors | {name: np.ones(tensor.shape, dtype)})

    def test_a_file_of_float64_is_read_in_float64(self, family):
        tensors = family.tensors(random_parameters(CONFIG, np.float64))
        assert_same_arrays(read(family, tensors, dtype=np.float64)[1], original(family, CONFIG, np.float64))

    @pytest.mark.parametrize("dtype", [np.float32, np.float64])
    def test_a_file_of_float16_is_the_model_of_the_rounded_weights(self, family, dtype):
        half = random_parameters(CONFIG, np.float16)
        wide = {name: array.astype(dtype) for name, array in half.items()}
        models = [
            gc.GPT(*read(family, family.tensors(parameters), dtype=dtype), dtype=dtype) for parameters in (half, wide)
        ]
        assert_same_arrays(models[0].parameters(), models[1].parameters())
        # float16 has no room for twice its largest number: what is multiplied must be wider before
        large = {name: np.full_like(array, 60_000) for name, array in half.items()}
        _, parameters = read(family, family.tensors(large), dtype=dtype)
        assert np.isfinite(parameters["h.0.attn.c_attn.weight"]).all()

    def test_the_file_s_own_arrays_stay_as_they_are(self, family):
        tensors = family.tensors(random_parameters(CONFIG))
        before = {name: tensor.copy() for name, tensor in tensors.items()}
        read(family, tensors)
        assert_same_arrays(tensors, before)


def test_scaling_the_queries_scales_their_biases_and_nothing_else():
    rng = np.random.default_rng(0)
    shapes = {"weight": (8, 8), "bias": (8,)}
    parts = {f"h.0.attn.{x}_proj.{kind}": rng.random(shape) for x in "qkv" for kind, shape in shapes.items()}
    joined = linear_layers.joined_qkv(parts, np.float64, query_scale=3.0)
    assert set(joined) == {f"h.0.attn.c_attn.{kind}" for kind in shapes}
    for kind in shapes:
        scaled = [factor * parts[f"h.0.attn.{x}_proj.{kind}"] for factor, x in zip((3, 1, 1), "qkv", strict=True)]
        np.testing.assert_array_equal(joined[f"h.0.attn.c_attn.{kind}"], np.concatenate(scaled, axis=-1))


class TestOutputMatrix:
    def test_a_tied_model_may_have_it_in_the_file(self, family):
        tensors = family.tensors(random_parameters(CONFIG))
        tensors["lm_head.weight"] = tensors[family.prefixes[0] + family.embedding].copy()
        config, parameters = read(family, tensors)
        assert config == CONFIG
        assert_same_arrays(parameters, original(family, CONFIG))

    def test_a_tied_model_with_another_one_is_an_untied_one(self, family):
        config, parameters = read(family, family.tensors(random_parameters(UNTIED)), CONFIG)
        assert config == UNTIED
        assert_same_arrays(parameters, original(family, UNTIED))

    def test_an_untied_model_needs_it(self, family):
        with pytest.raises(CheckpointError, match=r"missing, among them lm_head\.weight"):
            read(family, family.tensors(random_parameters(CONFIG)), UNTIED)
