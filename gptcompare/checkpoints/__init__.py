"""Checkpoints: finding, downloading, reading and writing the files of a model.

`by_name` turns a name into a folder, and `folder` turns a folder into a configuration and its parameters; start with
these two. `formats/` has a reader for each byte format, `families/` translates each publisher's names into ours,
`single_files/` reads models that are one file, and `download/` fetches what is not on this machine. `layouts` lists the
files of a model, `catalogue` the names of models, `embedded` finds the two models in the package, and `export` writes
for other programs.
"""

from .by_name import locate, remove
from .catalogue import listing
from .errors import CheckpointError, DownloadError
from .folder import read_checkpoint, write_checkpoint
from .formats.tensor_file import release
from .room import locate_with_room, memory_of_machine

__all__ = [
    "CheckpointError",
    "DownloadError",
    "listing",
    "locate",
    "locate_with_room",
    "memory_of_machine",
    "read_checkpoint",
    "release",
    "remove",
    "write_checkpoint",
]
