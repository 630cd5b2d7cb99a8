import re

import numpy as np
import pytest
from support.forge import GPT2_FIELDS, assert_same_arrays, random_parameters, small_config

from gptcompare.checkpoints import CheckpointError
from gptcompare.checkpoints.families import gpt2
from gptcompare.config import MAX_LAYERS, GPTConfig

CONFIG = small_config()
UNTIED = small_config(tied_embeddings=False)
# What config.json of Cerebras-GPT-111M says.
CEREBRAS_111M = {
    "activation_function": "gelu", "architectures": ["GPT2LMHeadModel"], "attn_pdrop": 0.0, "bos_token_id": 50256,
    "embd_pdrop": 0.0, "eos_token_id": 50256, "initializer_range": 0.02, "layer_norm_epsilon": 1e-05,
    "model_type": "gpt2", "n_embd": 768, "n_head": 12, "n_inner": 3072, "n_layer": 10, "n_positions": 2048,
    "reorder_and_upcast_attn": False, "resid_pdrop": 0.0, "scale_attn_by_inverse_layer_idx": False,
    "scale_attn_weights": True, "use_cache": True, "vocab_size": 50257,
}  # fmt: skip


def hf_tensors(config, prefix="transformer."):
    """Random parameters as GPT2LMHeadModel names them; the output matrix is (n_vocab, d_model) there."""
    tensors = {f"{prefix}{name}": array for name, array in random_parameters(config).items()}
    if not config.tied_embeddings:
        tensors["lm_head.weight"] = tensors.pop(f"{prefix}lm_head.weight").T
    return tensors


class TestConfig:
    def read(self, **changes):
        return gpt2.config("config.json", GPT2_FIELDS | changes)

    def test_sizes(self):
        assert self.read() == CONFIG

    def test_cerebras_gpt(self):
        assert gpt2.config("config.json", CEREBRAS_111M) == GPTConfig(
            n_layer=10, n_head=12, d_model=768, d_mlp=3072, n_ctx=2048, n_vocab=50257, activation="gelu_erf"
        )

    @pytest.mark.reference
    def test_a_missing_field_has_the_default_of_transformers(self, transformers):
        written = transformers.GPT2Config().to_dict()
        assert gpt2.config("config.json", {"model_type": "gpt2"}) == gpt2.config("config.json", written)

    @pytest.mark.parametrize(("n_inner", "d_mlp"), [(None, 32), (20, 20)])
    def test_n_inner_is_four_times_the_width_if_null(self, n_inner, d_mlp):
        assert self.read(n_inner=n_inner).d_mlp == d_mlp

    @pytest.mark.parametrize(
        ("changes", "reason"),
        [
            ({"scale_attn_by_inverse_layer_idx": 1}, "scale_attn_by_inverse_layer_idx must be true or false, got 1"),
            ({"scale_attn_weights": None}, "scale_attn_weights must be true or false, got None"),
            ({"hidden_size": 16}, "n_embd 8 and hidden_size 16 are two names of one number"),
            ({"add_cross_attention": True}, "add_cross_attention True is not supported"),
            ({"activation_function": "swish"}, "activation 'swish' is not supported: known are gelu_new"),
            ({"activation_function": ["gelu"]}, "activation"),
            ({"activation_function": {}}, "activation"),
            ({"n_layer": "2"}, "n_layer must be an integer"),
            ({"n_layer": None}, "n_layer must be an integer"),
            ({"n_head": True}, "n_head must be an integer"),
            ({"n_embd": 8.0}, "d_model must be an integer"),
            ({"n_embd": 0}, "d_model must be at least 1"),
            ({"n_head": 3}, "not a multiple of n_head"),
            ({"n_inner": -1}, "d_mlp must be at least 1"),
            ({"n_positions": []}, "n_ctx must be an integer"),
            ({"vocab_size": {}}, "n_vocab must be an integer"),
            ({"layer_norm_epsilon": "1e-5"}, "layer_norm_eps must be a number"),
            ({"layer_norm_epsilon": float("nan")}, "layer_norm_eps must be positive"),
            ({"tie_word_embeddings": "yes"}, "tied_embeddings must be True or False"),
        ],
    )
    def test_what_is_not_supported_is_refused_by_its_name(self, changes, reason):
        with pytest.raises(CheckpointError, match=rf"config\.json: .*{reason}"):
            self.read(**changes)


