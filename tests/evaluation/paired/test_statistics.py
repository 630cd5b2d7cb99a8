import math
from statistics import NormalDist

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gptcompare.evaluation import Ratio, items_needed
from gptcompare.evaluation.metrics import percentage
from gptcompare.evaluation.paired.statistics import (
    holm,
    interval_of_proportions,
    mcnemar,
    paired_bootstrap,
    units_needed,
)

counts = st.integers(0, 300)


@given(counts, counts)
def test_mcnemars_test_sums_the_tails_of_fair_coins(first, second):
    n, fewer = first + second, min(first, second)
    tails = sum(math.comb(n, k) for k in range(n + 1) if min(k, n - k) <= fewer)
    assert mcnemar(first, second) == mcnemar(second, first) == tails / 2**n


def test_mcnemars_test_of_many_items():
    assert mcnemar(50_000, 50_000) == 1
    assert mcnemar(51_000, 49_000) == pytest.approx(2 * NormalDist().cdf(-(2000 - 1) / math.sqrt(100_000)), rel=1e-3)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=8))
def test_holms_p_values_are_those_of_the_definition(p_values):
    order = sorted(range(len(p_values)), key=lambda number: p_values[number])
    for number, adjusted in enumerate(holm(p_values)):
        place = order.index(number)
        steps = [min((len(p_values) - k) * p_values[order[k]], 1) for k in range(place + 1)]
        assert adjusted == max(steps)


def simulated(rng, n, right, agreement, difference):
    """How often only one of two models is right, if both are right or wrong together as often as that."""
    only_first, only_second = (1 - agreement + difference) / 2, (1 - agreement - difference) / 2
    rest = 1 - only_first - only_second
    both = min(right, rest)
    return rng.multinomial(n, [only_first, only_second, both, rest - both])


def log_likelihood(only_first, only_second, n, difference, share):
    """Of two models of which only the second is right at this share of the items, and the first at more by that."""
    shares = share + difference, share, 1 - 2 * share - difference
    counts_ = only_first, only_second, n - only_first - only_second
    return sum(count * np.log(part) for count, part in zip(counts_, shares, strict=True) if count)


@given(st.integers(1, 30), st.integers(1, 30), st.integers(1, 200))
def test_the_ends_of_the_interval_are_just_not_rejected_by_the_score_test(only_first, only_second, others):
    n = only_first + only_second + others
    for end, sign in zip(interval_of_proportions(only_first, only_second, n), (1, -1), strict=True):
        shares = np.linspace(max(-end, 0), (1 - end) / 2, 200_003)[1:-1]  # of which the likeliest is looked for
        share = shares[np.argmax(log_likelihood(only_first, only_second, n, end, shares))]
        error = math.sqrt((2 * share + end - end**2) / n)
        assert ((only_first - only_second) / n - end) / error == pytest.approx(sign * 1.959964, abs=2e-3)


@pytest.mark.parametrize(("only", "n"), [((0, 0), 10), ((0, 5), 5), ((5, 0), 5), ((0, 1), 1)])
def test_the_interval_of_few_items_holds_the_difference_and_is_a_share(only, n):
    low, high = interval_of_proportions(*only, n)
    assert -1 <= low <= (only[0] - only[1]) / n <= high <= 1
    assert low < high


@pytest.mark.parametrize("n", [100, 300, 2000])
@pytest.mark.parametrize(("agreement", "difference"), [(0.8, 0.0), (0.8, 0.05), (0.9, 0.02), (0.6, -0.2)])
def test_the_interval_holds_the_true_difference_in_93_to_97_percent(n, agreement, difference):
    rng = np.random.default_rng([n, int(100 * agreement), int(100 + 100 * difference)])
    held = 0
    for _ in range(1000):
        first, second, *_ = simulated(rng, n, 0.4, agreement, difference)
        low, high = interval_of_proportions(int(first), int(second), n)
        held += low <= difference <= high
    assert 930 <= held <= 970


@pytest.mark.parametrize("n", [60, 300, 2000])
def test_for_two_equal_models_a_difference_is_claimed_in_at_most_6_percent(n):
    rng = np.random.default_rng(n)
    claimed = sum(mcnemar(*map(int, simulated(rng, n, 0.4, 0.8, 0.0)[:2])) < 0.05 for _ in range(1000))
    assert claimed <= 60


def documents(rng, n, difference):
    """Losses of two models over the same documents, which are hard for both or easy for both."""
    sizes = rng.integers(50, 400, n).astype(float)
    hard = rng.normal(3.0, 0.6, n)
    first, second = hard + difference + rng.normal(0, 0.1, n), hard + rng.normal(0, 0.1, n)
    return Ratio("loss", first * sizes, sizes), Ratio("loss", second * sizes, sizes)


@pytest.mark.slow
@pytest.mark.parametrize("difference", [0.0, 0.05])
def test_the_bootstraps_interval_holds_the_true_difference_in_93_to_97_percent(difference):
    rng = np.random.default_rng(5)
    held = claimed = 0
    for seed in range(1000):
        low, high, p_value = paired_bootstrap(*documents(rng, 80, difference), seed)
        held += low <= difference <= high
        claimed += p_value < 0.05
    assert 925 <= held <= 970
    if not difference:
        assert claimed <= 75


