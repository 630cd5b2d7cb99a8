"""Checkpoints of a single file, which says itself what sizes its model has: llama.cpp's GGUF, llm.c's and nanoGPT's.

`recognition` tells them by their first bytes, wherever a folder could be given; `gguf`, `llm_c` and `nanogpt` translate
their descriptions and their tensors into ours, as the modules of `families/` do for folders.
"""

from .recognition import SingleFile, single_file

__all__ = ["SingleFile", "single_file"]
