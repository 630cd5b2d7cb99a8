"""All files of a published model, into our cache: first the description, which may refuse it, last the weights."""

from __future__ import annotations

import contextlib
import errno
import shutil
import sys
from pathlib import Path

from . import cache
from .errors import DownloadError
from .folder import read_config, shard_names
from .publishers import Origin
from .transfer import RemoteFile, Transfer

RESERVE = 10_000_000  # bytes of disk that stay free


def fetch_model(origin: Origin, part: str = cache.WEIGHTS) -> Path:
    """Fetch what is missing of a model, or of its tokenizer alone, and return its folder.

    Another process that fetches the same model is waited for. What an earlier try left is used.

    Parameters
    ----------
    origin : Origin
    part : "weights" or "tokenizer"
        The weights come with the tokenizer.

    Raises
    ------
    DownloadError
        If it cannot be fetched; the message says why and what was kept.
    CheckpointError
        If it is a model that the library cannot represent: then its weights were not fetched.
    """
    folder = cache.folder_of(origin)
    try:
        with cache.locked(origin):
            record = cache.Record.read(folder)
            if record is None or part not in record.complete:
                with Transfer(origin) as transfer:
                    _Fetching(origin, folder, transfer).run(part)
    except KeyboardInterrupt:
        print(f"stopped{_kept(folder)}", file=sys.stderr)
        raise
    except DownloadError as error:
        raise type(error)(f"{error}{_kept(folder)}") from None
    except OSError as error:
        raise DownloadError(f"{_disk_problem(error)}{_kept(folder)}") from None
    return folder


class _Fetching:
    """One model on its way into its folder. The record grows file by file, so that no later try fetches one again."""

    def __init__(self, origin: Origin, folder: Path, transfer: Transfer) -> None:
        self.origin = origin
        self.folder = folder
        self.transfer = transfer
        self.record = cache.Record(origin.publisher, origin.name, origin.revision)
        self.remotes: dict[str, RemoteFile] = {}

    def run(self, part: str) -> None:
        description = self._find(self.origin.description)
        if description is None:
            raise DownloadError(self.origin.explain(404, None))
        self._begin(description.commit)
        self._fetch([self.origin.description])
        self._check_description()
        tokenizer = [file for file in self.origin.tokenizer if self._find(file)]
        weights = self._find_weights() if part == cache.WEIGHTS else []
        self._check_space([*tokenizer, *weights])
        self._fetch(tokenizer)
        self._complete(cache.TOKENIZER)
        if part == cache.WEIGHTS:
            self._fetch(weights)
            self._remove_strangers()
            self._complete(cache.WEIGHTS)

    def _find(self, file: str) -> RemoteFile | None:
        """What the server says of a file of the commit that the first one was from."""
        url = self.origin.url(file, self.record.commit)
        remote = self.transfer.find(url, self.origin.digests.get(file))
        if remote is not None:
            self.remotes[file] = remote
        return remote

    def _begin(self, commit: str | None) -> None:
        """Take over what an earlier try has verified: `_fetch` compares it with what the server has now."""
        self.folder.mkdir(parents=True, exist_ok=True)
        earlier = cache.Record.read(self.folder)
        self.record.commit = commit
        self.record.files = earlier.files if earlier else {}
        self.record.write(self.folder)

    def _check_description(self) -> None:
        try:
            read_config(self.folder)
        except ValueError:
            cache.remove(self.origin)
            raise

    def _find_weights(self) -> list[str]:
        for alternative in self.origin.weights:
            if not all(self._find(file) for file in alternative):
                continue
            index = alternative[0]
            if not index.endswith(".index.json"):
                return list(alternative)
            self._fetch([index])
            shards = shard_names(self.folder / index)
            if missing := [shard for shard in shards if not self._find(shard)]:
                raise DownloadError(f"{self.origin.name} has no {missing[0]}, which its {index} names")
            return [index, *shards]
        layouts = ", ".join(alternative[0] for alternative in self.origin.weights)
        raise DownloadError(f"{self.origin.name} has no weights in a layout that can be read: none of {layouts}")

    def _check_space(self, files: list[str]) -> None:
        missing = [(self.folder / file, self.remotes[file]) for file in files if not self._is_here(file)]
        parts = [remote.part(path) for path, remote in missing]
        arrived = sum(part.stat().st_size for part in parts if part.exists())
        needed = sum(remote.size for _, remote in missing) - arrived
        free = shutil.disk_usage(self.folder).free
        if needed > free - RESERVE:
            raise DownloadError(
                f"{self.origin.name} needs {needed:,} more bytes, and the disk of {cache.home()} has {free:,} free: "
                "make room, or set GPTCOMPARE_HOME to a folder on another disk"
            )

    def _fetch(self, files: list[str]) -> None:
        for file in files:
            if not self._is_here(file):
                self.transfer.fetch(self.remotes[file], self.folder / file)
                self.record.files[file] = _known(self.remotes[file])
                self.record.write(self.folder)

    def _is_here(self, file: str) -> bool:
        return self.record.files.get(file) == _known(self.remotes[file])

    def _complete(self, part: str) -> None:
        self.record.complete.append(part)
        self.record.write(self.folder)

    def _remove_strangers(self) -> None:
        """Remove files of another version: a tokenizer.json that is no longer published would still be read."""
        self.record.files = {file: _known(self.remotes[file]) for file in self.remotes}
        for path in self.folder.iterdir():
            if path.name not in self.record.files and path.name != cache.RECORD:
                path.unlink()


def _known(remote: RemoteFile) -> dict[str, object]:
    return {"bytes": remote.size, "digests": list(remote.digests)}


def _kept(folder: Path) -> str:
    """What the next try finds, for the end of a message."""
    with contextlib.suppress(OSError):
        if n_bytes := sum(path.stat().st_size for path in folder.iterdir() if path.name != cache.RECORD):
            return f". Kept: {n_bytes:,} bytes in {folder}; the next try goes on from there"
    return ""


def _disk_problem(error: OSError) -> str:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return f"the disk of {cache.home()} is full: make room, or set GPTCOMPARE_HOME to a folder on another disk"
    return (
        f"cannot write to the cache in {cache.home()} ({error.strerror or error}): set GPTCOMPARE_HOME to a folder "
        "that can be written to"
    )
