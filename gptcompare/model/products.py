"""Products of vectors with a matrix: how the matrix lies in memory, and how the product is cut for the BLAS.

A linear layer's weight has the shape (d_in, d_out), whatever its order in memory and however it is cut: both are chosen
here for speed, and hidden from everyone else.

Why four tokens should cost little more than one: to read one token, each number of a matrix is brought from memory,
multiplied once, and forgotten. Memory is the slow part, so three more vectors could be multiplied in the same time. But
a BLAS multiplies two matrices in a way made for large ones: it first copies the matrix into an order of its own, which
takes longer than all the multiplications of a few vectors. For small matrices, OpenBLAS has functions without this copy
for processors with AVX-512. So a few vectors are multiplied with one small piece of the matrix after another, each a
run of memory as long as possible. `docs/performance.md` shows what that gains.

A matrix may also be kept in 16 bits (`keep`). It becomes float32 a piece at a time, on the thread that multiplies the
piece, in memory that this thread uses again for the next one, and is multiplied as the same piece of a float32 matrix
would be: so the products have the same bits.
"""

from __future__ import annotations

import threading
import warnings
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from itertools import pairwise
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from ..arrays import AnyArray, Array, Float32
from ..checkpoints import memory_of_machine, release
from ..display.units import in_bytes
from ..sixteen_bits import (
    AS_STORED,
    SIXTEEN_BITS,
    copy_into,
    is_finite,
    is_sixteen_bits,
    lies_by_columns,
    name_of,
    widen_finite,
)
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
    is_small = n_vectors < IN_PIECES.stop and n_largest <= SHARED
    return products_on_one_thread() if is_small else nullcontext()


