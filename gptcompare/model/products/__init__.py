"""Products of vectors with a matrix: how the matrix lies in memory, and how the product is cut for the BLAS.

A linear layer's weight has the shape (d_in, d_out), whatever its order in memory and however it is cut: both are chosen
here for speed, and hidden from everyone else.

Why four tokens should cost little more than one: to read one token, each number of a matrix is brought from memory,
multiplied once, and forgotten. Memory is the slow part, so three more vectors could be multiplied in the same time. But
a BLAS multiplies two matrices in a way made for large ones: it first copies the matrix into an order of its own, which
takes longer than all the multiplications of a few vectors. For small matrices, OpenBLAS has functions without this copy
for processors with AVX-512. So a few vectors are multiplied with one small piece of the matrix after another, each of
some runs of memory that are as long as possible. `docs/performance.md` shows what that gains.

A matrix may also be kept in 16 bits (`keep`). It becomes float32 a part at a time, on the thread that multiplies the
part, in memory that this thread uses again for the next one, and is multiplied as the same part of a float32 matrix
would be: so the products have the same bits.

Read `multiplication` first: which way suits how many vectors. `pieces` is the one for a few, `scratch` holds memory
that is used again and again, and `memory_order` brings matrices into the order in which they are read fastest.
"""

from .memory_order import in_fast_order, taken_in_fast_order
from .multiplication import product, product_in_shares, threads_for
from .pieces import piece_shape

__all__ = ["in_fast_order", "piece_shape", "product", "product_in_shares", "taken_in_fast_order", "threads_for"]
