import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.places import ALICE

import gptcompare as gc
from gptcompare.generation.scoring import windows

N_IDS, N_CTX = st.integers(0, 60), st.integers(1, 12)


class TestWindows:
    @given(n_ids=N_IDS, n_ctx=N_CTX, data=st.data())
    def test_each_id_but_the_first_is_predicted_once(self, n_ids, n_ctx, data):
        found = windows(n_ids, n_ctx, data.draw(st.none() | st.integers(1, n_ctx)))
        assert [n for window in found for n in range(window.first, window.end)] == [*range(1, n_ids)]

    @given(n_ids=N_IDS, n_ctx=N_CTX, data=st.data())
    def test_a_window_fits_into_the_context_and_fills_it_if_it_is_not_the_first(self, n_ids, n_ctx, data):
        stride = data.draw(st.integers(1, n_ctx))
        for number, (start, first, end) in enumerate(windows(n_ids, n_ctx, stride)):
            assert 0 <= start < first < end
            assert end - 1 - start == n_ctx or (number == 0 and end == n_ids and end - 1 < n_ctx)
            assert first - start >= (1 if number == 0 else n_ctx - stride + 1)

    def test_windows_without_a_stride_overlap_by_half(self):
        assert [*windows(31, 10)] == [*windows(31, 10, 5)]
        assert [*windows(4, 1)] == [(0, 1, 2), (1, 2, 3), (2, 3, 4)]

    @pytest.mark.parametrize("stride", [0, 11, -1])
    def test_another_stride_is_refused(self, stride):
        with pytest.raises(ValueError, match=f"context of 10 tokens, got {stride}"):
            next(windows(31, 10, stride))

    @pytest.mark.parametrize("stride", ["a", 2.5, True, [5]])
    def test_a_stride_that_is_no_integer_is_refused(self, stride):
        with pytest.raises(TypeError, match="stride must be an integer, got"):
            next(windows(31, 10, stride))

    @pytest.mark.reference
    @pytest.mark.filterwarnings("ignore")
    @settings(deadline=None)  # the first import takes seconds
    @given(n_ids=N_IDS, n_ctx=N_CTX, data=st.data())
    def test_they_are_those_of_the_evaluation_harness(self, n_ids, n_ctx, data):
        harness = pytest.importorskip("lm_eval.utils", reason="needs the `reference` extra")
        stride = data.draw(st.integers(1, n_ctx))
        ids = [*range(n_ids)]
        theirs = harness.get_rolling_token_windows(ids[1:], 0, n_ctx, n_ctx - stride + 1)
        ours = [(ids[start:first], ids[first:end]) for start, first, end in windows(n_ids, n_ctx, stride)]
        assert ours == [harness.make_disjoint_window(pair) for pair in theirs]


def test_a_perplexity_beyond_a_float_is_infinite():
    assert gc.Score([1, 2], [-1000.0], 3).perplexity == math.inf


def test_a_shorter_stride_lets_the_model_see_more():
    lm = gc.load("nano-gpt2")
    text = ALICE.read_text(encoding="utf-8")[:10000]
    losses = {stride: lm.score(text, stride=stride).bits_per_byte for stride in (128, 256, 512)}
    assert max(losses[128], losses[256]) < losses[512]
    assert lm.score(text).bits_per_byte == losses[256]
