"""Standard errors of what is measured at every token of texts, in which neighbours are alike.

Tokens are no independent sample: where two models differ at one word, they often differ at the next. So the tokens are
put into blocks, and it is the blocks that are taken as independent. A block is a text, if there are at least twenty;
otherwise the texts are cut into blocks of about the square root of the number of all tokens, so that both the blocks
and their number grow with the text (the method of batch means; Flegal and Jones 2010, arXiv:0811.1729). What alters
more slowly than a block is long makes the true error larger than the one computed here.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from ...arrays import Integers

MANY_TEXTS = 20  # that are blocks by themselves

Values = npt.NDArray[Any]  # (n,), numbers or truth values


class Estimate(NamedTuple):
    """A number that was measured, and its standard error.

    Attributes
    ----------
    value : float
    error : float, optional
        None if there are fewer than two blocks.
    """

    value: float
    error: float | None

    def to_dict(self) -> dict[str, float | None]:
        """Return both as plain values that JSON can hold."""
        return {"value": self.value, "standard_error": self.error}


def block_starts(lengths: Sequence[int]) -> Integers:
    """Return where each block begins in texts of these numbers of tokens, one after the other, each at least one.

    >>> block_starts([9, 7])
    array([ 0,  4,  9, 12])
    """
    n_texts, n_tokens = len(lengths), sum(lengths)
    starts, first = [], 0
    for length in lengths:
        n_blocks = 1 if n_texts >= MANY_TEXTS else max(round(length / math.sqrt(n_tokens)), 1)
        starts += [first + block * length // n_blocks for block in range(n_blocks)]
        first += length
    return np.array(starts)


def mean(values: Values, starts: Integers) -> Estimate:
    """Return the mean of (n,) values, with the standard error of a ratio of the blocks' sums to their lengths.

    Blocks of different lengths count by their lengths (Cochran 1977, "Sampling Techniques", section 2.11).
    """
    value = float(np.mean(values))
    if len(starts) < 2:
        return Estimate(value, None)
    sums = np.add.reduceat(values.astype(np.float64), starts)
    lengths = np.diff([*starts, len(values)])
    around = ((sums - value * lengths) ** 2).sum()
    return Estimate(value, math.sqrt(around * len(starts) / (len(starts) - 1)) / len(values))


def percentile(values: Values, percent: float, starts: Integers) -> Estimate:
    """Return a percentile of (n,) values.

    Its standard error is that of the share of values up to it, carried over to the values: half the distance between
    the percentiles one such error below and above (Woodruff 1952).
    """
    value = float(np.percentile(values, percent))
    error = mean(values <= value, starts).error
    if error is None:
        return Estimate(value, None)
    around = np.clip([percent - 100 * error, percent + 100 * error], 0, 100)
    below, above = np.percentile(values, around)
    return Estimate(value, float(above - below) / 2)
