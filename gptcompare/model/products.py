"""Products of vectors with a matrix: how the matrix lies in memory, and how the product is cut for the BLAS.

A linear layer's weight has the shape (d_in, d_out), whatever its order in memory and however it is cut: both are chosen
here for speed, and hidden from everyone else.

Why four tokens should cost little more than one: to read one token, each number of a matrix is brought from memory,
multiplied once, and forgotten. Memory is the slow part, so three more vectors could be multiplied in the same time. But
a BLAS multiplies two matrices in a way made for large ones: it first copies the matrix into an order of its own, which
takes longer than all the multiplications of a few vectors. For small matrices, OpenBLAS has functions without this copy
for processors with AVX-512. So a few vectors are multiplied with one small piece of the matrix after another, each a
run of memory as long as possible. `docs/performance.md` shows what that gains.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Literal

import numpy as np
import numpy.typing as npt

from ..arrays import Array
from ..checkpoints import copy_into, release
from .threads import in_parallel, kernels, n_threads, products_on_one_thread, shares

LARGE = 2**20  # bytes, above which two threads copy faster than one

# What suits OpenBLAS (measured: benchmarks/RESULTS.md). One or two vectors are faster one by one than as a matrix, for
# which it would make a packed copy of the weight. 3 to 127 vectors are padded to a multiple of 8, the width of its
# inner loop: eight vectors take less time than four or seven.
FEW_VECTORS, SOME_VECTORS, EIGHT = 2, 128, 8

# OpenBLAS's kernels, by its names of processors, that multiply small matrices without a packed copy: those for AVX-512.
# What is small is decided in its kernel/x86_64/sgemm_small_kernel_permit_skylakex.c.
WITHOUT_COPY = ("SkylakeX", "Cooperlake", "SapphireRapids")
SMALL = 10**6  # multiplications
IN_PIECES = range(3, 9)  # numbers of vectors that are multiplied piece by piece
LONGEST_RUN = 3072  # numbers of a piece that lie one after the other
SHARED = 2**19  # numbers of a matrix whose pieces are shared among threads


def threads_for(n_vectors: int, n_largest: int) -> AbstractContextManager[object]:
    """Return a `with` block for products of so many vectors with matrices of up to `n_largest` numbers.

    Those of a few vectors with small matrices stay on the calling thread: other threads would save nothing, and on a
    busy machine each product would wait for them.
    """
    is_small = n_vectors < IN_PIECES.stop and n_largest <= SHARED
    return products_on_one_thread() if is_small else nullcontext()


def product(x: Array, weight: Array) -> Array:
    """Return x @ weight: (..., d_in) -> (..., d_out), weight (d_in, d_out)."""
    # A single product of two matrices: a stack of vectors would read the whole weight once per vector.
    vectors = x.reshape(-1, x.shape[-1])
    n = len(vectors)
    if n in IN_PIECES and kernels() in WITHOUT_COPY:
        y = _product_in_pieces(vectors, weight)
    elif n <= FEW_VECTORS:
        y = (vectors[:, None] @ weight)[:, 0]
    elif n < SOME_VECTORS and n % EIGHT:
        padded = np.zeros((-(-n // EIGHT) * EIGHT, x.shape[-1]), x.dtype)
        padded[:n] = vectors
        y = (padded @ weight)[:n]
    else:
        y = vectors @ weight
    return y.reshape(*x.shape[:-1], weight.shape[-1])


def product_in_shares(x: Array, weight: Array) -> Array:
    """Return x @ weight for many vectors and a wide matrix, whose columns are shared among the threads.

    (..., d_in) -> (..., d_out), weight (d_in, d_out).
    """
    vectors = x.reshape(-1, x.shape[-1])
    y: Array = np.empty((len(vectors), weight.shape[1]), x.dtype)

    def multiply(columns: slice) -> None:
        np.matmul(vectors, weight[:, columns], out=y[:, columns])

    in_parallel(multiply, shares(weight.shape[1], n_threads()))
    return y.reshape(*x.shape[:-1], -1)


def _product_in_pieces(vectors: Array, weight: Array) -> Array:
    """Return vectors @ weight for a few vectors: (n, d_in) -> (n, d_out)."""
    y: Array = np.empty((len(vectors), weight.shape[1]), vectors.dtype)
    n_rows, n_columns = piece_shape(weight, len(vectors))

    def multiply(share: slice) -> None:
        for start in range(share.start, share.stop, n_columns):
            columns = slice(start, min(start + n_columns, share.stop))
            np.matmul(vectors[:, :n_rows], weight[:n_rows, columns], out=y[:, columns])
            for row in range(n_rows, len(weight), n_rows):
                rows = slice(row, row + n_rows)
                y[:, columns] += vectors[:, rows] @ weight[rows, columns]

    in_parallel(multiply, shares(weight.shape[1], n_threads() if weight.size > SHARED else 1))
    return y


def piece_shape(weight: Array, n: int) -> tuple[int, int]:
    """Return rows and columns of a piece of a matrix that is small for `n` vectors, and long in the order of memory."""
    in_c_order = _order(weight) == "C"
    run = min(LONGEST_RUN, weight.shape[1] if in_c_order else weight.shape[0])
    n_runs = max(EIGHT, SMALL // (n * run) // EIGHT * EIGHT)
    return (n_runs, run) if in_c_order else (run, n_runs)


def in_fast_order(weight: Array) -> Array:
    """Return the same matrix with its longer axis contiguous in memory, copied only if necessary.

    Decoding one token consists of matrix-vector products. Measured with OpenBLAS on x86-64 CPUs, these read memory
    fastest along the longer axis, and for a square matrix along the input axis.
    """
    order = _order(weight)
    in_order = weight.flags.c_contiguous if order == "C" else weight.flags.f_contiguous
    return weight if in_order else _copied(weight, order, weight.dtype)


def taken_in_fast_order(stored: dict[str, Array], dtype: npt.DTypeLike) -> dict[str, Array]:
    """Return stored tensors in the same order, in memory of their own, which nothing that happens to a file can change.

    The tensors are taken out of `stored` one by one, so that none stays in memory twice.
    """
    taken = {}
    for name in list(stored):
        value = stored.pop(name)
        if value.flags.owndata and value.dtype == dtype:  # made by a reader, and not a part of a mapped file
            taken[name] = in_fast_order(value)
        else:
            taken[name] = _copied(value, _order(value), dtype)
            release(value)
    return taken


def _order(weight: Array) -> Literal["C", "F"]:
    return "C" if weight.ndim != 2 or weight.shape[1] > weight.shape[0] else "F"


def _copied(array: Array, order: Literal["C", "F"], dtype: npt.DTypeLike) -> Array:
    """Return a copy in that memory order and dtype, of which each thread makes some rows."""
    copy: Array = np.empty(array.shape, dtype, order)

    def copy_rows(share: slice) -> None:
        copy_into(copy[share], array[share])

    in_parallel(copy_rows, shares(len(array), n_threads() if array.nbytes > LARGE else 1))
    return copy
