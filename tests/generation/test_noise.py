import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gptcompare.generation.noise import Noise
from gptcompare.generation.sampling import Sampling

SEEDS = st.integers(0, 2**70)
POSITIONS = st.integers(0, 2**40)
LOGITS = np.random.default_rng(0).standard_normal(50).astype(np.float32) * 3
N = 20_000


def percentile_999(degrees):
    """The 99.9th percentile of the chi-squared distribution, by Wilson and Hilferty (1931): within 1 %."""
    return degrees * (1 - 2 / (9 * degrees) + 3.0902 * (2 / (9 * degrees)) ** 0.5) ** 3


@given(SEEDS, POSITIONS, st.integers(1, 300), st.integers(1, 300))
def test_the_number_of_a_token_depends_on_the_seed_the_position_and_its_id_alone(seed, position, n, other):
    noise = Noise(seed)
    expected = Noise(seed).at(position, n)
    noise.at(position + 1, other)
    assert noise.at(position, other)[:n].tolist() == expected[:other].tolist()


@given(st.lists(st.tuples(SEEDS, POSITIONS), min_size=2, max_size=2, unique=True))
def test_another_seed_or_position_has_other_numbers(pairs):
    one, other = (Noise(seed).at(position, 4) for seed, position in pairs)
    assert not set(one) & set(other)


def test_a_seed_of_many_digits_is_not_taken_for_a_smaller_one_at_another_position():
    assert Noise(1 + (7 << 32)).at(0, 2).tolist() != Noise(1).at(7, 2).tolist()


def test_without_a_seed_the_numbers_differ_each_time_but_not_within_one_text():
    noise = Noise(None)
    assert noise.at(3, 5).tolist() == noise.at(3, 5).tolist()
    assert noise.at(3, 5).tolist() != Noise(None).at(3, 5).tolist()


@given(st.lists(st.floats(0, 1), min_size=1, max_size=30).filter(any), SEEDS)
def test_no_token_of_probability_zero_is_chosen(weights, seed):
    probabilities = np.array(weights)
    assert probabilities[Noise(seed).draw(probabilities, 0)] > 0
    assert (Noise(seed).at(0, len(weights)) > 0).all()


@pytest.mark.parametrize(
    "options",
    [{}, {"temperature": 0.7}, {"top_k": 8}, {"top_p": 0.8}, {"min_p": 0.05}, {"repetition_penalty": 1.5}],
    ids=str,
)
def test_draws_follow_the_distribution(options):
    sampling = Sampling(**{"temperature": 1.0, **options})
    previous = [int(LOGITS.argmax())]
    probabilities = sampling.probabilities(LOGITS, previous)
    counts = np.bincount([sampling.choose(LOGITS, Noise(seed), previous) for seed in range(N)], minlength=50)
    assert not counts[probabilities == 0].any()
    often = N * probabilities >= 5  # below that, the counts of all the others are taken together
    expected = np.append(N * probabilities[often], N * probabilities[~often].sum())
    found = np.append(counts[often], counts[~often].sum())
    possible = expected > 0
    chi_squared = ((found - expected)[possible] ** 2 / expected[possible]).sum()
    assert chi_squared < percentile_999(possible.sum() - 1)


def test_draws_at_successive_positions_are_independent():
    noise = Noise(1)
    p = np.full(4, 0.25)
    chosen = np.array([noise.draw(p, position) for position in range(N)])
    pairs = np.bincount(4 * chosen[:-1] + chosen[1:], minlength=16)
    assert ((pairs - N / 16) ** 2 / (N / 16)).sum() < percentile_999(15)


def coupling(p, q):
    """The probability that both choose the same token, exactly.

    Token i is the first for both if e_i / p_i < e_j / p_j and e_i / q_i < e_j / q_j for all j, that is, if e_i is less
    than e_j / max(p_j / p_i, q_j / q_i): a race of exponential numbers with these rates, which i wins with probability
    1 / (their sum).
    """
    return sum(1 / np.maximum(p / p[i], q / q[i]).sum() for i in range(len(p)))


@pytest.mark.parametrize("difference", [0.1, 1.0, 3.0])
def test_two_models_choose_the_same_token_as_often_as_the_race_allows(difference):
    rng = np.random.default_rng(2)
    p, q = (np.exp(LOGITS + rng.normal(0, difference, 50)) for _ in range(2))
    p, q = p / p.sum(), q / q.sum()
    same = np.mean([noise.draw(p, 0) == noise.draw(q, 0) for noise in map(Noise, range(N))])
    expected = coupling(p, q)
    assert abs(same - expected) < 4 * np.sqrt(expected * (1 - expected) / N)
    distance = np.abs(p - q).sum() / 2
    assert (1 - distance) / (1 + distance) <= expected <= 1 - distance


@given(SEEDS, st.integers(1, 50), st.floats(0.05, 1))
def test_tokens_that_are_cut_change_nothing_unless_one_of_them_had_been_chosen(seed, top_k, top_p):
    free = Sampling(1.0).choose(LOGITS, Noise(seed))
    cut = Sampling(1.0, top_k=top_k, top_p=top_p)
    if cut.probabilities(LOGITS)[free] > 0:
        assert cut.choose(LOGITS, Noise(seed)) == free


def test_rounding_does_not_move_a_choice_as_it_moves_borders():
    """A change of 1e-5 in the logits, as between one prompt and a batch: it moves sums of probabilities past u."""
    rng = np.random.default_rng(3)
    noise, sampling = Noise(0), Sampling(1.0)
    moved = by_borders = 0
    for position in range(2000):
        logits = rng.normal(0, 3, 1000)
        nearly = logits + rng.normal(0, 1e-5, 1000)
        previous = [0] * position
        moved += sampling.choose(logits, noise, previous) != sampling.choose(nearly, noise, previous)
        sums = [np.cumsum(sampling.probabilities(x)) for x in (logits, nearly)]
        u = rng.random(100)
        by_borders += (np.searchsorted(sums[0], u) != np.searchsorted(sums[1], u)).sum()
    assert moved == 0
    assert by_borders > 20


def test_nearly_impossible_tokens_are_neither_chosen_nor_warned_about():
    assert all(Noise(seed).draw(np.array([5e-324, 1.0, 0.0]), 0) == 1 for seed in range(100))
