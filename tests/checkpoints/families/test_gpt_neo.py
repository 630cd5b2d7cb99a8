import numpy as np
import pytest
from support.forge import GPT_NEO_FIELDS, gpt_neo_tensors, little_memory, random_parameters, small_config

from gptcompare.checkpoints import CheckpointError
from gptcompare.checkpoints.families import gpt_neo
from gptcompare.config import GPTConfig

# What the config.json of EleutherAI's gpt-neo-125m says.
NEO_125M = {
    "activation_function": "gelu_new", "architectures": ["GPTNeoForCausalLM"], "attention_dropout": 0,
    "attention_layers": ["global", "local"] * 6, "attention_types": [[["global", "local"], 6]], "bos_token_id": 50256,
    "embed_dropout": 0, "eos_token_id": 50256, "gradient_checkpointing": False, "hidden_size": 768,
    "initializer_range": 0.02, "intermediate_size": None, "layer_norm_epsilon": 1e-05,
    "max_position_embeddings": 2048, "model_type": "gpt_neo", "num_heads": 12, "num_layers": 12, "resid_dropout": 0,
    "use_cache": True, "vocab_size": 50257, "window_size": 256,
}  # fmt: skip
SIZES_1_3B = {"hidden_size": 2048, "num_layers": 24, "num_heads": 16, "attention_types": [[["global", "local"], 12]]}
SIZES_2_7B = {"hidden_size": 2560, "num_layers": 32, "num_heads": 20, "attention_types": [[["global", "local"], 16]]}


def read(values):
    return gpt_neo.config("config.json", values)


def kinds(types, n_layer, **changes):
    """Each layer's kind, in full, and the cycle that the configuration has."""
    config = read(GPT_NEO_FIELDS | {"num_layers": n_layer, "attention_types": types, "window_size": 3} | changes)
    return [config.attention[layer % len(config.attention)] for layer in range(n_layer)], config.attention


class TestConfig:
    def test_gpt_neo_125m(self):
        assert read(NEO_125M) == GPTConfig(
            n_layer=12, n_head=12, d_model=768, d_mlp=3072, n_ctx=2048, n_vocab=50257, attention=("dense", "banded"),
            band_width=256, activation="gelu_tanh", layer_norm_eps=1e-5,
        )  # fmt: skip

    @pytest.mark.parametrize(
        ("sizes", "n_params"),
        [({}, 125_198_592), (SIZES_1_3B, 1_315_575_808), (SIZES_2_7B, 2_651_307_520)],
        ids=["125m", "1.3B", "2.7B"],
    )
    def test_a_published_model_has_its_number_of_parameters_and_our_zero_biases(self, sizes, n_params):
        config = read({name: v for name, v in NEO_125M.items() if name != "attention_layers"} | sizes)
        assert config.n_params == n_params + config.n_layer * 3 * config.d_model

    @pytest.mark.reference
    def test_a_missing_field_has_the_default_of_transformers(self, transformers):
        written = transformers.GPTNeoConfig().to_dict()
        assert read({"model_type": "gpt_neo"}) == read(written)

    @pytest.mark.parametrize(("intermediate_size", "d_mlp"), [(None, 32), (20, 20)])
    def test_intermediate_size_is_four_times_the_width_if_null(self, intermediate_size, d_mlp):
        assert read(GPT_NEO_FIELDS | {"intermediate_size": intermediate_size}).d_mlp == d_mlp

    def test_without_local_layers_there_is_no_band(self):
        assert read(GPT_NEO_FIELDS | {"window_size": 256}) == small_config()

    @pytest.mark.parametrize(
        ("changes", "reason"),
        [
            ({"activation_function": "swish"}, "activation 'swish' is not supported: known are gelu_new"),
            ({"num_layers": "2"}, "num_layers must be an integer from 1 to 10000, got '2'"),
            ({"num_layers": None}, "num_layers must be an integer"),
            ({"num_layers": True, "attention_types": [[["global"], 1]]}, "num_layers must be an integer"),
            ({"num_layers": 2.0}, "num_layers must be an integer"),
            ({"num_layers": 0, "attention_types": []}, "num_layers must be an integer from 1"),
            ({"num_layers": -2}, "num_layers must be an integer from 1"),
            ({"num_heads": None}, "n_head must be an integer"),
            ({"num_heads": 3}, "not a multiple of n_head"),
            ({"hidden_size": 8.0}, "d_model must be an integer"),
            ({"intermediate_size": 0}, "d_mlp must be at least 1"),
            ({"max_position_embeddings": []}, "n_ctx must be an integer"),
            ({"vocab_size": {}}, "n_vocab must be an integer"),
            ({"layer_norm_epsilon": 0}, "layer_norm_eps must be positive"),
            ({"tie_word_embeddings": 1}, "tied_embeddings must be True or False"),
            ({"attention_types": [[["local"], 2]], "window_size": 0}, "band_width must be at least 1"),
            ({"attention_types": [[["local"], 2]], "window_size": None}, "banded.* layer needs band_width"),
            ({"attention_types": [[["local"], 2]], "window_size": "256"}, "band_width must be an integer"),
        ],
    )
    def test_what_is_not_supported_is_refused_by_its_name(self, changes, reason):
        with pytest.raises(CheckpointError, match=rf"config\.json: .*{reason}"):
            read(GPT_NEO_FIELDS | changes)


