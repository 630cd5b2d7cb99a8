"""Checkpoints of a single file, which says itself what sizes its model has: llama.cpp's GGUF and llm.c's.

`recognition` tells them by their first bytes, wherever a folder could be given; `gguf` and `llm_c` translate their
descriptions and their tensors into ours, as the modules of `families/` do for folders.
"""

from .recognition import SingleFile, single_file

__all__ = ["SingleFile", "single_file"]
