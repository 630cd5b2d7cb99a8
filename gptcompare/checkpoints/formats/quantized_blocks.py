"""Weights in blocks of a few bits each, as ggml stores them (ggml-org/llama.cpp: ggml-common.h, ggml-quants.c).

A row of a matrix is cut into blocks of 32 or 256 weights. A block has a scale, a float16 (two of them in Q4_1), and a
small integer per weight: the weight is their product, in float32. What these functions return has the bits that ggml's
own functions `dequantize_row_...` give.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from ...arrays import Float32
from .tensor_file import Buffer

PORTION = 1 << 14  # blocks that are converted at a time, so that what is needed in between stays small


class Kind(NamedTuple):
    """A kind of blocks: its number of weights and of bytes, and what turns blocks (n, bytes) into weights."""

    n_weights: int
    n_bytes: int
    weights: Callable[[Buffer], Float32]


def dequantized(kind: Kind, blocks: Buffer) -> Float32:
    """Return the weights (n, n_weights) of blocks (n, n_bytes)."""
    weights = np.empty((len(blocks), kind.n_weights), np.float32)
    with np.errstate(over="ignore", invalid="ignore"):  # a damaged scale: the logits tell
        for start in range(0, len(blocks), PORTION):
            weights[start : start + PORTION] = kind.weights(blocks[start : start + PORTION])
    return weights


def _scale(blocks: Buffer, start: int) -> Float32:
    """Return the float16 that begins at a byte of each block, as (n, 1)."""
    return np.ascontiguousarray(blocks[:, start : start + 2]).view("<f2").astype(np.float32)


def _nibbles(packed: Buffer) -> Buffer:
    """Return 4-bit numbers (n, 2k) of bytes (n, k): first the lower halves of all bytes, then the upper ones."""
    return np.concatenate([packed & 15, packed >> 4], axis=1)


def _q8_0(blocks: Buffer) -> Float32:
    """2 bytes scale, 32 signed bytes."""
    numbers: Float32 = blocks[:, 2:].view(np.int8).astype(np.float32)
    return numbers * _scale(blocks, 0)


def _q4_0(blocks: Buffer) -> Float32:
    """2 bytes scale, 16 bytes with 32 numbers from 0 to 15, which mean -8 to 7."""
    numbers: Float32 = _nibbles(blocks[:, 2:]).astype(np.float32) - np.float32(8)
    return numbers * _scale(blocks, 0)


def _q4_1(blocks: Buffer) -> Float32:
    """2 bytes scale, 2 bytes least weight, 16 bytes with 32 numbers from 0 to 15."""
    numbers: Float32 = _nibbles(blocks[:, 4:]).astype(np.float32)
    return numbers * _scale(blocks, 0) + _scale(blocks, 2)


def _q6_k(blocks: Buffer) -> Float32:
    """128 bytes lower 4 bits, 64 bytes upper 2 bits, 16 signed bytes of scales, 2 bytes scale of the scales.

    The numbers, from 0 to 63, mean -32 to 31. Each half of a block has 128 weights in four stretches of 32, whose upper
    bits share a byte; every 16 weights have one of the 16 scales.
    """
    halves = blocks[:, :128].reshape(-1, 2, 64)
    lower = np.concatenate([halves & 15, halves >> 4], axis=2).reshape(-1, 2, 4, 32)
    shifts = np.array([0, 2, 4, 6], np.uint8)[:, None]
    upper = (blocks[:, 128:192].reshape(-1, 2, 1, 32) >> shifts) & 3
    numbers = (lower | upper << 4).astype(np.float32) - np.float32(32)
    scales = blocks[:, 192:208].view(np.int8).astype(np.float32) * _scale(blocks, 208)
    weights: Float32 = numbers.reshape(-1, 16, 16) * scales[:, :, None]
    return weights.reshape(-1, 256)


# By ggml's names. llama.cpp's "Q4_0" files have Q6_K for the embedding too, and Q4_1 where an importance matrix was
# used (src/llama-quant.cpp).
KINDS = {
    "Q4_0": Kind(32, 18, _q4_0),
    "Q4_1": Kind(32, 20, _q4_1),
    "Q8_0": Kind(32, 34, _q8_0),
    "Q6_K": Kind(256, 210, _q6_k),
}
