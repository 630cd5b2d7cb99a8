"""Ids to logits: the decoder-only transformer.

Read `gpt` first, the forward pass from the embeddings to the logits. What it consists of: `ops` (layer norm, GELU,
softmax), `attention`, `kv_cache` (what attention remembers), `inputs` (what is refused), `hooks` (looking inside). How
it is made fast: `threads` (several chunks at once) and `memory_order` (of the weights).
"""

from .gpt import CHUNK, GPT
from .kv_cache import KVCache

__all__ = ["CHUNK", "GPT", "KVCache"]
