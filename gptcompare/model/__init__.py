"""Ids to logits: the decoder-only transformer.

Read `gpt` first: the forward pass from the embeddings to the logits. It is built from `ops` (layer norm, GELU,
softmax), `attention`, `kv_cache` (what attention remembers), `inputs` (checks of the arguments), `hooks` (looking
inside) and `changes` (of what happens there), and made fast by `threads` (several chunks at once) and `products` (how
the weights lie in memory, and how a product with them is cut).
"""

from .gpt import GPT
from .inputs import CHUNK
from .kv_cache import KVCache

__all__ = ["CHUNK", "GPT", "KVCache"]
