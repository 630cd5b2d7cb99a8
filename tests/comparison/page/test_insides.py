import base64

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.models import random_model

import gptcompare as gc
from gptcompare.comparison.page.insides import TEMPERATURES, Labels, Window, inside, lens_blocks, log_sums, window
from gptcompare.generation.scoring import windows
from gptcompare.inspection import logit_lens, trace
from gptcompare.model.ops import log_softmax
from gptcompare.patterns import visible_keys

TEXT = "Once upon a time there was a little rabbit, who lived with his mother in a house under a tree."


@pytest.fixture(scope="module", params=["nano-gpt2", "nano-gpt3"])
def lm(request):
    return gc.load(request.param)


@pytest.fixture(scope="module")
def read(lm):
    """(model, ids, what is shown of them from the third on, the labels, a trace of the whole)."""
    ids, labels = lm.encode(TEXT), Labels()
    found = inside(lm, ids, Window(start=2, stop=len(ids), read_from=0, n_attention=9), labels)
    return lm, ids, found, labels.to_list(), trace(lm.model, ids)


def test_the_alternatives_are_the_likeliest_tokens_of_the_whole_vocabulary(read):
    lm, ids, found, labels, traced = read
    logprobs = log_softmax(traced.logits.astype(np.float64))
    for n, position in enumerate(range(2, len(ids))):
        row = logprobs[position - 1]
        expected = np.argsort(-row, kind="stable")[:10]
        assert [value for _, value in found["alternatives"][n]] == pytest.approx(row[expected], abs=1e-4)
        assert found["came"][n] == pytest.approx(row[ids[position]], abs=1e-4)
        assert found["ranks"][n] == 1 + np.count_nonzero(row > row[ids[position]])
        if found["ranks"][n] <= 10:
            came = lm.tokenizer.decode_bytes([ids[position]]).decode().replace(" ", "␣")
            assert labels[found["alternatives"][n][found["ranks"][n] - 1][0]] == repr(came)


def test_a_bar_at_any_temperature_is_the_probability_of_the_whole_vocabulary(read):
    _, ids, found, _, traced = read
    for place, temperature in enumerate(TEMPERATURES):
        scaled = traced.logits[1 : len(ids) - 1].astype(np.float64) / temperature
        expected = np.sort(np.exp(log_softmax(scaled)), axis=-1)[:, ::-1][:, :10]
        bars = [
            [np.exp(nats / temperature - log_z[place]) for _, nats in tokens]
            for tokens, log_z in zip(found["alternatives"], found["log_z"], strict=True)
        ]
        assert np.array(bars) == pytest.approx(expected, abs=2e-4 / temperature)


def test_the_lens_is_that_of_the_trace(read):
    lm, ids, found, _labels, traced = read
    probabilities = np.exp(logit_lens(traced))
    assert found["lens_blocks"] == [*range(lm.config.n_layer + 1)]
    for n, position in enumerate(range(2, len(ids))):
        for height, tokens in enumerate(found["lens"][n]):
            likeliest = probabilities[height, position - 1]
            assert [value for _, value in tokens] == pytest.approx(np.sort(likeliest)[::-1][:3], abs=1e-4)


def test_each_weight_is_kept_to_a_254th_of_its_square_root(read):
    lm, _, found, _, traced = read
    attention, (n_layer, n_head) = found["attention"], (lm.config.n_layer, lm.config.n_head)
    n = attention["n"]
    stored = np.frombuffer(base64.b64decode(attention["weights"]), np.uint8).reshape(n_layer, n_head, n * (n + 1) // 2)
    rows, columns = np.tril_indices(n)
    expected = np.sqrt(traced.patterns()[:, :, 2 : 2 + n, 2 : 2 + n][:, :, rows, columns])
    assert (n, attention["start"]) == (9, 2)
    assert np.abs(np.maximum(stored - 1.0, 0) / 254 - expected).max() <= 0.5 / 254 + 1e-6


SIZES = {
    "banded": {"band_width": 3},
    "strided": {"stride": 3},
    "fixed": {"stride": 4, "summary_width": 1, "summary_variants": 2},
}


@pytest.mark.parametrize("pattern", SIZES)
def test_a_weight_is_0_where_the_layer_s_pattern_hides_the_key_and_nowhere_else(pattern):
    lm = random_model(gc.load("nano-gpt2"), attention=(pattern, "dense"), **SIZES[pattern])
    found = inside(lm, lm.encode(TEXT), Window(2, 11, 0, 9), Labels())
    stored = np.frombuffer(base64.b64decode(found["attention"]["weights"]), np.uint8).reshape(2, 2, 45)
    rows, columns = np.tril_indices(9)
    for layer, head in np.ndindex(2, 2):
        seen = visible_keys(11, 11, lm.config.pattern_of(layer), head)[2 + rows, 2 + columns]
        assert ((stored[layer, head] > 0) == seen).all()
    assert (stored[0] == 0).any()


def test_nothing_is_expected_before_the_first_token():
    lm = gc.load("nano-gpt2")
    found = inside(lm, [2217, 761], Window(0, 2, 0, 2), Labels())
    for name in ("alternatives", "came", "ranks", "entropies", "log_z", "lens"):
        assert found[name][0] is None
        assert found[name][1] is not None


@given(st.integers(1, 60), st.integers(2, 12), st.integers(0, 70), st.integers(1, 20), st.integers(0, 20))
def test_a_window_is_predicted_as_the_score_was(n_ids, n_ctx, start, n_positions, n_attention):
    of = window(n_ids, n_ctx, start, n_positions, n_attention)
    assert 0 <= of.read_from <= of.start < of.stop <= n_ids
    assert of.stop - of.start <= n_positions
    assert of.n_attention <= n_attention
    assert of.start + of.n_attention <= min(of.stop, of.read_from + n_ctx)
    read_for = {position: one.start for one in windows(n_ids, n_ctx) for position in range(one.first, one.end)}
    assert {read_for.get(position, 0) for position in range(max(of.start, 1), of.stop)} <= {of.read_from}


def test_a_text_longer_than_the_context_shows_what_its_score_was_computed_from():
    lm = gc.load("nano-gpt3")
    ids = (lm.encode(TEXT) * 40)[:900]
    score = np.concatenate(list(lm.predictions(ids)))
    of = window(len(ids), lm.config.n_ctx, 700, 8, 8)
    found = inside(lm, ids, of, Labels())
    expected = log_softmax(score[699:707].astype(np.float64))[np.arange(8), ids[700:708]]
    assert of.read_from > 0
    assert found["came"] == pytest.approx(expected, abs=1e-4)


def test_the_sum_over_the_vocabulary_does_not_overflow():
    logprobs = log_softmax(np.array([[0.0, -900.0, -800.0]]))
    assert log_sums(logprobs)[0] == pytest.approx([0.0] * len(TEMPERATURES))


def test_a_deep_model_shows_the_lens_at_some_heights_the_first_and_the_last_among_them():
    for n_layer in (1, 12, 13, 48, 96):
        blocks = lens_blocks(n_layer)
        assert (blocks[0], blocks[-1]) == (0, n_layer)
        assert blocks == sorted(set(blocks))
        assert len(blocks) == min(n_layer + 1, 13)
