"""All files of a published model, into our cache: first the description, which may refuse it, and last the weights.

`fetch_file` is for a file that is not part of a model, and whose digest is known before a server is asked.
"""

from __future__ import annotations

import contextlib
import errno
import re
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path

from ...display.messages import tell
from ..errors import DownloadError
from ..folder import read_config
from ..layouts import MAX_JSON, shard_names
from . import cache
from .cache import Check, Wanted
from .publishers import Origin, Place
from .remote_file import RemoteFile, size_of
from .transfer import Transfer

RESERVE = 10_000_000  # bytes of disk that stay free
WEIGHTS_FILE = re.compile(r"[\w.-]{1,200}\.(safetensors|bin|data-00000-of-00001)", re.ASCII)


def fetch_model(origin: Origin, wanted: Wanted = "model", check: Check | None = None) -> Path:
    """Fetch the missing files of a model, or of its tokenizer alone, and return its folder.

    It waits for another process that is fetching the same model, and uses what earlier attempts left.

    Parameters
    ----------
    origin : Origin
    wanted : "model", "weights" or "tokenizer"
        The tokenizer comes with the weights.
    check : function of a GPTConfig, optional
        Called before the weights are fetched; what it raises leaves them where they are.

    Raises
    ------
    DownloadError
        If it cannot be fetched; the message says why and what was kept.
    CheckpointError
        If this library cannot represent the model; then its weights were not fetched.
    """
    folder = cache.folder_of(origin)
    with _explained(folder), cache.locked(origin):
        record = cache.Record.read(folder)
        if record is None or not record.is_of(origin) or not record.has(wanted):
            with Transfer(origin) as transfer:
                _Fetching(origin, folder, transfer).run(wanted, check)
    return folder


def fetch_file(place: Place, remote: RemoteFile, path: Path) -> None:
    """Fetch a file, unless it is there; a different file at `path` is replaced when the whole file has arrived.

    It waits for another process that is fetching from the same place, and uses what earlier attempts left.

    Raises
    ------
    DownloadError
        If it cannot be fetched, or is not what it should be; the message says why and what was kept.
    """
    with _explained(path.parent, kept="*.part"), cache.locked(place):
        if remote.problem(path) is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
            _check_space(place, path.parent, [(path, remote)])
            with Transfer(place) as transfer:
                transfer.fetch(remote, path)


