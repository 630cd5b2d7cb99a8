import numpy as np
import pytest

from gptcompare.generation.noise import Noise
from gptcompare.generation.sampling import Sampling, nucleus

LOGITS = np.random.default_rng(0).standard_normal(50).astype(np.float32) * 3


def test_temperature_zero_takes_the_likeliest_and_needs_no_noise():
    assert Sampling().choose(LOGITS) == LOGITS.argmax()
    with pytest.raises(ValueError, match=r"temperature 0\.5, noise must be given"):
        Sampling(0.5).choose(LOGITS)


def test_top_k_keeps_what_is_as_likely_as_the_kth():
    kept = Sampling(1.0, top_k=2).probabilities(np.array([1.0, 2.0, 2.0, 3.0, 0.0])) > 0
    assert kept.tolist() == [False, True, True, True, False]


def test_top_p_keeps_the_fewest_tokens_that_reach_p():
    probabilities = np.array([0.1, 0.5, 0.15, 0.25])
    assert nucleus(probabilities, 0.5).tolist() == [0, 1, 0, 0]
    assert nucleus(probabilities, 0.75).tolist() == pytest.approx([0, 0.5 / 0.75, 0, 0.25 / 0.75])
    assert (nucleus(probabilities, 1e-9) > 0).sum() == 1


@pytest.mark.parametrize("n_unlikely", [0, 1, 16, 1000])
def test_of_equally_likely_tokens_top_p_keeps_those_of_lower_ids(n_unlikely):
    probabilities = np.array([0.0] * n_unlikely + [0.25] * 4 + [0.0] * n_unlikely)
    assert np.flatnonzero(nucleus(probabilities, 0.5)).tolist() == [n_unlikely, n_unlikely + 1]


def test_restrictions_that_allow_everything_change_nothing():
    plain = Sampling(1.0).probabilities(LOGITS)
    assert np.array_equal(Sampling(1.0, top_k=50, top_p=1.0).probabilities(LOGITS), plain)
    assert np.array_equal(Sampling(1.0, top_k=5000).probabilities(LOGITS), plain)


def test_a_tiny_temperature_is_greedy_and_does_not_overflow():
    for temperature in (1e-300, 5e-324):
        assert Sampling(temperature).probabilities(LOGITS)[LOGITS.argmax()] == 1


def test_numpy_numbers_are_numbers():
    Sampling(np.float32(0.5), np.int64(3), np.float64(0.9))


@pytest.mark.parametrize(
    ("values", "error", "words"),
    [
        ({"temperature": -1}, ValueError, "temperature"),
        ({"temperature": float("nan")}, ValueError, "temperature"),
        ({"temperature": float("inf")}, ValueError, "temperature"),
        ({"temperature": "hot"}, TypeError, "temperature must be a number"),
        ({"top_k": 0}, ValueError, "top_k must be at least 1"),
        ({"top_k": 1.5}, TypeError, "top_k must be an integer"),
        ({"top_p": 0}, ValueError, "top_p"),
        ({"top_p": 1.01}, ValueError, "top_p"),
        ({"top_p": True}, TypeError, "top_p"),
        ({"min_p": 0}, ValueError, "min_p must be above 0"),
        ({"min_p": "a"}, TypeError, "min_p must be a number"),
        ({"repetition_penalty": 0}, ValueError, "repetition_penalty must be a positive"),
        ({"repetition_penalty": float("inf")}, ValueError, "repetition_penalty must be a positive"),
    ],
)
def test_a_value_out_of_range_is_refused(values, error, words):
    with pytest.raises(error, match=words):
        Sampling(**values)


@pytest.mark.parametrize("temperature", [0.0, 1.0])
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_logits_that_are_not_finite_are_refused(temperature, value):
    with pytest.raises(ValueError, match="not finite"):
        Sampling(temperature).choose(np.array([0.0, value]), Noise(0))


def test_a_token_whose_logit_is_minus_infinity_never_comes():
    logits = np.array([-np.inf, 0.0, -np.inf])
    assert {Sampling(5.0).choose(logits, Noise(seed)) for seed in range(20)} == {1}
    with pytest.raises(ValueError, match="not finite"):
        Sampling().choose(np.full(3, -np.inf), Noise(0))


