import numpy as np
import pytest
from support.forge import OPT_FIELDS, opt_tensors, random_parameters, small_config

from gptcompare.checkpoints import CheckpointError
from gptcompare.checkpoints.families import opt
from gptcompare.config import GPTConfig

# What the config.json of facebook/opt-125m says.
OPT_125M = {
    "_remove_final_layer_norm": False, "activation_dropout": 0.0, "activation_function": "relu",
    "architectures": ["OPTForCausalLM"], "attention_dropout": 0.0, "bos_token_id": 2, "do_layer_norm_before": True,
    "dropout": 0.1, "eos_token_id": 2, "ffn_dim": 3072, "hidden_size": 768, "init_std": 0.02, "layerdrop": 0.0,
    "max_position_embeddings": 2048, "model_type": "opt", "num_attention_heads": 12, "num_hidden_layers": 12,
    "pad_token_id": 1, "prefix": "</s>", "torch_dtype": "float16", "use_cache": True, "vocab_size": 50272,
    "word_embed_proj_dim": 768,
}  # fmt: skip
SIZES_1_3B = {
    "hidden_size": 2048, "word_embed_proj_dim": 2048, "ffn_dim": 8192, "num_hidden_layers": 24,
    "num_attention_heads": 32,
}  # fmt: skip
SIZES_6_7B = {
    "hidden_size": 4096, "word_embed_proj_dim": 4096, "ffn_dim": 16384, "num_hidden_layers": 32,
    "num_attention_heads": 32,
}  # fmt: skip
# Where facebook/opt-350m differs.
OPT_350M = {
    "do_layer_norm_before": False, "ffn_dim": 4096, "hidden_size": 1024, "num_attention_heads": 16,
    "num_hidden_layers": 24, "word_embed_proj_dim": 512,
}  # fmt: skip


def read(values):
    return opt.config("config.json", values)


class TestConfig:
    def test_opt_125m(self):
        assert read(OPT_125M) == GPTConfig(
            n_layer=12, n_head=12, d_model=768, d_mlp=3072, n_ctx=2048, n_vocab=50272, activation="relu",
            layer_norm_eps=1e-5,
        )  # fmt: skip

    @pytest.mark.parametrize(
        ("sizes", "n_params"),
        [({}, 125_239_296), (SIZES_1_3B, 1_315_758_080), (SIZES_6_7B, 6_658_473_984)],
        ids=["125m", "1.3b", "6.7b"],
    )
    def test_a_published_model_has_its_number_of_parameters_without_two_positions(self, sizes, n_params):
        config = read(OPT_125M | sizes)
        assert config.n_params == n_params - 2 * config.d_model

    @pytest.mark.reference
    def test_a_missing_field_has_the_default_of_transformers(self, transformers):
        assert read({"model_type": "opt"}) == read(transformers.OPTConfig().to_dict())

    @pytest.mark.parametrize("changes", [{}, {"word_embed_proj_dim": None}, {"word_embed_proj_dim": 8}], ids=str)
    def test_embeddings_as_wide_as_the_model_are_the_same_whether_said_or_not(self, changes):
        assert read(OPT_FIELDS | changes) == small_config()

    def test_opt_350m_is_refused(self):
        with pytest.raises(CheckpointError, match="do_layer_norm_before False is not supported, only True"):
            read(OPT_125M | OPT_350M)

    @pytest.mark.parametrize(
        ("changes", "reason"),
        [
            ({"do_layer_norm_before": False}, "do_layer_norm_before False is not supported, only True"),
            ({"_remove_final_layer_norm": True}, "_remove_final_layer_norm True is not supported, only False"),
            ({"enable_bias": False}, "enable_bias False is not supported, only True"),
            ({"layer_norm_elementwise_affine": False}, "layer_norm_elementwise_affine False is not supported"),
            ({"word_embed_proj_dim": 4}, "word_embed_proj_dim 4 is not supported, only hidden_size, which is 8"),
            ({"word_embed_proj_dim": [8]}, r"word_embed_proj_dim \[8\] is not supported"),
            ({"activation_function": "swish"}, "activation 'swish' is not supported: known are gelu_new"),
            ({"num_hidden_layers": "2"}, "n_layer must be an integer"),
            ({"num_hidden_layers": 0}, "n_layer must be at least 1"),
            ({"num_attention_heads": None}, "n_head must be an integer"),
            ({"num_attention_heads": 3}, "not a multiple of n_head"),
            ({"hidden_size": 8.0}, "d_model must be an integer"),
            ({"ffn_dim": 0}, "d_mlp must be at least 1"),
            ({"max_position_embeddings": []}, "n_ctx must be an integer"),
            ({"vocab_size": {}}, "n_vocab must be an integer"),
            ({"tie_word_embeddings": 1}, "tied_embeddings must be True or False"),
        ],
    )
    def test_what_is_not_supported_is_refused_by_its_name(self, changes, reason):
        with pytest.raises(CheckpointError, match=rf"config\.json: .*{reason}"):
            read(OPT_FIELDS | changes)


class TestParameters:
    CONFIG = small_config()

    def read(self, tensors, dtype=np.float32):
        return opt.parameters("model.safetensors", tensors, self.CONFIG, dtype)[1]

    @pytest.mark.parametrize("prefix", ["model.decoder.", "decoder."])
    def test_the_two_positions_that_no_text_uses_are_left_out(self, prefix):
        parameters = self.read(opt_tensors(random_parameters(self.CONFIG), prefix))
        np.testing.assert_array_equal(parameters["wpe.weight"], random_parameters(self.CONFIG)["wpe.weight"])

    @pytest.mark.parametrize("dtype", [np.float32, np.float64])
    def test_queries_keys_and_values_are_joined_with_their_biases(self, dtype):
        parameters = self.read(opt_tensors(random_parameters(self.CONFIG)), dtype)
        for name, original in random_parameters(self.CONFIG).items():
            np.testing.assert_array_equal(parameters[name], original)
            if ".c_attn." in name:
                assert parameters[name].dtype == dtype

    @pytest.mark.parametrize("shape", [(12, 8), (13, 8), (15, 8), (14, 9), (14,), (2, 8), (0, 8), (1, 14, 8), ()])
    def test_positions_of_another_shape_are_refused(self, shape):
        tensors = opt_tensors(random_parameters(self.CONFIG))
        with pytest.raises(CheckpointError, match=r"wpe\.weight has shape"):
            self.read(tensors | {"model.decoder.embed_positions.weight": np.ones(shape, np.float32)})

    @pytest.mark.parametrize("extra", ["project_in", "project_out"])
    def test_the_projections_of_narrow_embeddings_are_refused(self, extra):
        tensors = opt_tensors(random_parameters(self.CONFIG))
        with pytest.raises(CheckpointError, match=rf"model\.decoder\.{extra}\.weight belongs to embeddings narrower"):
            self.read(tensors | {f"model.decoder.{extra}.weight": np.ones((8, 8), np.float32)})
