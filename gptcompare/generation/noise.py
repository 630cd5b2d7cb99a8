"""The dice: random numbers that belong to a seed, a position and a token, and not to the order in which they are drawn.

To draw a token, one usually takes one random number u and walks through the ids until their probabilities add up to u.
Then every token's chance borders on its neighbour's, and a change of one probability moves all the borders after it:
two models that agree about most tokens choose different ones, and so does one model after rounding.

Here every token has a random number of its own, drawn from the exponential distribution, and the choice is the token
whose number divided by its probability is the least. Think of runners: each has a random distance to go, and is as fast
as it is probable. The first to arrive wins, and token i does with exactly probability p_i. A change of p_i now changes
the arrival of runner i alone. With logarithms, this is the Gumbel-max trick: the largest of log p_i plus a Gumbel
number (Maddison, Tarlow and Minka 2014, arXiv:1411.0030).

With the same numbers, two models choose the same token with a probability of at least (1 - d) / (1 + d), where d is the
total variation distance of their distributions. Two samplers that do not know each other's distribution cannot promise
more, and no sampler reaches more than 1 - d (Daliri, Musco and Suresh 2024, arXiv:2408.07978).
"""

from __future__ import annotations

import numpy as np

from ..arrays import Float64


class Noise:
    """Exponential random numbers, one for each position and token.

    The number of a token follows from the seed, the position and the id alone: not from what was drawn before, from the
    size of the vocabulary, or from the tokens that may be chosen.

    Parameters
    ----------
    seed : int, optional
        Without one, every instance has different numbers.

    Examples
    --------
    >>> import numpy as np
    >>> Noise(seed=5).at(17, 4)[:3].tolist() == Noise(seed=5).at(17, 3).tolist()
    True
    >>> Noise(seed=5).draw(np.array([0.0, 1.0, 0.0]), position=17)
    1
    """

    def __init__(self, seed: int | None) -> None:
        self._entropy = np.random.SeedSequence(seed).entropy

    def at(self, position: int, n_vocab: int) -> Float64:
        """Return the numbers (V,) of the tokens at a position, which is the number of ids before it: all above 0."""
        # SeedSequence keeps (seed, position) apart from any other pair; SFC64 is NumPy's fastest generator.
        sequence = np.random.SeedSequence(self._entropy, spawn_key=(position,))
        numbers = np.random.Generator(np.random.SFC64(sequence)).standard_exponential(n_vocab)
        numbers += np.finfo(np.float64).tiny
        return numbers

    def draw(self, probabilities: Float64, position: int) -> int:
        """Return the id with the least number per probability (V,): one whose probability is not 0."""
        arrivals = self.at(position, len(probabilities))
        with np.errstate(divide="ignore", over="ignore"):  # with next to no probability, a token never arrives
            arrivals /= probabilities
        return int(arrivals.argmin())