G, L, D, B = "global", "local", "dense", "banded"
MALFORMED = [
    [], [[]], [[[G, L]]], [[[G, L], 1, 1]], [[[G], 1]], [[[G], 3]], [[[G, L], 2]], [[[G], 2], [[L], 1]],
    [[G, 2]], [[[G], "2"]], [[[G], 2.0]], [[[G], None]], [[[G], [2]]], [[2, [G]]], [[None, 2]], [[[None], 2]],
    [[[[G]], 2]], [[[2], 2]], [[["Global"], 2]], [[["sparse"], 2]], [[[G, "strided"], 1]], [[{}, 2]], [[{"a": 1}, 2]],
    [G, L], [1, 2], [None], "", "ab", "global", 2, 2.5, True, False, {}, {"ab": 2}, {G: 2}, [[[G], -2]],
    [[[], 2]], [[[], 10**30]], [[[G], 10**30]], [[[G], -(10**30)]], [[[G], 1e400]], [[[G], float("nan")]],
]  # fmt: skip


class TestAttentionTypes:
    @pytest.mark.parametrize(
        ("types", "layers"),
        [
            ([[[G], 4]], [D] * 4),
            ([[[L], 4]], [B] * 4),
            ([[[G, L], 2]], [D, B, D, B]),
            ([[[L, G], 2]], [B, D, B, D]),
            ([[[G], 1], [[L], 3]], [D, B, B, B]),
            ([[[G, L], 1], [[L, G], 1]], [D, B, B, D]),
            ([[[G], 1], [[L, G], 2]], [D, B, D, B, D]),
            ([[[G, G, L], 2], [[G], 1]], [D, D, B, D, D, B, D]),
            ([[[], 3], [[G], 0], [[G, L], 1]], [D, B]),
        ],
        ids=str,
    )
    def test_every_layer_has_its_kind(self, types, layers):
        assert kinds(types, len(layers))[0] == layers

    @pytest.mark.parametrize(
        ("types", "n_layer", "cycle"),
        [
            ([[[G], 7]], 7, (D,)),
            ([[[G, G], 3]], 6, (D,)),
            ([[[L], 1]], 1, (B,)),
            ([[[G, L], 6]], 12, (D, B)),
            ([[[G, L, G, L], 3]], 12, (D, B)),
            ([[[G], 1], [[L, G], 3]], 7, (D, B)),
            ([[[G, L, L], 2]], 6, (D, B, B)),
            ([[[G], 3], [[L], 1]], 4, (D, D, D, B)),
            ([[[G, L], 2], [[G, G], 1]], 6, (D, B, D, B, D)),
        ],
        ids=str,
    )
    def test_the_cycle_is_the_shortest(self, types, n_layer, cycle):
        assert kinds(types, n_layer)[1] == cycle

    def test_layers_listed_one_by_one_overrule_the_types_as_in_transformers(self):
        assert kinds([[[G], 3]], 3, attention_layers=[G, L, L])[0] == [D, B, B]

    @pytest.mark.reference
    @pytest.mark.parametrize("changes", [{}, {"attention_layers": [L, L, L, G]}], ids=str)
    def test_the_layers_are_those_of_transformers(self, transformers, changes):
        types = [[[G, L, L], 1], [[G], 1]]
        values = transformers.GPTNeoConfig(num_layers=4, attention_types=types).to_dict() | changes
        theirs = transformers.GPTNeoConfig.from_dict(values).attention_layers
        assert kinds(types, 4, **changes)[0] == [{G: D, L: B}[kind] for kind in theirs]

    @pytest.mark.parametrize("types", MALFORMED, ids=str)
    def test_what_does_not_name_each_layer_s_kind_is_refused(self, types):
        with pytest.raises(CheckpointError, match=r"^config\.json: attention_types .* does not name 2 layers' kinds"):
            read(GPT_NEO_FIELDS | {"attention_types": types})

    @pytest.mark.parametrize(
        "layers", [None, [], [G], [G] * 3, [G, "sparse"], [[G], 2], [[[G], 2]], "ab", 2, {}], ids=str
    )
    def test_a_list_that_does_not_name_each_layer_s_kind_is_refused(self, layers):
        with pytest.raises(CheckpointError, match=r"^config\.json: attention_layers .* does not name 2 layers' kinds"):
            read(GPT_NEO_FIELDS | {"attention_layers": layers})

    @pytest.mark.parametrize("n_layer", [10**6, 10**9, 10**4000])
    @pytest.mark.parametrize("words", [[G], [G, L], [G] * 10_000], ids=len)
    def test_a_huge_number_of_repetitions_is_refused_without_memory(self, n_layer, words):
        changes = {"num_layers": n_layer, "attention_types": [[words, n_layer // len(words)]]}
        with little_memory(), pytest.raises(CheckpointError, match="num_layers must be an integer from 1 to 10000"):
            read(GPT_NEO_FIELDS | changes)

    def test_repetitions_of_many_pairs_do_not_add_up_to_more_memory(self):
        changes = {"num_layers": 10_000, "attention_types": [[[G], 9_999]] * 10_000}
        with little_memory(), pytest.raises(CheckpointError, match="does not name 10000 layers' kinds"):
            read(GPT_NEO_FIELDS | changes)

    def test_the_shortest_cycle_of_the_most_layers_is_found_without_memory(self):
        with little_memory():
            assert len(kinds([[[G], 9_998], [[L], 1], [[G], 1]], 10_000)[1]) == 9_999

    def test_what_is_wrong_is_shown_in_short(self):
        with pytest.raises(CheckpointError) as refusal:
            read(GPT_NEO_FIELDS | {"attention_types": [[["x" * 10_000], 2]]})
        assert len(str(refusal.value)) < 200


class TestParameters:
    def read(self, tensors, config, dtype=np.float32):
        return gpt_neo.parameters("model.safetensors", tensors, config, dtype)[1]

    @pytest.mark.parametrize("dtype", [np.float32, np.float64])
    @pytest.mark.parametrize("n_head", [1, 2, 8])
    def test_queries_are_multiplied_by_the_root_of_the_width_of_a_head_that_attention_divides_by(self, n_head, dtype):
        config = small_config(n_head=n_head)
        original = random_parameters(config)
        parameters = self.read(gpt_neo_tensors(original), config, dtype)
        for layer in range(config.n_layer):
            before = original[f"h.{layer}.attn.c_attn.weight"].astype(dtype)
            after = parameters[f"h.{layer}.attn.c_attn.weight"]
            assert after.dtype == dtype
            root = (8 / n_head) ** 0.5
            np.testing.assert_allclose(after[:, :8], before[:, :8] * root, rtol=2 * np.finfo(dtype).eps, atol=0)
            np.testing.assert_array_equal(after[:, 8:], before[:, 8:])

    def test_the_biases_that_the_file_has_not_are_zero(self):
        config = small_config()
        parameters = self.read(gpt_neo_tensors(random_parameters(config)), config)
        for layer in range(config.n_layer):
            bias = parameters[f"h.{layer}.attn.c_attn.bias"]
            assert (bias.shape, bias.dtype) == ((24,), np.float32)
            assert not bias.any()

    @pytest.mark.parametrize("prefix", ["transformer.", ""])
    def test_masks_of_old_exports_are_ignored(self, prefix):
        config = small_config(attention=("dense", "banded"), band_width=3)
        tensors = gpt_neo_tensors(random_parameters(config), prefix)
        masks = {
            f"{prefix}h.{n}.attn.attention.{name}": mask
            for n in (0, 1)
            for name, mask in [("bias", np.ones((1, 1, 12, 12), bool)), ("masked_bias", np.float32(-1e9))]
        }
        with_masks = self.read(tensors | masks, config)
        without = self.read(tensors, config)
        assert set(with_masks) == set(without)
        for name, array in without.items():
            np.testing.assert_array_equal(with_masks[name], array)

    @pytest.mark.parametrize("extra", ["q_proj.bias", "k_proj.bias", "v_proj.bias"])
    def test_biases_of_queries_keys_or_values_are_refused(self, extra):
        config = small_config()
        tensors = gpt_neo_tensors(random_parameters(config))
        with pytest.raises(CheckpointError, match=rf"not part of this model, among them h\.1\.attn\.{extra}"):
            self.read(tensors | {f"transformer.h.1.attn.attention.{extra}": np.ones(8, np.float32)}, config)