def test_the_paired_interval_is_narrower_than_the_two_of_single_models():
    first, second = documents(np.random.default_rng(1), 80, 0.05)
    low, high, _ = paired_bootstrap(first, second, 0)
    alone = [one.metric(0) for one in (first, second)]
    assert high - low < 0.5 * min(one.high - one.low for one in alone)
    only_first, only_second = 30, 10
    low, high = interval_of_proportions(only_first, only_second, 1000)
    single = percentage("accuracy", [True] * 500 + [False] * 500)
    assert 100 * (high - low) < 0.5 * (single.high - single.low)


def test_the_bootstrap_is_that_of_the_same_units():
    one = documents(np.random.default_rng(2), 30, 0.0)[0]
    assert paired_bootstrap(one, one, 0) == (0.0, 0.0, 1.0)


def test_as_many_items_as_are_needed_show_the_difference_in_80_percent():
    for difference, agreement in [(0.05, 0.8), (0.03, 0.9), (0.1, 0.7)]:
        n = items_needed(difference, agreement)
        rng = np.random.default_rng(n)
        seen = [mcnemar(*map(int, simulated(rng, n, 0.4, agreement, difference)[:2])) < 0.05 for _ in range(2000)]
        assert 0.74 <= np.mean(seen) <= 0.84  # the exact test is a little more careful than the formula


def test_the_number_of_units_is_that_of_the_normal_approximation():
    first, second = documents(np.random.default_rng(3), 4000, 0.05)
    sizes = first.denominators
    spread = 0.1 * math.sqrt(2) * math.sqrt(1 + np.var(sizes) / np.mean(sizes) ** 2)  # of a document's difference
    quantile = NormalDist().inv_cdf
    expected = ((quantile(0.975) + quantile(0.8)) * spread / 0.05) ** 2
    assert units_needed(first, second, 0) == pytest.approx(expected, rel=0.25)
    assert units_needed(first, first, 0) is None


@pytest.mark.parametrize(("difference", "agreement"), [(0, 0.9), (1.5, 0.9), (0.1, 1.2), (0.1, -0.1), (math.nan, 0.5)])
def test_values_out_of_range_are_refused(difference, agreement):
    with pytest.raises(ValueError, match="difference must be between"):
        items_needed(difference, agreement)


@pytest.mark.parametrize("level", [0.05, 0.0625, 0.01, 2**-10])
@pytest.mark.parametrize(("difference", "agreement"), [(1, 0), (0.9, 0.1), (0.5, 0.5)])
def test_so_many_items_can_show_it_at_all(difference, agreement, level):
    n = items_needed(difference, agreement, level=level)
    assert mcnemar(round(n * (1 - agreement)), 0) < level


def test_models_that_agree_cannot_differ_much():
    assert items_needed(0.1, 0.9) > 1
    with pytest.raises(ValueError, match=r"agree at 95.0% of the items cannot differ by 10.0%"):
        items_needed(0.1, 0.95)


@pytest.mark.reference
class TestAgainstStatsmodelsAndSciPy:
    def test_mcnemars_test(self):
        tables = pytest.importorskip("statsmodels.stats.contingency_tables", reason="needs the `reference` extra")
        rng = np.random.default_rng(0)
        for _ in range(300):
            first, second = map(int, rng.integers(0, 200, 2))
            expected = tables.mcnemar([[10, first], [second, 10]], exact=True).pvalue
            assert mcnemar(first, second) == pytest.approx(expected, rel=1e-9)

    def test_mcnemars_test_is_the_binomial_test(self):
        stats = pytest.importorskip("scipy.stats", reason="needs the `reference` extra")
        for first, second in [(3, 9), (40, 71), (1000, 1100)]:
            expected = stats.binomtest(first, first + second).pvalue
            assert mcnemar(first, second) == pytest.approx(expected, rel=1e-9)

    def test_holms_correction(self):
        multitest = pytest.importorskip("statsmodels.stats.multitest", reason="needs the `reference` extra")
        rng = np.random.default_rng(1)
        for n in (1, 2, 7, 40):
            p_values = rng.beta(0.3, 1, n)
            assert holm(p_values.tolist()) == pytest.approx(multitest.multipletests(p_values, method="holm")[1])

    def test_the_number_of_items(self):
        power = pytest.importorskip("statsmodels.stats.power", reason="needs the `reference` extra")
        for difference, agreement in [(0.02, 0.9), (0.1, 0.6), (-0.05, 0.8)]:
            differing = 1 - agreement
            expected = power.normal_sample_size_one_tail(
                abs(difference), 0.8, 0.025, math.sqrt(differing), math.sqrt(differing - difference**2)
            )
            assert items_needed(difference, agreement) == math.ceil(expected)

    def test_the_bootstrap(self):
        stats = pytest.importorskip("scipy.stats", reason="needs the `reference` extra")
        first, second = documents(np.random.default_rng(4), 60, 0.02)

        def difference(above, other_above, below, axis):
            return above.sum(axis) / below.sum(axis) - other_above.sum(axis) / below.sum(axis)

        arrays = (first.numerators, second.numerators, first.denominators)
        options = {"paired": True, "vectorized": True, "method": "percentile", "n_resamples": 20_000}
        expected = stats.bootstrap(arrays, difference, rng=0, **options).confidence_interval
        low, high, _ = paired_bootstrap(first, second, 0)
        width = expected.high - expected.low
        assert [low, high] == pytest.approx([expected.low, expected.high], abs=0.08 * width)