def test_min_p_keeps_what_is_nearly_as_probable_as_the_likeliest():
    plain = Sampling(0.8).probabilities(LOGITS)
    kept = plain >= 0.3 * plain.max()
    assert 1 < kept.sum() < 50
    expected = np.where(kept, plain, 0) / plain[kept].sum()
    assert Sampling(0.8, min_p=0.3).probabilities(LOGITS) == pytest.approx(expected, abs=1e-15)
    assert Sampling(0.8, min_p=1).probabilities(LOGITS)[LOGITS.argmax()] == 1


def test_a_penalty_divides_positive_logits_and_multiplies_negative_ones_of_what_came_before():
    logits = np.array([2.0, -2.0, 3.0, 0.0, -1.0], np.float32)
    sampling = Sampling(1.0, repetition_penalty=2)
    assert sampling.penalised(logits, [0, 1, 1, 0, 3]).tolist() == [1.0, -4.0, 3.0, 0.0, -1.0]
    assert sampling.penalised(logits, []).tolist() == logits.tolist()
    assert sampling.penalised(logits, [0]).dtype == np.float32
    assert logits.tolist() == [2.0, -2.0, 3.0, 0.0, -1.0]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_a_penalty_of_any_size_gives_a_token_or_one_clear_error(temperature, dtype):
    logits, noise = np.array([2.0, -2.0, 0.0, 1.0], dtype), Noise(0)
    assert Sampling(temperature, repetition_penalty=1e308).choose(logits, noise, [1, 2]) in (0, 2, 3)
    with pytest.raises(ValueError, match="repetition_penalty 1e-320 takes the logits beyond the largest number"):
        Sampling(temperature, repetition_penalty=1e-320).choose(logits, noise, [0])
    with pytest.raises(ValueError, match="repetition_penalty is larger than any floating-point number"):
        Sampling(temperature, repetition_penalty=10**400)


def test_a_greedy_choice_heeds_the_penalty():
    likeliest, second = np.argsort(-LOGITS)[:2]
    sampling = Sampling(repetition_penalty=100)
    assert sampling.choose(LOGITS) == likeliest
    assert sampling.choose(LOGITS, previous=[likeliest]) == second


@pytest.mark.reference
@pytest.mark.parametrize("seed", range(60))
def test_probabilities_equal_transformers_processors(seed, torch, transformers):
    """In the order in which `generate` of transformers applies them: penalty, temperature, top-k, top-p, min-p."""
    rng = np.random.default_rng(seed)
    logits = rng.standard_normal(200) * 4
    previous = rng.integers(0, 200, rng.integers(1, 100)).tolist()
    temperature, penalty = rng.uniform(0.2, 2), rng.uniform(0.5, 3)
    top_k, top_p, min_p = int(rng.integers(1, 250)), rng.uniform(0.05, 1), rng.uniform(0.01, 1)
    chosen = {"top_k": top_k, "top_p": top_p, "min_p": min_p, "repetition_penalty": penalty}
    chosen = {name: value for name, value in chosen.items() if rng.random() < 0.7}
    processors = {
        "repetition_penalty": lambda: transformers.RepetitionPenaltyLogitsProcessor(penalty),
        "temperature": lambda: transformers.TemperatureLogitsWarper(temperature),
        "top_k": lambda: transformers.TopKLogitsWarper(top_k),
        "top_p": lambda: transformers.TopPLogitsWarper(top_p),
        "min_p": lambda: transformers.MinPLogitsWarper(min_p),
    }
    scores = torch.tensor(logits[None])
    for name, processor in processors.items():
        if name in chosen or name == "temperature":
            scores = processor()(torch.tensor([previous]), scores)
    expected = torch.softmax(scores, dim=-1)[0].numpy()
    found = Sampling(temperature, **chosen).probabilities(logits, previous)
    assert found == pytest.approx(expected, abs=1e-12)


@pytest.mark.reference
def test_the_order_of_the_processors_is_that_of_transformers(torch, transformers):
    model = transformers.GPT2LMHeadModel(transformers.GPT2Config(n_layer=1, n_head=1, n_embd=4, vocab_size=9))
    settings = transformers.GenerationConfig(
        do_sample=True, repetition_penalty=1.5, temperature=0.5, top_k=3, top_p=0.5, min_p=0.5
    )
    processors = model._get_logits_processor(
        settings, input_ids_seq_length=1, encoder_input_ids=None, prefix_allowed_tokens_fn=None, logits_processor=[]
    )
    names = [type(processor).__name__ for processor in processors]
    assert names == [
        "RepetitionPenaltyLogitsProcessor", "TemperatureLogitsWarper", "TopKLogitsWarper", "TopPLogitsWarper",
        "MinPLogitsWarper",
    ]  # fmt: skip
