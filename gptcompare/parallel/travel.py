"""The bytes that travel between the ranks, and the time that they should take: on paper, before anything is run.

The counts are what `Communicator` counts: what each rank receives. The time is a number of calls times the latency of
one, plus the bytes divided by the bandwidth, the usual model of a network (Hockney 1994).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from ..config import GPTConfig
from ..parameters import parameter_shapes
from .communication import in_slices
from .cut import evenly

CHECK = 2 * 8  # bytes with which the ranks make sure that they read the same tokens
LOSS = 8


@dataclass(frozen=True)
class Travel:
    """What a rank receives of the others.

    Attributes
    ----------
    calls : int
        In which all ranks wait for each other.
    n_bytes : int
    """

    calls: int
    n_bytes: int

    def __add__(self, other: Travel) -> Travel:
        return Travel(self.calls + other.calls, self.n_bytes + other.n_bytes)

    def __mul__(self, times: int) -> Travel:
        return Travel(self.calls * times, self.n_bytes * times)

    def seconds(self, latency: float, bandwidth: float) -> float:
        """Return the time that it should take, for a latency in seconds per call and a bandwidth in bytes per second.

        >>> f"{Travel(27, 225_000).seconds(20e-6, 1.25e9) * 1e3:.2f} ms"
        '0.72 ms'
        """
        return self.calls * latency + self.n_bytes / bandwidth


def of_reading(config: GPTConfig, n: int, n_tokens: int = 1, *, n_logits: int = 1, bytes_per_number: int = 4) -> Travel:
    """Return what the first of n ranks receives when a cut model reads tokens, up to a chunk of them, in one call.

    Parameters
    ----------
    config : GPTConfig
    n : int
        Number of ranks.
    n_tokens : int
        Of all sequences together; 1 is a step of writing.
    n_logits : int
        For how many of these tokens logits are computed.
    bytes_per_number : int

    Examples
    --------
    >>> from gptcompare.config import GPTConfig
    >>> of_reading(GPTConfig.preset("gpt2"), 2)
    Travel(calls=28, n_bytes=180404)
    >>> f"{of_reading(GPTConfig.preset('gpt3-175b'), 8).n_bytes / 1e6:.1f} MB"
    '16.9 MB'
    """
    if n == 1:
        return Travel(0, 0)
    stream = _sum(n_tokens * config.d_model, n, bytes_per_number)
    own = evenly(config.n_vocab, n)[1]
    logits = Travel(1, n_logits * (config.n_vocab - own) * bytes_per_number)
    embeddings_and_blocks = stream * (2 + 2 * config.n_layer)
    return Travel(1, (n - 1) * CHECK) + embeddings_and_blocks + logits


def _sum(size: int, n: int, bytes_per_number: int) -> Travel:
    """Return what the first rank receives for a sum of arrays of so many numbers."""
    if not in_slices(n, size * bytes_per_number):
        return Travel(1, (n - 1) * size * bytes_per_number)
    own = evenly(size, n)[1]
    return Travel(2, ((n - 1) * own + size - own) * bytes_per_number)


def of_training_step(config: GPTConfig, n: int, accumulation: int, bytes_per_number: int = 4) -> Travel:
    """Return what travels in a step of training with so many parts of a batch: to rank 0, and from it to each other.

    A call is a message of rank 0's; the bytes are those of the gradients and losses that it receives, and those of the
    parameters, which it gives to all others.

    Examples
    --------
    >>> from gptcompare.config import GPTConfig
    >>> step = of_training_step(GPTConfig.preset("gpt2"), 2, accumulation=4)
    >>> step.calls, f"{step.n_bytes / 1e9:.2f} GB"
    (447, '1.49 GB')
    """
    if n == 1:
        return Travel(0, 0)
    received = sum(part % n != 0 for part in range(accumulation))
    shapes = parameter_shapes(config)
    n_bytes = sum(math.prod(shape) for shape in shapes.values()) * bytes_per_number
    return Travel(1 + len(shapes), n_bytes) + Travel(1 + len(shapes), n_bytes + LOSS) * received