class _Fetching:
    """Fetches one model into its folder. It records each file, so that no later attempt fetches it again."""

    def __init__(self, origin: Origin, folder: Path, transfer: Transfer) -> None:
        self.origin = origin
        self.folder = folder
        self.transfer = transfer
        self.record = cache.Record(origin.publisher, origin.name, origin.revision)
        self.remotes: dict[str, RemoteFile] = {}

    def run(self, wanted: Wanted, check: Check | None) -> None:
        description = self._ask(self.origin.description)
        if description is None:
            raise DownloadError(self.origin.explain(404, None))
        self._begin(description.commit)
        self._fetch([self.origin.description])
        self._check_description(check)
        tokenizer = [file for file in self.origin.tokenizer if self._ask(file)]
        weights = [] if wanted == "tokenizer" else self._ask_for_weights()
        wanted_files = [*tokenizer, *weights]
        missing = [(self.folder / file, self.remotes[file]) for file in wanted_files if not self._is_here(file)]
        _check_space(self.origin, self.folder, missing)
        self._fetch(tokenizer)
        self._complete("tokenizer", self.origin.tokenizer)
        if wanted != "tokenizer":
            self._fetch(weights)
            self._complete("weights", [*self.record.files, *(path.name for path in self.folder.glob("*.part"))])

    def _ask(self, file: str) -> RemoteFile | None:
        """Ask the server about a file, in the same commit as the first file."""
        url = self.origin.url(file, self.record.commit)
        remote = self.transfer.announced(url, self.origin.digests.get(file))
        if remote is None:
            return None
        if remote.size > MAX_JSON and not WEIGHTS_FILE.fullmatch(file):
            raise DownloadError(f"{self.origin.full_name} has a {file} of {remote.size:,} bytes, which is too large")
        self.remotes[file] = remote
        return remote

    def _begin(self, commit: str | None) -> None:
        """Take over what earlier attempts verified: `_fetch` compares it with what the server has now."""
        self.folder.mkdir(parents=True, exist_ok=True)
        earlier = cache.Record.read(self.folder)
        self.record.commit = commit
        if earlier is not None:
            self.record.files = earlier.files
            same = earlier.is_of(self.origin) and earlier.commit == commit
            self.record.complete = earlier.complete if same else []
        self.record.write(self.folder)

    def _check_description(self, check: Check | None) -> None:
        try:
            config = read_config(self.folder)
        except ValueError:
            cache.remove(self.origin)
            raise
        if check is not None:
            check(config)

    def _ask_for_weights(self) -> list[str]:
        for alternative in self.origin.weights:
            if not all(self._ask(file) for file in alternative):
                continue
            index = alternative[0]
            if not index.endswith(".index.json"):
                return list(alternative)
            self._fetch([index])
            shards = shard_names(self.folder / index)
            for shard in shards:
                if not WEIGHTS_FILE.fullmatch(shard) or not self._ask(shard):
                    raise DownloadError(f"{self.origin.full_name} has no weights {shard!r}, which its {index} names")
            return [index, *shards]
        layouts = ", ".join(alternative[0] for alternative in self.origin.weights)
        raise DownloadError(f"{self.origin.full_name} has no weights in a layout that can be read: none of {layouts}")

    def _fetch(self, files: list[str]) -> None:
        for file in files:
            if not self._is_here(file):
                # Before the file changes: after a kill, the record must not vouch for bytes that were not verified.
                if self.record.files.pop(file, None) is not None:
                    self.record.write(self.folder)
                self.transfer.fetch(self.remotes[file], self.folder / file)
                self.record.files[file] = _known(self.remotes[file])
                self.record.write(self.folder)

    def _is_here(self, file: str) -> bool:
        """Return whether the wanted file is here: by the record or, if a kill came before that, by its digests."""
        remote, path = self.remotes[file], self.folder / file
        if file not in self.record.files and remote.digests and path.is_file() and not remote.problem(path):
            self.record.files[file] = _known(remote)
        return self.record.files.get(file) == _known(remote)

    def _complete(self, what: str, candidates: Iterable[str]) -> None:
        """Remove candidates that are no longer published, such as a tokenizer.json, which would still be read."""
        for file in list(candidates):
            if file not in self.remotes:
                (self.folder / file).unlink(missing_ok=True)
                self.record.files.pop(file, None)
        self.record.complete = [*(part for part in self.record.complete if part != what), what]
        self.record.write(self.folder)


def _check_space(place: Place, folder: Path, missing: list[tuple[Path, RemoteFile]]) -> None:
    arrived = sum(size_of(remote.part(path)) or 0 for path, remote in missing)
    needed = sum(remote.size for _, remote in missing) - arrived
    free = shutil.disk_usage(folder).free
    if needed > free - RESERVE:
        raise DownloadError(
            f"{place.full_name} needs {needed:,} more bytes, and the disk of {cache.home()} has {free:,} free: make "
            "room, or set GPTCOMPARE_HOME to a folder on another disk"
        )


def _known(remote: RemoteFile) -> dict[str, object]:
    return {"bytes": remote.size, "digests": list(remote.digests)}


@contextlib.contextmanager
def _explained(folder: Path, kept: str = "*") -> Iterator[None]:
    """Let a failure in a `with` block say what the next attempt finds: the files in the folder that match `kept`."""
    try:
        yield
    except KeyboardInterrupt:
        tell(f"stopped{_kept(folder, kept)}")
        raise
    except DownloadError as error:
        raise type(error)(f"{error}{_kept(folder, kept)}") from None
    except OSError as error:
        raise DownloadError(f"{_disk_problem(error)}{_kept(folder, kept)}") from None


def _kept(folder: Path, pattern: str) -> str:
    """Say what the next attempt finds, for the end of a message."""
    with contextlib.suppress(OSError):
        if n_bytes := sum(path.stat().st_size for path in folder.glob(pattern) if path.name != cache.RECORD):
            return f". Kept: {n_bytes:,} bytes in {folder}; the next attempt resumes from there"
    return ""


def _disk_problem(error: OSError) -> str:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return f"the disk of {cache.home()} is full: make room, or set GPTCOMPARE_HOME to a folder on another disk"
    return (
        f"cannot write to the cache in {cache.home()} ({error.strerror or error}): set GPTCOMPARE_HOME to a folder "
        "that can be written to"
    )