class TestConfigToHuggingFace:
    @pytest.mark.parametrize(
        "config",
        [
            CONFIG, UNTIED, small_config(d_mlp=20), small_config(activation="relu"),
            small_config(activation="gelu_erf"), small_config(layer_norm_eps=1e-6),
            small_config(attention=("dense", "banded"), band_width=3, n_layer=1),
        ],
        ids=str,
    )  # fmt: skip
    def test_what_is_written_computes_the_same_function(self, config):
        read = gpt2.config("config.json", gpt2.config_to_hf(config))
        patterns = [[c.pattern_of(layer) for layer in range(c.n_layer)] for c in (config, read)]
        assert patterns[0] == patterns[1]
        assert read.to_dict() == config.to_dict() | {"attention": ["dense"], "band_width": None}

    @pytest.mark.parametrize(
        "changes",
        [
            {"attention": ["banded"], "band_width": 3},
            {"attention": ["dense", "banded"], "band_width": 3},
            {"attention": ["dense", "strided"], "stride": 3},
            {"attention": ["fixed"], "stride": 3, "summary_width": 1},
            {"d_head": 3},
        ],
        ids=str,
    )
    def test_there_is_none_for_what_its_gpt2_cannot_represent(self, changes):
        assert gpt2.config_to_hf(small_config(**changes)) is None

    def test_it_names_no_end_of_text_which_only_the_vocabulary_knows(self):
        values = gpt2.config_to_hf(small_config())
        assert values["bos_token_id"] is values["eos_token_id"] is None


class TestParameters:
    def read(self, tensors, config=CONFIG):
        return gpt2.parameters("model.safetensors", tensors, config, np.float32)

    @pytest.mark.parametrize("prefix", ["transformer.", ""])
    @pytest.mark.parametrize("config", [CONFIG, UNTIED], ids=["tied", "untied"])
    def test_names_with_and_without_the_prefix(self, prefix, config):
        read_config, parameters = self.read(hf_tensors(config, prefix), config)
        assert read_config == config
        assert_same_arrays(parameters, random_parameters(config))

    def test_what_is_written_under_their_names_is_read(self):
        parameters = random_parameters(UNTIED)
        assert_same_arrays(self.read(gpt2.parameters_to_hf(parameters), UNTIED)[1], parameters)

    def test_masks_of_old_exports_are_ignored(self):
        masks = {f"h.{n}.attn.{name}": np.ones((1, 1, 12, 12)) for n in (0, 1) for name in ("bias", "masked_bias")}
        _, parameters = self.read(hf_tensors(CONFIG, "") | masks)
        assert_same_arrays(parameters, random_parameters(CONFIG))

    def test_a_tied_model_may_have_its_output_matrix_in_the_file(self):
        tensors = hf_tensors(CONFIG)
        config, parameters = self.read(tensors | {"lm_head.weight": tensors["transformer.wte.weight"].copy()})
        assert config == CONFIG
        assert_same_arrays(parameters, random_parameters(CONFIG))

    def test_a_tied_model_with_another_output_matrix_is_an_untied_one(self):
        config, parameters = self.read(hf_tensors(UNTIED), CONFIG)
        assert config == UNTIED
        assert_same_arrays(parameters, random_parameters(UNTIED))

    def test_a_name_with_and_without_the_prefix_is_refused(self):
        tensors = hf_tensors(CONFIG)
        with pytest.raises(CheckpointError, match=r"wte\.weight occurs with and without its prefix"):
            self.read(tensors | {"wte.weight": tensors["transformer.wte.weight"]})

    @pytest.mark.parametrize("missing", ["wte.weight", "wpe.weight", "h.1.mlp.c_proj.bias", "ln_f.bias"])
    def test_a_missing_tensor_is_named(self, missing):
        tensors = hf_tensors(CONFIG, "")
        del tensors[missing]
        with pytest.raises(CheckpointError, match=rf"1 parameters are missing, among them {missing}"):
            self.read(tensors)

    def test_an_untied_model_needs_its_output_matrix(self):
        with pytest.raises(CheckpointError, match=r"missing, among them lm_head\.weight"):
            self.read(hf_tensors(CONFIG), UNTIED)

    @pytest.mark.parametrize("extra", ["h.2.ln_1.weight", "h.0.attn.q_attn.weight", "h.0.attn.bias2"])
    def test_an_unknown_tensor_in_a_block_is_named(self, extra):
        with pytest.raises(CheckpointError, match=rf"1 parameters are not part of this model, among them {extra}"):
            self.read(hf_tensors(CONFIG) | {extra: np.ones(3, np.float32)})

    @pytest.mark.parametrize(
        ("name", "shape"),
        [("wte.weight", (8, 40)), ("ln_f.weight", (9,)), ("h.0.ln_1.bias", (8, 1)), ("wpe.weight", ())],
    )
    def test_a_tensor_of_another_shape_is_named_with_both_shapes(self, name, shape):
        with pytest.raises(CheckpointError, match=rf"{name} has shape {re.escape(str(shape))}, .* asks for"):
            self.read(hf_tensors(CONFIG, "") | {name: np.ones(shape, np.float32)})

    @pytest.mark.parametrize("dtype", ["int8", "uint16", "int64", "bool"])
    def test_whole_numbers_are_refused(self, dtype):
        tensors = hf_tensors(CONFIG, "")
        with pytest.raises(CheckpointError, match=rf"wpe\.weight holds {dtype} numbers"):
            self.read(tensors | {"wpe.weight": tensors["wpe.weight"].astype(dtype)})

    def test_a_configuration_of_more_layers_than_the_file_has_is_refused_at_once(self):
        with pytest.raises(CheckpointError, match="layers"):
            self.read(hf_tensors(CONFIG), small_config(n_layer=MAX_LAYERS))
