from itertools import pairwise

import pytest

import gptcompare as gc
from gptcompare.presets import gpt2, published
from gptcompare.presets.record import BITS_PER_BYTE, BITS_PER_CHARACTER, LOSS, PERPLEXITY

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
    assert published(name).n_params_in_print == MILLIONS[name] * 10**6


def test_every_model_has_gpt2_s_context_and_vocabulary():
    for name in gpt2.MODELS:
        config = gc.GPTConfig.preset(name)
        assert (config.n_ctx, config.n_vocab, config.d_head) == (1024, 50257, 64)


@pytest.mark.parametrize("metric", [PERPLEXITY, LOSS, BITS_PER_BYTE, BITS_PER_CHARACTER])
def test_a_larger_model_predicts_every_text_better(metric):
    rows = [{r.task: r.value for r in published(name).results if r.metric == metric} for name in EXACT]
    for smaller, larger in pairwise(rows):
        assert set(smaller) <= set(larger)
        assert all(larger[task] < smaller[task] for task in smaller)


def test_lambada_s_accuracies_are_told_apart_by_how_they_were_scored():
    accuracies = {r.value: r for r in published("gpt2-xl").results if r.task == "LAMBADA" and "accuracy" in r.metric}
    assert accuracies[63.24].metric == "accuracy with a stop-word filter, %"  # Table 3
    assert accuracies[52.66].metric == "accuracy without a stop-word filter, %"  # section 3.3
    assert accuracies[51.21].metric == "accuracy, %"
    assert "lm-evaluation-harness" in accuracies[51.21].note
