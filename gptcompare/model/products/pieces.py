"""The product of a few vectors with a matrix, piece by piece.

A piece lies in a few long runs of memory. It is small enough for the functions of OpenBLAS that multiply without a
packed copy, where there are any.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ...arrays import AnyArray, Array
from ...sixteen_bits import lies_by_columns
from ..threads import in_parallel, n_threads, shares
from .scratch import memory_for, wide

EIGHT = 8  # the width of OpenBLAS's inner loop

# OpenBLAS's kernels, by its names of processors, that multiply small matrices without a packed copy: those for AVX-512.
# What is small is decided in its kernel/x86_64/sgemm_small_kernel_permit_skylakex.c: by the number of multiplications
# and, for a matrix by columns, by that of results, of which these pieces have less than the 1,200 allowed, and by the
# length of a run, of which at least 32 numbers are wanted.
WITHOUT_COPY = ("SkylakeX", "Cooperlake", "SapphireRapids")
SMALL = 10**6  # multiplications
IN_PIECES = range(2, 13)  # numbers of vectors that are multiplied piece by piece, odd ones with another one of zeros
LONGEST_RUN = 3072  # numbers of a piece that lie one after the other
SIDE_BY_SIDE = 32  # of these runs: they are read side by side, and a processor fetches only so many ahead from memory
BLOCK = 2**21  # numbers of a matrix whose pieces are multiplied in one call
SHARED_PIECES = 2**20  # numbers of a matrix above which its pieces are shared among threads, each with its own call


def product_in_pieces(vectors: Array, weight: AnyArray) -> Array:
    """Return vectors @ weight for a few vectors: (n, d_in) -> (n, d_out)."""
    n, vectors = len(vectors), padded(vectors, 2)
    y: Array = np.zeros((len(vectors), weight.shape[1]), vectors.dtype)
    add = _add_by_columns if lies_by_columns(weight) else _add_by_rows

    def multiply(share: slice) -> None:
        add(y[:, share], vectors, weight[:, share])

    in_parallel(multiply, shares(weight.shape[1], n_threads() if weight.size > SHARED_PIECES else 1))
    return y[:n]


def padded(vectors: Array, multiple: int) -> Array:
    """Return the vectors followed by vectors of zeros, up to the next multiple of a number of them."""
    missing = -len(vectors) % multiple
    return np.concatenate([vectors, np.zeros_like(vectors, shape=(missing, vectors.shape[1]))]) if missing else vectors


def _add_by_rows(y: Array, vectors: Array, weight: AnyArray) -> None:
    """Add vectors @ weight to y: the product of each piece's rows with their part of the vectors, all summed up."""
    n, n_rows, n_columns = len(vectors), *piece_shape(weight, len(vectors))
    for start in range(0, weight.shape[1], n_columns):
        columns = slice(start, start + n_columns)
        for rows, height in _blocks(len(weight), n_rows, BLOCK // n_columns):
            part = wide(weight[rows, columns])
            pieces = part.reshape(-1, height, part.shape[1])  # (pieces, rows, columns)
            cut = vectors[:, rows].reshape(n, -1, height).swapaxes(0, 1)  # (pieces, n, rows)
            y[:, columns] += _products(cut, pieces).sum(axis=0)


def _add_by_columns(y: Array, vectors: Array, weight: AnyArray) -> None:
    """Add vectors @ weight to y: the product of each piece's columns with the vectors, one beside the other."""
    n, n_rows, n_columns = len(vectors), *piece_shape(weight, len(vectors))
    for start in range(0, len(weight), n_rows):
        rows = slice(start, start + n_rows)
        for columns, width in _blocks(weight.shape[1], n_columns, BLOCK // n_rows):
            part = wide(weight[rows, columns])
            pieces = part.T.reshape(-1, width, len(part)).swapaxes(1, 2)  # (pieces, rows, columns)
            beside: Array = y[:, columns].reshape(n, -1, width).swapaxes(0, 1)  # (pieces, n, columns)
            beside += _products(vectors[:, rows], pieces)


def _products(vectors: Array, pieces: Array) -> Array:
    """Return vectors @ pieces: of float32, in memory that lasts until this thread's next call.

    It is one call for many pieces, so that the thread asks for Python's lock only once.
    """
    shape = len(pieces), vectors.shape[-2], pieces.shape[-1]
    if vectors.dtype != np.float32:
        return vectors @ pieces
    return np.matmul(vectors, pieces, out=memory_for("products", *shape))


def _blocks(length: int, piece: int, most: int) -> Iterator[tuple[slice, int]]:
    """Cut a length into blocks of up to `most`, each of whole pieces, and what is left; yield each one's piece, too."""
    whole, step = length // piece * piece, max(1, most // piece) * piece
    for start in range(0, whole, step):
        yield slice(start, min(start + step, whole)), piece
    if whole < length:
        yield slice(whole, length), length - whole


def piece_shape(weight: AnyArray, n: int) -> tuple[int, int]:
    """Return rows and columns of a piece of a matrix that is small for `n` vectors, and long in the order of memory."""
    by_columns = lies_by_columns(weight)
    run = min(LONGEST_RUN, len(weight) if by_columns else weight.shape[1])
    n_runs = max(EIGHT, min(SIDE_BY_SIDE, SMALL // (n * run)) // EIGHT * EIGHT)
    return (run, n_runs) if by_columns else (n_runs, run)
