"""Standard errors, against simulations whose true errors are known or measured."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gptcompare.comparison.corpus.blocks import MANY_TEXTS, Estimate, block_starts, mean, percentile

N, SERIES, MEMORY = 4000, 60, 0.7  # numbers in a series, series, and how much of each number is left in the next


def alike_neighbours(seed, n=N, memory=MEMORY):
    """A series in which each number is `memory` times the one before it, and noise; of variance 1."""
    noise = np.random.default_rng(seed).normal(0, math.sqrt(1 - memory**2), n)
    noise[0] /= math.sqrt(1 - memory**2)
    series = np.empty(n)
    last = 0.0
    for number, step in enumerate(noise):
        last = series[number] = memory * last + step
    return series


@pytest.fixture(scope="module")
def many_series():
    return [alike_neighbours(seed) for seed in range(SERIES)]


class TestBlocks:
    @given(st.lists(st.integers(1, 3000), min_size=1, max_size=40))
    def test_they_cover_all_texts_and_none_reaches_into_two(self, lengths):
        starts = block_starts(lengths).tolist()
        texts = [0, *np.cumsum(lengths)[:-1].tolist()]
        assert starts[0] == 0
        assert all(one < other for one, other in itertools.pairwise(starts))
        assert set(texts) <= set(starts)
        assert starts[-1] < sum(lengths)

    def test_of_one_text_there_are_as_many_as_each_has_tokens(self):
        starts = block_starts([10_000])
        assert len(starts) == 100
        assert set(np.diff([*starts, 10_000])) == {100}

    def test_many_texts_are_blocks_by_themselves(self):
        assert block_starts([5] * MANY_TEXTS).tolist() == list(range(0, 5 * MANY_TEXTS, 5))


class TestMean:
    def test_the_error_is_the_one_of_the_model_that_made_the_numbers(self, many_series):
        """The variance of the mean of such a series is (1 + m) / (1 - m) / n, for large n."""
        true = math.sqrt((1 + MEMORY) / (1 - MEMORY) / N)
        errors = [mean(series, block_starts([N])).error for series in many_series]
        assert np.mean(errors) == pytest.approx(true, rel=0.1)
        as_if_independent = np.mean([series.std(ddof=1) / math.sqrt(N) for series in many_series])
        assert as_if_independent < 0.5 * true

    def test_it_is_that_of_independent_numbers_if_they_are(self):
        values = np.random.default_rng(0).normal(0, 1, (40, 2500))
        errors = [mean(row, block_starts([2500])).error for row in values]
        assert np.mean(errors) == pytest.approx(1 / 50, rel=0.05)

    def test_texts_that_differ_as_wholes_are_not_taken_for_many_tokens(self):
        """Of 30 texts of 100 tokens with a shift of their own: variance of the mean (1 + 1/100) / 30."""
        rng = np.random.default_rng(0)
        errors = []
        for _ in range(40):
            values = (rng.normal(0, 1, (30, 1)) + rng.normal(0, 1, (30, 100))).ravel()
            errors.append(mean(values, block_starts([100] * 30)).error)
        assert np.mean(errors) == pytest.approx(math.sqrt(1.01 / 30), rel=0.1)

    def test_blocks_count_by_their_lengths(self):
        values, starts = np.array([1.0, 3.0, 5.0]), np.array([0, 1])
        assert mean(values, starts) == Estimate(
            3.0, pytest.approx(math.sqrt((1 - 3) ** 2 + (8 - 6) ** 2) * math.sqrt(2) / 3)
        )

    def test_truth_values_have_a_share(self):
        assert mean(np.array([True, False, True, True]), np.array([0, 2])).value == 0.75

    def test_one_block_has_no_error(self):
        assert mean(np.array([1.0, 2.0]), np.array([0])) == Estimate(1.5, None)
        assert percentile(np.array([1.0, 2.0]), 50, np.array([0])) == Estimate(1.5, None)


class TestPercentile:
    @pytest.mark.parametrize("percent", [0, 1, 5, 25, 50, 75, 95, 99, 99.9, 100])
    def test_it_is_numpys_on_the_whole(self, many_series, percent):
        assert percentile(many_series[0], percent, block_starts([N])).value == np.percentile(many_series[0], percent)

    @pytest.mark.parametrize("percent", [25, 50, 95])
    def test_the_error_is_how_much_it_varies_from_series_to_series(self, percent):
        """Of 400 series of their own; the last number of the error is known to 4 percent, as sqrt(2 * 400) says."""
        rng = np.random.default_rng(1)
        n, n_series = 1000, 400
        noise = rng.normal(0, math.sqrt(1 - MEMORY**2), (n, n_series))
        noise[0] /= math.sqrt(1 - MEMORY**2)
        series = np.empty_like(noise)
        series[0] = noise[0]
        for number in range(1, n):
            series[number] = MEMORY * series[number - 1] + noise[number]
        true = np.percentile(series, percent, axis=0).std(ddof=1)
        errors = [percentile(series[:, number], percent, block_starts([n])).error for number in range(0, n_series, 4)]
        assert np.mean(errors) == pytest.approx(true, rel=0.15)

    def test_it_does_not_leave_the_numbers(self):
        values = np.arange(100.0)
        for percent in (0, 100):
            estimate = percentile(values, percent, block_starts([100]))
            assert 0 <= estimate.error <= 99
