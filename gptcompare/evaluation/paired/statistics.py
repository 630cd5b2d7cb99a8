"""Is the difference of two models real? Tests and intervals for two models that were asked the same items.

Two models that read the same items are right and wrong at much the same ones. What tells them apart are the items where
only one is right; a test that treats the two scores as if they came from different items (unpaired) drowns these in the
luck of the draw, which is the same for both.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from statistics import NormalDist

import numpy as np

from ..metrics import RESAMPLES, Ratio, Z

LEVEL = 0.05  # below which a p-value counts as a difference
POWER = 0.8


def mcnemar(only_first: int, only_second: int) -> float:
    """Return the p-value of the exact test that two models are equally often right.

    If they are, each item at which only one is right falls to either with probability 1/2. The p-value is that of all
    counts at least as far from half as this one, on both sides: twice the smaller tail, at most 1.

    Parameters
    ----------
    only_first, only_second : int
        The number of items at which only the first model is right, and only the second.

    References
    ----------
    McNemar 1947, "Note on the sampling error of the difference between correlated proportions or percentages".

    Examples
    --------
    >>> mcnemar(1, 9)
    0.021484375
    """
    fewer, n = min(only_first, only_second), only_first + only_second
    if 2 * fewer >= n:
        return 1.0
    ways = total = 1  # of choosing k of n, and of choosing at most k
    for k in range(fewer):
        ways = ways * (n - k) // (k + 1)
        total += ways
    return float(min(2 * total / 2**n, 1.0))  # of integers, so that nothing is rounded before


def interval_of_proportions(only_first: int, only_second: int, n: int) -> tuple[float, float]:
    """Return the 95% interval of the difference of two models' shares of right items, of n items.

    It holds every difference that a score test, which for 0 is McNemar's, does not reject at 5%.

    References
    ----------
    Tango 1998, "Equivalence test and confidence interval for the difference in proportions for the paired-sample
    design", section 3.
    """
    observed = (only_first - only_second) / n

    def score(difference: float) -> float:
        """Return by how many standard errors the observed difference is above this one."""
        # The likeliest share of items at which only the second is right, if this is the difference: equation 5.
        b = -only_first - only_second + (2 * n - only_first + only_second) * difference
        c = -only_second * difference * (1 - difference)
        share = (math.sqrt(max(b**2 - 8 * n * c, 0.0)) - b) / (4 * n)
        variance = n * (2 * share + difference * (1 - difference))
        above = n * (observed - difference)
        return above / math.sqrt(variance) if variance > 0 else math.copysign(math.inf, above)

    return _where(score, -1.0, observed, Z), _where(score, observed, 1.0, -Z)


def _where(falling: Callable[[float], float], low: float, high: float, level: float) -> float:
    """Return where a falling function reaches a level between two ends, or the end that is nearest, by bisection."""
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if falling(middle) > level else (low, middle)
    return (low + high) / 2


def paired_bootstrap(first: Ratio, second: Ratio, seed: int) -> tuple[float, float, float]:
    """Return the 95% interval of the difference of two ratios over the same units, and its p-value.

    The units are resampled, with replacement, 2,000 times, the same ones for both models. The p-value is twice the
    share of these differences on the rarer side of 0, where the observed one counts as one of them.

    References
    ----------
    Efron and Tibshirani 1993, "An introduction to the bootstrap", chapters 13 and 16.
    """
    rng = np.random.default_rng(seed)
    n, drawn = len(first), np.empty(RESAMPLES)
    for number in range(RESAMPLES):
        units = rng.integers(n, size=n)
        drawn[number] = first.of(units) - second.of(units)
    low, high = np.quantile(drawn, [0.025, 0.975])
    rarer = min(np.count_nonzero(drawn <= 0), np.count_nonzero(drawn >= 0))
    return float(low), float(high), min(2 * (1 + int(rarer)) / (1 + RESAMPLES), 1.0)


def holm(p_values: Sequence[float]) -> list[float]:
    """Return p-values that stay valid though several differences were tested at once.

    The smallest is multiplied by their number, the next by one less, and so on; none becomes smaller than the one
    before. Then the probability that any of the differences below 5% is an accident is at most 5%.

    References
    ----------
    Holm 1979, "A simple sequentially rejective multiple test procedure".

    Examples
    --------
    >>> holm([0.01, 0.04, 0.03])
    [0.03, 0.06, 0.06]
    """
    adjusted, most = [0.0] * len(p_values), 0.0
    for place, number in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
        most = max(most, min((len(p_values) - place) * p_values[number], 1.0))
        adjusted[number] = most
    return adjusted


def items_needed(difference: float, agreement: float, *, power: float = POWER, level: float = LEVEL) -> int:
    """Return how many items are needed to see a difference between two models.

    Parameters
    ----------
    difference : float
        Of their shares of right items, between -1 and 1 and not 0: 0.02 if one is right at 2% more items.
    agreement : float
        The share of items at which both are right or both are wrong.
    power : float
        The probability with which the difference is to be seen; that of the exact test is a little lower for few items.
    level : float
        The p-value below which it counts as seen.

    Raises
    ------
    ValueError
        If a value is out of range, or the models agree at too many items to differ so much.

    References
    ----------
    Connor 1987, "Sample size for testing differences in proportions for the paired-sample design", equation 3: for
    McNemar's test, by the normal approximation.

    Examples
    --------
    >>> items_needed(0.02, agreement=0.9)
    1960
    """
    differing, size = 1 - agreement, abs(difference)
    if not (0 <= agreement <= 1 and 0 < size <= 1 and 0 < power < 1 and 0 < level < 1):
        raise ValueError(
            "difference must be between -1 and 1 and not 0, agreement between 0 and 1, power and level strictly "
            f"between 0 and 1, got {difference!r}, {agreement!r}, {power!r} and {level!r}"
        )
    if size > differing + 1e-12:
        raise ValueError(f"models that agree at {agreement:.1%} of the items cannot differ by {size:.1%}")
    quantile = NormalDist().inv_cdf
    if_equal = quantile(1 - level / 2) * math.sqrt(differing)
    if_different = quantile(power) * math.sqrt(max(differing - size**2, 0))
    by_formula = math.ceil(((if_equal + if_different) / size) ** 2 - 1e-9)
    fewest = math.floor(math.log2(2 / level)) + 1  # items at which only one is right, for a p-value below the level
    return max(by_formula, math.ceil(fewest / differing))


def units_needed(first: Ratio, second: Ratio, seed: int) -> int | None:
    """Return how many units are needed to see the present difference of two ratios; None if there is none.

    By the normal approximation: the standard error of the difference, found by the bootstrap, shrinks with the square
    root of the number of units.
    """
    difference = first.of() - second.of()
    if difference == 0 or not math.isfinite(difference) or len(first) < 2:
        return None
    rng = np.random.default_rng(seed)
    n = len(first)
    draws = [rng.integers(n, size=n) for _ in range(RESAMPLES // 4)]
    error = float(np.std([first.of(units) - second.of(units) for units in draws]))
    quantile = NormalDist().inv_cdf
    return max(math.ceil(n * ((quantile(1 - LEVEL / 2) + quantile(POWER)) * error / difference) ** 2), 2)
