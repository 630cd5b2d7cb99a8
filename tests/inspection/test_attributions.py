import json

import numpy as np
import pytest
from support.places import DATA
from support.references import random_parameters

import gptcompare as gc
from gptcompare.inspection import attribution, attributions, changing
from gptcompare.model.ops import log_softmax

EXPECTED = json.loads((DATA / "attributions.json").read_text(encoding="utf-8"))
IDS = EXPECTED["ids"]
SHAPE = {"n_layer": 2, "n_head": 2, "d_model": 12, "n_ctx": 16, "n_vocab": 61}
CHECKPOINTS = sorted(path.name for path in (DATA / "logits").iterdir())


def checkpoint(name, dtype=np.float32):
    return gc.GPT.from_pretrained(DATA / "logits" / name, dtype=dtype)


def random_model(dtype=np.float64, scale=1.0, **changes):
    config = gc.GPTConfig(**{**SHAPE, **changes})
    parameters = {name: value * scale for name, value in random_parameters(config, 0, dtype).items()}
    return gc.GPT(config, parameters, dtype=dtype)


def with_embeddings(change):
    """A hook that changes the embeddings of the tokens, (B, T, D)."""
    return changing({"hook_embed": change})


@pytest.mark.parametrize(
    "expected", EXPECTED["attributions"], ids=lambda of: f"{of['folder']} {','.join(map(str, of['options'].values()))}"
)
def test_they_are_captum_s(expected):
    """tests/data/make_attributions.py."""
    found = attribution(checkpoint(expected["folder"], np.float64), IDS, **expected["options"])
    largest = np.abs(expected["scores"]).max()
    np.testing.assert_allclose(found.scores, expected["scores"], rtol=1e-6, atol=1e-6 * largest)


class TestTheyAddUp:
    @pytest.mark.parametrize("baseline", ["zero", "mean", 7])
    @pytest.mark.parametrize("name", ["nano-gpt2", "nano-gpt3"])
    def test_of_the_embedded_pair_in_64_steps(self, name, baseline):
        lm = gc.load(name)
        ids = lm.encode("The old man went to the river, and when")
        assert abs(attribution(lm.model, ids, lm.encode(" he")[0], baseline=baseline).gap) < 1e-3

    @pytest.mark.parametrize("against", [None, 11])
    @pytest.mark.parametrize(
        "changes", [{}, {"attention": ("dense", "banded"), "band_width": 3}, {"tied_embeddings": False}]
    )
    def test_of_random_models_in_64_steps(self, changes, against):
        model = random_model(np.float32, **changes)
        assert abs(attribution(model, IDS, 7, against=against).gap) < 1e-3

    @pytest.mark.parametrize("name", CHECKPOINTS)
    def test_of_every_kind_of_checkpoint_with_enough_steps(self, name):
        """Their weights are drawn so wide that some need more than 64; ReLU's slope jumps."""
        model = checkpoint(name)
        found = attribution(model, IDS, 7, n_steps=256)
        allowed = 0.01 * np.abs(found.scores).sum() if model.config.activation == "relu" else 1e-3
        assert abs(found.gap) < allowed

    def test_the_ends_are_what_the_model_computes(self):
        model = random_model()
        row = model(IDS)[5]
        without = model(IDS, hook=with_embeddings(np.zeros_like))[5]
        found = attribution(model, IDS, 7, position=5)
        assert (found.value, found.baseline_value) == pytest.approx((row[7], without[7]), rel=1e-12)
        found = attribution(model, IDS, 7, position=5, quantity="log_probability")
        ends = log_softmax(row)[7], log_softmax(without)[7]
        assert (found.value, found.baseline_value) == pytest.approx(ends, rel=1e-12)

    @pytest.mark.parametrize("baseline", ["mean", 9])
    def test_a_baseline_stands_in_the_place_of_every_token(self, baseline):
        model = random_model()
        table = model.parameters()["wte.weight"]
        instead = table.mean(axis=0) if baseline == "mean" else table[baseline]
        logits = model(IDS, hook=with_embeddings(lambda x: np.broadcast_to(instead, x.shape)))
        assert attribution(model, IDS, 7, baseline=baseline).baseline_value == pytest.approx(logits[-1, 7], rel=1e-12)

    def test_the_gap_is_what_is_left(self):
        found = attribution(random_model(), IDS, 7, method="gradient_x_input")
        assert found.gap == found.value - found.baseline_value - found.scores.sum()
        assert abs(found.gap) > 1e-3


