"""Checkpoints as files: readers of the published layouts, the writer, where the files lie, and how they get there.

`folder.py` is the way in. Each layout has a reader (`safetensors.py`, `tensorflow.py`, `torch_zip.py`) that gives
name -> array and knows nothing of models; `names/` translates each publisher's names into ours.

`by_name.py` turns a model's name into a folder. What it stands on: `publishers.py` (addresses), `catalogue.py` (names),
`cache.py` and `lock.py` (what is on this machine), `fetch.py` (a model's files), `transfer.py` (one file over HTTP) and
`remote_file.py` (what must be right of it).

`published_file.py` is one file that is no part of a model, from one of the places in `data_publishers.py`.
`gpt3_samples.py` reads the texts that OpenAI published of GPT-3.
"""

from .by_name import download, locate, remove
from .catalogue import listing
from .errors import CheckpointError, DownloadError
from .folder import read_checkpoint, write_checkpoint
from .tensor_file import release

__all__ = [
    "CheckpointError",
    "DownloadError",
    "download",
    "listing",
    "locate",
    "read_checkpoint",
    "release",
    "remove",
    "write_checkpoint",
]
