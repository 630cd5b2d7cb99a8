import dataclasses
import json
import math

import numpy as np
import pytest

import gptcompare as gc
from gptcompare.parameters import parameter_shapes
from gptcompare.patterns import DENSE, Banded, Fixed, Strided

SMALL = {"n_layer": 4, "n_head": 2, "d_model": 8, "n_ctx": 32, "n_vocab": 50}


def test_widths_that_are_not_given_follow_from_the_others():
    config = gc.GPTConfig(**SMALL)
    assert (config.d_head, config.d_mlp) == (4, 32)


def test_numpy_integers_are_integers():
    config = gc.GPTConfig(**{name: np.int64(value) for name, value in SMALL.items()})
    assert config == gc.GPTConfig(**SMALL)
    json.dumps(config.to_dict())


def test_d_head_is_a_value_of_its_own():
    config = gc.GPTConfig(**SMALL, d_head=7)
    assert config.d_attention == 14


@pytest.mark.parametrize(
    ("changes", "error", "words"),
    [
        ({"n_layer": 0}, ValueError, "n_layer must be at least 1, got 0"),
        ({"n_layer": 10**6}, ValueError, "n_layer must be at most 100000, got 1000000"),
        ({"d_model": 10**400, "n_head": 1}, ValueError, r"d_model must be at most \d+, got 10+ \.\.\. 0+$"),
        ({"n_ctx": 10**5000}, ValueError, "n_ctx must be at most .*, got a int that is too large to show"),
        ({"n_ctx": "9" * 10**6}, TypeError, r"n_ctx must be an integer, got '9{66} \.\.\. 9{32}'$"),
        ({"n_head": 2.0}, TypeError, "n_head must be an integer"),
        ({"d_model": True}, TypeError, "d_model must be an integer"),
        ({"n_ctx": -1}, ValueError, "n_ctx"),
        ({"n_vocab": "50"}, TypeError, "n_vocab"),
        ({"n_head": 3}, ValueError, "d_model 8 is not a multiple of n_head 3"),
        ({"d_head": 0}, ValueError, "d_head"),
        ({"d_mlp": 0}, ValueError, "d_mlp"),
        ({"attention": ()}, ValueError, "attention is empty"),
        ({"attention": "dense"}, TypeError, "attention must be a tuple"),
        ({"attention": ("dense", "sparse")}, ValueError, "'sparse' is not one of dense, banded, strided, fixed"),
        ({"attention": (["dense"],)}, ValueError, "is not one of dense, banded, strided, fixed"),
        ({"attention": ("dense", "banded")}, ValueError, "a .*banded.* layer needs band_width"),
        ({"attention": ("strided",)}, ValueError, "a strided or fixed layer needs stride"),
        ({"attention": ("fixed",), "stride": 8}, ValueError, "a fixed layer needs summary_width"),
        ({"band_width": 4}, ValueError, r"band_width 4 is given, but no layer of \('dense',\) is banded"),
        ({"stride": 4}, ValueError, "stride 4 is given, but no layer of .* is strided or fixed"),
        ({"summary_width": 4}, ValueError, "no layer of .* is fixed"),
        ({"summary_variants": 2}, ValueError, "no layer of .* is fixed"),
        ({"attention": ("strided",), "stride": 2.0}, TypeError, "stride must be an integer"),
        ({"attention": ("fixed",), "stride": 4, "summary_width": 5}, ValueError, "is more than stride 4"),
        ({"attention": ("banded",), "band_width": 0}, ValueError, "band_width"),
        ({"activation": "swish"}, ValueError, "'swish' is not one of gelu_tanh"),
        ({"layer_norm_eps": 0.0}, ValueError, "layer_norm_eps"),
        ({"layer_norm_eps": float("nan")}, ValueError, "layer_norm_eps"),
        ({"layer_norm_eps": 10**400}, ValueError, "layer_norm_eps"),
        ({"layer_norm_eps": "1e-5"}, TypeError, "layer_norm_eps"),
        ({"tied_embeddings": 1}, TypeError, "tied_embeddings"),
    ],
)
def test_a_wrong_or_contradictory_value_is_refused_with_its_name(changes, error, words):
    with pytest.raises(error, match=words):
        gc.GPTConfig(**{**SMALL, **changes})