def linear_model():
    """Every number in it is a linear function of the embeddings but for 1e-9: it divides by a constant and averages."""
    model = random_model(layer_norm_eps=1e12)
    parameters = {name: value.copy() for name, value in model.parameters().items()}
    for layer in range(2):
        parameters[f"h.{layer}.attn.c_attn.weight"][:, :24] = 0  # queries and keys: all keys have the same weight
        parameters[f"h.{layer}.mlp.c_fc.weight"][...] = 0
        parameters[f"h.{layer}.ln_1.weight"] *= 1e6
    parameters["ln_f.weight"] *= 1e6
    return gc.GPT(model.config, parameters, dtype=np.float64)


@pytest.mark.parametrize("method", ["gradient_x_input", "integrated_gradients"])
def test_in_a_linear_model_a_score_is_what_changes_without_the_token(method):
    model = linear_model()
    found = attribution(model, IDS, 7, method=method)
    whole = model(IDS)[-1, 7]
    for position, score in enumerate(found.scores):

        def without(x, position=position):
            x[:, position] = 0
            return x

        assert score == pytest.approx(whole - model(IDS, hook=with_embeddings(without))[-1, 7], rel=1e-6)
    assert np.abs(found.scores).min() > 1e-3
    assert found.gap == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("method", ["gradient_x_input", "integrated_gradients"])
class TestWhatCannotMatter:
    def test_tokens_after_the_position_have_0_and_the_others_what_they_have_without_them(self, method):
        model = random_model()
        found = attribution(model, IDS, 7, position=4, method=method)
        assert not found.scores[5:].any()
        np.testing.assert_array_equal(found.scores[:5], attribution(model, IDS[:5], 7, method=method).scores)

    def test_tokens_that_no_band_reaches_have_0_and_all_others_do_not(self, method):
        model = random_model(attention=("banded",), band_width=3)
        found = attribution(model, IDS, 7, method=method)
        seen = model.config.n_layer * (3 - 1) + 1
        assert (found.scores != 0).tolist() == [False] * (len(IDS) - seen) + [True] * seen

    def test_a_token_that_is_the_baseline_has_0(self, method):
        found = attribution(random_model(), IDS, 7, baseline=IDS[0], method=method)
        assert [n for n, score in enumerate(found.scores) if score == 0] == [
            n for n, id_ in enumerate(IDS) if id_ == IDS[0]
        ]


def test_of_one_token_against_another_it_is_the_difference_of_the_two():
    model = random_model()
    he, she = (attribution(model, IDS, token) for token in (7, 40))
    both = attribution(model, IDS, 7, against=40)
    np.testing.assert_allclose(both.scores, he.scores - she.scores, rtol=0, atol=1e-12)
    assert both.value == pytest.approx(he.value - she.value, rel=1e-12)
    swapped = attribution(model, IDS, 40, against=7)
    np.testing.assert_allclose(swapped.scores, -both.scores, rtol=0, atol=1e-12)


def test_against_another_token_logits_and_log_probabilities_say_the_same():
    model = random_model()
    he, she = (attribution(model, IDS, token, quantity="log_probability") for token in (7, 40))
    logits = attribution(model, IDS, 7, against=40)
    np.testing.assert_allclose(logits.scores, he.scores - she.scores, rtol=0, atol=1e-12)
    both = attribution(model, IDS, 7, against=40, quantity="log_probability")
    np.testing.assert_array_equal(both.scores, logits.scores)