def product(x: Array, weight: AnyArray) -> Array:
    """Return x @ weight: (..., d_in) -> (..., d_out), weight (d_in, d_out), in x's dtype or in 16 bits."""
    # A single product of two matrices: a stack of vectors would read the whole weight once per vector.
    vectors = x.reshape(-1, x.shape[-1])
    n = len(vectors)
    if n in IN_PIECES and kernels() in WITHOUT_COPY:
        y = _product_in_pieces(vectors, weight)
    elif n <= FEW_VECTORS:
        y = _products_one_by_one(vectors, weight)
    elif n < SOME_VECTORS and n % EIGHT:
        padded = np.zeros((-(-n // EIGHT) * EIGHT, x.shape[-1]), x.dtype)
        padded[:n] = vectors
        y = _product_in_tiles(padded, weight)[:n]
    else:
        y = _product_in_tiles(vectors, weight)
    return y.reshape(*x.shape[:-1], weight.shape[-1])


def product_in_shares(x: Array, weight: AnyArray) -> Array:
    """Return x @ weight for many vectors and a wide matrix, whose columns are shared among the threads.

    (..., d_in) -> (..., d_out), weight (d_in, d_out), in x's dtype or in 16 bits.
    """
    vectors = x.reshape(-1, x.shape[-1])
    y: Array = np.empty((len(vectors), weight.shape[1]), x.dtype)

    def multiply(columns: slice) -> None:
        y[:, columns] = _product_in_tiles(vectors, weight[:, columns])

    in_parallel(multiply, shares(weight.shape[1], n_threads()))
    return y.reshape(*x.shape[:-1], -1)


def _products_one_by_one(vectors: Array, weight: AnyArray) -> Array:
    """Return vectors @ weight for one or two vectors: (n, d_in) -> (n, d_out)."""
    if not is_sixteen_bits(weight):
        return (vectors[:, None] @ weight)[:, 0]
    y: Array = np.empty((len(vectors), weight.shape[1]), vectors.dtype)

    def multiply(share: slice) -> None:
        for columns in _steps(share, _columns_widened(weight[:, share])):
            y[:, columns] = (vectors[:, None] @ _wide(weight[:, columns]))[:, 0]

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


def _product_in_tiles(vectors: Array, weight: AnyArray) -> Array:
    """Return vectors @ weight for many vectors: (n, d_in) -> (n, d_out).

    A large matrix is multiplied some columns at a time, so that not all of it need be widened at once.
    """
    n_columns = max(STEP, TILE // len(weight) // STEP * STEP)
    if weight.shape[1] <= n_columns:
        return vectors @ _wide(weight)
    y: Array = np.empty((len(vectors), weight.shape[1]), vectors.dtype)
    for columns in _steps(slice(0, weight.shape[1]), n_columns):
        np.matmul(vectors, _wide(weight[:, columns]), out=y[:, columns])
    return y


def _steps(share: slice, length: int) -> Iterator[slice]:
    """Cut a stretch of columns into parts of this length; the last one may be shorter, or one column longer.

    A part of a single column would be a product of two vectors, which adds in another order.
    """
    start = share.start
    while start < share.stop:
        stop = start + length if start + length < share.stop - 1 else share.stop
        yield slice(start, stop)
        start = stop


_scratch = threading.local()


def _wide(part: AnyArray) -> Array:
    """Return a part of a matrix as it is or, if it is kept in 16 bits, as float32, in its own order in memory.

    These numbers last until this thread's next call, which reuses their memory.
    """
    if not is_sixteen_bits(part):
        return part
    memory: Float32 | None = getattr(_scratch, "memory", None)
    if memory is None or memory.size < part.size:
        memory = _scratch.memory = np.empty(part.size, np.float32)
    by_columns = lies_by_columns(part)
    rows = part.T if by_columns else part
    wide = memory[: part.size].reshape(rows.shape)
    widen_finite(rows, wide)
    return wide.T if by_columns else wide


def _product_in_pieces(vectors: Array, weight: AnyArray) -> Array:
    """Return vectors @ weight for a few vectors: (n, d_in) -> (n, d_out)."""
    y: Array = np.empty((len(vectors), weight.shape[1]), vectors.dtype)
    n_rows, n_columns = piece_shape(weight, len(vectors))

    def multiply(share: slice) -> None:
        for start in range(share.start, share.stop, n_columns):
            columns = slice(start, min(start + n_columns, share.stop))
            np.matmul(vectors[:, :n_rows], _wide(weight[:n_rows, columns]), out=y[:, columns])
            for row in range(n_rows, len(weight), n_rows):
                rows = slice(row, row + n_rows)
                y[:, columns] += vectors[:, rows] @ _wide(weight[rows, columns])

    in_parallel(multiply, shares(weight.shape[1], n_threads() if weight.size > SHARED else 1))
    return y


def piece_shape(weight: AnyArray, n: int) -> tuple[int, int]:
    """Return rows and columns of a piece of a matrix that is small for `n` vectors, and long in the order of memory."""
    in_c_order = _order(weight) == "C"
    run = min(LONGEST_RUN, weight.shape[1] if in_c_order else weight.shape[0])
    n_runs = max(EIGHT, SMALL // (n * run) // EIGHT * EIGHT)
    return (n_runs, run) if in_c_order else (run, n_runs)


def in_fast_order(weight: AnyArray) -> AnyArray:
    """Return the same matrix with its longer axis contiguous in memory, copied only if necessary.

    Decoding one token consists of matrix-vector products. Measured with OpenBLAS on x86-64 CPUs, these read memory
    fastest along the longer axis, and for a square matrix along the input axis.
    """
    order = _order(weight)
    in_order = weight.flags.c_contiguous if order == "C" else weight.flags.f_contiguous
    return weight if in_order else _copied(weight, order, weight.dtype)


def taken_in_fast_order(
    stored: dict[str, AnyArray], dtype: npt.DTypeLike, keep: str | None = None
) -> dict[str, AnyArray]:
    """Return stored tensors in the same order, in memory of their own, which nothing that happens to a file can change.

    With `keep`, matrices are in 16 bits, and those that lie in a mapped file as they are needed stay there; all do, if
    they are larger than memory. The tensors are taken out of `stored` one by one, so that none stays in memory twice.

    Raises
    ------
    ValueError
        If a number is beyond the range of the format that is kept.
    """
    room, n_bytes = memory_of_machine(), sum(value.nbytes for value in stored.values())
    stay = keep is not None and room is not None and n_bytes > room
    if stay:
        warnings.warn(
            f"the weights, {in_bytes(n_bytes)}, are larger than this machine's memory of {in_bytes(room or 0)}: what "
            "does not fit is read from the file again for each token, at the speed of the disk",
            stacklevel=3,
        )
    is_of_the_file = keep == AS_STORED or (keep is not None and stored["wte.weight"].dtype == SIXTEEN_BITS[keep])
    taken = {}
    for name in list(stored):
        value = stored.pop(name)
        if keep is None or value.ndim != 2 or name == "wpe.weight":
            taken[name] = _taken(value, dtype)
        elif is_of_the_file:
            taken[name] = _kept(name, value, value.dtype if is_sixteen_bits(value) else np.dtype(dtype), stay)
        else:
            taken[name] = _kept(name, value, SIXTEEN_BITS[keep], stay)
    return taken


def _taken(value: AnyArray, dtype: npt.DTypeLike) -> AnyArray:
    if value.flags.owndata and value.dtype == dtype:  # made by a reader, and not a part of a mapped file
        return in_fast_order(value)
    taken = _copied(value, _order(value), dtype)
    release(value)
    return taken


def _kept(name: str, value: AnyArray, dtype: np.dtype[Any], stay: bool) -> AnyArray:
    """Return a matrix in a dtype and in fast order; in float32 if it has infinities, which no product widens.

    If it is to stay in its file, only one of another dtype is copied.
    """
    with np.errstate(over="ignore"):  # an infinity is found below
        kept = value if value.dtype == dtype else _copied(value, _order(value), dtype)
    if not stay:
        kept = in_fast_order(kept)
    if kept is not value or stay:
        release(value)
    if not is_sixteen_bits(kept) or is_finite(kept):
        return kept
    if dtype != value.dtype:
        raise ValueError(f"{name} has numbers beyond the range of {name_of(dtype)}: keep them as they are stored")
    return _copied(kept, _order(kept), np.float32)


def _order(weight: AnyArray) -> Literal["C", "F"]:
    return "C" if weight.ndim != 2 or weight.shape[1] > weight.shape[0] else "F"


def _copied(array: AnyArray, order: Literal["C", "F"], dtype: npt.DTypeLike) -> AnyArray:
    """Return a copy in that memory order and dtype, of which each thread makes some rows."""
    copy: AnyArray = np.empty(array.shape, dtype, order)

    def copy_rows(share: slice) -> None:
        copy_into(copy[share], array[share])

    in_parallel(copy_rows, shares(len(array), n_threads() if array.nbytes > LARGE else 1))
    return copy
