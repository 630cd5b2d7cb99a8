import pytest

import gptcompare as gc
from gptcompare.presets import canonical_name, opt, published

SAME_SIZE = {
    "opt-125m": "gpt3-small", "opt-1.3b": "gpt3-xl", "opt-2.7b": "gpt3-2.7b", "opt-6.7b": "gpt3-6.7b",
    "opt-13b": "gpt3-13b",
}  # fmt: skip


@pytest.mark.parametrize("name", SAME_SIZE)
def test_a_replica_has_the_shape_and_learning_rate_of_gpt3_s_size(name):
    ours, theirs = gc.GPTConfig.preset(name), gc.GPTConfig.preset(SAME_SIZE[name])
    assert (ours.n_layer, ours.d_model, ours.n_ctx) == (theirs.n_layer, theirs.d_model, theirs.n_ctx)
    assert published(name).training.learning_rate == published(SAME_SIZE[name]).training.learning_rate


@pytest.mark.parametrize("name", opt.MODELS)
def test_every_layer_is_dense_and_the_activation_is_relu(name):
    config = gc.GPTConfig.preset(name)
    assert (config.attention, config.activation, config.n_vocab) == (("dense",), "relu", 50272)


@pytest.mark.parametrize("name", ["opt-350m", "opt-175b"])
def test_a_model_of_another_architecture_or_without_public_weights_is_unknown(name):
    with pytest.raises(ValueError, match="unknown model"):
        canonical_name(name)


def test_a_larger_model_predicts_the_last_word_of_lambada_better():
    perplexities = [r.value for name in opt.MODELS for r in published(name).results if "perplexity" in r.metric]
    assert len(perplexities) == len(opt.MODELS)
    assert perplexities == sorted(perplexities, reverse=True)


@pytest.mark.reference
@pytest.mark.parametrize("name", opt.MODELS)
def test_transformers_counts_the_same_parameters_and_the_two_positions_in_the_notes(name):
    torch = pytest.importorskip("torch", reason="needs the `reference` extra")
    transformers = pytest.importorskip("transformers", reason="needs the `reference` extra")
    config = gc.GPTConfig.preset(name)
    theirs = transformers.OPTConfig(
        num_hidden_layers=config.n_layer,
        num_attention_heads=config.n_head,
        hidden_size=config.d_model,
        word_embed_proj_dim=config.d_model,
        ffn_dim=config.d_mlp,
    )
    with torch.device("meta"):
        n_params = transformers.OPTForCausalLM(theirs).num_parameters()
    assert (theirs.vocab_size, theirs.max_position_embeddings) == (config.n_vocab, config.n_ctx)
    assert (theirs.activation_function, theirs.do_layer_norm_before) == (config.activation, True)
    assert n_params == config.n_params + 2 * config.d_model
