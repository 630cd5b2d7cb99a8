"""Checkpoints as files: readers of the published layouts, the writer, and where the files lie.

`folder.py` is the way in. Each layout has a reader (`safetensors.py`, `tensorflow.py`, `torch_zip.py`) that gives
name -> array and knows nothing of models; `names/` translates each publisher's names into ours.
"""

from .errors import CheckpointError
from .folder import read_checkpoint, write_checkpoint
from .locate import locate

__all__ = ["CheckpointError", "locate", "read_checkpoint", "write_checkpoint"]
