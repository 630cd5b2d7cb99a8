import dataclasses

import numpy as np
import pytest

import gptcompare as gc
from gptcompare import plots
from gptcompare.patterns import Banded, Dense, Fixed, Strided

TOKENS = ["Once", " upon", " $a$", "\n"]


LABELS = ["Once", "␣upon", r"␣\$a\$", "⏎"]


def labels(axis):
    return [text.get_text() for text in axis.get_ticklabels()]


@pytest.mark.plots
class TestAttentionMap:
    def test_rows_are_queries_and_columns_keys_with_the_tokens_at_them(self, ax):
        weights = np.tril(np.arange(16.0).reshape(4, 4))[2:]
        assert plots.attention_map(weights, TOKENS, ax) is ax
        (image,) = ax.get_images()
        np.testing.assert_array_equal(image.get_array(), weights)
        assert labels(ax.xaxis) == LABELS
        assert labels(ax.yaxis) == LABELS[2:]
        assert (ax.get_xlabel(), ax.get_ylabel()) == ("key", "query")

    def test_a_pattern_is_what_its_definition_says(self, ax):
        for pattern in (Dense(), Banded(3), Strided(4), Fixed(4, 1, 1)):
            plots.attention_pattern(pattern, 12, ax)
            expected = pattern.sees(np.arange(12)[:, None], np.arange(12), 0)
            np.testing.assert_array_equal(ax.get_images()[-1].get_array(), expected)
        assert ax.get_title().startswith("fixed, ")

    @pytest.mark.parametrize(("shape", "words"), [((2, 4, 4), "from one head"), ((4, 5), "4 tokens for 5 keys")])
    def test_what_does_not_fit_is_refused(self, ax, shape, words):
        with pytest.raises(ValueError, match=words):
            plots.attention_map(np.zeros(shape), TOKENS, ax)


@pytest.mark.plots
def test_the_logit_lens_has_the_likeliest_token_of_each_layer_and_position(ax):
    logprobs = np.log(np.random.default_rng(0).dirichlet(np.ones(6), size=(3, 4)))
    assert plots.logit_lens(logprobs, TOKENS, lambda ids: f" t{ids[0]}", ax) is ax
    texts = {text.get_position()[::-1]: text.get_text() for text in ax.texts}
    assert texts == {place: f"␣t{logprobs[place].argmax()}" for place in np.ndindex(3, 4)}
    np.testing.assert_allclose(ax.get_images()[0].get_array(), np.exp(logprobs.max(axis=-1)))
    assert labels(ax.yaxis) == ["embedding", "block 0", "block 1"]
    assert labels(ax.xaxis) == LABELS


@pytest.mark.plots
def test_a_token_of_control_characters_is_a_label_that_can_be_seen(ax):
    logprobs = np.log(np.full((1, 1, 2), 0.5))
    plots.logit_lens(logprobs, ["\x00\x1b"], lambda ids: "\x07\t", ax)
    assert [text.get_text() for text in ax.texts] == ["␇    "]
    assert labels(ax.xaxis) == ["␀␛"]


@pytest.mark.plots
class TestSurprise:
    def test_it_is_in_bits_and_models_share_the_axes(self, ax):
        plots.surprise(TOKENS, np.log([0.5, 0.25, 0.125, 1.0]), ax, label="one")
        plots.surprise(TOKENS, np.log([0.25, 0.25, 0.25, 0.25]), ax, label="other")
        first, second = ax.get_lines()
        np.testing.assert_allclose(first.get_ydata(), [1, 2, 3, 0], atol=1e-12)
        np.testing.assert_allclose(second.get_ydata(), 2)
        assert first.get_color() != second.get_color()
        assert [text.get_text() for text in ax.get_legend().get_texts()] == ["one", "other"]
        assert labels(ax.xaxis) == LABELS

    def test_a_logprob_for_each_token_is_asked_for(self, ax):
        with pytest.raises(ValueError, match="4 tokens and 3 log-probabilities"):
            plots.surprise(TOKENS, [-1.0] * 3, ax)


@pytest.mark.plots
@pytest.mark.usefixtures("ax")  # which is skipped without matplotlib
class TestAllHeads:
    def test_there_is_a_small_map_for_each_head_of_each_layer(self):
        model = gc.load("nano-gpt3").model
        trace, n_head = model.trace([5, 6, 7, 8]), model.config.n_head
        figure = plots.all_heads(trace)
        assert len(figure.axes) == model.config.n_layer * n_head
        for number, ax in enumerate(figure.axes):
            (image,) = ax.get_images()
            np.testing.assert_allclose(image.get_array(), np.sqrt(trace.patterns()[divmod(number, n_head)]))
        assert [ax.get_ylabel() for ax in figure.axes[::n_head]] == [
            f"layer {layer}\n{kind}" for layer, kind in enumerate(("banded", "dense") * 3)
        ]

    def test_a_batch_is_refused(self):
        with pytest.raises(ValueError, match="of one sequence"):
            plots.all_heads(gc.load("nano-gpt2").model.trace([[1, 2], [3, 4]]))


@pytest.fixture(scope="module")
def found():
    return gc.inspection.attribution(gc.load("nano-gpt2").model, [5, 6, 7, 8], 9, n_steps=4)


@pytest.mark.plots
class TestAttribution:
    def test_a_bar_is_as_long_as_its_score_and_its_colour_says_the_sign(self, ax, found):
        from matplotlib.colors import to_rgba

        assert plots.attribution(found, TOKENS, ax) is ax
        np.testing.assert_allclose([bar.get_height() for bar in ax.patches], found.scores)
        above, below = (to_rgba(colour) for colour in plots.COLOURS[:2])
        assert [bar.get_facecolor() for bar in ax.patches] == [above if s > 0 else below for s in found.scores]
        assert labels(ax.xaxis) == LABELS
        assert min(text.get_fontsize() for text in ax.get_xticklabels() + ax.get_yticklabels()) >= 8

    def test_the_axis_says_what_is_explained(self, ax, found):
        assert plots.attribution(found, TOKENS, ax).get_ylabel() == "added to the logit"
        against = dataclasses.replace(found, against=3, quantity="log_probability")
        assert plots.attribution(against, TOKENS, ax).get_ylabel() == "added to the logit difference"
        logprob = dataclasses.replace(found, quantity="log_probability")
        assert plots.attribution(logprob, TOKENS, ax).get_ylabel() == "added to the log-probability"

    def test_a_text_for_each_token_is_asked_for(self, ax, found):
        with pytest.raises(ValueError, match="3 tokens and 4 scores"):
            plots.attribution(found, TOKENS[:3], ax)
