import pytest

import gptcompare as gc

# Counted from the published checkpoints; 124,439,808 and 1,557,611,200 are in print to the last digit, the others
# rounded as in github.com/openai/gpt-2, DEVELOPERS.md. distilgpt2's model card says 82 million.
EXACT = {"gpt2": 124_439_808, "gpt2-medium": 354_823_168, "gpt2-large": 774_030_080, "gpt2-xl": 1_557_611_200}
MILLIONS = {"124M": 124, "355M": 355, "774M": 774, "1558M": 1558, "distilgpt2": 82}


@pytest.mark.parametrize("name", EXACT)
def test_a_published_model_has_its_published_number_of_parameters(name):
    assert gc.GPTConfig.preset(name).n_params == EXACT[name]


@pytest.mark.parametrize("name", MILLIONS)
def test_a_model_has_its_published_millions_of_parameters(name):
    assert round(gc.GPTConfig.preset(name).n_params / 1e6) == MILLIONS[name]


def test_every_name_has_a_configuration_with_gpt2_s_context_and_vocabulary():
    for name in gc.presets():
        config = gc.GPTConfig.preset(name)
        assert (config.n_ctx, config.n_vocab, config.d_head) == (1024, 50257, 64)


def test_an_unknown_name_is_refused_with_the_nearest_ones():
    with pytest.raises(ValueError, match="did you mean gpt2-medium"):
        gc.GPTConfig.preset("gpt2-medum")
