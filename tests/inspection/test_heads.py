import json
from itertools import product

import numpy as np
import pytest
from support.pages import module_at
from support.places import DATA

import gptcompare as gc
from gptcompare.inspection import head_scores, trace
from gptcompare.inspection.heads import KINDS_OF_HEADS, shares_of_attention
from gptcompare.model.ops import log_softmax


class TestHeadScores:
    def test_they_are_those_of_transformer_lens(self):
        module = module_at(DATA / "make_head_scores.py")
        for expected in json.loads((DATA / "head_scores.json").read_text(encoding="utf-8")):
            patterns, ids = module.patterns_and_ids(expected["seed"], expected["n"])
            for kind, scores in zip(KINDS_OF_HEADS, shares_of_attention(patterns[None], ids[None]), strict=True):
                assert scores == pytest.approx(np.array(expected[kind]), abs=1e-6)

    @pytest.mark.parametrize("name", ["nano-gpt2", "nano-gpt3"])
    def test_a_share_counts_the_weights_one_by_one(self, name):
        model = gc.load(name).model
        ids = np.array([[5, 9, 5, 7, 9, 5], [1, 1, 2, 1, 2, 1]])
        found = head_scores(model, ids)
        patterns = trace(model, ids).patterns().astype(float)  # (B, L, H, T, T)
        for layer, head in product(range(2), range(3)):
            before = same = followed = 0.0
            for row, i, j in product(range(2), range(6), range(6)):
                weight = patterns[row, layer, head, i, j]
                before += weight * (j == i - 1)
                same += weight * (j < i and ids[row, j] == ids[row, i])
                followed += weight * (0 < j <= i and ids[row, j - 1] == ids[row, i])
            shares = [found.previous_token, found.duplicate_token, found.induction]
            assert [of[layer, head] * 12 for of in shares] == pytest.approx([before, same, followed], rel=1e-6)

    def test_the_losses_are_those_of_the_first_run_and_of_its_repetition(self):
        model = gc.load("nano-gpt2").model
        found = head_scores(model, length=9, batch=3, seed=4)
        assert found.ids.shape == (3, 18)
        assert np.array_equal(found.ids[:, :9], found.ids[:, 9:])
        logprobs = log_softmax(model(found.ids).astype(float))
        losses = -np.take_along_axis(logprobs[:, :-1], found.ids[:, 1:, None], axis=-1)[..., 0]
        assert found.first_loss == pytest.approx(losses[:, :8].mean(), rel=1e-5)
        assert found.second_loss == pytest.approx(losses[:, 8:].mean(), rel=1e-5)

    def test_the_best_heads_come_first(self):
        found = head_scores(gc.load("nano-gpt3").model)
        (layer, head, score), second = found.best("previous_token", 2)
        assert score == found.previous_token.max() == found.previous_token[layer, head] >= second[2]
        with pytest.raises(ValueError, match="kind must be one of previous_token, duplicate_token, induction"):
            found.best("copying")

    @pytest.mark.parametrize("ids", [[1, 2, 3], [[[1, 2, 3, 4]]], []])
    def test_short_sequences_and_stacks_of_them_are_refused(self, ids):
        with pytest.raises(ValueError, match="at least four tokens"):
            head_scores(gc.load("nano-gpt2").model, ids)
