import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.amounts import few_or_many

from gptcompare.evaluation.metrics import Metric, percentage, ratio
from gptcompare.generation.scoring import exponential


class TestPercentage:
    @given(st.lists(st.booleans(), min_size=1, max_size=300))
    def test_it_is_the_share_of_what_is_right_and_lies_in_its_interval(self, is_right):
        metric = percentage("accuracy, %", is_right)
        assert metric.value == pytest.approx(100 * np.mean(is_right))
        assert -1e-9 <= metric.low <= metric.value <= metric.high <= 100 + 1e-9
        assert metric.low < metric.high

    def test_the_interval_is_wilsons(self):
        scipy = pytest.importorskip("scipy.stats", reason="needs scipy, which scikit-learn brings")
        for n_right, n in ((0, 20), (3, 17), (50, 100), (999, 1000), (1, 1)):
            metric = percentage("", [True] * n_right + [False] * (n - n_right))
            expected = scipy.binomtest(n_right, n).proportion_ci(0.95, method="wilson")
            assert (metric.low / 100, metric.high / 100) == pytest.approx((expected.low, expected.high), abs=1e-9)

    def test_with_more_items_it_is_narrower(self):
        few, many = percentage("", [True, False] * 50), percentage("", [True, False] * 5000)
        assert many.high - many.low < (few.high - few.low) / 9


class TestRatio:
    def test_it_is_the_ratio_of_the_sums(self):
        assert ratio("", [1.0, 2.0, 3.0], [10, 10, 20], seed=0).value == pytest.approx(6 / 40)

    def test_the_interval_of_a_mean_is_that_of_the_normal_distribution(self):
        values = np.random.default_rng(0).exponential(2.0, size=4000)
        metric = ratio("", values, np.ones(len(values)), seed=0)
        half = 1.96 * values.std() / math.sqrt(len(values))
        assert (metric.low, metric.high) == pytest.approx((values.mean() - half, values.mean() + half), abs=half / 10)

    @few_or_many("n", 40, 200)
    def test_it_holds_the_true_value_in_95_of_100_cases(self, n):
        rng = np.random.default_rng(1)
        inside = 0
        for seed in range(n):
            lengths = rng.integers(1, 9, size=60)
            metric = ratio("", [rng.normal(3.0 * length, length) for length in lengths], lengths, seed)
            inside += metric.low <= 3.0 <= metric.high
        assert 0.9 * n <= inside <= 0.99 * n

    def test_a_single_item_has_no_interval(self):
        metric = ratio("", [4.0], [2], seed=0)
        assert (metric.value, metric.low, metric.high) == (2.0, None, None)

    def test_the_same_seed_draws_the_same_items(self):
        values, ones = [math.sqrt(n) for n in range(1, 50)], [1] * 49
        assert ratio("", values, ones, seed=3) == ratio("", values, ones, seed=3)
        assert ratio("", values, ones, seed=3) != ratio("", values, ones, seed=4)

    def test_what_is_made_of_the_ratio_is_made_of_its_interval_too(self):
        values, ones = [1.0, 5.0, 2.0, 7.0], [1] * 4
        plain, exp = ratio("", values, ones, 0), ratio("", values, ones, 0, exponential)
        assert (exp.value, exp.low, exp.high) == tuple(map(math.exp, (plain.value, plain.low, plain.high)))

    def test_a_perplexity_beyond_a_float_is_infinite(self):
        assert ratio("", [1000.0, 2000.0], [1, 1], 0, exponential) == Metric("", math.inf, math.inf, math.inf)
