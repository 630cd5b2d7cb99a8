"""One published file that is not part of a model: known by its digest, and fetched when it is first needed."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from ..errors import DownloadError
from . import cache
from .environment import host, offline_variable
from .publishers import Place
from .remote_file import RemoteFile, size_of


@dataclass(frozen=True)
class PublishedFile:
    """A published file with a known digest.

    Parameters
    ----------
    place : Place
        Where it is published.
    file : str
        Its path there.
    digest : str
        "sha256:..." of the whole file.
    size : int, optional
        Bytes; if it is not known, the server is asked before the file is fetched.
    """

    place: Place
    file: str
    digest: str
    size: int | None = None

    @property
    def name(self) -> str:
        """The file's own name."""
        return self.file.rpartition("/")[2]

    @property
    def path(self) -> Path:
        """Its path in our cache, whether it is there or not."""
        return cache.folder_of(self.place) / self.name

    @property
    def address(self) -> str:
        """Its address as messages show it: without the scheme and a password."""
        url = self.place.url(self.file)
        return host(url) + urlsplit(url).path

    def fetched(self, what: str) -> Path:
        """Return the path of the verified file, fetching it if it is missing or damaged.

        Parameters
        ----------
        what : str
            A plural noun for the contents, for messages: "the samples of GPT-3".

        Raises
        ------
        DownloadError
            If it is missing or damaged and cannot be fetched. It is also a FileNotFoundError.
        """
        problem = self._problem()
        if problem is not None:
            self._fetch(what, problem)
        return self.path

    def _problem(self) -> str | None:
        """Say what is wrong with the file in the cache, without asking a server; None if nothing is."""
        if not self.path.is_file():
            return "it is missing"
        size = self.size if self.size is not None else size_of(self.path)
        return self._published("", size or 0).problem(self.path)

    def _published(self, url: str, size: int) -> RemoteFile:
        return RemoteFile(url, size, (self.digest,), version="", commit=None)

    def _fetch(self, what: str, problem: str) -> None:
        missing = f"{what} are not on this machine"
        if self.path.exists():
            missing = f"{self.path} is not what was published as {what} ({problem})"
        by_hand = f"They are at {self.address}; that file can also be put by hand at {self.path}"
        if variable := offline_variable():
            raise DownloadError(f"{missing}, and {variable} is set. {by_hand}")
        from .fetch import fetch_file  # its network libraries take a tenth of a second to import

        try:
            fetch_file(self.place, self._published(self.place.url(self.file), self._published_size()), self.path)
        except DownloadError as error:
            raise DownloadError(f"{missing}: {error}. {by_hand}") from None

    def _published_size(self) -> int:
        if self.size is not None:
            return self.size
        from .transfer import Transfer

        with Transfer(self.place) as transfer:
            # Without the digest: GitHub's ETag looks like a SHA-256, but is not the file's.
            announced = transfer.announced(self.place.url(self.file))
        if announced is None:
            raise DownloadError(self.place.explain(404, None))
        return announced.size
