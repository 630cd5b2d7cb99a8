"""Products of vectors with a matrix: which way suits how many vectors."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from itertools import pairwise

import numpy as np

from ...arrays import AnyArray, Array
from ...sixteen_bits import is_sixteen_bits, lies_by_columns
from ..threads import in_parallel, kernels, n_threads, products_on_one_thread, shares
from .pieces import EIGHT, IN_PIECES, WITHOUT_COPY, padded, product_in_pieces
from .scratch import wide

# What suits OpenBLAS (measured: benchmarks/RESULTS.md), where `pieces` does not help. One or two vectors are faster
# one by one than as a matrix, for which it would make a packed copy of the weight. More, up to 127, are padded to a
# multiple of 8, the width of its inner loop: eight vectors take less time than four or seven.
FEW_VECTORS, SOME_VECTORS = 2, 128
# Up to so many vectors, and numbers of a matrix, the calling thread works alone.
ALONE, SHARED = 8, 2**19

# Numbers of a large matrix that many vectors are multiplied with at a time, and of one in 16 bits that are widened for
# a single vector: as many as keep a thread busy for much longer than another takes to wake. Of a matrix by rows, each
# row has at least so long a stretch of them.
TILE, WIDENED, STRETCH = 2**22, 2**20, 512
# OpenBLAS computes a column alike wherever a matrix is cut, if it is cut after so many columns: of a matrix by columns,
# or of one by rows with a multiple of them; otherwise only after as many as it works on at a time (NBMAX in its
# kernel/x86_64/sgemv_n_4.c).
STEP, LONG_STEP = 64, 4096


def threads_for(n_vectors: int, n_largest: int) -> AbstractContextManager[object]:
    """Return a `with` block for products of so many vectors with matrices of up to `n_largest` numbers.

    Those of a few vectors with small matrices stay on the calling thread: other threads would save nothing, and on a
    busy machine each product would wait for them.
    """
    is_small = n_vectors <= ALONE and n_largest <= SHARED
    return products_on_one_thread() if is_small else nullcontext()


def product(x: Array, weight: AnyArray) -> Array:
    """Return x @ weight: (..., d_in) -> (..., d_out), weight (d_in, d_out), in x's dtype or in 16 bits."""
    # A single product of two matrices: a stack of vectors would read the whole weight once per vector.
    vectors = x.reshape(-1, x.shape[-1])
    n = len(vectors)
    if n in IN_PIECES and kernels() in WITHOUT_COPY:
        y = product_in_pieces(vectors, weight)
    elif n <= FEW_VECTORS:
        y = _products_one_by_one(vectors, weight)
    else:
        vectors = padded(vectors, EIGHT) if n < SOME_VECTORS else vectors
        y = np.empty((len(vectors), weight.shape[1]), x.dtype)
        _multiply_in_tiles(vectors, weight, y)
        y = y[:n]
    return y.reshape(*x.shape[:-1], weight.shape[-1])


def product_in_shares(x: Array, weight: AnyArray) -> Array:
    """Return x @ weight for many vectors and a wide matrix, whose columns are shared among the threads.

    (..., d_in) -> (..., d_out), weight (d_in, d_out), in x's dtype or in 16 bits.
    """
    vectors = x.reshape(-1, x.shape[-1])
    y: Array = np.empty((len(vectors), weight.shape[1]), x.dtype)

    def multiply(columns: slice) -> None:
        _multiply_in_tiles(vectors, weight[:, columns], y[:, columns])

    in_parallel(multiply, shares(weight.shape[1], n_threads()))
    return y.reshape(*x.shape[:-1], -1)


def _products_one_by_one(vectors: Array, weight: AnyArray) -> Array:
    """Return vectors @ weight for one or two vectors: (n, d_in) -> (n, d_out)."""
    if not is_sixteen_bits(weight):
        return (vectors[:, None] @ weight)[:, 0]
    y: Array = np.empty((len(vectors), weight.shape[1]), vectors.dtype)

    def multiply(share: slice) -> None:
        for columns in _steps(share, _columns_widened(weight[:, share])):
            y[:, columns] = (vectors[:, None] @ wide(weight[:, columns]))[:, 0]

    in_parallel(multiply, _shares_of_the_blas(weight))
    return y


def _columns_widened(weight: AnyArray) -> int:
    """Return how many columns of a matrix are widened at a time for a vector."""
    by_columns = lies_by_columns(weight)
    if not by_columns and weight.shape[1] % STEP:
        return LONG_STEP
    return max(STEP if by_columns else STRETCH, WIDENED // len(weight) // STEP * STEP)


def _shares_of_the_blas(weight: AnyArray) -> list[slice]:
    """Return which columns of a matrix OpenBLAS's threads get when it is multiplied with a single vector.

    Each time a thread gets an equal part of what is left (blas_quickdivide in OpenBLAS's interface/gemv.c).
    """
    n_columns, n = weight.shape[1], n_threads() if weight.size > SHARED else 1
    starts = [0]
    for left in range(n, 0, -1):
        starts.append(starts[-1] + -(-(n_columns - starts[-1]) // left))
    return [slice(start, stop) for start, stop in pairwise(starts) if start < stop]


def _multiply_in_tiles(vectors: Array, weight: AnyArray, out: Array) -> None:
    """Do out[...] = vectors @ weight for many vectors: (n, d_in) -> (n, d_out).

    A large matrix is multiplied some columns at a time, so that not all of it need be widened at once.
    """
    n_columns = max(STEP, TILE // len(weight) // STEP * STEP)
    for columns in _steps(slice(0, weight.shape[1]), n_columns):
        _multiply(vectors, wide(weight[:, columns]), out[:, columns])


def _multiply(vectors: Array, matrix: Array, out: Array) -> None:
    """Do out[...] = vectors @ matrix.

    Of up to 128 vectors and a matrix by columns, OpenBLAS's functions for AVX-512 copy the matrix faster if they
    compute the transpose (`findings/turned_product.sh`).
    """
    if len(vectors) <= SOME_VECTORS and lies_by_columns(matrix) and kernels() in WITHOUT_COPY:
        out[...] = (matrix.T @ vectors.T).T
    else:
        np.matmul(vectors, matrix, out=out)


def _steps(share: slice, length: int) -> Iterator[slice]:
    """Cut a stretch of columns into parts of this length; the last one may be shorter, or one column longer.

    A part of a single column would be a product of two vectors, which adds in another order.
    """
    start = share.start
    while start < share.stop:
        stop = start + length if start + length < share.stop - 1 else share.stop
        yield slice(start, stop)
        start = stop
