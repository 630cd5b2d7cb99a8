import pytest

import gptcompare as gc
from gptcompare.presets import gpt_neo, published

SAME_SIZE = {"gpt-neo-125m": "gpt3-small", "gpt-neo-1.3b": "gpt3-xl", "gpt-neo-2.7b": "gpt3-2.7b"}


@pytest.mark.parametrize("name", SAME_SIZE)
def test_a_replica_has_the_shape_and_parameters_of_gpt3_s_size(name):
    ours, theirs = gc.GPTConfig.preset(name), gc.GPTConfig.preset(SAME_SIZE[name])
    assert (ours.n_layer, ours.d_model, ours.n_ctx) == (theirs.n_layer, theirs.d_model, theirs.n_ctx)
    assert (ours.attention, ours.band_width) == (("dense", "banded"), 256)
    assert ours.n_params == theirs.n_params


def test_tokens_that_only_the_model_card_counts_are_left_out_with_a_note():
    for name in gpt_neo.MODELS:
        training = published(name).training
        assert training.tokens is None
        assert "unverified" in training.note


@pytest.mark.reference
@pytest.mark.parametrize("name", SAME_SIZE)
def test_transformers_counts_the_same_parameters_but_for_the_biases_in_the_notes(name):
    torch = pytest.importorskip("torch", reason="needs the `reference` extra")
    transformers = pytest.importorskip("transformers", reason="needs the `reference` extra")
    config = gc.GPTConfig.preset(name)
    theirs = transformers.GPTNeoConfig(
        num_layers=config.n_layer,
        num_heads=config.n_head,
        hidden_size=config.d_model,
        attention_types=[[["global", "local"], config.n_layer // 2]],
    )
    with torch.device("meta"):
        n_params = transformers.GPTNeoForCausalLM(theirs).num_parameters()
    assert (theirs.vocab_size, theirs.max_position_embeddings) == (config.n_vocab, config.n_ctx)
    assert (theirs.window_size, theirs.activation_function) == (config.band_width, "gelu_new")
    assert n_params == config.n_params - 3 * config.n_layer * config.d_model
