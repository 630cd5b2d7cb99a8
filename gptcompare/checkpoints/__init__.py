"""Checkpoints as files: where they lie, how they get there, what they hold, and writing them.

`by_name` turns a name into a folder, `folder` a folder into a configuration and its parameters; start with these two.
`formats/` has a reader for each byte format, `families/` translates each publisher's names into ours, and `download/`
fetches what is not here. `layouts` says which files a model consists of, `catalogue` which names there are, and
`embedded` where the two models in the package are.
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
