"""The kinds of arrays that functions take and return, and the letters that stand for their axes.

One legend for the whole library. Shapes in docstrings and comments use these letters:

    B  batch: sequences read together
    T  new tokens: the positions whose queries are computed
    S  keys: the positions attended to, the T new ones last
    N  B x T: all tokens of a batch, one after another
    L  layers (blocks)
    H  attention heads
    K  d_head: width of a head's queries, keys and values
    D  d_model: width of the residual stream
    M  d_mlp: width inside the feed-forward layer
    V  n_vocab: size of the vocabulary
"""

from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

__all__ = [
    "BFLOAT16",
    "AnyArray",
    "Array",
    "Float32",
    "Float64",
    "Ids",
    "Integers",
    "Mask",
]

# NumPy has no bfloat16. An array of such numbers holds their bits under this name, until they are widened.
BFLOAT16 = np.dtype([("bfloat16", "<u2")], align=True)

Array: TypeAlias = npt.NDArray[np.floating[Any]]  # float32 or float64, as in the model
Float32: TypeAlias = npt.NDArray[np.float32]
Float64: TypeAlias = npt.NDArray[np.float64]
Integers: TypeAlias = npt.NDArray[np.integer[Any]]
Ids: TypeAlias = npt.NDArray[np.intp]  # token ids, checked against the vocabulary; also positions
Mask: TypeAlias = npt.NDArray[np.bool_]
AnyArray: TypeAlias = npt.NDArray[Any]  # read from a file, before its contents have been checked