@pytest.mark.parametrize("together", [1, 30, 10_000])
def test_any_number_of_steps_at_a_time_gives_the_same(together, monkeypatch):
    model = random_model()
    expected = attribution(model, IDS, 7)
    monkeypatch.setattr(attributions, "TOKENS_TOGETHER", together)
    found = attribution(model, IDS, 7)
    np.testing.assert_allclose(found.scores, expected.scores, rtol=0, atol=1e-12)
    assert (found.value, found.baseline_value) == pytest.approx((expected.value, expected.baseline_value), rel=1e-12)


def test_float32_gives_what_float64_does_to_single_precision():
    exact, found = (attribution(random_model(dtype), IDS, 7) for dtype in (np.float64, np.float32))
    np.testing.assert_allclose(found.scores, exact.scores, rtol=0, atol=1e-5 * np.abs(exact.scores).max())
    assert found.scores.dtype == np.float64


class TestResult:
    def test_the_best_are_the_largest_of_either_sign(self):
        found = attribution(random_model(), IDS, 7)
        best = found.best(2)
        assert [abs(score) for _, score in best] == sorted(np.abs(found.scores), reverse=True)[:2]
        assert all(found.scores[position] == score for position, score in best)

    def test_its_tokens_have_their_scores_beside_them(self):
        lm = gc.load("nano-gpt2")
        ids = lm.encode("Once upon a")
        found = attribution(lm.model, ids, lm.encode(" time")[0], n_steps=4)
        tokens = found.tokens(lm.tokenizer)
        assert list(tokens) == [(lm.tokenizer.bytes_of(id_), s) for id_, s in zip(ids, found.scores, strict=True)]
        assert str(tokens).splitlines()[-1] == f"{found.scores[-1]:+9.3f}  {'␣a'!r}"

    def test_the_position_is_said_from_the_beginning(self):
        assert attribution(random_model(), IDS, 7, position=-2).position == len(IDS) - 2
        assert "logit of token 7 against 8 after token 7: " in repr(
            attribution(random_model(), IDS, 7, against=8, position=-2)
        )


@pytest.mark.parametrize(
    ("given", "error", "words"),
    [
        ({"ids": [IDS, IDS]}, ValueError, "of one sequence, not of a batch"),
        ({"ids": [61]}, ValueError, "id 61 at index 0 is not in the vocabulary"),
        ({"ids": [0] * 17}, ValueError, "do not fit into the context of 16 tokens"),
        ({"target": 61}, ValueError, "there is no token 61: the vocabulary has 61"),
        ({"target": "he"}, TypeError, "target must be an integer, got 'he'"),
        ({"against": -1}, ValueError, "against must be at least 0, got -1"),
        ({"against": 7}, ValueError, "token 7 cannot be explained against itself"),
        ({"position": 9}, ValueError, r"there is no position 9: there are 0 \.\.\. 8"),
        ({"quantity": "loss"}, ValueError, "quantity must be logit or log_probability, got 'loss'"),
        ({"method": "lime"}, ValueError, "method must be integrated_gradients or gradient_x_input, got 'lime'"),
        ({"n_steps": 0}, ValueError, "n_steps must be at least 1, got 0"),
        ({"n_steps": 1025}, ValueError, "n_steps must be at most 1024, got 1025"),
        ({"method": "gradient_x_input", "n_steps": 9}, ValueError, "n_steps is not for it, got 9"),
        ({"baseline": "pad"}, ValueError, "baseline must be zero, mean or the id of a token, got 'pad'"),
        ({"baseline": 61}, ValueError, "there is no token 61"),
        ({"model": None}, TypeError, "model must be a GPT, got NoneType"),
        ({"model": random_model().changed({"hook_embed": np.negative})}, ValueError, "cannot be differentiated"),
    ],
)
def test_what_does_not_fit_is_refused(given, error, words):
    with pytest.raises(error, match=words):
        attribution(**{"model": random_model(), "ids": IDS, "target": 7, **given})