def test_a_configuration_cannot_be_changed():
    with pytest.raises(dataclasses.FrozenInstanceError):
        gc.GPTConfig(**SMALL).n_layer = 3


def test_a_configuration_survives_json():
    config = gc.GPTConfig(
        **SMALL, attention=("dense", "banded", "fixed"), band_width=5, stride=8, summary_width=2, d_head=3,
        tied_embeddings=False,
    )  # fmt: skip
    assert gc.GPTConfig.from_dict(json.loads(json.dumps(config.to_dict()))) == config


@pytest.mark.parametrize(("values", "words"), [({**SMALL, "n_layers": 2}, "n_layers"), ({"n_layer": 1}, "missing")])
def test_a_dict_with_an_unknown_or_a_missing_field_is_refused(values, words):
    with pytest.raises(ValueError, match=words):
        gc.GPTConfig.from_dict(values)


@pytest.mark.parametrize(
    "changes",
    [{}, {"d_head": 7}, {"d_mlp": 5}, {"tied_embeddings": False}, {"attention": ("banded",), "band_width": 3}],
)
def test_n_params_counts_every_parameter_of_the_table(changes):
    config = gc.GPTConfig(**SMALL, **changes)
    sizes = [shape[0] * (shape[1] if len(shape) == 2 else 1) for shape in parameter_shapes(config).values()]
    assert config.n_params == sum(sizes)


def test_a_banded_layer_sees_and_keeps_its_band_only():
    config = gc.GPTConfig(**SMALL, attention=("dense", "banded"), band_width=3)
    assert [config.pattern_of(layer) for layer in range(4)] == [DENSE, Banded(3), DENSE, Banded(3)]
    bytes_per_key = 2 * 8 * 4  # a key and a value of width 8 in float32
    assert config.kv_cache_bytes(10) == (10 + 3 + 10 + 3) * bytes_per_key
    assert config.kv_cache_bytes(2) == 4 * 2 * bytes_per_key


def test_the_sparse_transformer_s_patterns_see_few_keys_and_keep_all():
    config = gc.GPTConfig(**SMALL, attention=("strided", "fixed"), stride=8, summary_width=2)
    assert config.summary_variants == 1
    assert [config.pattern_of(layer) for layer in range(4)] == [Strided(8), Fixed(8, 2), Strided(8), Fixed(8, 2)]
    assert config.kv_cache_bytes(20) == gc.GPTConfig(**SMALL).kv_cache_bytes(20)
    # of 20 tokens, the last strided query sees positions 19, 11, 3; the last fixed one 6, 7, 14, 15 and 16 ... 19
    keys = 2 * (3 + 8)
    assert gc.GPTConfig(**SMALL).flops_per_token(20) - config.flops_per_token(20) == 4 * 8 * (4 * 20 - keys)


def test_the_parts_of_the_parameters_are_those_of_the_table():
    config = gc.GPTConfig(**SMALL, tied_embeddings=False, d_head=7)
    part_of = {"wte": "token embedding", "wpe": "positions", "lm_head": "output", "attn": "attention", "mlp": "mlp"}
    sizes = dict.fromkeys(config.n_params_by_part, 0)
    for name, shape in parameter_shapes(config).items():
        part = next((part for word, part in part_of.items() if word in name), "layer norms")
        sizes[part] += math.prod(shape)
    assert config.n_params_by_part == sizes


def test_training_takes_six_operations_for_each_parameter_and_token():
    config = gc.GPTConfig(**SMALL)
    assert config.training_flops(1000) == 6 * 1000 * config.n_params


def test_flops_of_a_token_are_two_per_weight_and_two_per_number_of_each_key_and_value():
    config = gc.GPTConfig(**SMALL)
    matrices = sum(
        shape[0] * shape[1] for name, shape in parameter_shapes(config).items() if len(shape) == 2 and "wpe" not in name
    )
    assert config.flops_per_token(20) == 2 * matrices + 4 * 20 * 2 * (2 * 8)


def test_more_tokens_than_the_context_have_no_flops_and_no_cache():
    with pytest.raises(ValueError, match="longer than the model's context of 32"):
        gc.GPTConfig(**SMALL).flops_per_token(33)
    with pytest.raises(ValueError, match="at least 1"):
        gc.GPTConfig(**SMALL).kv_cache_bytes(0)
