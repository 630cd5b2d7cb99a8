"""Checkpoints: finding, downloading, reading and writing the files of a model.

`by_name` turns a name into a folder, and `folder` turns a folder into a configuration and its parameters; start with
these two. `formats/` has a reader for each byte format, `families/` translates each publisher's names into ours, and
`download/` fetches what is not on this machine. `layouts` lists the files of a model, `catalogue` the names of models,
and `embedded` finds the two models in the package.
"""

from .by_name import locate, remove
from .catalogue import listing
from .errors import CheckpointError, DownloadError
from .folder import read_checkpoint, write_checkpoint
from .formats.tensor_file import release

__all__ = [
    "CheckpointError",
    "DownloadError",
    "listing",
    "locate",
    "read_checkpoint",
    "release",
    "remove",
    "write_checkpoint",
]
